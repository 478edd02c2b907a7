package schema_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// twoTenants has two workspaces, each with an account, a linked one, a campaign and prospects that
// were paused and resumed by a signal, by a sweep and by heals.
const twoTenants = `
INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('globex');
INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status)
	SELECT w.id, 'seat-' || w.id || '-' || n, 'connected' FROM thaw.workspaces AS w, generate_series(1, 3) AS n ORDER BY n, w.id;
SELECT thaw.link_accounts('seat-1-2', 'seat-1-3', 'the same person');
INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT w.id, c, 'running' FROM thaw.workspaces AS w, unnest('{spring,summer}'::text[]) AS c ORDER BY w.id, c;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
	SELECT c.workspace_id, c.id, a.id, 'active', format('https://example.com/%s/%s/%s', c.key, a.id, n)
	FROM thaw.campaigns AS c JOIN thaw.accounts AS a USING (workspace_id), generate_series(1, 10) AS n;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, status, prospect_url) SELECT c.workspace_id, c.id, 'pending', 'https://example.com/none' FROM thaw.campaigns AS c;
INSERT INTO thaw.api_tokens (workspace_id, name, hash, created_by) SELECT w.id, 'portal', sha256(w.key::bytea), 'jo' FROM thaw.workspaces AS w;
`

// flapped disconnects all accounts, pauses their prospects, and resumes them by signals.
func flapped(t *testing.T, db *testdb.DB) {
	t.Helper()
	db.Exec(t, "UPDATE thaw.settings SET safety_accounts = 1000000, flap_limit = 0")
	for _, status := range []string{"disconnected", "connected"} {
		db.Exec(t, "SELECT thaw.signal(a.provider, a.provider_account_id, $1) FROM thaw.accounts AS a ORDER BY a.id", status)
		if status == "disconnected" {
			db.Exec(t, `SELECT thaw.pause_batch(s.account_id, 1000, s.id, NULL, 1) FROM thaw.account_signals AS s WHERE s.status = 'disconnected' AND s.finished_at IS NULL`)
		} else {
			db.Exec(t, `DO $$ DECLARE s record; BEGIN
				FOR s IN SELECT account_id, id FROM thaw.account_signals WHERE status = 'connected' AND finished_at IS NULL ORDER BY id LOOP
					PERFORM thaw.resume_pass('signal', s.account_id, 1, p_signal_id => s.id);
				END LOOP; END $$`)
		}
	}
}

