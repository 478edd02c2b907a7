package chaos_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A suite is a run of go test.
type suite struct {
	packages []string // folders or patterns, from the root of the module
	tests    []string // by name; all if empty
	overlay  string   // file for go test -overlay
	env      []string // additional environment, as NAME=value
}

// A verdict is the result of a run of go test.
type verdict struct {
	err            error // an *exec.ExitError if it failed
	built          bool
	passed, failed []string // test names, subtests as "outer/inner"
	output         string   // all output
	complaints     string   // output of failed tests and of the go command
}

func (s suite) run(t *testing.T) (v verdict) {
	t.Helper()
	args := []string{"test", "-json", "-vet=off", "-count=1", "-timeout=30m"}
	if s.overlay != "" {
		args = append(args, "-overlay", s.overlay)
	}
	if len(s.tests) > 0 {
		var patterns []string
		for _, name := range s.tests {
			patterns = append(patterns, regexp.QuoteMeta(name))
		}
		args = append(args, "-run", "^("+strings.Join(patterns, "|")+")$")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, s.packages...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), s.env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	v.err = cmd.Run()
	v.read(&output)
	return v
}

// read reads the events of test2json. Any other line is output of the go command itself.
func (v *verdict) read(events io.Reader) {
	type event struct{ Action, Package, Test, Output, FailedBuild string }
	type test struct{ pkg, name string }
	said := map[test]string{}
	var everything, complaints strings.Builder
	v.built = true
	content, _ := io.ReadAll(events)
	for line := range bytes.Lines(content) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			complaints.Write(line)
			continue
		}
		this := test{e.Package, e.Test}
		switch e.Action {
		case "output":
			said[this] += e.Output
			everything.WriteString(e.Output)
		case "build-output":
			complaints.WriteString(e.Output)
		case "build-fail":
			v.built = false
		case "pass":
			v.passed = append(v.passed, e.Test)
		case "fail":
			v.failed = append(v.failed, e.Test)
			complaints.WriteString(said[this])
		}
	}
	v.output, v.complaints = everything.String(), complaints.String()
}

// packages lists the packages of the module whose tests use a package, or all packages if using is
// empty. It omits this package, because a suite does not run itself.
func packages(t *testing.T, using string) (found []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{.TestImports}} {{.XTestImports}}", "./...")
	cmd.Dir = ".."
	output, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		require.NoError(t, err, "%s", failed.Stderr)
	}
	require.NoError(t, err)
	for line := range strings.Lines(string(output)) {
		path, _, _ := strings.Cut(line, " ")
		if strings.Contains(line, using) && !strings.HasSuffix(path, "/chaos") {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}
