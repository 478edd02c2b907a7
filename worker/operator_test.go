package worker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/worker"
)

// everything is a query for a hash of the fleet's state.
const everything = `
	SELECT md5(string_agg(line, E'\n' ORDER BY line)) FROM (
		SELECT to_jsonb(e)::text FROM thaw.enrollments AS e
		UNION ALL SELECT to_jsonb(c)::text FROM thaw.campaigns AS c
		UNION ALL SELECT to_jsonb(a)::text FROM thaw.accounts AS a
		UNION ALL SELECT to_jsonb(event)::text FROM thaw.enrollment_events AS event
		UNION ALL SELECT to_jsonb(event)::text FROM thaw.campaign_events AS event
		UNION ALL SELECT to_jsonb(b)::text FROM thaw.fleet_quotas AS b
		UNION ALL SELECT to_jsonb(b)::text FROM thaw.account_quotas AS b
		UNION ALL SELECT to_jsonb(g)::text FROM thaw.allocations AS g
		UNION ALL SELECT to_jsonb(s)::text FROM thaw.sweeps AS s
		UNION ALL SELECT to_jsonb(s)::text FROM thaw.account_signals AS s
		UNION ALL SELECT to_jsonb(h)::text FROM thaw.heals AS h) AS lines (line)`

func (f *fleet) everything(t *testing.T) string {
	t.Helper()
	return testdb.Value[string](t, f.DB, everything)
}

// history runs jobs of every kind and leaves prospects to resume.
func (f *fleet) history(t *testing.T) {
	t.Helper()
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 10")
	f.waiting(t, f.account(t, account{key: "a1", status: "disconnected"}), 100)
	f.waiting(t, f.account(t, account{key: "a2"}), 100)
	f.signal(t, "a1", "connected")
	f.signal(t, "a2", "disconnected")
	f.settle(t)
	f.signal(t, "a2", "connected")
	f.settle(t)
	f.sweep(t)
	f.Exec(t, "SELECT thaw.heal('acme', cap => 20)")
	f.settle(t)
	require.Equal(t, []string{"heal", "pause_account", "prune", "resume_account", "sweep", "watch"},
		testdb.Column[string](t, f.DB, "SELECT DISTINCT kind FROM thaw.river_job WHERE state = 'completed' ORDER BY kind"))
	require.NotZero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'"))
}

// retry retries a job. River rejects that while another job with the same arguments is not done: a
// worker that becomes the leader inserts the sweep of its tick, and a cancelled sweep of this tick
// does not prevent that. The rejection changes nothing.
func (f *fleet) retry(t *testing.T, w *worker.Worker, id int64) {
	t.Helper()
	_, err := w.Client().JobRetry(t.Context(), id)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.ConstraintName == "river_job_unique_idx" {
		require.Equal(t, "cancelled", testdb.Value[string](t, f.DB, "SELECT state::text FROM thaw.river_job WHERE id = $1", id))
		require.NotZero(t, testdb.Value[int](t, f.DB, `
			SELECT count(*) FROM thaw.river_job AS job JOIN thaw.river_job AS other USING (unique_key) WHERE job.id = $1 AND other.id <> job.id`, id))
		return
	}
	require.NoError(t, err)
}

func TestRetryOfFinishedJobChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	w := f.start(t)
	first := testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()")
	f.history(t)
	before := f.everything(t)
	for _, later := range []time.Duration{0, 0, tick} {
		f.Advance(t, later)
		for _, id := range testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.river_job ORDER BY id") {
			f.retry(t, w, id)
		}
		f.settle(t)
		// The retried sweep of the first tick is cancelled, because its tick is over. A new leader
		// that does not know this yet inserts it again.
		_, err := w.Client().Insert(t.Context(), jobs.SweepArgs{TickAt: jobs.TickAt(first)}, nil)
		require.NoError(t, err)
		f.settle(t)
		require.Equal(t, before, f.everything(t))
	}
}

func TestCancelOfFinishedJobChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	w := f.start(t)
	f.history(t)
	before := f.everything(t)
	for _, id := range testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.river_job ORDER BY id") {
		job, err := w.Client().JobCancel(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, rivertype.JobStateCompleted, job.State)
	}
	f.settle(t)
	require.Equal(t, before, f.everything(t))
}

// cancelAll cancels the jobs of a kind that have not started.
func (f *fleet) cancelAll(t *testing.T, kind string) (ids []int64) {
	t.Helper()
	client := f.client(t)
	ids = testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.river_job WHERE kind = $1 AND state IN ('available', 'scheduled')", kind)
	require.NotEmpty(t, ids)
	for _, id := range ids {
		job, err := client.JobCancel(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, rivertype.JobStateCancelled, job.State)
	}
	return ids
}

