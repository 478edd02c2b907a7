package worker_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/jobs"
)

func TestTicksAreSweptWithoutLeader(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET tick = '1 second'")
	// No leader can be elected during this term, so River's periodic jobs do not run.
	f.Exec(t, `INSERT INTO thaw.river_leader (elected_at, expires_at, leader_id, name)
		VALUES (now(), now() + interval '1 hour', 'absent leader', 'default')`)
	f.launch(t)
	require.Eventually(t, func() bool {
		return testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NOT NULL") >= 3
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "absent leader", testdb.Value[string](t, f.DB, "SELECT leader_id FROM thaw.river_leader"))
	f.Exec(t, "UPDATE thaw.settings SET tick = '1 day'")
	f.settle(t)
}

func TestManyRequestsMakeOneSweep(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 300)
	client := f.client(t)
	args := jobs.SweepArgs{TickAt: jobs.TickAt(testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()"))}
	var asking sync.WaitGroup
	for range 4 {
		f.launch(t)
		for range 5 {
			asking.Go(func() { f.Exec(t, "SELECT thaw.sweep()") })
			asking.Go(func() {
				_, err := client.Insert(t.Context(), args, nil)
				require.NoError(t, err)
			})
		}
	}
	asking.Wait()
	f.settle(t)
	f.Exec(t, "SELECT thaw.sweep()")
	f.settle(t)

	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'sweep'"))
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.sweeps"))
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'resume_account'"))
	require.Equal(t, 200, f.states(t, a)["active"])

	// A second job of the same tick, unique or not, finds it swept.
	again, err := client.Insert(t.Context(), args, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: time.Hour}})
	require.NoError(t, err)
	require.False(t, again.UniqueSkippedAsDuplicate)
	f.settle(t)
	require.Equal(t, 200, f.states(t, a)["active"])
}

func TestSweepOfAnotherTickCancelsItself(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.waiting(t, f.account(t, account{key: "a1"}), 10)
	client := f.client(t)
	var ids []int64
	for _, off := range []time.Duration{-tick, tick, time.Minute} {
		at := testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()").Add(off)
		job, err := client.Insert(t.Context(), jobs.SweepArgs{TickAt: jobs.TickAt(at)}, nil)
		require.NoError(t, err)
		ids = append(ids, job.Job.ID)
	}
	f.start(t)
	for _, id := range ids {
		job, err := client.JobGet(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, rivertype.JobStateCancelled, job.State)
	}
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.sweeps"), "only that of the current tick")
}

// pauseQueue prevents jobs of a queue from starting until the queue is resumed.
func (f *fleet) pauseQueue(t *testing.T, queue string) {
	t.Helper()
	f.Exec(t, "INSERT INTO thaw.river_queue (name, paused_at, updated_at) VALUES ($1, now(), now())", queue)
}

func TestUnfinishedTickIsLeftToTheNext(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 450)
	f.pauseQueue(t, jobs.QueueTick)
	w := f.launch(t)
	const sweeps = "SELECT count(*) FROM thaw.sweeps"
	f.eventually(t, 1, sweeps)
	f.Advance(t, tick)
	f.Exec(t, "SELECT thaw.sweep()")
	f.eventually(t, 2, sweeps)

	require.Equal(t, []string{"stale_tick", "open"}, testdb.Column[string](t, f.DB, "SELECT coalesce(verdict, 'open') FROM thaw.allocations ORDER BY tick_at"))
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NOT NULL AND resumed = 0 AND accounts_processed = 1 AND tick_at < thaw.tick()"),
		"the earlier tick was closed")
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'resume_account'"),
		"its job was removed")
	require.NoError(t, w.Client().QueueResume(t.Context(), jobs.QueueTick, nil))
	f.settle(t)
	require.Equal(t, map[string]int{"active": 200, disconnected: 250}, f.states(t, a))
}

// During a slow plan, passes of the earlier tick find their allocations closed and do not wait.
func TestPassesDoNotWaitForThePlanOfTheNextTick(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 10)
	f.Exec(t, "SELECT thaw.sweep()")
	require.NoError(t, f.workByHand(t, "sweep"))
	f.Advance(t, tick)
	f.Exec(t, "SELECT thaw.sweep()")

	slow := f.begin(t)
	_, err := slow.Exec(t.Context(), "LOCK TABLE thaw.waiting_totals")
	require.NoError(t, err)
	planned := make(chan error, 1)
	go func() { planned <- f.workByHand(t, "sweep") }()
	f.eventually(t, 1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")

	pass := f.begin(t)
	var verdict string
	_, err = pass.Exec(t.Context(), "SET LOCAL lock_timeout = '1s'")
	require.NoError(t, err)
	require.NoError(t, pass.QueryRow(t.Context(), `
		SELECT pass.verdict FROM thaw.resume_pass('sweep', $1, 1, p_tick_at => thaw.tick() - interval '15 minutes') AS pass`, a).Scan(&verdict))
	require.Equal(t, "already_done", verdict)
	_, err = pass.Exec(t.Context(), "SELECT FROM thaw.sweeps FOR UPDATE")
	require.NoError(t, err)
	require.NoError(t, pass.Rollback(t.Context()))
	require.NoError(t, slow.Rollback(t.Context()))
	require.NoError(t, <-planned)
	require.Equal(t, []string{"stale_tick", "open"}, testdb.Column[string](t, f.DB, "SELECT coalesce(verdict, 'open') FROM thaw.allocations ORDER BY tick_at"))
}

