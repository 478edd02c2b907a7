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

var update = flag.Bool("update", false, "write schema.sql anew from the migrated database")

// schema.sql is what the migrations make, so that a reader need not add them up, and sqlc has something to read.
func TestSnapshotIsTheMigratedDatabase(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	_, err := newMigrator(t, db.Pool, "").Up(t.Context())
	require.NoError(t, err)

	dump := exec.CommandContext(t.Context(), pgDump(t, db), "--schema-only", "--no-owner", "--no-privileges", "--schema=thaw", db.URL)
	dump.Stderr = t.Output()
	output, err := dump.Output()
	require.NoError(t, err)
	migrated := normalise(string(output))

	if *update {
		require.NoError(t, os.WriteFile("schema.sql", []byte(migrated), 0o644))
	}
	snapshot, err := os.ReadFile("schema.sql")
	require.NoError(t, err)
	if diff := cmp.Diff(strings.Split(string(snapshot), "\n"), strings.Split(migrated, "\n")); diff != "" {
		t.Errorf("schema.sql is not what the migrations make; write it anew with: go test ./schema -run Snapshot -update\n%s", diff)
	}
}

// noise is what a dump says about itself, at the start of a line; the bodies of functions are indented.
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

// pgDump finds the program that belongs to the server, or another one: it must not be older than the server.
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
	require.NoError(t, err, "the snapshot is compared with the output of pg_dump: install the client programs of Postgres")
	return path
}
