package chaos_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// fuzzed are the packages that parse external input: webhooks and their signatures, files, job
// arguments.
var fuzzed = []string{"internal/importer", "internal/webhook", "internal/jobstest"}

// Every parser of external input has a target for go test -fuzz. At full size each is fuzzed, and
// in CI they run on their seeds. The small size only checks that no target is missing, because go
// test ./... runs the seeds anyway.
func TestFuzz(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	const each = 30 * time.Second
	s := begin(t)
	var targets []string
	executions := 0
	for _, folder := range fuzzed {
		names := fuzzTargets(t, folder)
		targets = append(targets, names...)
		if !*full && !testdb.Full() {
			continue
		}
		if !*full {
			v := suite{packages: []string{"./" + folder}, tests: names}.run(t)
			require.NoError(t, v.err, "%s", v.complaints)
			require.Subset(t, v.passed, names)
			executions += len(v.passed) - len(names) - 1 // subtests of the targets, without the package itself
			continue
		}
		for _, name := range names {
			executions += fuzz(t, folder, name, each)
		}
	}
	require.ElementsMatch(t, []string{
		"FuzzSource",
		"FuzzStandard", "FuzzStandardHeaders", "FuzzUnipileV1", "FuzzUnipileV1Header", "FuzzUnipileV2", "FuzzUnipileV2Header",
		"FuzzArguments",
	}, targets)
	s.faultN("targets", len(targets))
	s.figure("%d executions", executions)
	s.closing.lost = "nothing"
}

// fuzzTargets returns the names of the fuzz targets in a folder, relative to the root of the
// module.
func fuzzTargets(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`).FindAllSubmatch(source, -1) {
			names = append(names, string(found[1]))
		}
	}
	slices.Sort(names)
	return names
}

// fuzz runs one target and returns its number of executions. A failing input fails the test, and go
// test stores it in the package's testdata.
func fuzz(t *testing.T, folder, name string, lasting time.Duration) (executions int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-run=^$", "-fuzz=^"+name+"$", "-fuzztime="+lasting.String(), "./"+folder)
	cmd.Dir = ".."
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", name, output)
	counts := regexp.MustCompile(`execs: (\d+)`).FindAllSubmatch(output, -1)
	require.NotEmpty(t, counts, "%s", output)
	executions, err = strconv.Atoi(string(counts[len(counts)-1][1]))
	require.NoError(t, err)
	require.Positive(t, executions)
	t.Logf("%s: %d executions", name, executions)
	return executions
}
