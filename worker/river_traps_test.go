package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertest"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/worker"
)

// The tests in this file document River's behavior: what Thaw's design relies on, or works around.
// If an upgrade of River breaks one, review the design: a reliance may be broken, or a workaround
// obsolete. Those that no other code can break run at full size only: run them after an upgrade.

// A finished job does not prevent the next insert for its account; an unfinished one does.
func TestRiverDetectsDuplicatesByState(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	f := setup(t)
	client := f.client(t)
	args := jobs.ResumeAccountArgs{AccountID: 1, SignalID: 1}
	insert := func() *rivertype.JobInsertResult {
		result, err := client.Insert(t.Context(), args, nil)
		require.NoError(t, err)
		return result
	}
	first := insert()
	for state, duplicate := range map[string]bool{
		"available": true, "running": true, "retryable": true, "scheduled": true, "pending": true,
		"completed": false, "cancelled": false, "discarded": false,
	} {
		f.Exec(t, `UPDATE thaw.river_job SET state = $2::thaw.river_job_state,
			finalized_at = CASE WHEN $2 IN ('completed', 'cancelled', 'discarded') THEN now() END WHERE id = $1`, first.Job.ID, state)
		second := insert()
		require.Equal(t, duplicate, second.UniqueSkippedAsDuplicate, state)
		f.Exec(t, "DELETE FROM thaw.river_job WHERE id <> $1", first.Job.ID)
	}
}

// River does not allow leaving "running" out of the states of a unique job. So a resume job cannot
// be inserted while one with the same key is finishing. That is why each signal is its own key.
func TestRiverRequiresRunningInUniqueStates(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	f := setup(t)
	_, err := f.client(t).Insert(t.Context(), jobs.HealArgs{HealID: 1}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{
		ByArgs:  true,
		ByState: []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled},
	}})
	require.ErrorContains(t, err, "running")
}

// Completing a job that was already completed is not an error. The idempotency record prevents
// repeated work.
func TestRiverCompletesFinishedJobWithoutError(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	f := setup(t)
	client := f.client(t)
	inserted, err := client.Insert(t.Context(), jobs.HealArgs{HealID: 1}, nil)
	require.NoError(t, err)
	f.Exec(t, "UPDATE thaw.river_job SET state = 'running', attempt = 1")
	zombie, err := client.JobGet(t.Context(), inserted.Job.ID)
	require.NoError(t, err)
	f.Exec(t, "UPDATE thaw.river_job SET state = 'cancelled', finalized_at = now()")

	tx := f.begin(t)
	_, err = river.JobCompleteTx[*riverpgxv5.Driver](rivertest.WorkContext(t.Context(), client), tx, &river.Job[jobs.HealArgs]{JobRow: zombie})
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, "cancelled", testdb.Value[string](t, f.DB, "SELECT state::text FROM thaw.river_job"))
}

// River's client sets scheduled_at by its process's clock; a worker's client leaves it to the
// database. Otherwise a leader whose clock is ahead would schedule each sweep for later, and the
// watchdogs' inserts would be skipped as duplicates.
func TestWorkersJobsAreDueByTheClockOfTheDatabase(t *testing.T) {
	t.Parallel()
	f := setup(t)
	riverPool, err := pgxpool.NewWithConfig(t.Context(), f.Pool.Config())
	require.NoError(t, err)
	t.Cleanup(riverPool.Close)
	w, err := worker.New(t.Context(), worker.Config{
		Pool: f.Pool, RiverPool: riverPool, RiverSchema: schema.Name, PollOnly: f.PollOnly, Logger: testdb.Logger(t),
	})
	require.NoError(t, err)
	tx := f.begin(t)
	_, err = w.Client().InsertTx(t.Context(), tx, jobs.SweepArgs{TickAt: jobs.TickAt(f.Now(t))}, nil)
	require.NoError(t, err)
	_, err = w.Client().InsertManyTx(t.Context(), tx, []river.InsertManyParams{{Args: jobs.ResumeAccountArgs{AccountID: 1, SignalID: 1}}})
	require.NoError(t, err)
	var due int
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM thaw.river_job WHERE state = 'available' AND scheduled_at = now()").Scan(&due))
	require.Equal(t, 2, due)
}

