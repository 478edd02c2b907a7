package schema_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// claimed returns how many actions a claim gives to each value of a column.
func claimed(t *testing.T, db *testdb.DB, limit int, column string) map[string]int {
	t.Helper()
	db.Exec(t, "SELECT thaw.take_nudges()")
	return occurrences(testdb.Column[string](t, db, fmt.Sprintf("SELECT c.%s FROM thaw.claim_actions($1) AS c", column), limit))
}

// looked is how many accounts the scheduler looks at now.
func looked(t *testing.T, db *testdb.DB) int {
	t.Helper()
	db.Exec(t, "SELECT thaw.take_nudges()")
	return testdb.Value[int](t, db, "SELECT looked FROM thaw.schedule_batch(1000, '10 minutes', 'test')")
}

// A workspace with many accounts takes nothing from one with few; of the accounts, the one that has
// been due longest is first.
func TestClaimsAreFairAcrossWorkspaces(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('globex');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (2, 'autumn', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone) SELECT 2, 'seat-' || n, 'connected', 'Europe/Berlin' FROM generate_series(1, 50) AS n;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 2, 2, a.id, 'active', thaw.now(), 'https://www.linkedin.com/in/x' || a.id || '-' || n FROM thaw.accounts AS a, generate_series(1, 3) AS n WHERE a.workspace_id = 2`)
	require.Equal(t, map[string]int{"acme": 2, "globex": 2}, claimed(t, db, 4, "workspace_key"))
	require.Equal(t, map[string]int{"acme": 1, "globex": 9}, claimed(t, db, 10, "workspace_key"), "what one does not need goes to the other")
	require.Equal(t, map[string]int{"globex": 39}, claimed(t, db, 100, "workspace_key"), "one per account")
	require.Empty(t, claimed(t, db, 100, "workspace_key"))
	require.Empty(t, testdb.Column[int](t, db, "SELECT count(*) FROM thaw.actions GROUP BY account_id HAVING count(*) > 1"))
	db.Advance(t, 10*time.Minute)
	require.Equal(t, map[string]int{"acme": 3}, occurrences(testdb.Column[string](t, db, "SELECT c.workspace_key FROM thaw.claim_actions(100, workspace => 'acme') AS c")))
}

// However much is due in one workspace, the others get their share of each claim.
func TestABacklogOfOneWorkspaceDelaysNoOther(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, `
		DELETE FROM thaw.enrollments;
		INSERT INTO thaw.workspaces (key) VALUES ('globex'), ('initech');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (2, 'autumn', 'running'), (3, 'winter', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite'), (3, 0, 'invite');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone)
		SELECT CASE WHEN n <= 1500 THEN 2 ELSE 3 END, 'seat-' || n, 'connected', 'Europe/Berlin' FROM generate_series(1, 1510) AS n`)
	// The accounts of the large workspace have been due for longer.
	for _, workspace := range []string{"2", "1, 3"} {
		db.Exec(t, `
			INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
			SELECT a.workspace_id, a.workspace_id, a.id, 'active', thaw.now(), 'https://www.linkedin.com/in/x' || a.id FROM thaw.accounts AS a WHERE a.workspace_id IN (`+workspace+`);
			SELECT thaw.take_nudges(10000)`)
		db.Advance(t, time.Minute)
	}
	require.Equal(t, map[string]int{"acme": 3, "globex": 4, "initech": 3}, claimed(t, db, 10, "workspace_key"))
	require.Equal(t, map[string]int{"globex": 5, "initech": 5}, claimed(t, db, 10, "workspace_key"))
	require.Equal(t, map[string]int{"globex": 8, "initech": 2}, claimed(t, db, 10, "workspace_key"))
}

// The campaigns of an account take turns, and so do the accounts of one person.
func TestCampaignsAndSiblingsTakeTurns(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		DELETE FROM thaw.enrollments WHERE account_id <> 1;
		UPDATE thaw.action_limits SET per_day = 100, per_week = 100;
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'summer', 'running'), (1, 'autumn', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite'), (3, 0, 'invite');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, c, 1, 'active', thaw.now(), 'https://www.linkedin.com/in/c' || c || '-' || n FROM generate_series(2, 3) AS c, generate_series(1, 10) AS n`)
	turns := func(column string, n int) map[string]int {
		counts := map[string]int{}
		for range n {
			for value := range claimed(t, db, 10, column) {
				counts[value]++
			}
		}
		return counts
	}
	require.Equal(t, map[string]int{"spring": 3, "summer": 3, "autumn": 3}, turns("campaign", 9))
	db.Exec(t, `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone) VALUES (1, 'ann-2', 'm-ann', 'connected', 'Europe/Berlin');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, 2, 4, 'active', thaw.now(), 'https://www.linkedin.com/in/s' || n FROM generate_series(1, 10) AS n`)
	require.Equal(t, map[string]int{"ann": 4, "ann-2": 4}, turns("account", 8))
}

