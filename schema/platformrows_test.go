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
