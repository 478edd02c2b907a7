package schema_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
)

// countedFleet has two workspaces with two accounts and two campaigns each, and 40 enrollments per
// account, half of them paused.
const countedFleet = `
UPDATE thaw.settings SET flap_limit = 0;
INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('globex');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status)
SELECT 1 + n % 2, 'account-' || n, 'connected' FROM generate_series(0, 3) AS n;
INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT 1 + n % 2, 'campaign-' || n, 'running' FROM generate_series(0, 3) AS n;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
SELECT a.workspace_id, c.id, a.id, CASE WHEN n % 2 = 0 THEN 'active' ELSE 'paused' END::thaw.enrollment_status,
	CASE WHEN n % 2 = 1 THEN 'account_issue' END::thaw.pause_reason, CASE WHEN n % 2 = 1 THEN now() END,
	format('https://example.com/in/%s-%s-%s', a.id, c.id, n)
FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id CROSS JOIN generate_series(1, 20) AS n;
`

// wrongCounts is the query of the check in thaw verify.
func wrongCounts(t *testing.T, tx interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}) []string {
	t.Helper()
	check, err := os.ReadFile("../internal/verify/checks/counts_match_enrollments.sql")
	require.NoError(t, err)
	rows, err := tx.Query(t.Context(), string(check))
	require.NoError(t, err)
	wrong, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return wrong
}

// Writes of the platform, of one row and of many rows.
var platformWrites = []string{
	`INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
	SELECT a.workspace_id, c.id, a.id, 'active', 'https://example.com/in/' || gen_random_uuid()
	FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id ORDER BY random() LIMIT 3`,
	`INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
	SELECT a.workspace_id, c.id, a.id, 'paused', 'paused_by_user', now(), 'https://example.com/in/' || gen_random_uuid()
	FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id ORDER BY random() LIMIT 2`,
	`UPDATE thaw.enrollments SET status = 'paused', paused_at = now(),
		paused_reason = (enum_range(NULL::thaw.pause_reason))[1 + id % 3]
	WHERE id IN (SELECT id FROM thaw.enrollments ORDER BY random() LIMIT 5 FOR NO KEY UPDATE SKIP LOCKED)`,
	`UPDATE thaw.enrollments SET status = 'active', paused_at = NULL, paused_reason = NULL
	WHERE id IN (SELECT id FROM thaw.enrollments ORDER BY random() LIMIT 4 FOR NO KEY UPDATE SKIP LOCKED)`,
	`UPDATE thaw.enrollments AS e SET account_id = a.id
	FROM thaw.accounts AS a
	WHERE a.workspace_id = e.workspace_id AND a.id <> e.account_id
		AND e.id IN (SELECT id FROM thaw.enrollments ORDER BY random() LIMIT 4 FOR NO KEY UPDATE SKIP LOCKED)`,
	`UPDATE thaw.enrollments SET step = step + 1
	WHERE id IN (SELECT id FROM thaw.enrollments ORDER BY random() LIMIT 9 FOR NO KEY UPDATE SKIP LOCKED)`,
	`DELETE FROM thaw.enrollments
	WHERE id IN (SELECT id FROM thaw.enrollments ORDER BY random() LIMIT 2 FOR UPDATE SKIP LOCKED)`,
	`INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url, external_id)
	SELECT e.workspace_id, e.campaign_id, e.account_id, 'paused', 'account_disconnected', now(), e.prospect_url, 'one of each'
	FROM (SELECT * FROM thaw.enrollments ORDER BY random() LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS e
	ON CONFLICT (workspace_id, external_id) WHERE external_id IS NOT NULL DO UPDATE SET
		status = 'paused', paused_reason = excluded.paused_reason, paused_at = excluded.paused_at`,
	// An account is taken away, or assigned.
	`UPDATE thaw.enrollments AS e SET account_id = CASE WHEN e.account_id IS NULL THEN (
		SELECT a.id FROM thaw.accounts AS a WHERE a.workspace_id = e.workspace_id ORDER BY random() LIMIT 1) END
	WHERE e.id IN (SELECT id FROM thaw.enrollments ORDER BY random() LIMIT 3 FOR NO KEY UPDATE SKIP LOCKED)`,
}

