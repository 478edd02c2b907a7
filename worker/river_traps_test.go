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

// River refuses to leave "running" out of the states that make a duplicate, so a wake-up cannot be inserted beside a job of
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

// Completing a job that somebody else completed is no error: it is the ledger that keeps the work from being done twice.
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

// River's client notifies at a limited rate, counted when the insert runs, so that a transaction that is rolled back can
// swallow the wake-up of the next one. thaw.enqueue notifies by itself, in the transaction of its insert.
func TestEveryCommittedJobWakesItsQueue(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "a1"})
	listening, err := pgx.Connect(t.Context(), f.Direct)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listening.Close(context.Background()) })
	_, err = listening.Exec(t.Context(), `LISTEN "thaw.river_insert"`)
	require.NoError(t, err)

	for range 20 {
		lost := f.begin(t)
		_, err = lost.Exec(t.Context(), "SELECT thaw.signal('linkedin', 'a1', 'connected')")
		require.NoError(t, err)
		require.NoError(t, lost.Rollback(t.Context()))

		f.signal(t, "a1", "connected")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		told, err := listening.WaitForNotification(ctx)
		cancel()
		require.NoError(t, err)
		require.JSONEq(t, `{"queue": "resume"}`, told.Payload)
	}
	// A pause that is scheduled wakes nobody yet, and what was rolled back never did: the next word is another's.
	f.signal(t, "a1", "error")
	f.Exec(t, "SELECT thaw.sweep()")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	told, err := listening.WaitForNotification(ctx)
	require.NoError(t, err)
	require.JSONEq(t, `{"queue": "sweep"}`, told.Payload)
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
