package schema_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
)

const days = 24 * time.Hour

// prune removes all old rows in batches of a size and returns how many rows each batch removed.
func prune(t testing.TB, db *testdb.DB, size int) (removed []int) {
	t.Helper()
	for {
		batch := testdb.Column[int](t, db, "SELECT removed FROM thaw.prune_batch($1) WHERE verdict = 'more'", size)
		if len(batch) == 0 {
			return removed
		}
		require.LessOrEqual(t, batch[0], size, "a batch is bounded")
		removed = append(removed, batch[0])
	}
}

// pruned returns the value of an expression for each remaining row of a table.
func pruned(t testing.TB, db *testdb.DB, table, what string) []string {
	t.Helper()
	prune(t, db, 3)
	return testdb.Column[string](t, db, "SELECT ("+what+")::text FROM thaw."+table+" ORDER BY 1")
}

// ages are in days. The retention period depends on the table.
const ages = "generate_series(0, 500, 50) AS age"

func TestOldRowsAreRemoved(t *testing.T) {
	t.Parallel()
	for table, c := range map[string]struct{ insert, age string }{
		"enrollment_events": {`
			INSERT INTO thaw.enrollment_events (enrollment_id, at, step, kind, source, from_status, to_status, reason, paused_at)
			SELECT 1, thaw.now() - age * interval '1 day', 0, 'paused', 'signal', 'active', 'paused', 'account_issue', thaw.now()
			FROM ` + ages + ` ORDER BY age DESC`, "at"},
		"campaign_events": {`
			INSERT INTO thaw.campaign_events (campaign_id, at, kind, source, from_status, to_status)
			SELECT 1, thaw.now() - age * interval '1 day', 'paused', 'signal', 'running', 'paused' FROM ` + ages + ` ORDER BY age DESC`, "at"},
		"sweeps": {`
			INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, finished_at)
			SELECT thaw.now() - age * interval '1 day', 1, 1, thaw.now() FROM ` + ages, "tick_at"},
		"allocations": {`
			INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, finished_at)
			SELECT thaw.now() - age * interval '1 day', 1, 1, thaw.now() FROM ` + ages + `;
			INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned, verdict, finished_at)
			SELECT s.tick_at, 1, 1, 1, 'resumed', thaw.now() FROM thaw.sweeps AS s`, "tick_at"},
		"account_quotas": {`
			INSERT INTO thaw.account_quotas (tick_at, account_id, cap, used)
			SELECT thaw.now() - age * interval '1 day', 1, 1, 1 FROM ` + ages, "tick_at"},
		"fleet_quotas": {`
			INSERT INTO thaw.fleet_quotas (tick_at, lane, cap)
			SELECT thaw.now() - age * interval '1 day', 'sweep', 1 FROM ` + ages, "tick_at"},
		"heals": {`
			INSERT INTO thaw.heals (target, cap, actor, requested_at, status, finished_at, remaining)
			SELECT 'prospects', 1, 'support', at, 'done', at, 0
			FROM ` + ages + `, LATERAL (SELECT thaw.now() - age * interval '1 day' AS at) AS moment ORDER BY age DESC;
			INSERT INTO thaw.heal_enrollments (heal_id, last_id, enrollment_ids) SELECT h.id, n, ARRAY[n] FROM thaw.heals AS h, generate_series(1, 10) AS n`,
			"requested_at"},
		"outbox": {`
			INSERT INTO thaw.outbox (at, type, data)
			SELECT thaw.now() - age * interval '1 day', 'test.ping', '{}' FROM ` + ages + ` ORDER BY age DESC`, "at"},
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			db := withAnn(t)
			db.Exec(t, c.insert)
			// A row exactly at the limit is kept; the clock advances between insert and removal.
			db.Exec(t, "UPDATE thaw.settings SET keep_history = '400 days 1 hour', keep_signals = '400 days 1 hour'")
			age := "round(extract(epoch FROM thaw.now() - " + c.age + ") / 86400)"
			require.Equal(t, []string{"0", "100", "150", "200", "250", "300", "350", "400", "50"}, pruned(t, db, table, age))
			db.Exec(t, "UPDATE thaw.settings SET keep_history = '99 days', keep_signals = '99 days'")
			require.Equal(t, []string{"0", "50"}, pruned(t, db, table, age))
			require.Empty(t, prune(t, db, 3), "nothing remains to be removed")
		})
	}
}