// Every batch leaves the totals consistent, nothing of the workspace is left, and the other
// workspace is unchanged.
func TestRemoveWorkspace(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, twoTenants)
	flapped(t, db)
	db.Exec(t, `SELECT thaw.pause_account('seat-1-1', 'asked'); SELECT thaw.undo(max(id), 'a mistake') FROM thaw.manual_actions;
		SELECT thaw.hold('seat-1-2', now() + interval '1 day', 'new device'); SELECT thaw.pause_campaign('acme', 'summer', 'asked');
		SELECT thaw.pause_prospect('https://example.com/spring/1/1', 'Bob asked', 'jo');
		SELECT thaw.heal('acme'); SELECT thaw.heal_batch(id, 5, 1) FROM thaw.heals; SELECT thaw.heal_fleet(60); SELECT thaw.heal_batch(max(id), 5, 1) FROM thaw.heals`)
	// A sweep of the current tick, with an allocation that is done and one that is open.
	db.Exec(t, `DO $$ BEGIN
		UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'account_disconnected', paused_at = thaw.now()
		WHERE status = 'active' AND account_id IN (SELECT id FROM thaw.accounts WHERE provider_account_id IN ('seat-1-3', 'seat-2-3'));
		INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, planned) VALUES (thaw.tick(), 200, 2000, 3, 42);
		INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
		SELECT thaw.tick(), a.id, a.workspace_id, CASE a.provider_account_id WHEN 'seat-1-1' THEN 2 ELSE 20 END
		FROM thaw.accounts AS a WHERE a.provider_account_id IN ('seat-1-1', 'seat-1-3', 'seat-2-3');
		PERFORM thaw.resume_pass('sweep', a.id, 1, thaw.tick()) FROM thaw.accounts AS a WHERE a.provider_account_id IN ('seat-1-3', 'seat-2-3');
	END $$`)
	require.Positive(t, testdb.Value[int](t, db, "SELECT min(resumed) FROM thaw.allocations WHERE finished_at IS NOT NULL"))
	require.Zero(t, violations(t, db))
	other := func() []string {
		return testdb.Column[string](t, db, `
			SELECT format('%s %s %s', e.id, e.status, e.prospect_url) FROM thaw.enrollments AS e WHERE e.workspace_id = 2
			UNION ALL SELECT format('event %s %s', event.id, event.kind) FROM thaw.enrollment_events AS event JOIN thaw.enrollments AS e ON e.id = event.enrollment_id WHERE e.workspace_id = 2
			UNION ALL SELECT format('signal %s %s', s.id, s.resumed) FROM thaw.account_signals AS s JOIN thaw.accounts AS a ON a.id = s.account_id WHERE a.workspace_id = 2 ORDER BY 1`)
	}
	before := other()
	used := testdb.Value[int](t, db, "SELECT sum(used) FROM thaw.fleet_quotas")

	batches := 0
	for done, phase := false, ""; !done; batches++ {
		require.Less(t, batches, 500)
		var last string
		require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT phase, done FROM thaw.remove_workspace('acme', 'the contract ended', 'jo', 20)").Scan(&last, &done))
		if last != phase {
			require.Zero(t, violations(t, db), last)
			phase = last
		}
	}
	require.Greater(t, batches, 10)
	require.Zero(t, violations(t, db))
	require.Equal(t, before, other())
	require.Equal(t, used, testdb.Value[int](t, db, "SELECT sum(used) FROM thaw.fleet_quotas"), "what was used stays used")
	for _, count := range []string{
		"thaw.workspaces WHERE key = 'acme'", "thaw.accounts WHERE workspace_id = 1", "thaw.campaigns WHERE workspace_id = 1", "thaw.enrollments WHERE workspace_id = 1",
		"thaw.account_signals WHERE provider_account_id LIKE 'seat-1-%'", "thaw.heals WHERE workspace_id = 1", "thaw.outbox WHERE workspace_id = 1", "thaw.api_tokens WHERE workspace_id = 1",
		"thaw.manual_actions WHERE workspace_id = 1 OR reason LIKE '%Bob%' OR prospect_url LIKE '%/spring/1/1'", "thaw.workspace_removals", "thaw.account_events WHERE account_id NOT IN (SELECT id FROM thaw.accounts)",
		"thaw.campaign_events WHERE campaign_id NOT IN (SELECT id FROM thaw.campaigns)", "thaw.enrollment_events WHERE enrollment_id NOT IN (SELECT id FROM thaw.enrollments)",
		"thaw.account_quotas WHERE account_id NOT IN (SELECT id FROM thaw.accounts)", "thaw.allocations WHERE workspace_id = 1",
	} {
		require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM "+count), count)
	}
	db.Exec(t, "SELECT thaw.fold_counts()")
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.paused_counts WHERE account_id NOT IN (SELECT id FROM thaw.accounts)"))
	require.Equal(t, "jo the contract ended acme", testdb.Value[string](t, db, "SELECT concat_ws(' ', actor, reason, detail) FROM thaw.manual_actions WHERE what = 'workspace_removed'"))
	_, err := db.Pool.Exec(t.Context(), "SELECT thaw.remove_workspace('acme', 'why')")
	require.ErrorContains(t, err, `there is no workspace "acme"`)
}

// A row that the platform inserts behind the walk makes it start over.
func TestRemovalStartsOverForNewRows(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, twoTenants)
	remove := func() (phase string, done bool) {
		require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT phase, done FROM thaw.remove_workspace('acme', 'why', 'jo')").Scan(&phase, &done))
		return phase, done
	}
	insert := func(n int) {
		db.Exec(t, "INSERT INTO thaw.enrollments (workspace_id, campaign_id, status, prospect_url) SELECT 1, min(id), 'pending', $1 FROM thaw.campaigns WHERE workspace_id = 1", fmt.Sprint("https://example.com/new/", n))
	}
	for phase := ""; phase != "campaigns"; {
		phase, _ = remove()
	}
	insert(0)
	phase, _ := remove()
	require.Equal(t, "messages", phase)
	done := false
	for batches := 0; !done; batches++ {
		require.Less(t, batches, 100)
		_, done = remove()
	}
	require.Equal(t, []int{2}, testdb.Column[int](t, db, "SELECT id FROM thaw.workspaces"))
	require.Zero(t, violations(t, db))
}