func TestNextSweepCoversCancelledJobs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, stop := f.launchUntilStopped(t, t.Context())
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NOT NULL")
	stop()
	served := f.account(t, account{key: "served", status: "disconnected"})
	f.waiting(t, served, 10)
	gone := f.account(t, account{key: "gone"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: gone, campaign: c, n: 10})

	f.signal(t, "served", "connected")
	f.signal(t, "gone", "disconnected")
	cancelled := append(f.cancelAll(t, "resume_account"), f.cancelAll(t, "pause_account")...)
	f.Advance(t, tick)
	w := f.start(t)
	require.Equal(t, map[string]int{"active": 10}, f.states(t, served))
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, gone))

	// A retry of the cancelled jobs changes nothing: their work is done.
	before := testdb.Column[string](t, f.DB, "SELECT to_jsonb(e)::text FROM thaw.enrollments AS e ORDER BY id")
	for _, id := range cancelled {
		_, err := w.Client().JobRetry(t.Context(), id)
		require.NoError(t, err)
	}
	f.settle(t)
	require.Equal(t, before, testdb.Column[string](t, f.DB, "SELECT to_jsonb(e)::text FROM thaw.enrollments AS e ORDER BY id"))
}

func TestCancelledSweepIsInsertedAgain(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "SELECT thaw.sweep()")
	f.cancelAll(t, "sweep")
	f.start(t)
	require.Equal(t, []string{"cancelled", "completed"}, testdb.Column[string](t, f.DB, "SELECT state::text FROM thaw.river_job WHERE kind = 'sweep' ORDER BY id"))
}

func TestNextSweepClosesTickWithCancelledJobs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 10)
	f.pauseQueue(t, jobs.QueueTick)
	w := f.launch(t)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps")
	f.cancelAll(t, "resume_account")
	require.NoError(t, w.Client().QueueResume(t.Context(), jobs.QueueTick, nil))
	require.Equal(t, 10, f.sweep(t))
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.sweeps WHERE finished_at IS NULL"))
}

// A heal whose job was cancelled does not block its target: the next heal ends it.
func TestCancelledHealDoesNotBlockTheNext(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.pauseQueue(t, jobs.QueueHeal)
	w := f.start(t)
	f.waiting(t, a, 10)
	f.Exec(t, "SELECT thaw.heal('acme')")
	cancelled := f.cancelAll(t, "heal")
	require.Equal(t, []string{"stopped"}, testdb.Column[string](t, f.DB, "SELECT thaw.heal_state(h) FROM thaw.heals AS h"))
	second := testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme')")
	require.Equal(t, 10, testdb.Value[int](t, f.DB, "SELECT remaining FROM thaw.heals WHERE id <> $1 AND status = 'done'", second))

	require.NoError(t, w.Client().QueueResume(t.Context(), jobs.QueueHeal, nil))
	_, err := w.Client().JobRetry(t.Context(), cancelled[0])
	require.NoError(t, err)
	f.settle(t)
	require.Equal(t, []int{0, 10}, testdb.Column[int](t, f.DB, "SELECT resumed FROM thaw.heals ORDER BY id"))
	require.Equal(t, map[string]int{"active": 10}, f.states(t, a))
}

func TestCancelOfARunningJobRollsItsPassBack(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, a, 10)
	w := f.start(t)

	// The pass waits for a campaign that the platform is updating; the operator cancels it while it
	// waits.
	platform := f.begin(t)
	_, err := platform.Exec(t.Context(), "UPDATE thaw.campaigns SET name = 'Spring'")
	require.NoError(t, err)
	f.signal(t, "a1", "connected")
	f.eventually(t, 1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	job := testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.river_job WHERE state = 'running'")
	_, err = w.Client().JobCancel(t.Context(), job)
	require.NoError(t, err)
	f.settle(t)
	// The worker has given up, and the server ends the pass when it has read that. Before this, a
	// campaign that becomes free would let the pass commit.
	f.eventually(t, 0, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	require.NoError(t, platform.Commit(t.Context()))
	require.Equal(t, "cancelled", testdb.Value[string](t, f.DB, "SELECT state::text FROM thaw.river_job WHERE id = $1", job))
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, a))
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.account_quotas"))

	require.Equal(t, 10, f.sweep(t))
}

func TestRetryOfAScheduledPauseIsTooEarly(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: a, campaign: c, n: 10})
	w := f.start(t)
	f.signal(t, "a1", "error")
	_, err := w.Client().JobRetry(t.Context(), testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.river_job WHERE state = 'scheduled'"))
	require.NoError(t, err)
	f.settle(t)
	require.Equal(t, map[string]int{"active": 10}, f.states(t, a), "inside the grace period")
	f.Advance(t, 3*time.Hour)
	f.sweep(t)
	require.Equal(t, map[string]int{issue: 10}, f.states(t, a), "the sweep requeues the pause")
}
