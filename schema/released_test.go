package schema

import (
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
)

var freeze = flag.Bool("freeze", false, "add the migrations that no release has to released.txt")

const releasedFile = "released.txt"

// newestSection matches the first section of the changelog: "Unreleased", or the version that this
// commit releases.
var newestSection = regexp.MustCompile(`(?m)^## (\S+)`)

// Released migrations are unchanged, and a commit whose changelog begins with a version releases
// all migrations.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	t.Parallel()
	sources, sums := thisProgram(t)
	released, err := os.ReadFile(releasedFile)
	require.NoError(t, err)
	broken, unreleased, err := frozen(string(released), sources, sums)
	require.NoError(t, err)
	require.Empty(t, broken, "released migrations were changed, removed, or added out of order: databases that have applied them would differ from new ones; write a new migration instead")

	if *freeze {
		for _, source := range sources {
			if name := MigrationName(source); slices.Contains(unreleased, name) {
				released = fmt.Appendf(released, "%s  %s\n", sums[source.Version], name)
			}
		}
		require.NoError(t, os.WriteFile(releasedFile, released, 0o644))
		return
	}
	changelog, err := os.ReadFile("../CHANGELOG.md")
	require.NoError(t, err)
	section := newestSection.FindSubmatch(changelog)
	require.NotNil(t, section)
	if version := string(section[1]); version != "Unreleased" {
		require.Empty(t, unreleased, "%s releases these migrations: run go test ./schema -run Released -freeze", version)
	}
}

func TestFrozenMigrations(t *testing.T) {
	t.Parallel()
	sources, sums := thisProgram(t)
	line := func(i int) string { return sums[sources[i].Version] + "  " + MigrationName(sources[i]) + "\n" }
	other := strings.Repeat("0", 64)
	for _, tc := range []struct {
		name, released     string
		broken, unreleased []string
	}{
		{"the first two are released", "# a comment\n\n" + line(0) + line(1), nil, names(sources[2:])},
		{"changed", line(0) + other + "  " + MigrationName(sources[1]) + "\n", names(sources[1:2]), names(sources[2:])},
		{"removed", line(0) + line(1) + other + "  00002_gone.sql\n", []string{"00002_gone.sql"}, names(sources[2:])},
		{"added before a released one", line(0) + line(2), names(sources[1:2]), names(sources[3:])},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			broken, unreleased, err := frozen(tc.released, sources, sums)
			require.NoError(t, err)
			require.Equal(t, tc.broken, broken)
			require.Equal(t, tc.unreleased, unreleased)
		})
	}
	_, _, err := frozen("not a checksum\n", sources, sums)
	require.Error(t, err)
}

func names(sources []*goose.Source) []string {
	var all []string
	for _, source := range sources {
		all = append(all, MigrationName(source))
	}
	return all
}

// thisProgram returns the migrations of this program with their checksums.
func thisProgram(t *testing.T) ([]*goose.Source, map[int64]string) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://localhost/nowhere?pool_max_conns=2") // never connects
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	migrator, err := NewMigrator(pool, "", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, migrator.Close()) })
	sources := migrator.provider.ListSources()
	for _, source := range sources {
		require.Len(t, migrator.sums[source.Version], 64, MigrationName(source))
	}
	migrations, err := fs.Glob(files, "migrations/*.sql")
	require.NoError(t, err)
	require.Len(t, sources, len(migrations)+2, "two migrations are written in Go")
	return sources, migrator.sums
}
