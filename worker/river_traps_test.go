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

// The tests of this file are about River, not about Thaw: what the design relies on, or had to find a way around. If an
// upgrade breaks one, the design has to be looked at again, in one direction or the other.

// A finished job keeps nobody from inserting the next of its account; one that is to be done does.
func TestRiverTellsDuplicatesByState(t *testing.T) {
	t.Parallel()
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

// River refuses to leave "running" out of the states that make a duplicate, so a resume-up cannot be inserted beside a job of
// the same key that is just finishing. Hence each signal is a key of its own.
func TestRiverInsistsOnRunningBeingUnique(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, err := f.client(t).Insert(t.Context(), jobs.HealArgs{HealID: 1}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{
		ByArgs:  true,
		ByState: []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled},
	}})
	require.ErrorContains(t, err, "running")
}

// Completing a job that somebody else completed is no error: it is the idempotency record that keeps the work from being done twice.
func TestRiverCompletesAJobThatIsNotRunningWithoutAnError(t *testing.T) {
	t.Parallel()
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

// River's client writes when a job is due by the clock of its process; a worker's client leaves that to the database. Else a
// leader whose clock is ahead would insert each sweep for later, and the one that the watchdogs insert would be its duplicate.
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

// thaw.complete_job leaves the row that River's own function leaves, and touches no job that is not running.
func TestJobsAreCompletedAsRiverDoes(t *testing.T) {
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

// No transaction that waits for the disk notifies: not a signal, not a sweep, not a heal, not a platform's client that
// inserts with package jobs. All of them would commit one after the other.
func TestNoCommittedJobNotifies(t *testing.T) {
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

	// Postgres keeps the order: the first notification is the last that was sent.
	f.Exec(t, `SELECT pg_notify('thaw.river_insert', 'the end')`)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	first, err := listening.WaitForNotification(ctx)
	require.NoError(t, err)
	require.Equal(t, "the end", first.Payload)
}

// A leader keeps its term, and renews it, however many messages any role forges. River alone would resign at each
// "request_resign", and at each "resigned" it waits for its next renewal anew: a flood of them lets the term expire while the
// leader goes on as one, beside the next.
func TestForgedLeadershipMessagesDoNotEndATerm(t *testing.T) {
	t.Parallel()
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
	}, 30*time.Second, 50*time.Millisecond, "the term is not renewed")
	require.Equal(t, before, testdb.Value[string](t, f.DB, term))
}

// River's own driver would notify in the transaction of the insert. If that ends, jobs.Driver is not needed any more.
func TestRiverNotifiesInTheTransactionOfTheInsert(t *testing.T) {
	t.Parallel()
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

// A job that is cut off by the end of its process is available again at once, not after a retry's pause or a rescue.
func TestJobCutOffByTheEndOfItsProcessIsAvailableAtOnce(t *testing.T) {
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

// A process that is gone has lost the session that holds its lock: its jobs are handed out again within seconds. One that is
// frozen, or not known, keeps them until the rescue. Mutants: without the look at the lock the second job is run too; without
// the requeue the first waits for a minute.
func TestJobsOfAProcessThatIsGoneAreHandedOutAgain(t *testing.T) {
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

// A frozen transaction is ended by the server, and a hanging job by its context, before the queue gives the job to another.
func TestLimitsEndBeforeTheRescue(t *testing.T) {
	t.Parallel()
	require.Less(t, worker.JobTimeout, worker.RescueAfter)
	for _, limit := range []time.Duration{store.StatementTimeout, store.LockTimeout, store.IdleTimeout} {
		require.Less(t, limit, worker.JobTimeout)
	}
	// The worst that a transaction can do: wait, then run, then idle.
	require.Less(t, store.LockTimeout+store.StatementTimeout+store.IdleTimeout, worker.RescueAfter)
}

// A job whose process is gone is handed out again when RescueAfter is over, not after River's hour.
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

// COPY has no place for a conflict: one duplicate would fail the plan of a whole tick.
func TestRiverInsertsDuplicatesOneByOneButNotByCopy(t *testing.T) {
	t.Parallel()
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

// The history is Thaw's own: River deletes finished jobs after a day, and nothing may depend on them.
func TestHistoryOutlivesItsJobs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 300)
	w := f.start(t)
	f.Exec(t, "DELETE FROM thaw.river_job WHERE state = 'completed'")
	before := f.everything(t)

	// Not even the sweep of a tick that is over comes back with its job.
	f.Exec(t, "SELECT thaw.sweep()")
	again, err := w.Client().Insert(t.Context(), jobs.SweepArgs{TickAt: jobs.TickAt(testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()"))}, nil)
	require.NoError(t, err)
	require.False(t, again.UniqueSkippedAsDuplicate)
	f.settle(t)
	require.Equal(t, before, f.everything(t))
}
