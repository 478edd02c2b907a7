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

// Settings has the parameters of a connection string that the driver does not use.
type Settings struct {
	// MaxConnections is pool_max_conns, or 0 if it is not set.
	MaxConnections int
	// Ignored are libpq parameters without effect, sorted.
	Ignored []string
	// forServer are the server settings in a URL. It is empty for keyword=value pairs, where a name
	// may be part of an unquoted password and must not be shown.
	forServer []string
}

// ignored are libpq parameters that neither the driver nor the server knows, and that are safe to
// ignore: Go sends TCP keepalives by default, and never uses GSS encryption or TLS compression.
var ignored = []string{
	"fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "keepalives", "keepalives_count",
	"keepalives_idle", "keepalives_interval", "load_balance_hosts", "requirepeer", "sslcompression", "tcp_user_timeout",
}

// refused are parameters that must not be ignored: those of other programs, and libpq parameters
// that make a connection safer.
var refused = map[string]string{
	"pgbouncer":                "it is a Prisma parameter: for a connection pooler in transaction mode set THAW_POLL_ONLY=true instead",
	"connection_limit":         "it is a Prisma parameter: set THAW_MAX_CONNECTIONS instead",
	"pool_timeout":             "it is a Prisma parameter",
	"socket_timeout":           "it is a Prisma parameter",
	"schema":                   "it is a Prisma parameter: Thaw's tables are always in schema thaw",
	"statement_cache_size":     "it is a Prisma parameter",
	"single_use_connections":   "it is a Prisma parameter",
	"sslaccept":                "it is a Prisma parameter: use sslmode=verify-full",
	"sslidentity":              "it is a Prisma parameter: use sslcert and sslkey",
	"hostaddr":                 "put the address into host",
	"replication":              "Thaw does not use replication connections",
	"requiressl":               "use sslmode=require",
	"sslcrl":                   "revocation lists are not supported",
	"sslcrldir":                "revocation lists are not supported",
	"ssl_min_protocol_version": "TLS 1.2 or newer is always used",
	"ssl_max_protocol_version": "it is not supported",
}

const (
	example = "like postgres://user:password@host:5432/name" //nolint:gosec // placeholders, not credentials
	// encode is the hint for a URL that may have an unencoded special character in its password.
	encode = `if the user name or the password contains one of the characters @ : / ? # %, percent-encode it: @ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25`
	quote  = `write keyword=value pairs separated by spaces, without spaces around the =, and quote values with spaces: password='…'`
)

// Parse parses a connection string: a URL or keyword=value pairs. Its errors never quote the string
// after the user name, because in a malformed string the end of the password is unknown.
func Parse(connString string) (*pgxpool.Config, Settings, error) {
	var settings Settings
	if strings.TrimSpace(connString) == "" {
		return nil, settings, errors.New("no database given: set THAW_DATABASE_URL or --database-url, " + example +
			` (to try Thaw without a database, run "thaw demo")`)
	}
	isURL := strings.HasPrefix(connString, "postgres://") || strings.HasPrefix(connString, "postgresql://")
	malformed := func(hint string) error { return fmt.Errorf("the database URL is invalid: %s", hint) }
	switch {
	case isURL && !hasPlainUserInfo(connString):
		return nil, settings, malformed(encode)
	case !isURL && !strings.Contains(connString, "="):
		return nil, settings, malformed("it must be a URL, " + example + ", or keyword=value pairs")
	}
	// The errors of pgx quote the string, so they are not shown. pgx treats pgxpool parameters as
	// server settings.
	parsed, err := pgx.ParseConfig(connString)
	if err != nil {
		return nil, settings, malformed(reason(err) + hintFor(isURL))
	}
	params := parsed.RuntimeParams
	for name := range params {
		why, isRefused := refused[name]
		switch {
		case isRefused:
			return nil, settings, fmt.Errorf("the database URL has the parameter %s, which Thaw does not support: remove it (%s)", name, why)
		case slices.Contains(ignored, name):
			settings.Ignored = append(settings.Ignored, name)
		// Not the name of a setting, so it is part of an unquoted value.
		case !settingName.MatchString(name):
			return nil, settings, malformed(hintFor(isURL))
		}
	}
	slices.Sort(settings.Ignored)
	if text, ok := params["pool_max_conns"]; ok {
		if settings.MaxConnections, err = strconv.Atoi(text); err != nil || settings.MaxConnections < 1 {
			return nil, settings, errors.New("pool_max_conns in the database URL must be a positive number")
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

// reason names the invalid part if the error of the driver mentions a known one. It quotes nothing
// from the error.
func reason(err error) string {
	for _, known := range []struct{ word, reason string }{
		{"port", "the port must be a number from 1 to 65535; "},
		{"sslmode", "sslmode must be disable, allow, prefer, require, verify-ca or verify-full; "},
		{"target_session_attrs", "target_session_attrs must be any, read-write, read-only, primary, standby or prefer-standby; "},
		{"connect_timeout", "connect_timeout must be a number of seconds; "},
		{"TLS", "a certificate or key file could not be read; "},
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

// hasPlainUserInfo reports whether the user and password of a URL are unambiguous: there is at most
// one @, and none after the end of the authority. A password with an unencoded @, /, ? or #
// violates this. The rest of such a password would be taken for a host name and sent to DNS.
func hasPlainUserInfo(url string) bool {
	_, rest, _ := strings.Cut(url, "://")
	authority, path := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority, path = rest[:end], rest[end:]
	}
	switch strings.Count(authority, "@") {
	case 0:
		// Without a user, an @ may be in a parameter, unless the authority has a colon and so may
		// be a user and a password.
		return !strings.Contains(path, "@") || !strings.Contains(authority, ":")
	case 1:
		beforeQuery, _, _ := strings.Cut(path, "?")
		return !strings.Contains(beforeQuery, "@")
	default:
		return false
	}
}
