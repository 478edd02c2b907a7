package schema_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// lastAction returns the newest entry of the audit log.
func lastAction(t testing.TB, db *testdb.DB) int64 {
	t.Helper()
	return testdb.Value[int64](t, db, "SELECT max(id) FROM thaw.manual_actions")
}

func undo(t testing.TB, db *testdb.DB, action int64) int {
	t.Helper()
	return testdb.Value[int](t, db, "SELECT thaw.undo($1, 'a mistake', 'bob')", action)
}

func refusal(t *testing.T, db *testdb.DB, action int64) *pgconn.PgError {
	t.Helper()
	refused := violation(t, db.Pool, fmt.Sprintf("SELECT thaw.undo(%d, 'a mistake', 'bob')", action))
	require.Equal(t, "55000", refused.Code)
	return refused
}

// The undo of a pause of an account restores what the pause changed, and not what a person had
// paused before.
func TestUndoOfAccountPause(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	db.Exec(t, "SELECT thaw.pause_account('ann', 'the wrong one', 'bob')")
	action := lastAction(t, db)
	require.Equal(t, 3, undo(t, db, action))
	require.Equal(t, map[string]string{
		"active": "account_issue", "waits": "account_issue", "restricted": "account_restricted", "by user": "paused_by_user",
		"pending": "pending", "replied": "replied",
	}, reasons(t, db), "an active prospect waits for the next tick")
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE paused_at < thaw.now() - interval '1 hour' AND prospect_url IN ('waits', 'restricted')"))
	require.Equal(t, []string{fmt.Sprintf("undone by bob: a mistake; of %d, 3 prospects", action)},
		testdb.Column[string](t, db, "SELECT format('%s by %s: %s; of %s, %s prospects', what, actor, reason, undoes, enrollments) FROM thaw.manual_actions WHERE what = 'undone'"))
	require.Contains(t, refusal(t, db, action).Message, "all of its 3 prospects have changed since")
	require.Contains(t, refusal(t, db, lastAction(t, db)).Hint, "Take the original action again")
	require.Equal(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'"),
		testdb.Value[int](t, db, "SELECT sum(paused) FROM thaw.paused_lines"))
}

// Prospects that have changed since an action keep their state, and the others are restored.
func TestUndoLeavesLaterChanges(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	db.Exec(t, "SELECT thaw.pause_account('ann', 'the wrong one', 'bob')")
	action := lastAction(t, db)
	db.Exec(t, "SELECT thaw.resume_prospect('restricted', 'asked', 'cyd')")
	db.Exec(t, "UPDATE thaw.enrollments SET status = 'replied', paused_reason = NULL, paused_at = NULL WHERE prospect_url = 'waits'")
	require.Equal(t, 1, undo(t, db, action))
	require.Equal(t, map[string]string{
		"active": "account_issue", "waits": "replied", "restricted": "account_issue", "by user": "paused_by_user",
		"pending": "pending", "replied": "replied",
	}, reasons(t, db))
}

func TestUndoOfProspectActions(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	before := reasons(t, db)
	for _, url := range []string{"pending", "waits", "restricted"} {
		db.Exec(t, "SELECT thaw.pause_prospect($1, 'the wrong one', 'bob')", url)
		require.Equal(t, 1, undo(t, db, lastAction(t, db)), url)
		require.Equal(t, before, reasons(t, db), url)
	}
	for _, url := range []string{"by user", "restricted"} {
		db.Exec(t, "SELECT thaw.resume_prospect($1, 'the wrong one', 'bob')", url)
		require.NotEqual(t, before, reasons(t, db), url)
		require.Equal(t, 1, undo(t, db, lastAction(t, db)), url)
		require.Equal(t, before, reasons(t, db), url)
	}
	db.Exec(t, "SELECT thaw.pause_prospect('replied', 'too late', 'bob')")
	require.Contains(t, refusal(t, db, lastAction(t, db)).Message, "it changed no prospects")
}

