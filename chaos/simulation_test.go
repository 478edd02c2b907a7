package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
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
	lines := 17
	if slices.Contains(flags, "--static") {
		lines++ // the days that explanations name
	}
	require.Len(t, report.Zero, lines)
	for _, c := range report.Zero {
		require.Zero(t, c.N, "%s: %s", c.Name, c.Example)
	}
	return report, out.String()
}

// A day of a small fleet, twice: nothing happens that must not, and the same seed gives the same
// result. The simulation kills its server and its sender. The second time, what processes do by the
// real clock is done all the time.
func TestSimulation(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	report, _ := simulated(t, "--days", "1", "--accounts", "20", "--prospects", "400", "--seed", "80")
	longest := map[string]float64{}
	for _, w := range report.FirstSend {
		longest[w.Name] = w.Max
	}
	for kind, limit := range map[string]time.Duration{
		"back": 5 * time.Minute, "back as new": 5 * time.Minute,
		"back silently": 20 * time.Minute, // the sweep that finds the lost signal comes every 15 minutes
	} {
		require.Contains(t, longest, kind)
		require.LessOrEqual(t, longest[kind], limit.Seconds(), kind)
	}
	path, err := program()
	require.NoError(t, err)
	again, err := simulate.Run(t.Context(), simulate.Options{Days: 1, Accounts: 20, Prospects: 400, Seed: 80, Program: path, Beside: hurry})
	require.NoError(t, err)
	again.Took, again.CPU, again.Steps = 0, 0, 0
	require.Equal(t, report, *again)
}

// hurry does what each process does once a minute and once a second, as often as it can.
func hurry(ctx context.Context, databaseURL string) error {
	pool, err := pgxpool.New(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	for ctx.Err() == nil {
		for _, duty := range []string{"SELECT thaw.sweep(), thaw.request_watch()", "SELECT thaw.expire_actions()", "SELECT thaw.take_nudges()"} {
			if _, err := pool.Exec(ctx, duty); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// The day that an explanation names for the next action is the day on which it is sent, if nothing
// else changes. Most answers are one day, and many of these are not the day of the question.
func TestSimulationOfForecasts(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	report, _ := simulated(t, "--static", "--days", "4", "--accounts", "10", "--prospects", "300")
	n := map[string]int{}
	for _, c := range report.Forecasts {
		n[c.Name] = c.N
	}
	asked := n["asked"]
	require.GreaterOrEqual(t, asked, 200)
	require.GreaterOrEqual(t, n["one day, and it was right"], asked*4/5)
	require.GreaterOrEqual(t, n["of these, not the day of the question"], asked/4)
	require.Contains(t, n, "of all, three days or more")
	require.LessOrEqual(t, n["of all, three days or more"], asked/10)
	require.LessOrEqual(t, n["a day after the end of the run"], asked/20, "most answers are compared")
	require.Contains(t, n, "no day")
	require.Zero(t, n["no day"])
}
