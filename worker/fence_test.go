package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/worker"
)

// The tests in this file run two transactions in the one order in which a missing lock does harm.
// Each test fails without the lock that it covers: chaos/mutants_test.go removes the locks one by
// one.

// A met is the result of a transaction that ran concurrently with another.
type met[T any] struct {
	value  T
	err    error
	waited bool // for the other transaction
}

// meet runs second beside an open transaction, which it commits when second waits for a lock or has
// ended.
func meet[T any](t *testing.T, f *fleet, first pgx.Tx, second func() (T, error)) (m met[T]) {
	t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		m.value, m.err = second()
	}()
	m.waited = f.waits(t, over)
	require.NoError(t, first.Commit(t.Context()))
	<-over
	return m
}

// waits reports whether any session waits for a lock before over is closed.
func (f *fleet) waits(t *testing.T, over <-chan struct{}) (waited bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		select {
		case <-over:
			return true
		default:
			waited = testdb.Value[bool](t, f.DB, `
				SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`)
			return waited
		}
	}, 30*time.Second, 5*time.Millisecond)
	return waited
}

// A pass is the result of a resume pass.
type pass struct {
	Verdict string
	Resumed int
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// passOfSignal runs the resume pass of a signal.
func passOfSignal(ctx context.Context, q querier, account, signal int64) (p pass, err error) {
	err = q.QueryRow(ctx, "SELECT verdict, resumed FROM thaw.resume_pass('signal', $1, 1, p_signal_id => $2)", account, signal).
		Scan(&p.Verdict, &p.Resumed)
	return p, err
}

// connect sends an account's connect signal and returns its ID. The signal's job is not run.
func (f *fleet) connect(t *testing.T, key string) (signal int64) {
	t.Helper()
	f.signal(t, key, "connected")
	return testdb.Value[int64](t, f.DB, "SELECT max(id) FROM thaw.account_signals")
}

// The account disconnects while the pass of its last connect begins: the pass resumes nothing.
func TestPassWaitsForConcurrentSignal(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, a, 10)
	signal := f.connect(t, "a1")

	leaving := f.begin(t)
	_, err := leaving.Exec(t.Context(), "SELECT thaw.signal('linkedin', 'a1', 'disconnected')")
	require.NoError(t, err)
	m := meet(t, f, leaving, func() (pass, error) { return passOfSignal(t.Context(), f.Pool, a, signal) })
	require.NoError(t, m.err)
	require.Equal(t, pass{Verdict: "account_not_connected"}, m.value)
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, a))
}

// The account reconnects while a batch of its pause is not committed: the pass waits, or it would
// find nothing to resume.
func TestPassWaitsForConcurrentPause(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.prospects(t, prospects{account: a, campaign: f.campaign(t, campaign{key: "spring"}), n: 10})
	signal := f.connect(t, "a1")
	f.signal(t, "a1", "disconnected")

	pausing := f.begin(t)
	_, err := pausing.Exec(t.Context(), "SELECT thaw.pause_batch($1, 100, $2, NULL, 1)", a, signal+1)
	require.NoError(t, err)
	m := meet(t, f, pausing, func() (pass, error) {
		if _, err := f.Pool.Exec(t.Context(), "SELECT thaw.signal('linkedin', 'a1', 'connected')"); err != nil {
			return pass{}, err
		}
		return passOfSignal(t.Context(), f.Pool, a, signal+2)
	})
	require.NoError(t, m.err)
	require.Equal(t, pass{Verdict: "resumed", Resumed: 10}, m.value)
}

// The account reconnects while its pause begins: the pause stops.
func TestPauseWaitsForConcurrentSignal(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.prospects(t, prospects{account: a, campaign: f.campaign(t, campaign{key: "spring"}), n: 10})
	f.signal(t, "a1", "disconnected")

	returning := f.begin(t)
	_, err := returning.Exec(t.Context(), "SELECT thaw.signal('linkedin', 'a1', 'connected')")
	require.NoError(t, err)
	m := meet(t, f, returning, func() (verdict string, err error) {
		err = f.Pool.QueryRow(t.Context(), "SELECT verdict FROM thaw.pause_batch($1, 100, 1, NULL, 1)", a).Scan(&verdict)
		return verdict, err
	})
	require.NoError(t, m.err)
	require.Equal(t, "account_connected", m.value)
	require.Equal(t, map[string]int{"active": 10}, f.states(t, a))
}

