package chaos_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/simulate"
	"github.com/thawline/thaw/internal/testdb"
)

// A day of a small fleet, twice: nothing happens that must not, and the same seed gives the same
// result. The simulation kills its server and its sender.
func TestSimulation(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	path, err := program()
	require.NoError(t, err)
	run := func() string {
		command := exec.CommandContext(t.Context(), path, "simulate", "--days", "1", "--accounts", "20", "--prospects", "400", "--json")
		var out, log bytes.Buffer
		command.Stdout, command.Stderr = &out, &log
		require.NoError(t, command.Run(), "%s\n%s", &out, &log)
		return out.String()
	}
	first := run()
	var report simulate.Report
	require.NoError(t, json.Unmarshal([]byte(first), &report))
	require.Len(t, report.Zero, 13)
	for _, c := range report.Zero {
		require.Zero(t, c.N, "%s: %s", c.Name, c.Example)
	}
	require.NotEmpty(t, report.FirstSend)
	require.Equal(t, first, run())
}