func TestUndoOfCampaignActions(t *testing.T) {
	t.Parallel()
	db := withProspects(t)
	state := func() string {
		return testdb.Value[string](t, db, "SELECT coalesce(paused_reason::text, status::text) FROM thaw.campaigns")
	}
	for _, was := range []string{"running", "account_issue"} {
		if was != "running" {
			db.Exec(t, "UPDATE thaw.campaigns SET status = 'paused', paused_reason = $1::thaw.pause_reason, paused_at = thaw.now()", was)
		}
		for _, act := range []string{"pause", "resume"} {
			db.Exec(t, fmt.Sprintf("SELECT thaw.%s_campaign('acme', 'spring', 'the wrong one', 'bob')", act))
			if was == state() { // it was so already
				continue
			}
			undo(t, db, lastAction(t, db))
			require.Equal(t, was, state(), act)
		}
	}
	db.Exec(t, "SELECT thaw.pause_campaign('acme', 'spring', 'the wrong one', 'bob')")
	action := lastAction(t, db)
	db.Exec(t, "SELECT thaw.resume_campaign('acme', 'spring', 'needed', 'cyd')")
	require.Contains(t, refusal(t, db, action).Message, "the campaign has changed since")
}

// The undo of a hold restores the hold before it, or ends it.
func TestUndoOfHolds(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	hold := func() string {
		return testdb.Value[string](t, db, "SELECT format('%s %s', date_trunc('hour', hold_until - thaw.now() + interval '1 minute'), hold_reason) FROM thaw.accounts")
	}
	db.Exec(t, "SELECT thaw.hold('ann', thaw.now() + interval '2 hours', 'new device', 'bob')")
	first := lastAction(t, db)
	db.Exec(t, "SELECT thaw.hold('ann', thaw.now() + interval '300 days', 'a wrong year', 'bob')")
	require.Contains(t, refusal(t, db, first).Message, "a later action has replaced it")
	undo(t, db, lastAction(t, db))
	require.Equal(t, "02:00:00 new device", hold())
	db.Exec(t, "SELECT thaw.correct_hold('ann', NULL, 'not needed', 'bob')")
	undo(t, db, lastAction(t, db))
	require.Equal(t, "02:00:00 new device", hold())
	db.Exec(t, "SELECT thaw.hold('ann', thaw.now() + interval '3 hours', 'longer', 'bob')")
	last := lastAction(t, db)
	db.Advance(t, 2*time.Hour+30*time.Minute)
	undo(t, db, last)
	require.Equal(t, " ", hold(), "the hold before it would have ended")
}

func TestUndoOfWorkspaceSettings(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	db.Exec(t, "SELECT thaw.set_auto_resume('acme', false, 'asked by mail', 'bob')")
	undo(t, db, lastAction(t, db))
	require.True(t, testdb.Value[bool](t, db, "SELECT auto_resume AND auto_resume_reason IS NULL FROM thaw.workspaces"))
	db.Exec(t, "SELECT thaw.set_heal_cap('acme', 300, 'their backlog', 'bob')")
	first := lastAction(t, db)
	db.Exec(t, "SELECT thaw.set_heal_cap('acme', 3000, 'one zero too many', 'bob')")
	require.Contains(t, refusal(t, db, first).Message, "a later action has replaced it")
	undo(t, db, lastAction(t, db))
	require.Equal(t, 300, testdb.Value[int](t, db, "SELECT heal_cap FROM thaw.workspaces"))
}

// Actions that have an opposite are not undone, and the refusal names it.
func TestUndoRefusesOtherActions(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	db.Exec(t, "SELECT thaw.safety_enter('an incident', 'bob')")
	require.Equal(t, "Exit safety mode instead.", refusal(t, db, lastAction(t, db)).Hint)
	require.Equal(t, "P0002", violation(t, db.Pool, "SELECT thaw.undo(99, 'x')").Code)
	require.Equal(t, "22023", violation(t, db.Pool, "SELECT thaw.undo(1, ' ')").Code)
}

// A second switch to the same state keeps the first reason, and the history has both.
func TestAutoResumeTwice(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	state := func() string {
		return testdb.Value[string](t, db, "SELECT format('%s %s', auto_resume, auto_resume_reason) FROM thaw.workspaces")
	}
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.set_auto_resume('acme', false, 'asked by mail', 'ann')"))
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.set_auto_resume('acme', false, NULL, 'bob')"))
	require.Equal(t, "f asked by mail", state())
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.set_auto_resume('acme', false, 'also an audit', 'bob')"))
	require.Equal(t, "f also an audit", state())
	require.Equal(t, []string{"auto_resume_off by ann: asked by mail", "auto_resume_off by bob: also an audit"}, actions(t, db))
}