// thaw.complete_job writes the same row as River's own completion and touches only running jobs.
func TestCompleteJobMatchesRiver(t *testing.T) {
	t.Parallel()
	f := setup(t)
	client := f.client(t)
	running := func(id int64) *rivertype.JobRow {
		inserted, err := client.Insert(t.Context(), jobs.HealArgs{HealID: id}, nil)
		require.NoError(t, err)
		f.Exec(t, "UPDATE thaw.river_job SET state = 'running', attempt = 1, attempted_at = now() WHERE id = $1", inserted.Job.ID)
		row, err := client.JobGet(t.Context(), inserted.Job.ID)
		require.NoError(t, err)
		return row
	}
	theirs, ours := running(1), running(2)
	tx := f.begin(t)
	_, err := river.JobCompleteTx[*riverpgxv5.Driver](rivertest.WorkContext(t.Context(), client), tx, &river.Job[jobs.HealArgs]{JobRow: theirs})
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT thaw.complete_job($1)", ours.ID))

	rows := testdb.Column[string](t, f.DB, `
		SELECT (to_jsonb(job) - ARRAY['id', 'args', 'unique_key', 'created_at', 'scheduled_at', 'attempted_at', 'finalized_at'])::text
			|| (job.finalized_at BETWEEN now() - interval '1 minute' AND now() + interval '1 second')::text
		FROM thaw.river_job AS job ORDER BY job.id`)
	require.Len(t, rows, 2)
	require.Contains(t, rows[0], `"state": "completed"`)
	require.Equal(t, rows[0], rows[1])

	for _, state := range []string{"available", "cancelled", "completed", "discarded", "retryable", "scheduled"} {
		f.Exec(t, `UPDATE thaw.river_job SET state = $2::thaw.river_job_state,
			finalized_at = CASE WHEN $2 IN ('completed', 'cancelled', 'discarded') THEN 'epoch'::timestamptz END WHERE id = $1`, ours.ID, state)
		require.False(t, testdb.Value[bool](t, f.DB, "SELECT thaw.complete_job($1)", ours.ID), state)
		require.Equal(t, state, testdb.Value[string](t, f.DB, "SELECT state::text FROM thaw.river_job WHERE id = $1", ours.ID))
	}
}

// No transaction that waits for the disk calls NOTIFY: no signal, sweep, heal, or insert by a
// platform's client with package jobs. With NOTIFY, they would all commit one after the other.
func TestNoJobTransactionNotifies(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 10)
	listening, err := pgx.Connect(t.Context(), f.Direct)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listening.Close(context.Background()) })
	_, err = listening.Exec(t.Context(), `LISTEN "thaw.river_insert"; LISTEN "thaw.river_control"; LISTEN "thaw.river_leadership"`)
	require.NoError(t, err)

	f.signal(t, "a1", "error")
	f.signal(t, "a1", "connected")
	f.Exec(t, "SELECT thaw.sweep(); SELECT thaw.heal('acme'); SELECT thaw.expedite('heal', '{\"heal_id\": 1}')")
	insertOnly, err := river.NewClient(jobs.NewDriver(f.Pool), &river.Config{Schema: schema.Name})
	require.NoError(t, err)
	_, err = insertOnly.Insert(t.Context(), jobs.PruneArgs{TickAt: jobs.TickAt(f.Now(t))}, nil)
	require.NoError(t, err)

	// Postgres keeps the order, so this must be the first notification.
	f.Exec(t, `SELECT pg_notify('thaw.river_insert', 'the end')`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	first, err := listening.WaitForNotification(ctx)
	require.NoError(t, err)
	require.Equal(t, "the end", first.Payload)
}

// A leader keeps and renews its term, whatever messages any role forges. River alone would resign
// at each "request_resign". At each "resigned" it would restart the wait for its next renewal: a
// flood lets the term expire while the leader continues beside the next one.
func TestForgedLeadershipMessagesDoNotEndATerm(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	f := setup(t)
	f.start(t)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_leader")
	const term = "SELECT leader_id || ' ' || elected_at FROM thaw.river_leader"
	before := testdb.Value[string](t, f.DB, term)
	expires := testdb.Value[time.Time](t, f.DB, "SELECT expires_at FROM thaw.river_leader")
	require.Eventually(t, func() bool {
		f.Exec(t, `SELECT pg_notify('thaw.river_leadership', format('{"action": "%s", "leader_id": "x"}', action))
			FROM unnest('{resigned,request_resign}'::text[]) AS action`)
		return testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_leader WHERE expires_at > $1", expires) == 1
	}, 30*time.Second, 50*time.Millisecond, "the term was not renewed")
	require.Equal(t, before, testdb.Value[string](t, f.DB, term))
}

// River's own driver calls NOTIFY in the transaction of the insert. If that changes, jobs.Driver is
// no longer needed.
func TestRiverNotifiesInTheTransactionOfTheInsert(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	f := setup(t)
	listening, err := pgx.Connect(t.Context(), f.Direct)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listening.Close(context.Background()) })
	_, err = listening.Exec(t.Context(), `LISTEN "thaw.river_insert"`)
	require.NoError(t, err)
	_, err = f.client(t).Insert(t.Context(), jobs.HealArgs{HealID: 1}, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = listening.WaitForNotification(ctx)
	require.NoError(t, err)
	f.Exec(t, "DELETE FROM thaw.river_job")
}

