package localpg

import (
	"net/url"
	"strings"
)

// withDatabase returns the connection string, in URL or keyword/value form, for another database.
func withDatabase(connString, database string) string {
	u, err := url.Parse(connString)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		// Of a keyword that is given twice the last one counts, for libpq as for pgx.
		return connString + " dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database) + "'"
	}
	u.Path, u.RawPath = "/"+database, ""
	query := u.Query()
	if query.Has("dbname") || query.Has("database") {
		query.Del("dbname")
		query.Del("database")
		u.RawQuery = encodeQuery(query)
	}
	return u.String()
}

// encodeQuery is query.Encode for libpq, which does not read "+" as a space; slashes stay
// readable, as a query may hold them.
func encodeQuery(query url.Values) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(query.Encode())
}
