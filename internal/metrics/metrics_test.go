package metrics_test

import (
	"context"
	"math"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

func TestMetricNamesFollowPrometheusConventions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	s.work(t)
	problems, err := testutil.GatherAndLint(s.Registry())
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestBacklogByReason(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Zero(t, scrape(t, s.Metrics)["thaw_oldest_resumable_age_seconds"], "no enrollment is resumable")
	s.insertFleet(t)
	got := scrape(t, s.Metrics)
	requireValues(t, got, reading{
		"thaw_up":                    1,
		"thaw_resumable_enrollments": 10,
		"thaw_paused_enrollments{reason=account_disconnected}": 10,
		"thaw_paused_enrollments{reason=account_issue}":        0,
		"thaw_paused_enrollments{reason=paused_by_user}":       10,
		"thaw_paused_enrollments{reason=account_restricted}":   0,
	})
	require.InDelta(t, 3600, got["thaw_oldest_resumable_age_seconds"], 30)

	s.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE provider_account_id = 'acc_1'")
	requireValues(t, scrape(t, s.Metrics), reading{
		"thaw_oldest_resumable_age_seconds":                    0,
		"thaw_resumable_enrollments":                           0,
		"thaw_paused_enrollments{reason=account_disconnected}": 10,
	})
}

// The age of an enrollment starts when it becomes resumable, not when it was paused.
func TestOldestAgeStartsWhenResumable(t *testing.T) {
	t.Parallel()
	for name, release := range map[string]string{
		"the account connected": `
			UPDATE thaw.accounts SET status = 'disconnected';
			UPDATE thaw.accounts SET status = 'connected', connected_at = thaw.now() - interval '5 minutes'`,
		"its hold ended":                "UPDATE thaw.accounts SET hold_until = thaw.now() - interval '5 minutes', hold_reason = 'new'",
		"its workspace was switched on": "UPDATE thaw.workspaces SET auto_resume_changed_at = thaw.now() - interval '5 minutes'",
		"another of the same person connected": `
			UPDATE thaw.accounts SET member_id = 'm1';
			UPDATE thaw.accounts SET status = 'disconnected';
			UPDATE thaw.accounts SET status = 'connected', connected_at = thaw.now() - interval '5 minutes'
			WHERE provider_account_id = 'acc_3'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.insertFleet(t)
			s.Exec(t, release)
			require.InDelta(t, 300, scrape(t, s.Metrics)["thaw_oldest_resumable_age_seconds"], 30)
		})
	}
}

func TestResumedByLane(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	s.work(t) // the first sweep resumes the ten prospects of acc_1
	requireValues(t, scrape(t, s.Metrics), reading{
		"thaw_resumed_total{lane=sweep}": 10, "thaw_resumed_total{lane=signal}": 0, "thaw_resumed_total{lane=heal}": 0,
		"thaw_quota_used{lane=sweep}": 10, "thaw_quota_cap{lane=sweep}": 2000,
		"thaw_quota_used{lane=signal}": 0, "thaw_quota_cap{lane=signal}": 2000,
	})

	for _, status := range []string{"disconnected", "connected"} {
		s.Exec(t, "SELECT thaw.signal('linkedin', 'acc_3', $1, thaw.now())", status)
		s.settle(t)
	}
	requireValues(t, scrape(t, s.Metrics), reading{
		"thaw_resumed_total{lane=sweep}": 10, "thaw_resumed_total{lane=signal}": 10, "thaw_quota_used{lane=signal}": 10,
	})

	s.Exec(t, "SELECT thaw.signal('linkedin', 'acc_1', 'disconnected', thaw.now())")
	s.settle(t)
	s.Exec(t, "UPDATE thaw.accounts SET status = 'connected', last_error = NULL")
	s.Exec(t, "SELECT thaw.heal('acme')")
	s.settle(t)
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_resumed_total{lane=signal}": 10, "thaw_resumed_total{lane=heal}": 10})

	// A new tick has a new quota. The counter keeps its value.
	s.Advance(t, 15*time.Minute)
	requireValues(t, scrape(t, s.Metrics), reading{
		"thaw_resumed_total{lane=sweep}": 10, "thaw_resumed_total{lane=signal}": 10, "thaw_resumed_total{lane=heal}": 10,
		"thaw_quota_used{lane=sweep}": 0, "thaw_quota_used{lane=signal}": 0,
	})
}

// Actions of all senders are counted, those that wait have an age, and each refusal has its code.
func TestActions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	s.Exec(t, `
		UPDATE thaw.accounts SET timezone = 'UTC', status = 'connected', last_error = NULL;
		UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '24:00';
		UPDATE thaw.settings SET action_gap_from = '0', action_gap_to = '0';
		UPDATE thaw.campaigns SET status = 'running', paused_reason = NULL, paused_at = NULL;
		DELETE FROM thaw.nudges;
		UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL, next_kind = 'view', next_action_at = thaw.now()
		WHERE account_id = 1`)
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_due_accounts": 0, "thaw_actions_settled_total{state=sent}": 0})
	s.Exec(t, "SELECT thaw.take_nudges()")
	s.Advance(t, 5*time.Minute)
	found := scrape(t, s.Metrics)
	requireValues(t, found, reading{"thaw_due_accounts": 1})
	require.InDelta(t, 300, found["thaw_oldest_due_action_age_seconds"], 30)

	for range 4 {
		s.Exec(t, "SELECT thaw.take_nudges()")
		s.Exec(t, "SELECT thaw.claim_actions()")
	}
	s.Exec(t, "SELECT thaw.start(id) FROM thaw.actions WHERE id <= 3")
	s.Exec(t, "SELECT thaw.settle(1, 'sent'), thaw.settle(2, 'refused', error_code => 'invalid_recipient'), thaw.settle(3, 'unknown')")
	requireValues(t, scrape(t, s.Metrics), reading{
		"thaw_actions{state=reserved}": 1, "thaw_actions{state=started}": 0, "thaw_actions{state=unknown}": 1,
		"thaw_actions_settled_total{state=sent}": 1, "thaw_actions_settled_total{state=refused}": 1, "thaw_actions_settled_total{state=unknown}": 1,
		"thaw_actions_refused_total{code=invalid_recipient}": 1,
	})
	s.Exec(t, "SELECT thaw.verify_action(3, 'verified_sent', 'seen')")
	requireValues(t, scrape(t, s.Metrics), reading{
		"thaw_actions{state=unknown}": 0, "thaw_actions_settled_total{state=sent}": 2, "thaw_actions_settled_total{state=unknown}": 1,
	})
}

// Fleet counters include the work of other processes, exclude work from before the start of the
// process, and do not fall when retention deletes rows.
func TestCountersNeverFall(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, `
		INSERT INTO thaw.fleet_quotas (tick_at, lane, cap, used) VALUES (thaw.tick(), 'sweep', 2000, 100);
		INSERT INTO thaw.heals (target, cap, actor, resumed) VALUES ('w1', 5000, 'jane', 1000)`)
	s.Exec(t, "SELECT thaw.signal('linkedin', 'unknown', 'connected')")
	late := observe(t, s.DB, -1)
	began := reading{"thaw_resumed_total{lane=sweep}": 0, "thaw_resumed_total{lane=heal}": 0, "thaw_signals_total{outcome=unknown_account}": 0}
	requireValues(t, scrape(t, late), began)

	s.Exec(t, `
		UPDATE thaw.fleet_quotas SET used = 150;
		UPDATE thaw.heals SET resumed = 1500, status = 'done', finished_at = thaw.now(), remaining = 0;
		INSERT INTO thaw.heals (target, cap, actor, resumed) VALUES ('w1', 5000, 'jane', 7)`)
	for range 3 {
		s.Exec(t, "SELECT thaw.signal('linkedin', 'unknown', 'connected')")
	}
	grown := reading{"thaw_resumed_total{lane=sweep}": 50, "thaw_resumed_total{lane=heal}": 507, "thaw_signals_total{outcome=unknown_account}": 3}
	requireValues(t, scrape(t, late), grown)
	requireValues(t, scrape(t, late), grown)

	// Several ticks pass without a scrape.
	s.Advance(t, 5*time.Hour)
	s.Exec(t, `
		INSERT INTO thaw.fleet_quotas (tick_at, lane, cap, used)
		SELECT thaw.tick() - n * interval '15 minutes', 'sweep', 2000, 10 FROM generate_series(0, 3) AS n`)
	s.Exec(t, "SELECT thaw.signal('linkedin', 'unknown', 'connected')")
	grown = reading{"thaw_resumed_total{lane=sweep}": 90, "thaw_resumed_total{lane=heal}": 507, "thaw_signals_total{outcome=unknown_account}": 4}
	requireValues(t, scrape(t, late), grown)

	s.Exec(t, "DELETE FROM thaw.fleet_quotas; DELETE FROM thaw.heals; DELETE FROM thaw.account_signals")
	requireValues(t, scrape(t, late), grown)
	s.Exec(t, "SELECT thaw.signal('linkedin', 'unknown', 'connected')")
	grown["thaw_signals_total{outcome=unknown_account}"] = 5
	requireValues(t, scrape(t, late), grown)
}

// A signal that commits after a signal with a higher ID is counted too.
func TestLateCommittedSignalIsCounted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tx, err := s.Pool.Begin(t.Context())
	require.NoError(t, err)
	const insert = "INSERT INTO thaw.account_signals (provider, provider_account_id, raw_status, outcome) VALUES ('linkedin', 'a', 'OK', 'unknown_account')"
	_, err = tx.Exec(t.Context(), insert)
	require.NoError(t, err)
	s.Exec(t, insert)
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_signals_total{outcome=unknown_account}": 1})
	require.NoError(t, tx.Commit(t.Context()))
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_signals_total{outcome=unknown_account}": 2})
}

func TestSweepAgeAndDuration(t *testing.T) {
	t.Parallel()
	s := setup(t)
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_tick_length_seconds": 900, "thaw_last_sweep_duration_seconds": 0, "thaw_workers_alive": 0})
	require.True(t, math.IsInf(scrape(t, s.Metrics)["thaw_last_sweep_age_seconds"], 1), "no sweep has run yet")
	s.Exec(t, `
		INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, started_at, finished_at)
		VALUES (thaw.tick() - interval '30 minutes', 1, 1, thaw.now(), thaw.now() + interval '7 seconds');
		INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, is_partial) VALUES (thaw.tick() - interval '15 minutes', 1, 1, true)`)
	got := scrape(t, s.Metrics)
	require.InDelta(t, 1, got["thaw_last_sweep_partial"], 0)
	require.InDelta(t, 7, got["thaw_last_sweep_duration_seconds"], 1e-6)
	require.InDelta(t, 900, got["thaw_last_sweep_age_seconds"], 120)
}

func TestSafetyMode(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_safety_mode": 0})
	s.Exec(t, "SELECT thaw.safety_enter('the provider has an incident', 'ann')")
	requireValues(t, scrape(t, s.Metrics), reading{
		"thaw_safety_mode": 1, "thaw_oldest_resumable_age_seconds": 0,
		"thaw_resumable_enrollments": 0, "thaw_paused_enrollments{reason=account_disconnected}": 10,
	})
}

func TestJobs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, "SELECT thaw.enqueue('resume_account', 'resume', 1::smallint, '{\"account_id\": 1}')")
	s.Exec(t, "SELECT thaw.enqueue('pause_account', 'resume', 1::smallint, '{\"account_id\": 1}', '1 hour')")
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_jobs{queue=resume,state=available}": 1, "thaw_jobs{queue=resume,state=scheduled}": 1})

	// The resume job has neither a signal nor a tick, so it is cancelled.
	s.work(t)
	s.Exec(t, "SELECT thaw.sweep()")
	s.settle(t)
	got := scrape(t, s.Metrics)
	requireValues(t, got, reading{
		"thaw_workers_alive": 1, "thaw_jobs{queue=resume,state=cancelled}": 1,
		"thaw_job_duration_seconds{kind=resume_account,result=cancelled}": 1, "thaw_job_wait_seconds{kind=resume_account}": 1,
		"thaw_jobs_fetched_total{queue=resume}": 1,
	})
	require.NotContains(t, got, "thaw_jobs{queue=resume,state=available}")
	require.GreaterOrEqual(t, got["thaw_job_duration_seconds{kind=sweep,result=completed}"], 1.0)
	require.NotZero(t, got["thaw_job_fetch_duration_seconds{queue=resume}"])
}

func TestPools(t *testing.T) {
	t.Parallel()
	s := setup(t)
	conn, err := s.Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	got := scrape(t, s.Metrics)
	require.InDelta(t, 20, got["thaw_pool_max_connections{pool=work}"], 0)
	require.GreaterOrEqual(t, got["thaw_pool_connections{pool=work,state=acquired}"], 1.0)
	require.NotZero(t, got["thaw_pool_acquires_total{pool=work}"])
	require.NotZero(t, got["thaw_pool_opened_connections_total{pool=work}"])
}

// Scrapes within MaxAge reuse the last reading.
func TestReadingIsReused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	cached := observe(t, s.DB, time.Hour)
	requireValues(t, scrape(t, cached), reading{"thaw_safety_mode": 0})
	s.Exec(t, "SELECT thaw.safety_enter('the provider has an incident', 'ann')")
	requireValues(t, scrape(t, cached), reading{"thaw_safety_mode": 0})
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_safety_mode": 1})
}

// Open and prepared transactions are reported with their age. Prepared ones only if the server
// allows them.
func TestOldestSnapshot(t *testing.T) {
	t.Parallel()
	s := setup(t)
	idle, err := pgx.Connect(t.Context(), s.Direct)
	require.NoError(t, err)
	defer idle.Close(context.WithoutCancel(t.Context()))
	_, err = idle.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ")
	require.NoError(t, err)
	_, err = idle.Exec(t.Context(), "SELECT 1")
	require.NoError(t, err)
	s.Exec(t, "SELECT pg_sleep(0.02)")
	s.Exec(t, "UPDATE thaw.settings SET jitter = jitter")
	s.Exec(t, "UPDATE thaw.settings SET jitter = jitter")
	got := scrape(t, s.Metrics)
	require.GreaterOrEqual(t, got["thaw_oldest_snapshot_age_seconds"], 0.02)
	require.GreaterOrEqual(t, got["thaw_oldest_snapshot_transactions"], 2.0)
	requireValues(t, got, reading{"thaw_snapshots_of_unknown_age": 0})
}

// A late group is left out and counted. The other groups are shown, and the database is up.
func TestSlowGroupIsLeftOut(t *testing.T) {
	t.Parallel()
	s := setup(t)
	m := observeWithin(t, s.DB, -1, 100*time.Millisecond)
	lock, err := pgx.Connect(t.Context(), s.Direct)
	require.NoError(t, err)
	defer lock.Close(context.WithoutCancel(t.Context()))
	_, err = lock.Exec(t.Context(), "BEGIN; LOCK TABLE thaw.sweeps")
	require.NoError(t, err)
	// An old reading would be shown for a minute, but this group was never read.
	fresh := observeWithin(t, s.DB, -1, 100*time.Millisecond)

	got := scrape(t, fresh)
	requireValues(t, got, reading{"thaw_up": 1, "thaw_scrape_incomplete_total{group=ticks}": 1, "thaw_pool_max_connections{pool=work}": 20})
	require.NotZero(t, got["go_goroutines"])
	require.NotContains(t, got, "thaw_tick_length_seconds")
	require.NotContains(t, got, "thaw_scrape_age_seconds{group=ticks}")
	// On a busy host other groups may be late too. Eventually they are all shown.
	require.Eventually(t, func() bool {
		got := scrape(t, fresh)
		_, leader := got["thaw_workers_alive"]
		_, backlog := got["thaw_oldest_resumable_age_seconds"]
		_, ticks := got["thaw_tick_length_seconds"]
		return leader && backlog && !ticks && got["thaw_up"] == 1
	}, 30*time.Second, 10*time.Millisecond)
	require.Contains(t, scrape(t, m), "thaw_tick_length_seconds", "the last reading is reused")
	require.Eventually(t, func() bool {
		return testdb.Value[bool](t, s.DB, "SELECT count(*) = 0 FROM pg_locks WHERE NOT granted")
	}, 30*time.Second, 10*time.Millisecond, "the server cancels a slow statement")

	_, err = lock.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return scrape(t, fresh)["thaw_tick_length_seconds"] == 900 }, 30*time.Second, 10*time.Millisecond)
}

// An exhausted pool does not mean that the database is down.
func TestExhaustedPoolIsNotADownDatabase(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	config := db.Pool.Config()
	config.MaxConns = 1
	small, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer small.Close()
	used := &testdb.DB{Pool: small}
	m := observeWithin(t, used, -1, 10*time.Millisecond)
	conn, err := small.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	requireValues(t, scrape(t, m), reading{"thaw_up": 1})
}

// A database that accepts connections but does not answer is down. The process metrics are returned
// in time for Prometheus.
func TestHangingDatabaseIsDown(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	pool, err := pgxpool.New(t.Context(), "postgres://thaw@"+silent.Addr().String()+"/thaw?sslmode=disable")
	require.NoError(t, err)
	defer pool.Close()
	m := observeWithin(t, &testdb.DB{Pool: pool}, -1, 10*time.Millisecond)

	began := time.Now()
	got := scrape(t, m)
	require.Less(t, time.Since(began), 9*time.Second, "a scrape may take at most 10 s")
	requireValues(t, got, reading{"thaw_up": 0, "thaw_scrape_incomplete_total{group=ticks}": 1, "thaw_scrape_incomplete_total{group=backlog}": 1})
	require.NotZero(t, got["go_goroutines"])
	require.NotContains(t, got, "thaw_oldest_resumable_age_seconds")
}
