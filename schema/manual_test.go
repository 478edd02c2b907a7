package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// withProspects returns a database with the connected account "ann", which has a prospect in every
// state.
func withProspects(t testing.TB) *testdb.DB {
	t.Helper()
	db := withAnn(t)
	receive(t, db, delivery{status: "connected"})
	db.Exec(t, `
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
		SELECT 1, 1, 1, line.url, line.status::thaw.enrollment_status, line.reason::thaw.pause_reason,
			CASE WHEN line.status = 'paused' THEN thaw.now() - interval '1 day' END
		FROM (VALUES ('active', 'active', NULL), ('pending', 'pending', NULL), ('replied', 'replied', NULL),
			('waits', 'paused', 'account_issue'), ('restricted', 'paused', 'account_restricted'),
			('by user', 'paused', 'paused_by_user')) AS line (url, status, reason)`)
	return db
}

func reasons(t testing.TB, db *testdb.DB) map[string]string {
	t.Helper()
	states := map[string]string{}
	for _, url := range testdb.Column[string](t, db, "SELECT prospect_url FROM thaw.enrollments") {
		states[url] = testdb.Value[string](t, db,
			"SELECT coalesce(paused_reason::text, status::text) FROM thaw.enrollments WHERE prospect_url = $1", url)
	}
	return states
}

func TestManualAccountPause(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT thaw.pause_account('ann', 'asked by phone', 'bob')"))
	require.Equal(t, map[string]string{
		"active": "paused_by_user", "waits": "paused_by_user", "restricted": "paused_by_user", "by user": "paused_by_user",
		"pending": "pending", "replied": "replied",
	}, reasons(t, db))
	require.Equal(t, []string{"paused by bob: asked by phone"}, actions(t, db))
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT enrollments FROM thaw.manual_actions"))
	require.Equal(t, []string{"bob: asked by phone"}, testdb.Column[string](t, db,
		"SELECT DISTINCT detail FROM thaw.enrollment_events WHERE kind = 'paused' AND source = 'operator' AND reason = 'paused_by_user'"))
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE paused_at < thaw.now() - interval '1 hour' AND prospect_url IN ('waits', 'restricted')"),
		"the pause time does not change")
}

func TestManualAccountResume(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.resume_account('ann', 'the restriction is lifted', 'bob')"))
	require.Equal(t, map[string]string{
		"active": "active", "waits": "account_issue", "restricted": "account_issue", "by user": "paused_by_user",
		"pending": "pending", "replied": "replied",
	}, reasons(t, db))
	require.Equal(t, "restricted", testdb.Value[string](t, db, `
		SELECT e.prospect_url FROM thaw.enrollment_events AS event JOIN thaw.enrollments AS e ON e.id = event.enrollment_id
		WHERE event.kind = 'released' AND event.reason = 'account_restricted' AND event.paused_at = e.paused_at`))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.resume_account('ann', 'all of them', 'bob', even_by_user => true)"))
	require.Equal(t, "account_issue", reasons(t, db)["by user"])
}

func TestRestrictedAccountIsNotResumed(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	receive(t, db, delivery{status: "restricted"})
	require.Equal(t, "55000", violation(t, db.Pool, "SELECT thaw.resume_account('ann', 'impatient', 'bob')").Code)
}

func TestManualProspectPauseAndResume(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	for _, url := range []string{"active", "pending", "waits", "restricted"} {
		require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.pause_prospect($1, 'asked', 'bob')", url), url)
		require.Equal(t, "paused_by_user", reasons(t, db)[url])
		require.Zero(t, testdb.Value[int](t, db, "SELECT thaw.pause_prospect($1, 'asked', 'bob')", url), "again")
		require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.resume_prospect($1, 'asked', 'bob', 'acme', 'spring')", url), url)
		require.Equal(t, "account_issue", reasons(t, db)[url])
		require.Zero(t, testdb.Value[int](t, db, "SELECT thaw.resume_prospect($1, 'asked', 'bob')", url), "again")
	}
	require.Zero(t, testdb.Value[int](t, db, "SELECT thaw.pause_prospect('replied', 'asked', 'bob')"))
	require.Equal(t, "P0002", violation(t, db.Pool, "SELECT thaw.pause_prospect('unknown', 'asked')").Code)
	require.Equal(t, "P0002", violation(t, db.Pool, "SELECT thaw.pause_prospect('active', 'asked', campaign => 'summer')").Code)
}