// Thirty due rows at a full cap are deferred once, to the opening: later ticks
// do not look at them, and no job is created.
func TestFullCapIsDeferredOnceToItsOpening(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 1")
	require.Len(t, claim(t, db, 10), 3)
	require.Equal(t, 3, looked(t, db), "each account once more: the caps are full")
	jobs := testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job")
	for range 5 {
		db.Advance(t, time.Minute)
		require.Zero(t, looked(t, db))
	}
	require.Equal(t, jobs, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job"))
	require.Equal(t, []string{"daily_cap Mar 04 00:00"}, testdb.Column[string](t, db, "SELECT DISTINCT concat_ws(' ', code, to_char(next_at AT TIME ZONE 'Europe/Berlin', 'Mon DD HH24:MI')) FROM thaw.sending_accounts"))
	moveTo(t, db, "2026-03-03 23:00:01+00")
	require.Equal(t, 3, looked(t, db))
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE local_day = '2026-03-04'"))
}

// After a sleep, a pause or an outage nothing is caught up: the hour after it
// is no busier than any other.
func TestNothingIsCaughtUpAfterDowntime(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "UPDATE thaw.action_limits SET per_day = 1000, per_week = NULL; UPDATE thaw.sending_windows SET opens = '00:01', closes = '00:00'")
	db.Exec(t, `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, 1, 1, 'active', thaw.now(), 'https://www.linkedin.com/in/more-' || n FROM generate_series(1, 200) AS n`)
	hour := func() (actions int) {
		for range 60 {
			perAccount := claimed(t, db, 100, "account")
			require.LessOrEqual(t, perAccount["ann"], 1)
			actions += perAccount["ann"]
			db.Advance(t, time.Minute)
		}
		return actions
	}
	before := hour()
	db.Advance(t, 78*time.Minute)
	after := hour()
	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'disconnected'); SELECT thaw.pause_batch(1, 1000, (SELECT max(id) FROM thaw.account_signals), NULL, 1)")
	db.Advance(t, 3*time.Hour)
	require.Zero(t, claimed(t, db, 100, "account")["ann"])
	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'connected'); SELECT thaw.resume_pass('signal', 1, 1, p_signal_id => (SELECT max(id) FROM thaw.account_signals))")
	resumed := hour()
	for _, actions := range []int{before, after, resumed} { // 3 to 8 minutes between invites
		require.GreaterOrEqual(t, actions, 7)
		require.LessOrEqual(t, actions, 20)
	}
	require.Empty(t, testdb.Column[int](t, db, "SELECT id FROM (SELECT id, reserved_at - lag(reserved_at) OVER (PARTITION BY account_id ORDER BY id) AS gap FROM thaw.actions) AS a WHERE gap < '3 minutes'"))
}