// Of two concurrent signals the newer one counts, whichever is received first.
func TestSignalWaitsForConcurrentNewerSignal(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "a1"})
	const signal = "SELECT thaw.signal('linkedin', 'a1', $1, thaw.now() + $2::interval)"
	newer := f.begin(t)
	_, err := newer.Exec(t.Context(), signal, "disconnected", 20*time.Second)
	require.NoError(t, err)
	m := meet(t, f, newer, func() (outcome string, err error) {
		err = f.Pool.QueryRow(t.Context(), signal, "connected", 10*time.Second).Scan(&outcome)
		return outcome, err
	})
	require.NoError(t, m.err)
	require.Equal(t, "stale", m.value)
	require.Equal(t, "disconnected", testdb.Value[string](t, f.DB, "SELECT status::text FROM thaw.accounts"))
}

// Several passes take from one quota at once: together they take no more than remains, without an
// error.
func TestConcurrentPassesShareTheirQuota(t *testing.T) {
	t.Parallel()
	const waiters = 7
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET signal_cap = 16")
	type resumeUp struct{ account, signal int64 }
	ask := func(key string, n int) resumeUp {
		a := f.account(t, account{key: key, status: "disconnected"})
		f.waiting(t, a, n)
		return resumeUp{a, f.connect(t, key)}
	}
	opening, first := ask("opens the quota", 1), ask("first", 10)
	_, err := passOfSignal(t.Context(), f.Pool, opening.account, opening.signal)
	require.NoError(t, err)

	tx := f.begin(t)
	got, err := passOfSignal(t.Context(), tx, first.account, first.signal)
	require.NoError(t, err)
	require.Equal(t, pass{Verdict: "resumed", Resumed: 10}, got)
	var others errgroup.Group
	for i := range waiters {
		other := ask(fmt.Sprint("other ", i), 10)
		others.Go(func() error {
			_, err := passOfSignal(t.Context(), f.Pool, other.account, other.signal)
			return err
		})
	}
	f.eventually(t, waiters, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, others.Wait())
	require.Equal(t, 16, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'"))
	require.Equal(t, 16, testdb.Value[int](t, f.DB, "SELECT used FROM thaw.fleet_quotas WHERE lane = 'signal'"))
}

// The next tick begins and closes the allocations of this one while the pass of an allocation
// begins. The allocation is closed first, which is not an error.
func TestPassWaitsForTheEndOfItsTick(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 10)
	f.Exec(t, "SELECT thaw.sweep()")
	require.NoError(t, f.workByHand(t, "sweep"))

	var next time.Time
	planning := f.begin(t)
	require.NoError(t, planning.QueryRow(t.Context(), "SELECT thaw.tick() + interval '15 minutes'").Scan(&next))
	_, err := planning.Exec(t.Context(), "SELECT thaw.close_ticks($1)", next)
	require.NoError(t, err)
	m := meet(t, f, planning, func() (p pass, err error) {
		err = f.Pool.QueryRow(t.Context(), "SELECT verdict, resumed FROM thaw.resume_pass('sweep', $1, 1, p_tick_at => thaw.tick())", a).
			Scan(&p.Verdict, &p.Resumed)
		return p, err
	})
	require.NoError(t, m.err)
	require.Equal(t, pass{Verdict: "already_done"}, m.value)
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, a))
}

// A person pauses a prospect in the moment in which it would be resumed: the pass resumes the
// others and does not wait.
func TestPassSkipsLockedProspects(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	ids := f.waiting(t, a, 10)
	signal := f.connect(t, "a1")

	person := f.begin(t)
	_, err := person.Exec(t.Context(), "UPDATE thaw.enrollments SET paused_reason = 'paused_by_user' WHERE id = $1", ids[3])
	require.NoError(t, err)
	m := meet(t, f, person, func() (pass, error) { return passOfSignal(t.Context(), f.Pool, a, signal) })
	require.NoError(t, m.err)
	require.Equal(t, pass{Verdict: "resumed", Resumed: 9}, m.value)
	require.False(t, m.waited)
	require.Equal(t, map[string]int{"active": 9, byUser: 1}, f.states(t, a))
}

