package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// ofThePlatform has the same prospect twice in a campaign, and a prospect without an account.
const ofThePlatform = `
INSERT INTO thaw.workspaces (key, external_id) VALUES ('acme', 'w-1');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, external_id) VALUES (1, 'ann', 'connected', 'a-1');
INSERT INTO thaw.campaigns (workspace_id, key, status, external_id) VALUES (1, 'spring', 'running', 'c-1');
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url, external_id) VALUES
	(1, 1, 1, 'active', NULL, NULL, 'https://example.com/in/bob', 'e-1'),
	(1, 1, 1, 'active', NULL, NULL, 'https://example.com/in/bob', 'e-2'),
	(1, 1, NULL, 'paused', 'account_disconnected', now() - interval '1 hour', 'https://example.com/in/eve', 'e-3');
`

// A prospect without an account is not resumed. From the assignment on it is counted, and the next
// pass resumes it.
func TestProspectWithoutAnAccountWaitsForOne(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, ofThePlatform)
	const waiting = "SELECT coalesce(sum(waiting), 0) FROM thaw.waiting_parts"
	pass := func(delivery string) int {
		db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'connected', delivery_key => $1)", delivery)
		return testdb.Value[int](t, db, `
			SELECT r.resumed FROM thaw.account_signals AS s, thaw.resume_pass('signal', 1, 1, p_signal_id => s.id) AS r
			WHERE s.delivery_key = 'sql:' || $1`, delivery)
	}
	require.Zero(t, pass("before"))
	require.Zero(t, testdb.Value[int](t, db, waiting))
	require.Empty(t, wrongCounts(t, db.Pool))

	db.Exec(t, "UPDATE thaw.enrollments SET account_id = 1 WHERE external_id = 'e-3'")
	require.Equal(t, 1, testdb.Value[int](t, db, waiting))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events"), "an assignment is no move")
	require.Equal(t, 1, pass("after"))

	db.Exec(t, "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now(), account_id = NULL WHERE id = 1")
	require.Empty(t, wrongCounts(t, db.Pool))
	db.Exec(t, "SELECT thaw.recount()")
	require.Empty(t, wrongCounts(t, db.Pool))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.pause_prospect('https://example.com/in/eve', 'asked')"))
}

// The platform's own reason is about one pause, whichever writer ends it.
func TestOwnReasonEndsWithItsPause(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, ofThePlatform)
	const ownReason = "SELECT coalesce(own_reason, '') FROM thaw.enrollments WHERE id = 1"
	pause := "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now()"
	db.Exec(t, pause+", own_reason = 'budget used up' WHERE id = 1")
	require.Equal(t, "budget used up", testdb.Value[string](t, db, ownReason))
	require.Contains(t, testdb.Value[string](t, db, "SELECT detail FROM thaw.enrollment_events"), ": budget used up")

	db.Exec(t, "UPDATE thaw.enrollments SET step = step + 1 WHERE id = 1")
	require.Equal(t, "budget used up", testdb.Value[string](t, db, ownReason), "the pause goes on")
	db.Exec(t, "UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL WHERE id = 1")
	require.Empty(t, testdb.Value[string](t, db, ownReason))

	db.Exec(t, pause+", own_reason = 'on leave' WHERE id = 1")
	db.Exec(t, "SELECT thaw.resume_prospect('https://example.com/in/bob', 'asked')")
	require.Empty(t, testdb.Value[string](t, db, ownReason))
	db.Exec(t, pause+", own_reason = 'on leave' WHERE id = 1")
	require.Equal(t, "on leave", testdb.Value[string](t, db, ownReason))
}

// The SQL functions take the platform's own IDs wherever they take a name. A name of Thaw's comes
// first, and an ID that several workspaces use is refused.
func TestFunctionsTakeThePlatformsIDs(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, ofThePlatform+`
		INSERT INTO thaw.workspaces (key, external_id) VALUES ('globex', 'acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, external_id) VALUES (2, 'bea', 'connected', 'a-1'), (2, 'cid', 'connected', 'ann');
		INSERT INTO thaw.campaigns (workspace_id, key, status, external_id) VALUES (2, 'autumn', 'running', 'c-1');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url, external_id)
		VALUES (2, 2, 2, 'active', 'https://example.com/in/joe', 'e-1'), (2, 2, 2, 'active', 'e-2', NULL)`)
	fails := func(statement, message string) {
		t.Helper()
		_, err := db.Pool.Exec(t.Context(), statement)
		require.ErrorContains(t, err, message, statement)
	}
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.find_workspace('acme')"), "a key comes before an ID of the platform")
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.find_workspace('w-1')"))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.find_account('ann', NULL)"))
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT thaw.find_account('a-1', NULL, 2)"))
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT thaw.find_account('ann', NULL, 2)"), "within its workspace the name is free")
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT thaw.find_enrollment('w-1', 'e-2')"))
	fails("SELECT thaw.find_account('a-1', NULL)", `2 workspaces have an account with the platform's ID "a-1": acme, globex`)
	fails("SELECT thaw.find_account('w-1', NULL)", `there is no account "w-1"`)
	fails("SELECT thaw.find_enrollment('acme', 'e-9')", `workspace "acme" has no enrollment with the platform's ID "e-9"`)

	db.Exec(t, "SELECT thaw.set_auto_resume('w-1', false, 'asked'), thaw.set_heal_cap('w-1', 5, 'asked'), thaw.set_auto_resume('w-1', true, 'asked')")
	db.Exec(t, "SELECT thaw.heal('w-1', 'a-1')")
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.pause_campaign('w-1', 'c-1', 'asked')"))
	require.Equal(t, "unknown_account", testdb.Value[string](t, db, "SELECT thaw.sending_held_by('a-1')"), "two accounts")
	require.Empty(t, testdb.Value[string](t, db, "SELECT thaw.sending_held_by('ann')"))

	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.pause_prospect('e-2', 'asked')"), "the prospect of this URL")
	require.Equal(t, "e-2", testdb.Value[string](t, db, "SELECT prospect_url FROM thaw.enrollments WHERE status = 'paused' AND paused_reason = 'paused_by_user'"))
	fails("SELECT thaw.pause_prospect('e-1', 'asked')", `2 workspaces have a prospect with the platform's ID "e-1"`)
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.pause_prospect('e-1', 'asked', workspace_key => 'w-1')"), "one of the two rows of its URL")
	require.Equal(t, []string{"e-2", "https://example.com/in/bob"}, testdb.Column[string](t, db, "SELECT prospect_url FROM thaw.manual_actions WHERE prospect_url IS NOT NULL ORDER BY id"))
}
