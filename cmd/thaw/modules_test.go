package main

import (
	"encoding/json"
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
	output := func(args ...string) string {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = "../.."
		out, err := command.Output()
		require.NoError(t, err)
		return string(out)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(output("mod", "edit", "-json")), &mod))
	known := append(strings.Fields(output("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")), testLibraries...)
	for _, required := range mod.Require {
		require.True(t, required.Indirect || slices.Contains(known, required.Path),
			"only tests use %s: add the test to module e2e, or the module to testLibraries if it is small", required.Path)
	}
}