// A job is completed by the transaction that does its work: the two are never visible separately.
func TestJobIsCompletedInTheTransactionOfItsWork(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 10)
	for _, c := range []struct{ kind, ask, record string }{
		{"sweep", "SELECT thaw.sweep()", "thaw.sweeps"},
		{"resume_account", "", "thaw.allocations"},
		{"pause_account", "SELECT thaw.signal('linkedin', 'a1', 'disconnected')", "thaw.accounts"},
		{"resume_account", "SELECT thaw.signal('linkedin', 'a1', 'connected')", "thaw.account_signals"},
		{"heal", "SELECT thaw.heal('acme')", "thaw.heals"},
	} {
		if c.ask != "" {
			f.Exec(t, c.ask)
		}
		require.NoError(t, f.workByHand(t, c.kind))
		require.Equal(t, 1, testdb.Value[int](t, f.DB, `
			SELECT count(*) FROM thaw.river_job AS job JOIN `+c.record+` AS record ON record.xmin = job.xmin
			WHERE job.kind = $1 AND job.state = 'completed'`, c.kind), "%s and its job were written by one transaction", c.record)
	}
	require.Equal(t, map[string]int{"active": 10}, f.states(t, a))
}

// The tick is determined by the database's clock, here hours ahead of the process's clock.
func TestSweepUsesDatabaseClock(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.waiting(t, f.account(t, account{key: "a1"}), 10)
	f.Advance(t, 5*time.Hour)
	f.Exec(t, "SELECT thaw.sweep()")
	require.NoError(t, f.workByHand(t, "sweep"))
	require.NoError(t, f.workByHand(t, "resume_account"))
	require.Equal(t, 10, testdb.Value[int](t, f.DB, "SELECT resumed FROM thaw.sweeps WHERE tick_at = thaw.tick()"))
}

// workByHand runs the only unfinished job of a kind.
func (f *fleet) workByHand(t *testing.T, kind string) error {
	t.Helper()
	client := f.client(t)
	job, err := client.JobGet(t.Context(), testdb.Value[int64](t, f.DB,
		"UPDATE thaw.river_job SET state = 'running', attempt = 1 WHERE state = 'available' AND kind = $1 RETURNING id", kind))
	require.NoError(t, err)
	return worker.WorkByHand(t, f.Pool, client, job)
}

// The server ends a transaction that hangs or is frozen before the queue hands out its job again.
func TestStoreTransactionsHaveTimeouts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	require.NoError(t, store.New(f.Pool).Tx(t.Context(), func(tx pgx.Tx, _ *dbsqlc.Queries) error {
		for name, want := range map[string]time.Duration{
			"statement_timeout": store.StatementTimeout, "lock_timeout": store.LockTimeout,
			"idle_in_transaction_session_timeout": store.IdleTimeout,
		} {
			var got time.Duration
			require.NoError(t, tx.QueryRow(t.Context(), "SELECT current_setting($1)::interval", name).Scan(&got))
			require.Equal(t, want, got, name)
		}
		return nil
	}))
}

// A pass that waits for a lock fails long before the queue hands out its job again, and its
// connection stays usable.
func TestPassFailsOnLockTimeout(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	signal := f.connect(t, "a1")
	holder := f.begin(t)
	_, err := holder.Exec(t.Context(), "SELECT FROM thaw.accounts FOR NO KEY UPDATE")
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 2*store.LockTimeout)
	defer cancel()
	pass := dbsqlc.ResumeForSignalParams{AccountID: a, JobID: 1, SignalID: signal}
	_, err = store.New(f.Pool).Trip().ResumeForSignal(ctx, pass)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "55P03", refused.Code, "lock_not_available")
	require.NoError(t, holder.Rollback(t.Context()))
	_, err = store.New(f.Pool).Trip().ResumeForSignal(t.Context(), pass)
	require.NoError(t, err)
}