// An event that explains a current pause is kept until the pause has ended and the next walk finds
// the event.
func TestEventsOfCurrentPauseAreKept(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	db.Exec(t, `
		INSERT INTO thaw.enrollment_events (enrollment_id, at, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT 1, thaw.now(), 3, 'imported', 'import', 'paused', 'paused', e.paused_reason, e.paused_at FROM thaw.enrollments AS e`)
	kinds := "kind || ' by ' || source"
	db.Advance(t, 4000*days)
	require.Equal(t, []string{"imported by import", "paused by signal"}, pruned(t, db, "enrollment_events", kinds))
	require.Equal(t, []string{"paused by signal"}, pruned(t, db, "campaign_events", kinds))
	require.Equal(t, []string{"paused by signal"},
		testdb.Column[string](t, db, "SELECT "+kinds+" FROM thaw.history WHERE kind = 'paused'"))

	// The walk has passed them. It starts over a month later.
	receive(t, db, delivery{status: "connected"})
	require.Equal(t, "resumed", testdb.Value[string](t, db, `
		SELECT (thaw.resume_pass('signal', 1, 1, p_signal_id => (SELECT max(s.id) FROM thaw.account_signals AS s))).verdict`))
	db.Advance(t, days)
	require.Equal(t, []string{"imported by import", "paused by signal", "resumed by signal"}, pruned(t, db, "enrollment_events", kinds))
	db.Advance(t, 30*days)
	prune(t, db, 3)
	require.Equal(t, []string{"resumed by signal"}, pruned(t, db, "enrollment_events", kinds))
	require.Equal(t, []string{"resumed by signal"}, pruned(t, db, "campaign_events", kinds))
	db.Advance(t, 400*days)
	require.Empty(t, pruned(t, db, "enrollment_events", kinds))
	require.Empty(t, pruned(t, db, "campaign_events", kinds))
}

// A current pause does not keep the events of earlier pauses.
func TestEventsOfEarlierPauseAreRemoved(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	db.Exec(t, `
		INSERT INTO thaw.enrollment_events (enrollment_id, at, step, kind, source, from_status, to_status, reason, paused_at)
		VALUES (1, thaw.now(), 0, 'paused', 'signal', 'active', 'paused', 'account_issue', thaw.now() - interval '1 day')`)
	db.Advance(t, 500*days)
	require.Equal(t, []string{"true"}, pruned(t, db, "enrollment_events", "paused_at = (SELECT e.paused_at FROM thaw.enrollments AS e)"))
}

func TestNewestSignalOfAccountIsKept(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	insertAccount(t, db, "bob")
	for _, d := range []delivery{
		{account: "ann", status: "connected", raw: "first"},
		{account: "bob", status: "connected", raw: "bob's only signal"},
		{account: "ann", status: "disconnected", raw: "newest"},
		{account: "ann", status: "connected", raw: "late", at: db.Now(t).Add(-days)},
		{account: "ann", status: "paused", raw: "unknown status"},
	} {
		receive(t, db, d)
	}
	// Their jobs are done.
	db.Exec(t, "UPDATE thaw.river_job SET state = 'completed', finalized_at = now()")
	db.Advance(t, 29*days)
	require.Len(t, pruned(t, db, "account_signals", "raw_status"), 5)
	db.Advance(t, 2*days)
	require.Equal(t, []string{"bob's only signal", "newest"}, pruned(t, db, "account_signals", "raw_status"))
	receive(t, db, delivery{account: "bob", status: "disconnected", raw: "bob's second"})
	db.Exec(t, "UPDATE thaw.river_job SET state = 'completed', finalized_at = now()")
	db.Advance(t, 31*days)
	prune(t, db, 3)
	require.Equal(t, []string{"bob's second", "newest"}, pruned(t, db, "account_signals", "raw_status"))
}

// A signal is kept while a job refers to it: for a transient error within a long grace period, or
// for a pass that has not run yet.
func TestSignalsWithPendingJobsAreKept(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	db.Exec(t, "UPDATE thaw.settings SET keep_signals = '2 days', grace_period = '7 days'")
	for _, status := range []string{"connected", "error", "connected"} {
		require.Equal(t, "applied", receive(t, db, delivery{status: status}))
	}
	require.Equal(t, "applied", receive(t, db, delivery{status: "connected", raw: "newest"}))
	require.Equal(t, []string{"available", "available", "available", "scheduled"},
		testdb.Column[string](t, db, "SELECT state::text FROM thaw.river_job ORDER BY 1"))
	db.Advance(t, 3*days)
	require.Len(t, pruned(t, db, "account_signals", "raw_status"), 4)

	db.Exec(t, "UPDATE thaw.river_job SET state = 'completed', finalized_at = now()")
	db.Advance(t, 31*days)
	prune(t, db, 3)
	require.Equal(t, []string{"newest"}, pruned(t, db, "account_signals", "raw_status"))
}