// Writes of Thaw.
var ownWrites = []string{
	`SELECT thaw.signal('linkedin', 'account-' || floor(random() * 4), 'connected');`,
	`WITH s AS (SELECT id, account_id FROM thaw.account_signals WHERE finished_at IS NULL AND status = 'connected' ORDER BY id LIMIT 1)
	SELECT thaw.resume_pass('signal', s.account_id, 1, p_signal_id => s.id) FROM s`,
	`SELECT thaw.signal('linkedin', 'account-' || floor(random() * 4), 'disconnected');`,
	`SELECT thaw.pause_batch(a.id, 7, NULL, thaw.tick(), 1) FROM thaw.accounts AS a WHERE a.pause_after IS NOT NULL ORDER BY a.id LIMIT 1`,
	`SELECT thaw.pause_account('account-' || floor(random() * 4), 'why', 'ann')`,
	`SELECT thaw.resume_account('account-' || floor(random() * 4), 'why', 'ann', true)`,
	`SELECT thaw.pause_prospect((SELECT prospect_url FROM thaw.enrollments ORDER BY random() LIMIT 1), 'why', 'ann')`,
	`SELECT thaw.heal('acme') WHERE NOT EXISTS (SELECT FROM thaw.heals WHERE status = 'running')`,
	`SELECT thaw.heal_batch(h.id, 9, 1) FROM thaw.heals AS h WHERE h.status = 'running' LIMIT 1`,
	`SELECT thaw.fold_counts((1 + random() * 20)::integer)`,
	`SELECT thaw.recount(2, 10)`,
}

// With concurrent writes of the platform and of Thaw, the counts match the rows in every snapshot.
func TestCountsAreExactInEverySnapshot(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]string{"row by row": "off", "set-based": "on"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			db.Exec(t, countedFleet)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var group errgroup.Group
			for worker := range 4 {
				group.Go(func() error {
					random := rand.New(rand.NewPCG(uint64(worker), 7))
					for ctx.Err() == nil {
						writes := platformWrites
						if worker%2 == 1 {
							writes = ownWrites
						}
						sql := writes[random.IntN(len(writes))]
						err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
							if worker%2 == 0 {
								if _, err := tx.Exec(t.Context(), "SET LOCAL thaw.counts_by_statement = '"+setting+"'"); err != nil {
									return err
								}
							}
							if _, err := tx.Exec(t.Context(), sql); err != nil {
								return err
							}
							if random.IntN(4) == 0 {
								return errRollBack
							}
							return nil
						})
						// Random statements may be rejected or deadlock with each other; their
						// changes are rolled back.
						if err != nil && ctx.Err() == nil && !isCode(err, "40P01") && !isCode(err, "P0002") && !isCode(err, "55000") &&
							!isCode(err, "23505") && !errors.Is(err, errRollBack) {
							return fmt.Errorf("%s: %w", sql, err)
						}
					}
					return nil
				})
			}
			const passes = "SELECT count(DISTINCT source) FROM thaw.enrollment_events WHERE kind = 'resumed' AND source IN ('signal', 'heal')"
			deadline := time.Now().Add(30 * time.Second)
			for looks := 0; looks < testdb.Size(8, 25) || testdb.Value[int](t, db, passes) < 2 && time.Now().Before(deadline); looks++ {
				require.NoError(t, pgx.BeginTxFunc(t.Context(), db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
					require.Empty(t, wrongCounts(t, tx))
					return nil
				}))
			}
			stop()
			require.NoError(t, group.Wait())
			require.Equal(t, 2, testdb.Value[int](t, db, passes), "signals and heals resumed prospects")
			require.Positive(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.paused_counts"))
			require.Equal(t, testdb.Value[int](t, db, "SELECT coalesce(sum(waiting), 0) FROM (SELECT sum(waiting) AS waiting FROM thaw.waiting_parts GROUP BY account_id HAVING sum(waiting) > 0) AS account"),
				testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE waits_for_account AND account_id IS NOT NULL"))
			require.Zero(t, testdb.Value[int](t, db, "SELECT (thaw.recount()).corrected"))
		})
	}
}

var errRollBack = errors.New("rolled back")

