package database_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/database"
)

func TestParseAcceptsPsqlStrings(t *testing.T) {
	t.Parallel()
	for _, connString := range []string{
		"postgres://app@127.0.0.1:5432/platform",
		"postgresql://app:s%40cret%2F@db.example.com/platform?sslmode=require",
		"postgres://app:secret@one,two/platform?target_session_attrs=read-write",
		"postgres:///platform?host=/run/postgresql",
		"postgres://localhost/platform?options=-c%20geqo%3Doff",
		"postgres://localhost/platform?keepalives=1&keepalives_idle=30&tcp_user_timeout=10000&gssencmode=disable&sslcompression=0",
		"host=127.0.0.1 user=app password='Sup3r Secret' dbname=platform",
	} {
		_, _, err := database.Parse(connString)
		require.NoError(t, err, connString)
	}
}

func TestParseReadsMaxConnections(t *testing.T) {
	t.Parallel()
	_, settings, err := database.Parse("postgres://localhost/platform?pool_max_conns=9&keepalives=1&gssencmode=disable")
	require.NoError(t, err)
	require.Equal(t, 9, settings.MaxConnections)
	require.Equal(t, []string{"gssencmode", "keepalives"}, settings.Ignored)
	_, _, err = database.Parse("postgres://localhost/platform?pool_max_conns=many")
	require.ErrorContains(t, err, "pool_max_conns")
}

func TestParseRefusesUnsupportedParameters(t *testing.T) {
	t.Parallel()
	for parameter, hint := range map[string]string{
		"schema=public":                    "the parameter schema",
		"pgbouncer=true":                   "THAW_POLL_ONLY",
		"connection_limit=1":               "THAW_MAX_CONNECTIONS",
		"sslcrl=/etc/crl.pem":              "the parameter sslcrl",
		"sslaccept=strict":                 "sslmode=verify-full",
		"hostaddr=127.0.0.1":               "host",
		"replication=database":             "replication connections",
		"ssl_min_protocol_version=TLSv1.3": "ssl_min_protocol_version",
	} {
		_, _, err := database.Parse("postgres://app:secret@localhost/platform?" + parameter)
		require.ErrorContains(t, err, hint, parameter)
		require.ErrorContains(t, err, "remove it", parameter)
	}
}

func TestParseSaysHowToEncodeAPassword(t *testing.T) {
	t.Parallel()
	for _, connString := range []string{
		"postgres://app:Sup3r@Secret@127.0.0.1:5502/c",
		"postgres://app:Sup3r@Secret%ZZ@127.0.0.1:5502/c",
		"postgres://app:Sup3r@Sec/ret@127.0.0.1/c?sslmode=bogus",
		"postgres://app:1/Secret@127.0.0.1/c",
		"postgres://app:Sec#ret@127.0.0.1/c",
		"postgres://app:Sec?ret@127.0.0.1/c",
		"postgres://app:Secret%@127.0.0.1/c",
	} {
		_, _, err := database.Parse(connString)
		require.ErrorContains(t, err, "@ is %40", connString)
		require.NotContains(t, err.Error(), "Sec", connString)
	}
}

// No error contains a piece of the password, for any malformed string.
func TestParseNeverShowsThePassword(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Pieces that occur in no error text, joined by special characters of connection strings.
		pieces := rapid.SliceOfN(rapid.StringMatching(`Q[A-Z]{3}[0-9]{3}`), 1, 4).Draw(t, "pieces")
		joint := rapid.SampledFrom([]string{"@", ":", "/", "?", "#", "%", " ", "=", "'", `\`, "&", "%ZZ", " = ", "@@", ",", ";", "["})
		var password strings.Builder
		for i, piece := range pieces {
			if i > 0 {
				password.WriteString(joint.Draw(t, "joint"))
			}
			password.WriteString(piece)
		}
		connString := strings.ReplaceAll(rapid.SampledFrom([]string{
			"postgres://app:PASSWORD@127.0.0.1:5502/c", "postgresql://app:PASSWORD@127.0.0.1:port/c", "postgres://app:PASSWORD@/c?sslmode=bogus",
			"host=127.0.0.1 user=app password=PASSWORD dbname=c", "host=127.0.0.1 user=app password = PASSWORD dbname", "password='PASSWORD",
			"host=127.0.0.1 password=PASSWORD sslmode=bogus", "postgres:/app:PASSWORD@127.0.0.1/c", "app:PASSWORD@127.0.0.1/c",
		}).Draw(t, "form"), "PASSWORD", password.String())
		_, _, err := database.Parse(connString)
		if err == nil {
			return
		}
		for _, piece := range pieces {
			if strings.Contains(err.Error(), piece) {
				t.Fatalf("%s\n-> %s", connString, err)
			}
		}
	})
}
