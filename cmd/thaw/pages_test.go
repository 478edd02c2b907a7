package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// commandPages are the pages about commands. Their console blocks are run by [TestCommandPages].
const commandPages = "../../docs/commands"

// adoptPage is the page about a platform with tables of its own. Its examples run like those of
// [commandPages], on the tables of platformTables instead of an imported fleet.
const (
	adoptPage      = "../../docs/adopt.md"
	platformTables = "../../internal/adopt/testdata/outreach.sql"
)

// A page is Markdown. Its console blocks have lines that begin with "$ thaw", each followed by the
// output of the command. A directive is a line before a block:
//
//	<!-- sql: STATEMENT -->   runs a statement first
//	<!-- exit: N -->          the next command ends with this exit code, not 0
var (
	sqlDirective  = regexp.MustCompile(`^<!-- sql: (.+) -->$`)
	exitDirective = regexp.MustCompile(`^<!-- exit: (\d+) -->$`)
)

// volatile matches what differs between two runs: times, durations, tokens, random ids and
// versions.
var volatile = regexp.MustCompile(`\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?Z?|\b\d+(?:\.\d+)? (?:ms|s|min|h)\b|thaw_[A-Za-z0-9_-]{20,}|thaw_test_\w+|msg_[0-9a-f]+|\b[0-9a-f]{12,}\b|\bgo1\.\d+(?:\.\d+)?\b| +`)

// TestCommandPages runs the examples of the pages in docs/commands and of adoptPage, and compares
// their output. Each page has its own database with the fleet of testdata/fleet.csv, whose clock
// shows 2026-01-31 09:00 UTC.
func TestCommandPages(t *testing.T) {
	t.Parallel()
	if !*update {
		testdb.RequireFull(t)
	}
	pages, err := filepath.Glob(filepath.Join(commandPages, "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, path := range append(pages, adoptPage) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".md"), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			got := runPage(t, string(content), path == adoptPage)
			want, now := volatile.ReplaceAllString(string(content), "…"), volatile.ReplaceAllString(got, "…")
			if *update && now != want {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
				return
			}
			require.Equal(t, want, now,
				"%s is outdated: run go test ./cmd/thaw -run CommandPages -update", path)
		})
	}
}

// TestEveryCommandHasAPage requires that a page names each command that people use.
func TestEveryCommandHasAPage(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(commandPages, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	}))
	adopting, err := os.ReadFile(adoptPage)
	require.NoError(t, err)
	all.Write(adopting)
	withoutPage := []string{"demo", "bench", "simulate", "provider-sim", "licenses", "help", "version", "completion", "man"} // docs/development.md, docs/benchmarks.md, docs/simulation.md and the output itself
	var missing []string
	for _, command := range newParser(&cli{}).Model.Leaves(true) {
		if !strings.Contains(all.String(), "thaw "+command.Path()) && !slices.Contains(withoutPage, command.Path()) {
			missing = append(missing, command.Path())
		}
	}
	require.Empty(t, missing, "no page in docs/commands has an example of these commands")
}

// runPage returns the page with the output of its commands as they are now. The database has
// platformTables or a fleet.
func runPage(t *testing.T, page string, hasTables bool) string {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, "UPDATE thaw_test.clock SET ahead = '2026-01-31 09:00:00Z' - pg_catalog.now()")
	folder := t.TempDir()
	fleet, err := os.ReadFile("testdata/fleet.csv")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "fleet.csv"), fleet, 0o600))
	environ := append(os.Environ(), "THAW_DATABASE_URL="+db.URL, "THAW_LOG_LEVEL=error", "NO_COLOR=1", "COLUMNS=100",
		"TZ=UTC", "GORACE=atexit_sleep_ms=0")
	if db.PollOnly {
		environ = append(environ, "THAW_POLL_ONLY=yes")
	}
	run := func(command string) (output string, code int) {
		c := exec.CommandContext(t.Context(), "sh", "-c", command)
		c.Dir = folder
		c.Env = environ
		out, err := c.CombinedOutput()
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			return string(out), failed.ExitCode()
		}
		require.NoError(t, err)
		return string(out), 0
	}
	if hasTables {
		tables, err := os.ReadFile(platformTables)
		require.NoError(t, err)
		db.Exec(t, string(tables))
	} else {
		_, code := run("thaw import fleet.csv")
		require.Zero(t, code)
	}

	var got []string
	inConsole, want := false, 0
	for _, line := range strings.Split(page, "\n") {
		switch {
		case line == "```console":
			inConsole = true
		case line == "```":
			inConsole = false
		case inConsole && strings.HasPrefix(line, "$ "):
			got = append(got, line)
			output, code := run(strings.TrimPrefix(line, "$ "))
			require.Equal(t, want, code, "%s\n%s", line, output)
			want = 0
			output = strings.ReplaceAll(strings.TrimRight(output, "\n"), actor(), "cli:jane")
			if output != "" {
				got = append(got, strings.Split(output, "\n")...)
			}
			continue
		case inConsole:
			continue // earlier output
		}
		if found := sqlDirective.FindStringSubmatch(line); found != nil {
			db.Exec(t, found[1])
		}
		if found := exitDirective.FindStringSubmatch(line); found != nil {
			want, err = strconv.Atoi(found[1])
			require.NoError(t, err)
		}
		got = append(got, line)
	}
	return strings.Join(got, "\n")
}
