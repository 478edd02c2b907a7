package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/jobs"
)

// heal starts a heal by SQL, waits until it is done, and returns how many prospects it resumed and
// how many remain.
func (f *fleet) heal(t *testing.T, sql string, args ...any) (resumed, left int) {
	t.Helper()
	id := testdb.Value[int64](t, f.DB, sql, args...)
	f.settle(t)
	row := testdb.Value[[]int](t, f.DB, "SELECT ARRAY[resumed, remaining] FROM thaw.heals WHERE id = $1 AND status = 'done'", id)
	return row[0], row[1]
}

// healList starts a heal of a list, waits until it is done, and returns how many prospects it
// resumed and how many remain.
func (f *fleet) healList(t *testing.T, ids []int64, cap int32) (resumed, left int) {
	t.Helper()
	return f.heal(t, "SELECT thaw.start_heal(NULL, NULL, $1, $2, false, 'a test')", ids, cap)
}

func TestWorkspaceHealCanBeRepeatedUntilNothingRemains(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t)
	f.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('other')")
	c := f.campaign(t, campaign{key: "spring", reason: disconnected})
	for _, key := range []string{"a1", "a2", "a3"} {
		f.prospects(t, prospects{account: f.account(t, account{key: key}), campaign: c, n: 900, reason: disconnected})
	}
	gone := f.account(t, account{key: "gone", status: "disconnected"})
	f.prospects(t, prospects{account: gone, campaign: c, n: 5, reason: disconnected})
	elsewhere := f.account(t, account{key: "elsewhere", workspace: "other"})
	f.waiting(t, elsewhere, 5)

	const again = "SELECT thaw.heal('acme', cap => 1000)"
	for _, want := range [][2]int{{1000, 1700}, {1000, 700}, {700, 0}, {0, 0}} {
		resumed, left := f.heal(t, again)
		require.Equal(t, want, [2]int{resumed, left})
	}
	require.Equal(t, "running", f.campaignState(t, c))
	require.Equal(t, map[string]int{disconnected: 5}, f.states(t, gone))
	require.Equal(t, map[string]int{disconnected: 5}, f.states(t, elsewhere))
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.fleet_quotas"), "a heal has its own cap")
	require.Equal(t, 2700, testdb.Value[int](t, f.DB, `
		SELECT count(*) FROM thaw.enrollments AS e JOIN thaw.enrollment_events AS event ON event.enrollment_id = e.id
		WHERE event.source = 'heal' AND event.kind = 'resumed' AND next_action_at BETWEEN event.at AND event.at + interval '15 minutes'`))
}

// A heal ends, and resumes the longest paused first, for every combination of full and partial last
// batches of a campaign, and of caps above, at and below the number of prospects.
func TestHealBatchesEndAtEveryEdge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		campaigns []int
		cap, want int
	}{
		"one full batch":                {[]int{10}, 1000, 10},
		"full batches in two campaigns": {[]int{20, 10}, 1000, 30},
		"partial batch in each":         {[]int{3, 14, 7}, 1000, 24},
		"cap just enough":               {[]int{20, 5}, 25, 25},
		"cap too low":                   {[]int{20, 5}, 24, 24},
		"nothing is paused":             {nil, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			a := f.account(t, account{key: "a1"})
			total := 0
			for i, n := range c.campaigns {
				key := fmt.Sprint("campaign ", i)
				ids := f.prospects(t, prospects{account: a, campaign: f.campaign(t, campaign{key: key, reason: disconnected}), n: n, reason: disconnected})
				f.Exec(t, "UPDATE thaw.enrollments SET paused_at = thaw.now() - interval '1 hour' + id % 7 * interval '1 minute' WHERE id = ANY ($1)", ids)
				total += n
			}
			heal := testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme', cap => $1)", c.cap)
			for batches := 0; ; batches++ {
				require.Less(t, batches, 12, "the heal does not end")
				if testdb.Value[string](t, f.DB, "SELECT verdict FROM thaw.heal_batch($1, 10, 1)", heal) == "done" {
					break
				}
			}
			require.Equal(t, []int{c.want, total - c.want}, testdb.Value[[]int](t, f.DB, "SELECT ARRAY[resumed, remaining] FROM thaw.heals WHERE status = 'done'"))
			require.Zero(t, testdb.Value[int](t, f.DB, `
				SELECT count(*) FROM thaw.enrollments AS remaining
				JOIN thaw.enrollment_events AS resumed ON (resumed.paused_at, resumed.enrollment_id) > (remaining.paused_at, remaining.id)
				WHERE remaining.status = 'paused'`), "a prospect resumed before one that was paused longer")
		})
	}
}