func TestJobOfFinishedTickCancelsItself(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, a, 10)
	f.pauseQueue(t, jobs.QueueTick)
	w := f.launch(t)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NOT NULL")
	f.Exec(t, "UPDATE thaw.accounts SET status = 'connected', connected_at = thaw.now()")
	f.Advance(t, tick)
	f.Exec(t, "SELECT thaw.sweep()")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.allocations")

	f.Advance(t, tick) // no sweep has closed the earlier tick yet
	require.NoError(t, w.Client().QueueResume(t.Context(), jobs.QueueTick, nil))
	f.settle(t)
	require.Equal(t, "cancelled", testdb.Value[string](t, f.DB, "SELECT state::text FROM thaw.river_job WHERE kind = 'resume_account'"))
	require.Equal(t, "stale_tick", testdb.Value[string](t, f.DB, "SELECT verdict FROM thaw.allocations"))
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, a))
	f.Exec(t, "SELECT thaw.sweep()")
	f.settle(t)
	require.Equal(t, map[string]int{"active": 10}, f.states(t, a))
}

func TestOneSweepAfterALongDowntime(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 900)
	_, stop := f.launchUntilStopped(t, t.Context())
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NOT NULL")
	stop()
	f.Advance(t, 5*time.Hour)
	f.start(t)
	require.Equal(t, 2, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.sweeps"))
	require.Equal(t, 400, f.states(t, a)["active"])
}

func TestFleetCapIsExactWithSeveralWorkers(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET fleet_cap = 300, account_cap = 40")
	for i := range 30 {
		workspace := fmt.Sprint("workspace ", i%5)
		f.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ($1) ON CONFLICT DO NOTHING", workspace)
		f.waiting(t, f.account(t, account{key: fmt.Sprint("a", i), workspace: workspace}), 50)
	}
	for range testdb.Size(2, 3) {
		f.launch(t)
	}
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NOT NULL")
	require.Equal(t, 300, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'"))
	require.Equal(t, 300, testdb.Value[int](t, f.DB, "SELECT used FROM thaw.fleet_quotas WHERE lane = 'sweep'"))
	require.Equal(t, []int{60, 60, 60, 60, 60}, testdb.Column[int](t, f.DB,
		"SELECT count(*) FROM thaw.enrollments WHERE status = 'active' GROUP BY workspace_id"), "the same number for each workspace")
	require.Equal(t, 300, f.sweep(t))
	f.verify(t)
}

func TestTickHasOneSummaryAndOneLineInTheLog(t *testing.T) {
	t.Parallel()
	f := setup(t)
	old := f.account(t, account{key: "old", member: "jane", status: "removed"})
	f.account(t, account{key: "new", member: "jane"})
	spring := f.campaign(t, campaign{key: "spring", reason: disconnected})
	f.prospects(t, prospects{account: old, campaign: spring, n: 250, reason: disconnected})
	for i := range 3 {
		f.waiting(t, f.account(t, account{key: fmt.Sprint("a", i)}), 5)
	}
	for range 3 {
		f.launch(t)
	}
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NOT NULL")
	f.settle(t)

	want := map[string]any{
		"accounts_planned": int64(4), "accounts_processed": int64(4), "resumed": int64(215), "moved": int64(200),
		"campaigns_resumed": int64(1), "remaining": int64(50),
	}
	const tickSwept = "tick swept"
	require.Eventually(t, func() bool { return len(f.log.logged(tickSwept)) > 0 }, 5*time.Second, time.Millisecond)
	line := f.log.logged(tickSwept)[0]
	for key, value := range want {
		require.Equal(t, value, line[key], key)
		require.Equal(t, value, testdb.Value[int64](t, f.DB, "SELECT (to_jsonb(s) ->> $1)::bigint FROM thaw.sweep_log AS s", key), key)
	}
	require.True(t, testdb.Value[time.Time](t, f.DB, "SELECT tick_at FROM thaw.sweeps").Equal(line["tick_at"].(time.Time)))

	// The rest is resumed, then nothing remains.
	require.Equal(t, 50, f.sweep(t))
	require.Eventually(t, func() bool { return len(f.log.logged(tickSwept)) >= 2 }, 5*time.Second, time.Millisecond)
	require.Equal(t, 0, f.sweep(t))
	require.Eventually(t, func() bool { return len(f.log.logged(tickSwept)) >= 3 }, 5*time.Second, time.Millisecond)
	lines := f.log.logged(tickSwept)
	require.Len(t, lines, 3, "one per tick, whichever worker ran it")
	require.EqualValues(t, 0, lines[2]["accounts_planned"])
}