// A prospect who was invited already does not hold up those behind, also if another kind of the
// account opens later.
func TestInvitedProspectDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		DELETE FROM thaw.enrollments WHERE account_id <> 1;
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'summer', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'message');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url) VALUES (1, 2, 1, 'active', thaw.now(), 'https://www.linkedin.com/in/eve');
		UPDATE thaw.action_limits SET per_day = 0 WHERE kind = 'message'`)
	send(t, db, 1)
	db.Exec(t, "UPDATE thaw.enrollments SET prospect_url = 'https://www.linkedin.com/in/p1-1', next_action_at = thaw.now() - interval '2 hours' WHERE id = 2")
	require.Empty(t, claim(t, db, 10))
	db.Advance(t, time.Second)
	require.Equal(t, []int{3}, claim(t, db, 10))
	require.Equal(t, "Mar 04", testdb.Value[string](t, db, "SELECT to_char(next_action_at, 'Mon DD') FROM thaw.enrollments WHERE id = 2"))
}

// An account that waits for nothing in particular is found at once when something changes.
func TestChangesAreNoticedAtOnce(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "DELETE FROM thaw.enrollments WHERE account_id = 3")
	require.Len(t, claim(t, db, 10), 2)
	db.Exec(t, "SELECT thaw.settle(id, 'released') FROM thaw.actions; UPDATE thaw.campaigns SET status = 'draft'")
	db.Advance(t, 10*time.Minute)
	require.Empty(t, claim(t, db, 10))
	for _, one := range []struct{ closed, open string }{
		{"SELECT 1", "UPDATE thaw.campaigns SET status = 'running'"},
		{"SELECT thaw.safety_enter('an incident')", "SELECT thaw.safety_exit('over')"},
		{"UPDATE thaw.accounts SET locked_at = thaw.now(), locked_reason = 'x'", "UPDATE thaw.accounts SET locked_at = NULL, locked_reason = NULL"},
		{"UPDATE thaw.accounts SET timezone = NULL", "UPDATE thaw.accounts SET timezone = 'Europe/Berlin'"},
		{"UPDATE thaw.sending_windows SET weekdays = '{7}'", "UPDATE thaw.sending_windows SET weekdays = '{2}'"},
		{"UPDATE thaw.action_limits SET per_day = 0", "UPDATE thaw.action_limits SET per_day = 100, per_week = NULL"},
		{"UPDATE thaw.enrollments SET status = 'pending'", "UPDATE thaw.enrollments SET status = 'active'"},
		{"UPDATE thaw.workspaces SET shadow = true", "UPDATE thaw.workspaces SET shadow = false"},
	} {
		db.Exec(t, one.closed)
		db.Advance(t, 10*time.Minute)
		for range 3 { // Until all accounts wait.
			db.Exec(t, "SELECT thaw.take_nudges(), thaw.schedule_batch(1000, '10 minutes', 'test')")
		}
		require.Empty(t, claim(t, db, 10), one.closed)
		db.Exec(t, one.open)
		require.Len(t, claim(t, db, 10), 2, one.open)
		db.Exec(t, "SELECT thaw.settle(id, 'released') FROM thaw.actions WHERE state = 'reserved'")
	}
	db.Exec(t, `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url) VALUES (1, 1, 3, 'active', thaw.now(), 'https://www.linkedin.com/in/eve')`)
	require.Equal(t, map[string]int{"cyd": 1}, claimed(t, db, 10, "account"))
}

// A prospect that is inserted while the scheduler is about to note that nothing is due is not
// missed.
func TestNoChangeIsMissedDuringALook(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "DELETE FROM thaw.enrollments; SELECT thaw.nudge(1, thaw.now()); SELECT thaw.take_nudges()")
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	_, err = tx.Exec(t.Context(), "SELECT thaw.schedule_batch(10, '10 minutes', 'test')")
	require.NoError(t, err)
	db.Exec(t, `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url) VALUES (1, 1, 1, 'active', thaw.now(), 'https://www.linkedin.com/in/eve')`)
	require.Zero(t, testdb.Value[int](t, db, "SELECT thaw.take_nudges()"), "nothing waits for the look: the nudge is kept")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, map[string]int{"ann": 1}, claimed(t, db, 10, "account"))
}

// Rows that the platform has locked are left out, and are looked at again within a minute.
func TestLockedRowsAreLeftToTheNextLook(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	_, err = tx.Exec(t.Context(), "SELECT FROM thaw.enrollments WHERE account_id = 1 FOR UPDATE; SELECT FROM thaw.accounts WHERE id = 2 FOR UPDATE")
	require.NoError(t, err)
	require.Equal(t, map[string]int{"cyd": 1}, claimed(t, db, 10, "account"))
	require.NoError(t, tx.Rollback(t.Context()))
	db.Advance(t, time.Minute)
	require.Equal(t, map[string]int{"ann": 1, "bob": 1}, claimed(t, db, 10, "account"))
}

// A campaign with a cap of its own has it across accounts, also within one claim.
func TestCampaignCapHoldsWithinOneClaim(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 2, 'x', 'x')")
	require.Len(t, claim(t, db, 10), 2)
	db.Advance(t, 20*time.Minute)
	require.Empty(t, claim(t, db, 10))
}