func TestCountsAfterTruncate(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, countedFleet+"SELECT thaw.fold_counts(20); TRUNCATE thaw.enrollments CASCADE")
	require.Empty(t, wrongCounts(t, db.Pool))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM (SELECT FROM thaw.waiting_parts GROUP BY account_id HAVING sum(waiting) <> 0) AS waiting"))
	db.Exec(t, "SELECT thaw.fold_counts()")
	require.Zero(t, testdb.Value[int](t, db, "SELECT (SELECT count(*) FROM thaw.paused_counts) + (SELECT count(*) FROM thaw.waiting_totals)"))
}

// Two open transactions of the platform pause and resume prospects of one account and campaign,
// while a pass, a fold and a recount are in progress. None of them blocks another.
func TestCountsDoNotBlockWriters(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, countedFleet+"SELECT thaw.signal('linkedin', 'account-0', 'connected'); SET lock_timeout = 0")
	begin := func(sql string) {
		t.Helper()
		tx, err := db.Pool.Begin(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
		_, err = tx.Exec(t.Context(), "SET LOCAL lock_timeout = '1s'; "+sql)
		require.NoError(t, err, sql)
	}
	begin("SELECT thaw.resume_pass('signal', 1, 1, p_signal_id => 1)")
	begin("SELECT thaw.fold_counts()")
	begin("SELECT thaw.fold_counts()")
	begin("SELECT thaw.recount(10)")
	for _, remainder := range []int{0, 1} {
		begin(fmt.Sprintf(`
			UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'account_issue', paused_at = now()
			WHERE account_id = 1 AND campaign_id = 1 AND status = 'active' AND id / 2 %% 2 = %d`, remainder))
	}
	require.Empty(t, wrongCounts(t, db.Pool))
}

// Updates that pause and resume nothing, which are the most frequent ones, call no trigger
// function.
func TestStepsCallNoTrigger(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, countedFleet)
	type call struct {
		Name  string `json:"Trigger Name"`
		Calls int    `json:"Calls"`
	}
	calls := func(setting, sql string) []call {
		t.Helper()
		var plans []struct{ Triggers []call }
		require.NoError(t, pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SET LOCAL thaw.counts_by_statement = "+setting)
			require.NoError(t, err)
			var text []byte
			require.NoError(t, tx.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+sql).Scan(&text))
			return json.Unmarshal(text, &plans)
		}))
		return plans[0].Triggers
	}
	for _, setting := range []string{"DEFAULT", "off"} {
		require.Empty(t, calls(setting, "UPDATE thaw.enrollments SET step = step + 1, next_action_at = now() WHERE status = 'active'"))
		require.Empty(t, calls(setting, "UPDATE thaw.enrollments SET status = 'replied' WHERE status = 'active' AND account_id = 2"))
		require.Empty(t, calls(setting, "UPDATE thaw.enrollments SET next_action_at = now() WHERE status = 'paused'"))
		require.Equal(t, []call{{"enrollments_count_update_row", 1}, {"enrollments_release_row", 1}, {"enrollments_write_history", 1}},
			calls(setting, `UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now()
				WHERE id = (SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.status = 'active')`))
	}
	require.Equal(t, []call{{"enrollments_count_update_set", 1}, {"enrollments_release_set", 1}}, calls("on", `
		UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now() WHERE status = 'active'`))
}

// A delta that commits after deltas with higher ids is not skipped, however often those are folded
// in between.
func TestFoldingWaitsForOpenDeltas(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, countedFleet)
	fold := func() { db.Exec(t, "SELECT thaw.fold_counts()") }
	pauseOne := func(id int) {
		t.Helper()
		db.Exec(t, fmt.Sprintf("UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now() WHERE id = %d", id))
	}
	straggler, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer straggler.Rollback(t.Context())
	_, err = straggler.Exec(t.Context(), "UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL WHERE id = 1")
	require.NoError(t, err)
	own := testdb.Value[int](t, db, "SELECT last_value FROM thaw.paused_deltas_id_seq")
	for id := 2; id < 10; id += 2 {
		pauseOne(id)
		fold()
		fold()
		require.Less(t, testdb.Value[int](t, db, "SELECT folded_to FROM thaw.count_state"), own)
	}
	require.NoError(t, straggler.Commit(t.Context()))
	require.Empty(t, wrongCounts(t, db.Pool))
	require.Eventually(t, func() bool {
		fold()
		return testdb.Value[int](t, db, "SELECT folded_to FROM thaw.count_state") >= own
	}, 5*time.Minute, 10*time.Millisecond, "then readers skip it")
	require.Empty(t, wrongCounts(t, db.Pool))
	fold()
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.paused_deltas"))

	// After a restore into a server whose transaction ids and sequences start over.
	db.Exec(t, "UPDATE thaw.count_state SET mark_xmax = '1000000000', mark_id = 5; ALTER SEQUENCE thaw.paused_deltas_id_seq RESTART; SELECT thaw.fold_counts()")
	pauseOne(14)
	fold()
	require.Empty(t, wrongCounts(t, db.Pool))
}