func TestManualCampaignPauseAndResume(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	state := func() string {
		return testdb.Value[string](t, db, "SELECT coalesce(paused_reason::text, status::text) FROM thaw.campaigns")
	}
	before := reasons(t, db)
	for _, was := range []string{"running", "account_issue", "account_restricted", "high_failure_rate"} {
		if was != "running" {
			db.Exec(t, "UPDATE thaw.campaigns SET status = 'paused', paused_reason = $1::thaw.pause_reason, paused_at = thaw.now()", was)
		}
		require.True(t, testdb.Value[bool](t, db, "SELECT thaw.pause_campaign('acme', 'spring', 'asked', 'bob')"))
		require.Equal(t, "paused_by_user", state())
		require.False(t, testdb.Value[bool](t, db, "SELECT thaw.pause_campaign('acme', 'spring', 'asked', 'bob')"), "again")
		require.True(t, testdb.Value[bool](t, db, "SELECT thaw.resume_campaign('acme', 'spring', 'asked', 'bob')"))
		require.Equal(t, "running", state())
		require.False(t, testdb.Value[bool](t, db, "SELECT thaw.resume_campaign('acme', 'spring', 'asked', 'bob')"), "again")
	}
	require.Equal(t, before, reasons(t, db), "prospects do not change")

	db.Exec(t, "UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'subscription_inactive', paused_at = thaw.now()")
	require.Equal(t, "55000", violation(t, db.Pool, "SELECT thaw.resume_campaign('acme', 'spring', 'asked')").Code, "billing does")
	require.Equal(t, "55000", violation(t, db.Pool, "SELECT thaw.pause_campaign('acme', 'spring', 'asked')").Code)
	db.Exec(t, "UPDATE thaw.campaigns SET status = 'draft', paused_reason = NULL, paused_at = NULL")
	require.Equal(t, "55000", violation(t, db.Pool, "SELECT thaw.resume_campaign('acme', 'spring', 'asked')").Code)
	require.Equal(t, "P0002", violation(t, db.Pool, "SELECT thaw.resume_campaign('acme', 'summer', 'asked')").Code)
}

func TestHoldIsNeverShortened(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	db.Exec(t, "SELECT thaw.hold('ann', thaw.now() + interval '1 hour', 'new device', 'bob')")
	for _, sql := range []string{
		"SELECT thaw.hold('ann', thaw.now() + interval '59 minutes', 'impatient', 'bob')",
		"UPDATE thaw.accounts SET hold_until = NULL, hold_reason = NULL",
		"UPDATE thaw.accounts SET hold_until = thaw.now()",
		"UPDATE thaw.accounts SET hold_until = hold_until - interval '1 microsecond'",
		"UPDATE thaw.accounts SET hold_reason = 'another'",
	} {
		require.Equal(t, "accounts_hold_is_never_shortened", violation(t, db.Pool, sql).ConstraintName, sql)
	}
	db.Exec(t, "SELECT thaw.hold('ann', thaw.now() + interval '2 hours', 'still new', 'bob')")
	require.Equal(t, []string{"held by bob: new device", "held by bob: still new"}, actions(t, db))
	for _, sql := range []string{"SELECT thaw.hold('ann', thaw.now(), 'late')", "SELECT thaw.hold('ann', NULL, 'late')", "SELECT thaw.hold('ann', thaw.now() + interval '3 hours', '')"} {
		require.Equal(t, "22023", violation(t, db.Pool, sql).Code, sql)
	}
	require.Equal(t, "P0002", violation(t, db.Pool, "SELECT thaw.hold('unknown', thaw.now() + interval '1 hour', 'why')").Code)

	db.Advance(t, 3*time.Hour)
	db.Exec(t, "UPDATE thaw.accounts SET hold_until = NULL, hold_reason = NULL")
}

func TestAutoResumeHistory(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	db.Exec(t, "SELECT thaw.set_auto_resume('acme', false, 'asked by mail')")
	db.Exec(t, "SELECT thaw.set_auto_resume('acme', false, 'asked again')")
	db.Exec(t, "UPDATE thaw.workspaces SET auto_resume = true, auto_resume_reason = ''")
	me := testdb.Value[string](t, db, "SELECT session_user::text")
	require.Equal(t, []string{"auto_resume_off by " + me + ": asked by mail", "auto_resume_off by " + me + ": asked again", "auto_resume_on by " + me + ": "}, actions(t, db))
}

func TestAccountStatusHistory(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	receive(t, db, delivery{status: "connected", raw: "OK"})
	receive(t, db, delivery{status: "connected", raw: "OK"})
	receive(t, db, delivery{status: "disconnected", raw: "CREDENTIALS"})
	db.Exec(t, "UPDATE thaw.accounts SET status = 'connected', last_error = NULL")
	require.Equal(t, []string{"connecting -> connected ()", "connected -> disconnected (CREDENTIALS)", "disconnected -> connected ()"},
		testdb.Column[string](t, db, "SELECT format('%s -> %s (%s)', from_status, to_status, last_error) FROM thaw.account_events ORDER BY id"))
}
