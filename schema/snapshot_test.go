package schema_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

var update = flag.Bool("update", false, "rewrite schema.sql from the migrated database")

// snapshotMajor is the Postgres version whose pg_dump writes schema.sql. The output of others
// differs for the same schema.
const snapshotMajor = 15

// schema.sql is the result of the migrations, for readers and for sqlc.
func TestSnapshotMatchesMigrations(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	_, err := newMigrator(t, db.Pool, "").Up(t.Context())
	require.NoError(t, err)
	major := testdb.Value[int](t, db, "SELECT current_setting('server_version_num')::integer / 10000")
	t.Logf("the server is Postgres %s", testdb.Value[string](t, db, "SHOW server_version"))

	if *update {
		require.Equal(t, snapshotMajor, major, "schema.sql is written by Postgres %d", snapshotMajor)
		require.NoError(t, os.WriteFile("schema.sql", []byte(dump(t, db, "--schema-only")), 0o644))
	}
	snapshot, err := os.ReadFile("schema.sql")
	require.NoError(t, err)
	const differs = "schema.sql does not match the migrations; rewrite it with: go test ./schema -run Snapshot -update\n%s"
	if major == snapshotMajor {
		if diff := cmp.Diff(strings.Split(string(snapshot), "\n"), strings.Split(dump(t, db, "--schema-only"), "\n")); diff != "" {
			t.Errorf(differs, diff)
		}
	}

	// On every version, applying it to an empty database creates the same objects.
	copied := testdb.NewEmpty(t)
	// A function may precede the tables that it uses.
	copied.Exec(t, "SET check_function_bodies = off; "+string(snapshot))
	if diff := cmp.Diff(testdb.Column[string](t, copied, catalog), testdb.Column[string](t, db, catalog)); diff != "" {
		t.Errorf(differs, diff)
	}
}

// catalog lists all objects of the schema, as the server prints them. Empty lines in function
// bodies are ignored, because schema.sql omits them, and so are parentheses in constraints, because
// the server drops some each time it reads and prints one. NOT NULL constraints are excluded: they
// have catalog rows only since Postgres 18, and the columns contain the same information.
const catalog = `
	WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'thaw')
	SELECT format('%s %s %s %s', c.relkind, c.relname, c.reloptions, CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END)
	FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'c')
	UNION ALL
	SELECT format('column %s.%s %s null %s default %s %s%s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
		NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated)
	FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN ours ON ours.oid = c.relnamespace
	LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'i'
	UNION ALL
	SELECT format('constraint %s of %s %s', con.conname, con.conrelid::regclass, translate(pg_get_constraintdef(con.oid), '()', ''))
	FROM pg_constraint AS con JOIN ours ON ours.oid = con.connamespace WHERE con.contype <> 'n'
	UNION ALL
	SELECT pg_get_indexdef(c.oid) FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind = 'i'
	UNION ALL
	SELECT regexp_replace(pg_get_functiondef(p.oid), '\n+', E'\n', 'g') FROM pg_proc AS p JOIN ours ON ours.oid = p.pronamespace
	UNION ALL
	SELECT format('type %s %s', y.typname, array(
		SELECT label.enumlabel FROM pg_enum AS label WHERE label.enumtypid = y.oid ORDER BY label.enumsortorder))
	FROM pg_type AS y JOIN ours ON ours.oid = y.typnamespace
	UNION ALL
	SELECT pg_get_triggerdef(g.oid)
	FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid JOIN ours ON ours.oid = c.relnamespace WHERE NOT g.tgisinternal
	UNION ALL
	SELECT format('comment %s: %s', about.object, about.description)
	FROM (SELECT pg_describe_object(classoid, objoid, objsubid) AS object, description FROM pg_description) AS about
	WHERE about.object ~ '\ythaw\.'
	ORDER BY 1`

// dump returns the output of pg_dump without its header and settings.
func dump(t testing.TB, db *testdb.DB, part string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pgDump(t, db), part, "--no-owner", "--no-privileges", "--schema=thaw", db.Direct)
	cmd.Stderr = t.Output()
	output, err := cmd.Output()
	require.NoError(t, err)
	return normalise(string(output))
}

// noise matches header and settings lines of a dump. Function bodies are indented and do not match.
var noise = regexp.MustCompile(`^(--|SET |SELECT pg_catalog\.set_config|\\restrict|\\unrestrict|$)`)

func normalise(dump string) string {
	var kept strings.Builder
	for line := range strings.Lines(dump) {
		if !noise.MatchString(strings.TrimRight(line, " \n")) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// pgDump finds the pg_dump of the server, or another one, which must not be older than the server.
func pgDump(t testing.TB, db *testdb.DB) string {
	t.Helper()
	dirs := testdb.Column[string](t, db, "SELECT setting FROM pg_config WHERE name = 'BINDIR'")
	if output, err := exec.CommandContext(t.Context(), "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(output)))
	}
	for _, dir := range dirs {
		path, err := exec.LookPath(filepath.Join(dir, "pg_dump"))
		if err == nil {
			return path
		}
		require.True(t, errors.Is(err, os.ErrNotExist), "%s: %v", dir, err)
	}
	path, err := exec.LookPath("pg_dump")
	require.NoError(t, err, "this test needs pg_dump: install the Postgres client programs")
	return path
}
