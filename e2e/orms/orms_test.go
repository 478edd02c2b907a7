// Package orms runs the migrations of platforms with Rails, Django and Prisma, and adopts their
// tables. It needs ActiveRecord, Django and npm, which .ci/run installs.
package orms_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

const fixtures = "../../internal/adopt/testdata"

// The tables that each ORM's own migrations make are those of the fixture of package adopt, and
// thaw adopt proposes the fixture's mapping for them, plans it and copies the rows.
func TestTablesOfORMsAreAdopted(t *testing.T) {
	t.Parallel()
	thaw := build(t)
	answers := answers(t)
	for _, orm := range []struct {
		name string
		// commands run the migrations. The last one prints the version.
		commands [][]string
		// version is what the fixture was made with: another one may make other tables.
		version string
		// tables are those of the ORM itself.
		tables []string
	}{
		{
			"rails", [][]string{{"ruby", "migrate.rb"}},
			"6.1.", []string{"schema_migrations", "ar_internal_metadata"},
		},
		{
			// Debian's python3, which has Debian's Django.
			"django", [][]string{
				{"/usr/bin/python3", "-m", "django", "makemigrations", "outreach"},
				{"/usr/bin/python3", "-m", "django", "migrate"},
				{"/usr/bin/python3", "-m", "django", "version"},
			},
			"3.2.", []string{"django_migrations*"},
		},
		{
			"prisma", [][]string{{"npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"}, {"node", "migrate.mjs"}},
			"", []string{"_prisma_migrations"},
		},
	} {
		t.Run(orm.name, func(t *testing.T) {
			t.Parallel()
			db, folder := testdb.NewEmpty(t), t.TempDir()
			require.NoError(t, os.CopyFS(folder, os.DirFS(filepath.Join("testdata", orm.name))))
			run := func(command ...string) string {
				c := exec.CommandContext(t.Context(), command[0], command[1:]...)
				c.Dir, c.Env, c.Stderr = folder, environment(db), t.Output()
				out, err := c.Output()
				require.NoError(t, err, "%s\n%s(.ci/run installs what this test needs)", strings.Join(command, " "), out)
				return string(out)
			}
			var printed string
			for _, command := range orm.commands {
				printed = run(command...)
			}

			fixture, err := os.ReadFile(filepath.Join(fixtures, orm.name+".sql"))
			require.NoError(t, err)
			rows := strings.Index(string(fixture), "\nINSERT INTO")
			require.Positive(t, rows)
			lines := strings.Split(strings.TrimSpace(printed), "\n")
			if version := lines[len(lines)-1]; strings.HasPrefix(version, orm.version) {
				expected := testdb.NewEmpty(t)
				expected.Exec(t, string(fixture[:rows]))
				tables := dump(t, db, orm.tables)
				require.Contains(t, tables, "CREATE TABLE")
				require.Equal(t, dump(t, expected, nil), tables, "the tables of the fixture are not those of the ORM")
			} else {
				t.Logf("the tables are not compared with the fixture: it was made with version %s, and this is %s", orm.version, version)
			}

			db.Exec(t, string(fixture[rows:]))
			run(thaw, "migrate", "up")
			proposal := run(thaw, "adopt", "init", "--out=-")
			expected, err := os.ReadFile(filepath.Join(fixtures, orm.name+".yaml"))
			require.NoError(t, err)
			require.Equal(t, string(expected), proposal)
			mapping := strings.NewReplacer(answers[orm.name]...).Replace(proposal)
			require.NoError(t, os.WriteFile(filepath.Join(folder, "adopt.yaml"), []byte(mapping), 0o600))
			run(thaw, "adopt", "plan")
			run(thaw, "adopt", "apply", "--reason=test")
			run(thaw, "adopt", "check")
			require.Positive(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'"))
		})
	}
}

// environment returns the environment of a program that uses a database: ORMs read it as libpq
// does, because they do not agree on URLs with a Unix socket.
func environment(db *testdb.DB) []string {
	c := db.Pool.Config().ConnConfig
	return append(os.Environ(), "THAW_DATABASE_URL="+db.Direct, "DJANGO_SETTINGS_MODULE=settings",
		"PGHOST="+c.Host, "PGPORT="+strconv.Itoa(int(c.Port)), "PGUSER="+c.User, "PGPASSWORD="+c.Password, "PGDATABASE="+c.Database)
}

// answers are what a person replaces in the proposal for each fixture: pairs of a text and its
// replacement.
func answers(t *testing.T) (answers map[string][]string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(fixtures, "answers.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &answers))
	return answers
}

// noise matches the lines of a dump that are not about tables.
var noise = regexp.MustCompile(`(?m)^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict.*)?\n`)

// dump returns the schema of a database, without some tables.
func dump(t *testing.T, db *testdb.DB, without []string) string {
	t.Helper()
	args := []string{"--schema-only", "--no-owner", db.Direct}
	for _, table := range without {
		args = append(args, "--exclude-table="+table)
	}
	program := filepath.Join(testdb.Value[string](t, db, "SELECT setting FROM pg_config WHERE name = 'BINDIR'"), "pg_dump")
	command := exec.CommandContext(t.Context(), program, args...)
	command.Stderr = t.Output()
	out, err := command.Output()
	require.NoError(t, err)
	return noise.ReplaceAllString(string(out), "")
}

// build returns the path of the program thaw.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "thaw")
	command := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/thaw")
	command.Dir = "../.."
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}