// A job that is interrupted by the shutdown of its process is requeued immediately, without a retry
// delay or a rescue.
func TestInterruptedJobIsAvailableImmediately(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, a, 10)
	w, stop := f.launchUntilStopped(t, context.WithoutCancel(t.Context()))
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE tick_at = thaw.tick()")
	f.settle(t)
	f.signal(t, "a1", "connected")
	f.settle(t)
	f.signal(t, "a1", "disconnected")
	f.settle(t)
	lock := f.begin(t)
	_, err := lock.Exec(t.Context(), "LOCK TABLE thaw.enrollments")
	require.NoError(t, err)
	f.signal(t, "a1", "connected")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE state = 'running' AND kind = 'resume_account'")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, w.Stop(over))
	require.Equal(t, "available", testdb.Value[string](t, f.DB,
		"SELECT state::text FROM thaw.river_job WHERE kind = 'resume_account' ORDER BY id DESC LIMIT 1"))
	require.NoError(t, lock.Rollback(t.Context()))
	stop()
	f.launch(t)
	f.eventually(t, 10, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'")
}

// A lost process has lost the session that holds its lock: its jobs are requeued within seconds. A
// frozen or unknown process keeps its jobs until the rescue. Mutants: without the check of the lock
// the second job runs too; without the requeue the first one waits for a minute.
func TestJobsOfLostProcessAreRequeued(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.attemptsMayFail = true
	for _, key := range []string{"gone", "frozen"} {
		a := f.account(t, account{key: key, status: "disconnected"})
		f.waiting(t, a, 10)
		f.signal(t, key, "connected")
		f.Exec(t, "UPDATE thaw.river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = ARRAY['first', $1] WHERE state = 'available'", key)
	}
	for _, key := range []string{"gone", "frozen"} {
		session, err := pgx.Connect(t.Context(), f.Direct)
		require.NoError(t, err)
		t.Cleanup(func() { _ = session.Close(context.Background()) })
		_, err = session.Exec(t.Context(), "SELECT thaw.register_worker($1)", key)
		require.NoError(t, err)
		if key == "gone" {
			require.NoError(t, session.Close(t.Context()))
		}
	}
	f.launch(t)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE attempted_by @> '{gone}' AND state = 'completed'")
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE attempted_by[cardinality(attempted_by)] = 'frozen' AND state = 'running'"))
	f.Exec(t, "DELETE FROM thaw.river_job WHERE state = 'running'")
}

// The server ends a frozen transaction, and the context ends a hanging job, before the queue hands
// out the job again.
func TestTimeoutsEndBeforeRescue(t *testing.T) {
	t.Parallel()
	require.Less(t, worker.JobTimeout, worker.RescueAfter)
	for _, limit := range []time.Duration{store.StatementTimeout, store.LockTimeout, store.IdleTimeout} {
		require.Less(t, limit, worker.JobTimeout)
	}
	// The longest transaction: wait for a lock, run a statement, then idle.
	require.Less(t, store.LockTimeout+store.StatementTimeout+store.IdleTimeout, worker.RescueAfter)
}

// A job of a lost process is handed out again after RescueAfter, not after River's default of one
// hour.
func TestLostJobIsRescued(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, a, 10)
	f.attemptsMayFail = true
	f.signal(t, "a1", "connected")
	f.Exec(t, "UPDATE thaw.river_job SET state = 'running', attempt = 1, attempted_at = now() - $1::interval, attempted_by = ARRAY['gone']",
		worker.RescueAfter+time.Second)
	f.launch(t)
	f.eventually(t, 10, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'")
}

// COPY cannot handle conflicts: one duplicate would fail the plan of a whole tick.
func TestRiverCopyFailsOnDuplicates(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	f := setup(t)
	client := f.client(t)
	many := []river.InsertManyParams{
		{Args: jobs.ResumeAccountArgs{AccountID: 1, SignalID: 1}}, {Args: jobs.ResumeAccountArgs{AccountID: 2, SignalID: 2}},
	}
	_, err := client.Insert(t.Context(), many[0].Args, nil)
	require.NoError(t, err)
	results, err := client.InsertMany(t.Context(), many)
	require.NoError(t, err)
	require.True(t, results[0].UniqueSkippedAsDuplicate)
	require.False(t, results[1].UniqueSkippedAsDuplicate)

	_, err = client.InsertManyFast(t.Context(), many)
	var conflict *pgconn.PgError
	require.True(t, errors.As(err, &conflict), "%v", err)
	require.Equal(t, "23505", conflict.Code)
}

// The history is Thaw's own: River deletes finished jobs after a day, and nothing depends on them.
func TestHistoryOutlivesItsJobs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 300)
	w := f.start(t)
	f.Exec(t, "DELETE FROM thaw.river_job WHERE state = 'completed'")
	before := f.everything(t)

	// A new sweep job for a swept tick changes nothing. A process that has just become the leader may
	// have inserted it before.
	f.Exec(t, "SELECT thaw.sweep()")
	_, err := w.Client().Insert(t.Context(), jobs.SweepArgs{TickAt: jobs.TickAt(testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()"))}, nil)
	require.NoError(t, err)
	f.settle(t)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'sweep' AND state = 'completed'")
	require.Equal(t, before, f.everything(t))
}
