package chaos_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/simulate"
	"github.com/thawline/thaw/internal/testdb"
)

// simulated runs a simulation in which nothing happens that must not.
func simulated(t *testing.T, flags ...string) (report simulate.Report, text string) {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), path, append([]string{"simulate", "--json"}, flags...)...)
	var out, log bytes.Buffer
	command.Stdout, command.Stderr = &out, &log
	require.NoError(t, command.Run(), "%s\n%s", &out, &log)
	require.NoError(t, json.Unmarshal(out.Bytes(), &report))
	require.Len(t, report.Zero, 17)
	for _, c := range report.Zero {
		require.Zero(t, c.N, "%s: %s", c.Name, c.Example)
	}
	return report, out.String()
}

// A day of a small fleet, twice: nothing happens that must not, and the same seed gives the same
// result. The simulation kills its server and its sender.
func TestSimulation(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	flags := []string{"--days", "1", "--accounts", "20", "--prospects", "400"}
	report, first := simulated(t, flags...)
	longest := map[string]float64{}
	for _, w := range report.FirstSend {
		longest[w.Name] = w.Max
	}
	require.NotEmpty(t, longest)
	for kind, limit := range map[string]time.Duration{
		"back": 5 * time.Minute, "back as new": 5 * time.Minute,
		"back silently": 20 * time.Minute, // the sweep that finds the lost signal comes every 15 minutes
	} {
		require.LessOrEqual(t, longest[kind], limit.Seconds(), kind)
	}
	_, second := simulated(t, flags...)
	require.Equal(t, first, second)
}

// The day that an explanation names for the next action is the day on which it is sent, if nothing
// else changes.
func TestSimulationOfForecasts(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	report, _ := simulated(t, "--static", "--days", "3", "--accounts", "10", "--prospects", "300")
	require.NotZero(t, report.Forecasts[1].N, "one day, and it was right")
	require.Zero(t, report.Forecasts[4].N, "no day")
}