// Signals of accounts that are never inserted do not fill the table: they have the usual retention
// period, at most 20 are kept per account, and large bodies are dropped.
func TestSignalsOfUnknownAccountsAreBounded(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	for i := range 25 {
		require.Equal(t, "unknown_account", receive(t, db, delivery{account: "bob", status: "connected", raw: fmt.Sprint("signal ", i)}))
	}
	require.Equal(t, []string{"signal 5", "signal 24"}, testdb.Column[string](t, db, `
		SELECT s.raw_status FROM thaw.account_signals AS s
		WHERE s.id IN ((SELECT min(id) FROM thaw.account_signals), (SELECT max(id) FROM thaw.account_signals)) ORDER BY s.id`))
	require.Equal(t, 20, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals"))
	db.Advance(t, 29*days)
	require.Len(t, pruned(t, db, "account_signals", "raw_status"), 20, "an account may appear within keep_signals")
	db.Advance(t, 2*days)
	require.Empty(t, pruned(t, db, "account_signals", "raw_status"))

	for size, kept := range map[int]bool{1000: true, 10000: false} {
		require.Equal(t, "unknown_account", testdb.Value[string](t, db, `SELECT thaw.receive_signal('linkedin', $1, 'OK', 'connected',
			NULL, NULL, NULL, false, jsonb_build_object('filler', repeat('x', $2::integer)))::text`, fmt.Sprint("filler ", size), size))
		require.Equal(t, kept, testdb.Value[bool](t, db, "SELECT body IS NOT NULL FROM thaw.account_signals WHERE provider_account_id = $1", fmt.Sprint("filler ", size)))
	}
}

func TestOpenRecordsAreKept(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	db.Exec(t, `
		INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, finished_at)
		VALUES (thaw.tick() - interval '2 hours', 1, 1, NULL), (thaw.tick() - interval '1 hour', 1, 1, thaw.now());
		INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned) SELECT s.tick_at, 1, 1, 1 FROM thaw.sweeps AS s WHERE s.finished_at IS NULL;
		SELECT thaw.heal('acme');
		INSERT INTO thaw.heal_enrollments (heal_id, last_id, enrollment_ids) VALUES (1, 1, '{1}')`)
	db.Advance(t, 500*days)
	require.Equal(t, []string{"open"}, pruned(t, db, "sweeps", "CASE WHEN finished_at IS NULL THEN 'open' ELSE 'finished' END"))
	for table, left := range map[string]int{"allocations": 1, "heals": 1, "heal_enrollments": 1} {
		require.Len(t, pruned(t, db, table, "'a row'"), left, table)
	}

	// Once closed, they are removed when the walk starts over.
	db.Exec(t, `
		UPDATE thaw.allocations SET finished_at = thaw.now(), verdict = 'stale_tick';
		UPDATE thaw.sweeps SET finished_at = thaw.now();
		UPDATE thaw.heals SET status = 'done', finished_at = thaw.now(), remaining = 0`)
	db.Advance(t, 500*days)
	prune(t, db, 3)
	for _, table := range []string{"sweeps", "allocations", "heals", "heal_enrollments"} {
		require.Empty(t, pruned(t, db, table, "'a row'"), table)
	}
}

// A repeated delivery is a duplicate while the original is kept. After that, it is ordered by its
// time like any other.
func TestRepeatedDeliveryOfAKeptSignalIsADuplicate(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	first := delivery{status: "connected", key: "first", at: db.Now(t).Add(-10 * time.Second)}
	require.Equal(t, "applied", receive(t, db, first))
	require.Equal(t, "applied", receive(t, db, delivery{status: "disconnected", key: "second"}))
	db.Exec(t, "UPDATE thaw.river_job SET state = 'completed', finalized_at = now()")
	db.Advance(t, 29*days)
	prune(t, db, 3)
	require.Equal(t, "duplicate", receive(t, db, first))
	db.Advance(t, 2*days)
	prune(t, db, 3)
	require.Equal(t, "stale", receive(t, db, first), "removed, but older than the status of the account")
	require.Equal(t, "duplicate", receive(t, db, delivery{status: "disconnected", key: "second"}), "the newest is kept")
}

// A batch reads only the rows that it removes, not the whole table, and no rows that earlier
// batches passed.
func TestBatchCostIsBounded(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	db := withBacklog(t)
	// 20,000 events that are kept for a current pause, 20,000 that can be removed, and 20,000 young
	// ones.
	db.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
		SELECT 1, 1, 1, 'https://example.com/in/' || n, 'paused', 'account_issue', thaw.now() FROM generate_series(1, 20000) AS n;
		INSERT INTO thaw.enrollment_events (enrollment_id, at, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT e.id, e.paused_at, 0, 'paused', 'signal', 'active', 'paused', e.paused_reason, e.paused_at FROM thaw.enrollments AS e;
		INSERT INTO thaw.enrollment_events (enrollment_id, at, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT n, thaw.now() + age, 0, 'paused', 'signal', 'active', 'paused', 'account_issue', thaw.now() + age
		FROM unnest(ARRAY['1 hour', '300 days']::interval[]) AS age, generate_series(1, 20000) AS n ORDER BY age;
		ANALYZE thaw.enrollment_events, thaw.enrollments`)
	db.Advance(t, 401*days)
	// read returns how many rows of the two tables a batch reads.
	read := func() int {
		t.Helper()
		tx, err := db.Pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Commit(t.Context())) }()
		soFar := func() (rows int) {
			require.NoError(t, tx.QueryRow(t.Context(), `
				SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
				FROM pg_stat_xact_user_tables WHERE relname IN ('enrollment_events', 'enrollments')`).Scan(&rows))
			return rows
		}
		before := soFar()
		_, err = tx.Exec(t.Context(), "SELECT thaw.prune_batch(1000)")
		require.NoError(t, err)
		return soFar() - before
	}
	batches := 0
	for testdb.Value[int64](t, db, "SELECT walk_id FROM thaw.retention WHERE part = 'enrollment_events'") < 40_000 {
		// Each row is read to check its age and again to remove it, with its enrollment; and the
		// first row of the next table.
		require.LessOrEqual(t, read(), 3*1000+10)
		batches++
	}
	require.Less(t, batches, 50)
	prune(t, db, 1000)
	require.Equal(t, 40_002, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events"))
	require.LessOrEqual(t, read(), 50, "the walk stops at the first young row; a cursor reads a few ahead")
}

// Concurrent batches never wait for each other, and no row is counted twice.
func TestConcurrentPruning(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	events := testdb.Size(1000, 5000)
	db.Exec(t, `
		INSERT INTO thaw.enrollment_events (enrollment_id, at, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT n, thaw.now(), 0, 'paused', 'signal', 'active', 'paused', 'account_issue', thaw.now()
		FROM generate_series(1, $1::integer) AS n`, events)
	db.Advance(t, 401*days)

	// While one transaction is open, another one returns busy.
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	var verdict string
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT verdict FROM thaw.prune_batch(10)").Scan(&verdict))
	require.Equal(t, "more", verdict)
	require.Equal(t, "busy", testdb.Value[string](t, db, "SELECT verdict FROM thaw.prune_batch(10)"))
	require.NoError(t, tx.Rollback(t.Context()))

	const processes = 4
	removed := make([]int, processes)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range processes {
		group.Go(func() error {
			for verdict, n := "", 0; verdict != "done"; removed[i] += n {
				if err := db.Pool.QueryRow(ctx, "SELECT verdict, removed FROM thaw.prune_batch(50)").Scan(&verdict, &n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	total := 0
	for _, n := range removed {
		total += n
	}
	require.Equal(t, events, total)
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events"))
}

// A pass and a batch do not wait for each other, in either order.
func TestPruningAndPassesDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	db.Exec(t, "UPDATE thaw.river_job SET state = 'completed', finalized_at = now()")
	db.Exec(t, "ALTER DATABASE "+testdb.Value[string](t, db, "SELECT current_database()")+" SET lock_timeout = '1s'")
	db.Pool.Reset()
	db.Advance(t, 500*days)
	receive(t, db, delivery{status: "connected"})
	const pass = "SELECT (thaw.resume_pass('signal', 1, 1, p_signal_id => (SELECT max(s.id) FROM thaw.account_signals AS s))).verdict"
	for name, statements := range map[string][]string{
		"pass first":   {pass, "SELECT verdict FROM thaw.prune_batch(10)"},
		"batch first":  {"SELECT verdict FROM thaw.prune_batch(10)", pass},
		"signal first": {"SELECT thaw.signal('linkedin', 'ann', 'disconnected')", "SELECT verdict FROM thaw.prune_batch(10)"},
		"early signal": {`
			UPDATE thaw.account_signals SET outcome = 'stale' RETURNING 'as the insert of an account does'`,
			"SELECT verdict FROM thaw.prune_batch(10)"},
	} {
		first, err := db.Pool.Begin(t.Context())
		require.NoError(t, err)
		second, err := db.Pool.Begin(t.Context())
		require.NoError(t, err)
		var verdict string
		assert.NoError(t, first.QueryRow(t.Context(), statements[0]).Scan(&verdict), name)
		assert.NoError(t, second.QueryRow(t.Context(), statements[1]).Scan(&verdict), name)
		require.NoError(t, second.Rollback(t.Context()))
		require.NoError(t, first.Rollback(t.Context()))
	}
}