func TestHealOfAnAccount(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t)
	old := f.account(t, account{key: "old", member: "jane", status: "removed"})
	older := f.account(t, account{key: "older", member: "jane", status: "disconnected"})
	renewed := f.account(t, account{key: "new", member: "jane"})
	joe := f.account(t, account{key: "joe", member: "joe"})
	for _, a := range []int64{old, older, renewed, joe} {
		f.waiting(t, a, 10)
	}

	// A lost account: its own prospects, through the account that replaced it.
	resumed, left := f.heal(t, "SELECT thaw.heal('acme', 'old')")
	require.Equal(t, [2]int{10, 0}, [2]int{resumed, left})
	require.Equal(t, map[string]int{"active": 10, disconnected: 10}, f.states(t, renewed))
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, older))

	// A connected account: all prospects that resume through it.
	resumed, left = f.heal(t, "SELECT thaw.heal('acme', 'new')")
	require.Equal(t, [2]int{20, 0}, [2]int{resumed, left})
	require.Equal(t, map[string]int{"active": 30}, f.states(t, renewed))
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, joe))
}

func TestHealOfListedProspects(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t)
	here := f.waiting(t, f.account(t, account{key: "a1"}), 10)
	there := f.waiting(t, f.account(t, account{key: "a2"}), 10)
	unable := f.waiting(t, f.account(t, account{key: "a3", status: "disconnected"}), 1)

	listed := append(append(here[:3:3], there[:3]...), unable[0], 999_999_999)
	resumed, left := f.healList(t, listed, 4)
	require.Equal(t, [2]int{4, 2}, [2]int{resumed, left})
	resumed, left = f.healList(t, listed, 4)
	require.Equal(t, [2]int{2, 0}, [2]int{resumed, left})
	require.ElementsMatch(t, listed[:6], testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.enrollments WHERE status = 'active'"))
}

func TestOneHealPerTarget(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "a1"})
	const workspace, account = "SELECT thaw.heal('acme')", "SELECT thaw.heal('acme', 'a1')"
	f.Exec(t, workspace)
	f.Exec(t, account)
	for _, sql := range []string{workspace, account} {
		_, err := f.Pool.Exec(t.Context(), sql)
		var refused *pgconn.PgError
		require.True(t, errors.As(err, &refused))
		require.Equal(t, "23505", refused.Code)
		require.Contains(t, refused.Message, "is running on the same target")
	}
	f.start(t)
	f.Exec(t, workspace)
	f.settle(t)
}

func TestHealOfOptedOutWorkspaceNeedsConfirmation(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 10)
	f.Exec(t, "SELECT thaw.set_auto_resume('acme', false, 'asked us to wait')")
	resumed, _ := f.heal(t, "SELECT thaw.heal('acme')")
	require.Zero(t, resumed)
	resumed, left := f.heal(t, "SELECT thaw.heal('acme', even_if_off => true)")
	require.Equal(t, [2]int{10, 0}, [2]int{resumed, left})
}

