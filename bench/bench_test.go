package bench

import (
	"context"
	"log/slog"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Runs each kind of variant once, at a tiny scale: a real server and the real program in its own
// process. At full size also those with real webhooks and with many accounts.
func TestRun(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	program := filepath.Join(t.TempDir(), "thaw")
	out, err := exec.Command("go", "build", "-o", program, "../cmd/thaw").CombinedOutput()
	require.NoError(t, err, "%s", out)

	chosen := []benchmark{
		&heal{name: "heal", rows: 2500, accounts: 1}, &jobs{accounts: 8, rows: 5, limit: patience},
		&latency{warmUp: 5, signals: 20, rows: 3, limit: patience}, &incident{accounts: 100, rows: 4, accountCap: 5, fleetCap: 20},
		&adoption{rows: 100, updates: 40}, &sending{accounts: 5, each: 2, clients: 2}, &racers{accounts: 2, clients: 5, cap: 3},
		&schedule{crowd{due: 5, rows: 2, capped: 15}}, &scheduleSize{crowd{due: 5, rows: 2, capped: 15}},
	}
	var finished []string
	report, err := run(t.Context(), Options{
		Scale: Small, Rounds: 1, Program: program, Logger: slog.New(slog.DiscardHandler),
		Watch: Watch{Finished: func(r Result) { finished = append(finished, r.Name) }},
	}, chosen)
	require.NoError(t, err)
	require.Equal(t, []string{"heal", "jobs", "latency", "incident", "adopt", "sending", "racers", "schedule", "schedule-size"}, finished)
	require.Equal(t, "on", setting(t, report.Environment, "fsync"))
	for _, r := range report.Results {
		ours := r.Lines[1]
		require.Equal(t, Thaw, ours.Role)
		require.Positive(t, ours.Median)
		if ours.Metric.Limit == 0 {
			require.Positive(t, *ours.Ratio)
		}
	}
	require.Equal(t, []string{"without other job queues: --no-peers"}, report.Results[1].Notes)
}

// The same days and deaths with a token bucket, which shows that the scenario finds breaches. A
// breach by Thaw is an error.
func TestBreaches(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	report, err := run(t.Context(), Options{Scale: Small, Rounds: 1, Logger: slog.New(slog.DiscardHandler)},
		[]benchmark{&breaches{prospects: 30, days: 4}})
	require.NoError(t, err)
	for _, line := range report.Results[0].Lines {
		switch {
		case line.Metric.Name == overWeek.Name: // four days are too short
		case line.Role == Thaw && line.Metric.Name != "prospects sent":
			require.Zero(t, line.Max, line.Metric.Name)
		default:
			require.Positive(t, line.Min, line.Metric.Name)
		}
	}
}

func setting(t *testing.T, e Environment, name string) string {
	t.Helper()
	for _, s := range e.Settings {
		if s.Name == name {
			return s.Value
		}
	}
	require.Fail(t, "no such setting", name)
	return ""
}

func TestRunRejectsUnknownBenchmark(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Options{Scale: Small, Names: []string{"heal", "speed"}})
	require.ErrorContains(t, err, `unknown benchmark "speed": choose from heal, heal-small, heal-list, jobs,`)
}

func TestRunStopsOnCancel(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	_, err := Run(ctx, Options{
		Scale: Small, Program: "unused", Logger: slog.New(slog.DiscardHandler),
		Watch: Watch{Step: func(int, int, string) { stop() }},
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestStatementsFromLog(t *testing.T) {
	t.Parallel()
	sessions := statements(`2026-01-02 03:04:05.678 UTC [11] LOG:  statement: SELECT 1
2026-01-02 03:04:05.678 UTC [11] LOG:  statement: BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = 5000
2026-01-02 03:04:05.678 UTC [12] LOG:  execute stmtcache_1: SELECT FROM "thaw".river_job
2026-01-02 03:04:05.679 UTC [11] LOG:  execute stmtcache_2: -- name: PlanWorkspaces :many
	SELECT 1
	FROM thaw.plan_workspaces()
2026-01-02 03:04:05.679 UTC [11] DETAIL:  parameters: $1 = '1'
2026-01-02 03:04:05.679 UTC [11] LOG:  statement: commit
2026-01-02 03:04:05.679 UTC [11] LOG:  execute stmtcache_3: -- name: Sweep :one
	SELECT 1
2026-01-02 03:04:05.679 UTC [11] LOG:  execute stmtcache_4: -- name: JobsToDo :many
	SELECT 1
2026-01-02 03:04:05.679 UTC [11] LOG:  statement: BEGIN
2026-01-02 03:04:05.679 UTC [11] LOG:  execute stmtcache_5: -- name: SweepsOfTheWeek :many
	SELECT 1
2026-01-02 03:04:05.679 UTC [11] LOG:  statement: COMMIT
2026-01-02 03:04:05.679 UTC [11] LOG:  statement: SELECT 2
`)
	require.Len(t, sessions["11"], 10)
	require.Contains(t, sessions["11"][2], "FROM thaw.plan_workspaces()")
	require.Equal(t, 3+1, sweepStatements(sessions["11"]), "the plan's transaction and the query outside a transaction")
	require.Zero(t, sweepStatements(sessions["12"]))
}
