package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The expected time of the next action takes all closed gates into account, and is in a sending
// window. It is unknown if a gate has no known opening.
func TestExpectedTimeOfTheNextAction(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	// expected returns the code of the gate, the expected time in Berlin, and what is due before it.
	expected := func(enrollment int) string {
		return testdb.Value[string](t, db, `
			SELECT concat_ws(' ', coalesce(n.code, 'open'), coalesce(to_char(n.expected_at AT TIME ZONE 'Europe/Berlin', 'Dy DD HH24:MI'), 'unknown'), n.ahead)
			FROM thaw.next_actions(ARRAY[$1::bigint]) AS n`, enrollment)
	}
	moveTo(t, db, "2026-03-06 09:00:00+00") // Friday, ten o'clock
	require.Equal(t, "open Fri 06 10:00 0", expected(1))
	require.Equal(t, "open Fri 06 10:00 3", expected(4))

	db.Exec(t, "UPDATE thaw.enrollments SET next_action_at = '2026-03-07 09:00:00+00' WHERE id = 4")
	require.Equal(t, "not_due Mon 09 09:00 9", expected(4), "the window is closed on Saturday")
	db.Exec(t, "UPDATE thaw.action_limits SET per_day = 1, per_week = 3")
	send(t, db, 1)
	require.Regexp(t, `^cooldown Mon 09 09:00 `, expected(2), "the cap of the day is full too")
	db.Advance(t, time.Hour)
	require.Equal(t, "daily_cap Mon 09 09:00 0", expected(2))

	db.Exec(t, "UPDATE thaw.action_limits SET per_week = 1")
	require.Equal(t, "daily_cap Fri 13 10:00 0", expected(2), "the action of last Friday is 168 hours old then")
	db.Exec(t, "SELECT thaw.hold_action_kind('ann', 'invite', '2026-03-13 20:00:00+00', 'a warning', 'ann')")
	require.Equal(t, "kind_on_hold Mon 16 09:00 0", expected(2), "the hold ends after the window")
	db.Exec(t, `SELECT thaw.set_sending_windows('acme', '[{"weekdays": [5], "opens": "20:00", "closes": "02:00"}]', 'ann', 'at night', 'ann')`)
	require.Equal(t, "kind_on_hold Fri 13 21:00 0", expected(2), "an overnight window of the account replaces the others")
	db.Exec(t, "UPDATE thaw.enrollments SET next_action_at = '2026-03-20 19:30:00+00' WHERE id = 2")
	require.Equal(t, "not_due Fri 20 20:30 8", expected(2))

	db.Exec(t, "UPDATE thaw.settings SET pending_invites = 1")
	require.Equal(t, "not_due unknown 8", expected(2), "no time is known at which an invite is accepted")
	db.Exec(t, "UPDATE thaw.accounts SET timezone = NULL WHERE id = 2")
	require.Equal(t, "window_has_no_zone unknown 0", expected(11))
	db.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE id = 3")
	require.Equal(t, "account_not_connected unknown 0", expected(21))
	db.Exec(t, "UPDATE thaw.action_limits SET per_day = 0; UPDATE thaw.accounts SET status = 'connected' WHERE id = 3")
	require.Equal(t, "daily_cap unknown 0", expected(21), "the cap never opens")
}

// What is due before an action is counted in all campaigns of the account, up to 100, without the
// actions that are under way.
func TestActionsDueBeforeAnother(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	ahead := func(enrollment int) int {
		return testdb.Value[int](t, db, "SELECT n.ahead FROM thaw.next_actions(ARRAY[$1::bigint]) AS n", enrollment)
	}
	require.Equal(t, 9, ahead(10))
	db.Exec(t, `
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'summer', 'running');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_kind, next_action_at, prospect_url)
		SELECT 1, 2, 1, 'active', kind, thaw.now() - interval '2 hours', kind || n FROM generate_series(1, 5) AS n, unnest('{invite,message}'::text[]) AS kind`)
	require.Equal(t, 14, ahead(10), "invites of the other campaign, and no messages")
	reserve(t, db, 1)
	require.Equal(t, 13, ahead(10))
	db.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_kind, next_action_at, prospect_url)
		SELECT 1, 2, 1, 'active', 'invite', thaw.now() - interval '2 hours', 'many' || n FROM generate_series(1, 200) AS n`)
	require.Equal(t, 100, ahead(10))
}

// In shadow mode Thaw gives nothing out, whatever else is open or closed, and no time is known. The
// platform's own sender reserves as ever, and what it has reserved is the answer.
func TestShadowModeIsAGateOfWhatThawGivesOut(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	next := func(enrollment int) string {
		return testdb.Value[string](t, db, `
			SELECT concat_ws(' ', coalesce(n.code, 'open'), coalesce(n.opens_at, n.expected_at) IS NOT NULL) FROM thaw.next_actions(ARRAY[$1::bigint]) AS n`, enrollment)
	}
	require.Equal(t, "open t", next(1))
	db.Exec(t, "SELECT thaw.go_shadow('acme', 'a trial')")
	require.Equal(t, "shadow_mode f", next(1))
	db.Exec(t, "UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '1 day' WHERE id = 2")
	require.Equal(t, "shadow_mode f", next(2), "the due time does not change it")
	require.Empty(t, claimed(t, db, 10, "account"))

	require.Equal(t, "1", reserve(t, db, 1))
	require.Equal(t, "already_reserved f", next(1))
	require.Empty(t, testdb.Value[string](t, db, "SELECT coalesce(r.code, '') FROM thaw.start(1) AS r"))
	db.Exec(t, "UPDATE thaw.accounts SET hold_until = thaw.now() + interval '1 day', hold_reason = 'x' WHERE id = 2")
	require.Equal(t, "account_on_hold", testdb.Value[string](t, db, "SELECT n.code FROM thaw.next_actions('{11}') AS n"))
	require.True(t, testdb.Value[bool](t, db, "SELECT n.expected_at IS NULL FROM thaw.next_actions('{11}') AS n"), "nothing is given out after the hold")
	db.Exec(t, "SELECT thaw.go_live('acme', 'the trial is over')")
	require.Equal(t, "cooldown t", next(3))
}
