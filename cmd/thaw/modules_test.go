package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testLibraries are the modules that only tests of the main module use. They are small: everyone
// who runs go test ./... builds them.
var testLibraries = []string{
	"github.com/google/go-cmp", "github.com/prometheus/client_model", "github.com/rogpeppe/go-internal",
	"github.com/santhosh-tekuri/jsonschema/v6", "github.com/stretchr/testify", "go.uber.org/goleak", "pgregory.net/rapid",
}

// Every module that go.mod requires is part of the program, or a test library that is listed above.
// A test that needs anything else belongs to module e2e.
func TestRequiredModules(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")
	command.Dir = "../.."
	out, err := command.Output()
	require.NoError(t, err)
	known := append(strings.Fields(string(out)), testLibraries...)
	for _, required := range readModule(t, "../../go.mod").Require {
		require.True(t, required.Indirect || slices.Contains(known, required.Path),
			"only tests use %s: add the test to module e2e, or the module to testLibraries if it is small", required.Path)
	}
}

// Programs that import module jobs require pgx and River, in the versions that Thaw is tested with,
// and what these two require.
func TestModuleJobsRequiresOnlyPgxAndRiver(t *testing.T) {
	t.Parallel()
	versions := map[string]string{}
	for _, required := range readModule(t, "../../go.mod").Require {
		versions[required.Path] = required.Version
	}
	jobs := readModule(t, "../../jobs/go.mod")
	for _, required := range jobs.Require {
		require.Equal(t, versions[required.Path], required.Version, "go.mod and jobs/go.mod require different versions of %s", required.Path)
		require.True(t, required.Indirect || required.Path == "github.com/jackc/pgx/v5" ||
			strings.HasPrefix(required.Path, "github.com/riverqueue/river"), "jobs requires %s", required.Path)
	}
}

// go install refuses a module with replacements or exclusions. So the checkout finds module jobs
// through go.work, which replaces exactly the version that go.mod requires.
func TestModuleIsInstallable(t *testing.T) {
	t.Parallel()
	own := readModule(t, "../../go.mod")
	require.Empty(t, own.Replace)
	require.Empty(t, own.Exclude)
	const jobs = "github.com/thawline/thaw/jobs"
	i := slices.IndexFunc(own.Require, func(r requirement) bool { return r.Path == jobs })
	require.NotEqual(t, -1, i)
	work, err := os.ReadFile("../../go.work")
	require.NoError(t, err)
	require.Contains(t, string(work), "replace "+jobs+" "+own.Require[i].Version+" => ./jobs\n")
}

type module struct {
	Require          []requirement
	Replace, Exclude []any
}

type requirement struct {
	Path, Version string
	Indirect      bool
}

func readModule(t *testing.T, file string) (m module) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", file).Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &m))
	return m
}
