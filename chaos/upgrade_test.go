package chaos_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A rolling upgrade from the last release to this tree: the new migrations are applied under the
// running processes of the release, and both versions work side by side until the last old process
// is replaced. Signals are accepted all the time, all prospects resume, and the old program does
// not start on the newer schema.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	tag := lastRelease(t)
	if tag == "" {
		t.Log("there is no release to upgrade from")
		return
	}
	old := buildTag(t, tag)
	s := begin(t)
	db := testdb.NewEmpty(t)
	s.migrate(db, old)
	db.Exec(s, movableClock)
	s.use(db)

	accounts := s.disconnectedFleet(scale(16, 60), scale(50, 500))
	var processes []*process
	start := func(program string) {
		p := s.start(launch{program: program, options: []string{"--tick=2s", "--jitter=10s"}})
		p.ready()
		processes = append(processes, p)
	}
	// One account reconnects through each process that runs.
	next := 0
	reconnect := func() {
		for _, p := range processes {
			require.Equal(s, http.StatusOK, s.signal(p, account(accounts[next]), "connected", delivery{}), "a signal to %s", p.name)
			next++
		}
	}
	start(old)
	start(old)
	reconnect()
	s.migrate(db, "")
	reconnect()
	for range 2 {
		start("")
		reconnect()
		processes[0].stop()
		processes = processes[1:]
		s.fault("processes replaced")
	}
	reconnect()
	s.connect(accounts[next:]...) // sweeps find these
	s.until(scale(time.Minute, 5*time.Minute), "SELECT NOT EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.waits_for_account)")
	s.checker(nil)

	if s.schemaOf(old) < s.schemaOf("") {
		output, err := s.command(launch{program: old, command: "work"}).CombinedOutput()
		require.Error(s, err)
		require.Contains(s, string(output), "the database is newer than this program")
	}
	s.figure("from %s", tag)
}

// lastRelease returns the newest tag of a release before this commit, or the commit's own. Empty:
// there is none.
func lastRelease(t *testing.T) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*.[0-9]*.[0-9]*").Output()
	if err != nil {
		return "" // no tag, or no repository
	}
	return strings.TrimSpace(string(output))
}

// buildTag builds the program of a tag and returns its path.
func buildTag(t *testing.T, tag string) string {
	t.Helper()
	folder := t.TempDir()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	source, path := filepath.Join(folder, "source"), filepath.Join(folder, "thaw")
	clone := exec.CommandContext(t.Context(), "git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--shared", "--branch", tag, root, source)
	output, err := clone.CombinedOutput()
	require.NoError(t, err, "%s", output)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/thaw")
	build.Dir = source
	build.Env = append(os.Environ(), "GOWORK=")
	output, err = build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return path
}