// An open transaction that has written no deltas does not keep folded deltas from being skipped.
func TestFoldingDoesNotWaitForOtherTransactions(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, countedFleet)
	forgotten, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer forgotten.Rollback(t.Context())
	_, err = forgotten.Exec(t.Context(), "INSERT INTO thaw.workspaces (key) VALUES ('forgotten')")
	require.NoError(t, err)
	db.Exec(t, "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now() WHERE id = 2")
	last := testdb.Value[int](t, db, "SELECT last_value FROM thaw.paused_deltas_id_seq")
	require.Eventually(t, func() bool {
		db.Exec(t, "SELECT thaw.fold_counts()")
		return testdb.Value[int](t, db, "SELECT folded_to FROM thaw.count_state") >= last
	}, time.Minute, 10*time.Millisecond)
	require.Empty(t, wrongCounts(t, db.Pool))

	// It counts once it has written a delta.
	_, err = forgotten.Exec(t.Context(), "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now() WHERE id = 4")
	require.NoError(t, err)
	own := testdb.Value[int](t, db, "SELECT last_value FROM thaw.paused_deltas_id_seq")
	for id := 6; id < 12; id += 2 {
		db.Exec(t, fmt.Sprintf("UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now() WHERE id = %d", id))
		db.Exec(t, "SELECT thaw.fold_counts()")
		require.Less(t, testdb.Value[int](t, db, "SELECT folded_to FROM thaw.count_state"), own)
	}
	require.NoError(t, forgotten.Commit(t.Context()))
	require.Empty(t, wrongCounts(t, db.Pool))
}

// Rows written without triggers, as by a restore, are found slice by slice. An account with many
// rows has a slice of its own.
func TestRecountCorrectsASliceAtATime(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, countedFleet)
	db.Exec(t, `
		SET session_replication_role = replica;
		DELETE FROM thaw.enrollments WHERE account_id = 2 AND campaign_id = 2;
		UPDATE thaw.enrollments SET paused_reason = 'account_restricted' WHERE account_id = 3 AND status = 'paused';
		RESET session_replication_role;
		SELECT thaw.fold_counts(); UPDATE thaw.waiting_totals SET waiting = 99 WHERE account_id = 4`)
	require.Len(t, wrongCounts(t, db.Pool), 6)
	type slice struct{ Accounts, Corrected, To int }
	var slices []slice
	for range 4 {
		var s slice
		require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT accounts, corrected FROM thaw.recount(2, 45)").Scan(&s.Accounts, &s.Corrected))
		s.To = testdb.Value[int](t, db, "SELECT recounted_to FROM thaw.count_state")
		slices = append(slices, s)
	}
	require.Equal(t, []slice{{2, 1, 2}, {2, 4, 4}, {0, 0, 0}, {2, 0, 2}}, slices)
	db.Exec(t, "SELECT thaw.fold_counts()")
	require.Empty(t, wrongCounts(t, db.Pool))

	db.Exec(t, "UPDATE thaw.paused_counts SET paused = 1000 WHERE account_id = 1; UPDATE thaw.count_state SET recounted_to = 0")
	db.Exec(t, "SELECT thaw.recount(2, 5)") // the account exceeds the limit of a slice
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT recounted_to FROM thaw.count_state"))
	db.Exec(t, "SELECT thaw.fold_counts()")
	require.Empty(t, wrongCounts(t, db.Pool))

	db.Exec(t, "TRUNCATE thaw.paused_counts, thaw.waiting_totals, thaw.paused_deltas")
	require.Positive(t, testdb.Value[int](t, db, "SELECT corrected FROM thaw.recount()"))
	require.Empty(t, wrongCounts(t, db.Pool))
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.resumable_accounts"), "all accounts but the restricted one")
}
