package database

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Settings is what a connection string says beyond what the driver takes.
type Settings struct {
	// MaxConnections is pool_max_conns; 0: the string does not have it.
	MaxConnections int
	// Ignored are parameters of libpq that change nothing here, in alphabetical order.
	Ignored []string
	// forServer are the settings of the server that a URL names. In keyword=value pairs a name may be a piece of a password
	// that was not quoted, and is not told.
	forServer []string
}

// ignored are parameters of libpq that neither the driver nor the server knows and that do no harm when left out: Go's TCP
// connections send keepalives by themselves, and there is neither GSS encryption nor TLS compression to switch off.
var ignored = []string{
	"fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "keepalives", "keepalives_count",
	"keepalives_idle", "keepalives_interval", "load_balance_hosts", "requirepeer", "sslcompression", "tcp_user_timeout",
}

// refused are parameters whose meaning would be lost: those of other programs, and those of libpq that make a connection safer.
var refused = map[string]string{
	"pgbouncer":                "it is Prisma's: for a connection pooler in transaction mode set THAW_POLL_ONLY=true instead",
	"connection_limit":         "it is Prisma's: set THAW_MAX_CONNECTIONS instead",
	"pool_timeout":             "it is Prisma's",
	"socket_timeout":           "it is Prisma's",
	"schema":                   "it is Prisma's: Thaw's tables are in the schema thaw",
	"statement_cache_size":     "it is Prisma's",
	"single_use_connections":   "it is Prisma's",
	"sslaccept":                "it is Prisma's: use sslmode=verify-full",
	"sslidentity":              "it is Prisma's: use sslcert and sslkey",
	"hostaddr":                 "name the address in host",
	"replication":              "Thaw does not replicate",
	"requiressl":               "use sslmode=require",
	"sslcrl":                   "revocation lists are not supported",
	"sslcrldir":                "revocation lists are not supported",
	"ssl_min_protocol_version": "Go's TLS takes 1.2 and newer",
	"ssl_max_protocol_version": "it is not supported",
}

const (
	example = "like postgres://user:password@host:5432/name" //nolint:gosec // No credentials: words for what goes there.
	// encode is the hint for a URL that may have a bare special character in its password.
	encode = `if the user name or the password has one of the characters @ : / ? # %, write it percent-encoded: @ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25`
	quote  = `write keyword=value pairs separated by spaces, without spaces around the =, and a value that has a space in single quotes: password='…'`
)

// Parse reads a connection string, a URL or keyword=value pairs. An error says what is wrong without a part of the string from
// behind the user name on: in a malformed string no program can tell where the password ends.
func Parse(connString string) (*pgxpool.Config, Settings, error) {
	var settings Settings
	if strings.TrimSpace(connString) == "" {
		return nil, settings, errors.New("no database: set THAW_DATABASE_URL or --database-url, " + example +
			` (to look around without one, run "thaw demo")`)
	}
	isURL := strings.HasPrefix(connString, "postgres://") || strings.HasPrefix(connString, "postgresql://")
	malformed := func(hint string) error { return fmt.Errorf("the database URL cannot be read: %s", hint) }
	switch {
	case isURL && !hasPlainUserInfo(connString):
		return nil, settings, malformed(encode)
	case !isURL && !strings.Contains(connString, "="):
		return nil, settings, malformed("it must be a URL, " + example + ", or keyword=value pairs")
	}
	// pgx's errors quote what they could not read. It leaves the parameters of pgxpool among those of the server.
	parsed, err := pgx.ParseConfig(connString)
	if err != nil {
		return nil, settings, malformed(reason(err) + hintFor(isURL))
	}
	params := parsed.RuntimeParams
	for name := range params {
		why, isRefused := refused[name]
		switch {
		case isRefused:
			return nil, settings, fmt.Errorf("the database URL has the parameter %s, which Thaw does not support: take it out (%s)", name, why)
		case slices.Contains(ignored, name):
			settings.Ignored = append(settings.Ignored, name)
		// The name of a setting; anything else is a piece of a value that was not quoted.
		case !settingName.MatchString(name):
			return nil, settings, malformed(hintFor(isURL))
		}
	}
	slices.Sort(settings.Ignored)
	if text, ok := params["pool_max_conns"]; ok {
		if settings.MaxConnections, err = strconv.Atoi(text); err != nil || settings.MaxConnections < 1 {
			return nil, settings, errors.New("the database URL has a pool_max_conns that is not a positive number")
		}
	}

	config, err := pgxpool.ParseConfig(connString)
	if err != nil {
		return nil, settings, malformed(hintFor(isURL))
	}
	maps.DeleteFunc(config.ConnConfig.RuntimeParams, func(name, _ string) bool { return slices.Contains(ignored, name) })
	if isURL {
		settings.forServer = slices.Collect(maps.Keys(config.ConnConfig.RuntimeParams))
	}
	return config, settings, nil
}

var settingName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// reason says which part the driver could not read, where its error names one of these; nothing of the error itself is shown.
func reason(err error) string {
	for _, known := range []struct{ word, reason string }{
		{"port", "the port must be a number from 1 to 65535; "},
		{"sslmode", "sslmode must be disable, allow, prefer, require, verify-ca or verify-full; "},
		{"target_session_attrs", "target_session_attrs must be any, read-write, read-only, primary, standby or prefer-standby; "},
		{"connect_timeout", "connect_timeout must be a number of seconds; "},
		{"TLS", "a certificate or key that it names could not be read; "},
	} {
		if strings.Contains(err.Error(), known.word) {
			return known.reason
		}
	}
	return ""
}

func hintFor(isURL bool) string {
	if isURL {
		return encode
	}
	return quote
}

// hasPlainUserInfo says whether user and password of a URL are where they seem to be: at most one @, and none behind the first
// character that ends the authority. A password with a bare @, /, ? or # breaks one of the two, and what is behind that
// character would be taken for a host, and asked of DNS.
func hasPlainUserInfo(url string) bool {
	_, rest, _ := strings.Cut(url, "://")
	authority, path := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority, path = rest[:end], rest[end:]
	}
	switch strings.Count(authority, "@") {
	case 0:
		// Without a user there may be an @ in a parameter, but not before a host that is still to come.
		return !strings.Contains(path, "@") || !strings.Contains(authority, ":")
	case 1:
		beforeQuery, _, _ := strings.Cut(path, "?")
		return !strings.Contains(beforeQuery, "@")
	default:
		return false
	}
}
