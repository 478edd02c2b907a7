package localpg

import (
	"net/url"
	"strings"
)

// withDatabase returns the connection string, in URL or keyword/value form, for another database.
func withDatabase(connString, database string) string {
	u, err := url.Parse(connString)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		// If a keyword is repeated, libpq and pgx use the last one.
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

// encodeQuery is query.Encode for libpq, which does not decode "+" as a space. It does not encode
// slashes, which are allowed in a query.
func encodeQuery(query url.Values) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(query.Encode())
}
