package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// No statement of a reservation, a settlement or the scheduler scans a table that grows, and the
// rows that a look reads do not depend on how many prospects wait.
func TestSendingScansNoTable(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, withoutAutovacuum)
	db.Exec(t, noGaps+`
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, 1, 1 + n % 3, 'active', thaw.now(), 'https://www.linkedin.com/in/many-' || n FROM generate_series(1, 40000) AS n;
		INSERT INTO thaw.senders (provider, key) SELECT 'linkedin', 'account:' || n FROM generate_series(100, 1100) AS n;
		INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, state, outcome, actor, started_at, settled_at, local_day, gap, next_of_kind_at, provider_ref)
		SELECT 1, 100 + n % 1000, 1 + n % 1000, 1 + n % 500, 10000 + n, 'linkedin', 'https://example.com/' || n, 0, 'message', 'sent', 'sent', 'x', thaw.now(), thaw.now(), '2026-03-03'::date - n % 30, '1 minute', thaw.now(), 'x'
		FROM generate_series(1, 5000) AS n;
		SELECT thaw.take_nudges()`)
	db.Exec(t, "VACUUM (ANALYZE)")
	tables := []string{"enrollments", "actions", "senders"}
	for _, mode := range planCacheModes() {
		e := newExplainer(t, db)
		_, err := e.Exec(t.Context(), planning(mode))
		require.NoError(t, err)
		// Each group is rolled back, so that the next mode finds the same rows.
		for _, group := range [][]string{
			{"SELECT thaw.reserve(1)", "SELECT thaw.start((SELECT max(id) FROM thaw.actions))", "SELECT thaw.settle((SELECT max(id) FROM thaw.actions), 'sent', 'ref')"},
			{"SELECT thaw.look_at('{1,2,3}')"},
			{"SELECT thaw.claim_actions(100)", "SELECT thaw.expire_actions()", "SELECT thaw.take_nudges()", "SELECT thaw.kind_gates('{1,2,3}')"},
			{"UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now() WHERE id = 20"},
			{
				"UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now() WHERE id = 1",
				"UPDATE thaw.campaigns SET status = 'running', paused_reason = NULL, paused_at = NULL WHERE id = 1",
			},
			{"UPDATE thaw.accounts SET status = 'connecting' WHERE id = 2", "UPDATE thaw.accounts SET status = 'connected' WHERE id = 2"},
		} {
			_, err := e.Exec(t.Context(), "BEGIN")
			require.NoError(t, err)
			for _, sql := range group {
				require.Empty(t, e.scansOf(sql, tables...), "%s, %s", sql, mode)
			}
			_, err = e.Exec(t.Context(), "ROLLBACK")
			require.NoError(t, err)
		}
	}
	// One head per account, however many wait behind it.
	reads := func() int64 {
		conn, err := db.Pool.Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
		var rows int64
		_, err = conn.Exec(t.Context(), "SELECT pg_stat_force_next_flush()")
		require.NoError(t, err)
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0) FROM pg_stat_user_tables WHERE relid = 'thaw.enrollments'::regclass").Scan(&rows))
		return rows
	}
	look := func() int64 {
		db.Exec(t, "UPDATE thaw.sending_accounts SET next_at = thaw.now(); SELECT pg_stat_force_next_flush()")
		before := reads()
		db.Exec(t, "SELECT thaw.schedule_batch(100, '10 minutes', 'test'); SELECT pg_stat_force_next_flush()")
		return reads() - before
	}
	few := look()
	db.Exec(t, `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, 1, 1 + n % 3, 'active', thaw.now(), 'https://www.linkedin.com/in/ten-' || n FROM generate_series(1, 30000) AS n; ANALYZE thaw.enrollments`)
	require.LessOrEqual(t, look(), few+50, "it was %d", few)
	require.Less(t, few, int64(200))
}

// The functions that keep their plans are often called first while a fleet is small. Their plans
// must suit it when it has grown, so they read no table row by row, not even one with a few rows.
func TestPlansOfGatesSuitAnySize(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, withoutAutovacuum)
	db.Exec(t, "SELECT thaw.take_nudges()")
	db.Exec(t, "VACUUM (ANALYZE)")
	e := newExplainer(t, db)
	for _, sql := range []string{
		"SELECT thaw.kind_gates('{1,2}')", "SELECT thaw.action_gates('{1,2}', NULL)", "SELECT thaw.reserve_rows('{1}', NULL, '1 minute', 'x')",
		"SELECT thaw.look_at('{1,2,3}')", "SELECT thaw.claim_actions(10)",
	} {
		require.Empty(t, e.scansOf(sql, "enrollments", "actions", "senders", "sending_accounts", "accounts", "campaigns", "workspaces"), sql)
	}
}
