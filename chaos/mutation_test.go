package chaos_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Mutation tests check that the suite fails if a safeguard against losses is removed. Each mutant
// is the program without one safeguard, built with the go command's -overlay. The tests that it
// names must fail with the mutation and pass without it.

// A mutant is the program without one safeguard.
type mutant struct {
	without string
	edits   []edit
	// pkg is the folder of the tests, all of which must fail.
	pkg   string
	tests []string
	// inCI is set for some mutants: CI runs them, -full runs all. Each requires the build of a test
	// program.
	inCI bool
}

// An edit replaces the only occurrence of a text in a file.
type edit struct{ file, old, new string }

func TestMutants(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := begin(t)
	t.Cleanup(func() { s.closing.lost = "nothing" })
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !*full && !m.inCI })
	testNoMutant(t, chosen)
	for _, m := range chosen {
		t.Run("without "+m.without, func(t *testing.T) {
			t.Parallel()
			v := suite{packages: []string{m.pkg}, tests: append([]string{indifferent[m.pkg]}, m.tests...), overlay: m.overlay(t)}.run(t)
			var failed *exec.ExitError
			require.True(t, errors.As(v.err, &failed), "the suite passes without %s", m.without)
			require.True(t, v.built, "the mutant does not compile:\n%s", v.complaints)
			require.Contains(t, v.passed, indifferent[m.pkg], "the mutant breaks unrelated tests too:\n%s", v.complaints)
			require.Subset(t, v.failed, m.tests, "%s", v.complaints)
			s.faultN("mutants detected by the suite", 1)
			t.Logf("fails without %s: %s", m.without, strings.Join(m.tests, ", "))
		})
	}
}

// testNoMutant runs the tests of all chosen mutants without a mutation: they must pass.
func testNoMutant(t *testing.T, chosen []mutant) {
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		killers := map[string][]string{}
		for _, m := range chosen {
			killers[m.pkg] = append(killers[m.pkg], m.tests...)
		}
		for pkg, tests := range killers {
			v := suite{packages: []string{pkg}, tests: tests}.run(t)
			require.NoError(t, v.err, "without a mutation\n%s", v.complaints)
			require.Subset(t, v.passed, tests)
		}
	})
}

// overlay writes the mutated files and returns the path of a file for go test -overlay.
func (m mutant) overlay(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for i, e := range m.edits {
		original, err := filepath.Abs(filepath.Join("..", e.file))
		require.NoError(t, err)
		latest := original
		if mutated, ok := replace[original]; ok {
			latest = mutated
		}
		content, err := os.ReadFile(latest)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(content), e.old), "occurrences in %s of: %s", e.file, e.old)
		replace[original] = filepath.Join(dir, fmt.Sprint(i, filepath.Ext(e.file)))
		require.NoError(t, os.WriteFile(replace[original], []byte(strings.Replace(string(content), e.old, e.new, 1)), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	path = filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, overlay, 0o600))
	return path
}

// A mutant whose text is no longer in the program changes nothing, which otherwise only the full
// suite would detect.
func TestMutantsFitTheProgram(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		for _, e := range m.edits {
			content, err := os.ReadFile(filepath.Join("..", e.file))
			require.NoError(t, err, "without %s", m.without)
			assert.Equal(t, 1, strings.Count(string(content), e.old), "without %s: in %s", m.without, e.file)
		}
	}
}