// The process dies while its heal waits for the second of two accounts.
func TestHealContinuesAfterCrashWithoutDoubleCounting(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.attemptsMayFail = true
	first, second := f.account(t, account{key: "a1", status: "disconnected"}), f.account(t, account{key: "a2", status: "disconnected"})
	for _, a := range []int64{first, second} {
		f.waiting(t, a, 5000)
	}
	ctx, crash := context.WithCancel(t.Context())
	_, stop := f.launchUntilStopped(t, ctx)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NOT NULL")
	f.Exec(t, "UPDATE thaw.accounts SET status = 'connected', connected_at = thaw.now()")

	platform := f.begin(t)
	_, err := platform.Exec(t.Context(), "SELECT FROM thaw.accounts WHERE id = $1 FOR UPDATE", second)
	require.NoError(t, err)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme', cap => 9000)")
	f.eventually(t, 4500, "SELECT resumed FROM thaw.heals")
	f.eventually(t, 1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	crash()
	stop()
	require.NoError(t, platform.Rollback(t.Context()))
	// Does what the queue does with a job of a lost process, which takes a minute.
	f.Exec(t, `UPDATE thaw.river_job SET state = 'available', scheduled_at = now(), finalized_at = NULL
		WHERE kind = 'heal' AND state IN ('running', 'retryable')`)

	f.start(t)
	require.Equal(t, []int{9000, 1000, 10000}, testdb.Value[[]int](t, f.DB, "SELECT ARRAY[resumed, remaining, found] FROM thaw.heals WHERE status = 'done'"))
	require.Equal(t, 4000, f.states(t, second)["active"], "its share, less what was held while the others had theirs")

	// The job of a finished heal has nothing to do.
	again, err := dbsqlc.New(f.Pool).HealBatch(t.Context(), dbsqlc.HealBatchParams{HealID: heal, Size: 100, JobID: 1})
	require.NoError(t, err)
	require.Equal(t, dbsqlc.HealBatchRow{Verdict: "done"}, again)
	f.verify(t)
}

// A frozen attempt of a batch and the attempt that replaced it both commit: nothing is counted
// twice, no account is left out.
func TestTwoAttemptsOfOneHealBatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ cap, size, before, want int }{
		"batch ends inside an account": {20, 10, 0, 20},
		"batch ends with its account":  {100, 50, 0, 60},
		"batch ends at the heal's cap": {10, 10, 0, 10},
		"last batch of the heal":       {50, 40, 0, 50},
		"the count":                    {60, 20, 1, 60},
		"batch after the count":        {60, 20, 2, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.waiting(t, f.account(t, account{key: "a1"}), 30)
			f.waiting(t, f.account(t, account{key: "a2"}), 30)
			heal := testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme', cap => $1)", c.cap)
			batch := dbsqlc.HealBatchParams{HealID: heal, Size: int32(c.size), JobID: 1}
			for range c.before {
				_, err := dbsqlc.New(f.Pool).HealBatch(t.Context(), batch)
				require.NoError(t, err)
			}

			frozen := f.begin(t)
			_, err := dbsqlc.New(frozen).HealBatch(t.Context(), batch)
			require.NoError(t, err)
			waited := make(chan error, 1)
			go func() {
				_, err := dbsqlc.New(f.Pool).HealBatch(t.Context(), batch)
				waited <- err
			}()
			f.eventually(t, 1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
			require.NoError(t, frozen.Commit(t.Context()))
			<-waited // It may have failed; the queue would retry it.

			for done := false; !done; {
				next, err := dbsqlc.New(f.Pool).HealBatch(t.Context(), batch)
				require.NoError(t, err)
				done = next.Verdict == "done"
			}
			require.Equal(t, c.want, testdb.Value[int](t, f.DB, "SELECT resumed FROM thaw.heals"))
			require.Equal(t, c.want, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'"))
		})
	}
}

func TestJobOfUnknownHeal(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t)
	_, err := f.client(t).Insert(t.Context(), jobs.HealArgs{HealID: 42}, nil)
	require.NoError(t, err)
	f.settle(t)
	require.Equal(t, "completed", testdb.Value[string](t, f.DB, "SELECT state::text FROM thaw.river_job WHERE kind = 'heal'"))
}
