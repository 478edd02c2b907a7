package schema_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// refused runs a statement that must fail and returns the error of the database.
func refused(t *testing.T, db *testdb.DB, sql string) *pgconn.PgError {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), sql)
	var raised *pgconn.PgError
	require.ErrorAs(t, err, &raised, sql)
	require.NotEmpty(t, raised.Hint, sql)
	return raised
}

// gate is what limits invites of the first account.
func gate(t *testing.T, db *testdb.DB) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT concat_ws(' ', per_day, per_week, gap_from, gap_to) FROM thaw.kind_gates('{1}', '{invite}')")
}

func TestActionLimits(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "SELECT thaw.set_ramp('ann', '2025-01-01', 'an old account', 'jane')")
	require.Equal(t, "30 150 00:03:00 00:08:00", gate(t, db))
	set := func(args string) bool {
		return testdb.Value[bool](t, db, "SELECT thaw.set_action_limit("+args+", reason => 'why', actor => 'jane')")
	}
	require.True(t, set("'acme', 'invite', per_day => 25"))
	require.False(t, set("'acme', 'invite', per_day => 25"), "it was set before")
	require.True(t, set("'acme', 'invite', per_week => 90, gap_from => '5 minutes', gap_to => '10 minutes', account => 'ann'"))
	require.Equal(t, "25 90 00:05:00 00:10:00", gate(t, db))
	require.True(t, set("'acme', 'invite', account => 'ann'"))
	require.True(t, set("'acme', 'invite'"))
	require.Equal(t, "30 150 00:03:00 00:08:00", gate(t, db))
	require.True(t, set("'acme', 'invite', per_day => 1, campaign => 'spring'"))
	require.Equal(t, []string{
		"ramp_set: started on 2025-01-01", "limit_set: invite: 25 per day", "limit_set: invite: 90 per 7 days, gap 00:05:00 to 00:10:00",
		"limit_set: invite: no limit of its own", "limit_set: invite: no limit of its own", "limit_set: invite: 1 per day",
	}, testdb.Column[string](t, db, "SELECT what || ': ' || detail FROM thaw.manual_actions WHERE actor = 'jane' ORDER BY id"))

	for args, message := range map[string]string{
		"'acme', 'invite', per_day => 81":                                 "the limit is above the ceiling of the fleet (invite: 80 per day, 200 per 7 days, gap 00:01:00)",
		"'acme', 'invite', gap_from => '1 s', gap_to => '2 s'":            "the limit is above the ceiling of the fleet (invite: 80 per day, 200 per 7 days, gap 00:01:00)",
		"'acme', 'fax', per_day => 1":                                     `the kind "fax" is unknown`,
		"'acme', 'invite', per_day => -1":                                 "a cap is out of range: invite: -1 per day",
		"'acme', 'invite', gap_from => '2 minutes'":                       "the gap is from 00:02:00 to null",
		"'acme', 'invite', per_week => 5, campaign => 'spring'":           "a campaign has a cap per day only",
		"'acme', 'invite', per_day => 5, campaign => 'x', account => 'y'": "a limit is of an account or of a campaign, not of both",
		"'globex', 'invite', per_day => 5":                                `there is no workspace "globex"`,
	} {
		require.Equal(t, message, refused(t, db, "SELECT thaw.set_action_limit("+args+", reason => 'why')").Message)
	}
	require.Equal(t, "no reason was given", refused(t, db, "SELECT thaw.set_action_limit('acme', 'invite', 5)").Message)
}

// An operator lowers and raises what overrides may allow at most.
func TestActionCeilings(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "SELECT thaw.set_ramp('ann', '2025-01-01', 'why')")
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.set_action_ceiling('invite', per_day => 20, reason => 'an incident')"))
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.set_action_ceiling('invite', per_day => 20, reason => 'an incident')"))
	require.Equal(t, "20 150 00:03:00 00:08:00", gate(t, db))
	require.Equal(t, "ceiling_set: invite: 20 per day, 200 per 7 days, gap 00:01:00",
		testdb.Value[string](t, db, "SELECT what || ': ' || detail FROM thaw.manual_actions ORDER BY id DESC LIMIT 1"))
	require.Equal(t, "no ceiling was given", refused(t, db, "SELECT thaw.set_action_ceiling('invite', reason => 'why')").Message)
	require.Equal(t, "the ceiling is out of range: invite: 100001 per day",
		refused(t, db, "SELECT thaw.set_action_ceiling('invite', 100001, reason => 'why')").Message)
}

func TestSendingWindows(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	opens := func() string {
		return testdb.Value[string](t, db, "SELECT concat_ws(' ', code, thaw.job_time(window_opens_at)) FROM thaw.kind_gates('{1}', '{invite}')")
	}
	require.Equal(t, "2026-03-04T08:00:00Z", opens())
	set := func(args string) int {
		return testdb.Value[int](t, db, "SELECT thaw.set_sending_windows("+args+", reason => 'why', actor => 'jane')")
	}
	require.Equal(t, 1, set(`'acme', '[{"weekdays": [2, 1], "opens": "14:00", "closes": "24:00"}]'`))
	require.Equal(t, "window_closed 2026-03-03T13:00:00Z", opens())
	require.Equal(t, 2, set(`'acme', '[{"weekdays": [7], "opens": "09:00", "closes": "17:00"},
		{"weekdays": [6], "opens": "22:00", "closes": "06:00", "timezone": "asia/tokyo"}]', account => 'ann'`))
	require.Equal(t, "window_closed 2026-03-07T13:00:00Z", opens())
	require.Equal(t, 0, set(`'acme', '[]', account => 'ann'`))
	require.Equal(t, 0, set(`'acme', '[]'`))
	require.Equal(t, "2026-03-04T08:00:00Z", opens())
	require.Equal(t, 1, set(`NULL, '[{"weekdays": [5], "opens": "09:00", "closes": "17:00"}]'`))
	require.Equal(t, "window_closed 2026-03-06T08:00:00Z", opens())
	require.Equal(t, []string{
		"weekdays 1,2 14:00 to 24:00", "weekdays 7 09:00 to 17:00; weekdays 6 22:00 to 06:00 Asia/Tokyo", "no windows of its own", "no windows of its own",
		"weekdays 5 09:00 to 17:00",
	}, testdb.Column[string](t, db, "SELECT detail FROM thaw.manual_actions WHERE what = 'windows_set' ORDER BY id"))

	for windows, message := range map[string]string{
		`{}`:    "the windows are not a list of at most 50 windows",
		`[{}]`:  "window 1 has no valid weekdays",
		`["x"]`: "window 1 is not an object with weekdays, opens, closes and timezone",
		`[{"weekdays": [1], "opens": "09:00", "closes": "17:00", "zone": "UTC"}]`:               "window 1 is not an object with weekdays, opens, closes and timezone",
		`[{"weekdays": [0], "opens": "09:00", "closes": "17:00"}]`:                              "window 1 has no valid weekdays",
		`[{"weekdays": ["1"], "opens": "09:00", "closes": "17:00"}]`:                            "window 1 has no valid weekdays",
		`[{"weekdays": [1], "opens": "9", "closes": "17:00"}]`:                                  "window 1 opens at 9 and closes at 17:00",
		`[{"weekdays": [1], "opens": "09:00", "closes": "09:00"}]`:                              "window 1 opens at 09:00 and closes at 09:00",
		`[{"weekdays": [1], "opens": "09:00", "closes": "17:00", "timezone": "Europe/Gotham"}]`: `window 1 has an unknown time zone: "Europe/Gotham"`,
	} {
		require.Equal(t, message, refused(t, db, "SELECT thaw.set_sending_windows('acme', '"+windows+"', reason => 'why')").Message)
	}
	require.Equal(t, "the windows of the fleet cannot be removed", refused(t, db, "SELECT thaw.set_sending_windows(NULL, '[]', reason => 'why')").Message)
}

// A hold of one kind is extended by everyone and shortened by an operator only. It is of the
// person.
func TestHoldsOfOneKind(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "UPDATE thaw.accounts SET member_id = 'm-ann' WHERE id = 2")
	code := func(account, kind string) string {
		return testdb.Value[string](t, db, "SELECT concat_ws(' ', code, thaw.job_time(opens_at)) FROM thaw.kind_gates(ARRAY["+account+"], ARRAY['"+kind+"'])")
	}
	db.Exec(t, "SELECT thaw.hold_action_kind('ann', 'invite', '2026-03-05T12:00Z', 'a warning', 'jane')")
	require.Equal(t, "kind_on_hold 2026-03-05T12:00:00Z", code("1", "invite"))
	require.Empty(t, code("1", "message"))
	db.Exec(t, "SELECT thaw.ensure_senders('{2}')")
	require.Equal(t, "kind_on_hold 2026-03-05T12:00:00Z", code("2", "invite"), "another account of the person")
	require.Equal(t, "the kind invite is on hold until 2026-03-05T12:00:00Z",
		refused(t, db, "SELECT thaw.hold_action_kind('ann', 'invite', '2026-03-04T12:00Z', 'shorter')").Message)
	for _, sql := range []string{"UPDATE thaw.action_holds SET until = thaw.now()", "DELETE FROM thaw.action_holds"} {
		require.Equal(t, "action_holds_are_never_shortened", violation(t, db.Pool, sql).ConstraintName, sql)
	}
	require.Equal(t, "a hold must end in the future and within a year, not at 2026-03-01T12:00:00Z",
		refused(t, db, "SELECT thaw.hold_action_kind('ann', 'invite', '2026-03-01T12:00Z', 'shorter')").Message)
	db.Exec(t, "SELECT thaw.correct_action_hold('ann', 'invite', '2026-03-04T12:00Z', 'too long', 'jane')")
	require.Equal(t, "kind_on_hold 2026-03-04T12:00:00Z", code("1", "invite"))
	db.Exec(t, "SELECT thaw.correct_action_hold('ann', 'invite', NULL, 'a mistake', 'jane')")
	require.Empty(t, code("1", "invite"))
	require.Equal(t, `the kind invite of account "ann" is not on hold`, refused(t, db, "SELECT thaw.correct_action_hold('ann', 'invite', NULL, 'again')").Message)
	require.Equal(t, []string{"kind_held invite until 2026-03-05T12:00:00Z", "kind_hold_corrected invite", "kind_hold_corrected invite"},
		testdb.Column[string](t, db, "SELECT what || ' ' || detail FROM thaw.manual_actions WHERE actor = 'jane' ORDER BY id"))
}

func TestSetRamp(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	set := func(on string) int { return testdb.Value[int](t, db, "SELECT thaw.set_ramp('ann', "+on+", 'why')") }
	require.Equal(t, 2, set("'2026-02-20'"))
	require.Equal(t, 6, set("'2020-02-20'"))
	require.Equal(t, 1, set("NULL"))
	require.Equal(t, "the ramp cannot have started on 2026-03-04", refused(t, db, "SELECT thaw.set_ramp('ann', '2026-03-04', 'why')").Message)
	// The date stands, although the account was restricted before it was given.
	db.Exec(t, "UPDATE thaw.accounts SET status = 'restricted' WHERE id = 1; UPDATE thaw.accounts SET status = 'connected' WHERE id = 1")
	require.Equal(t, 6, set("'2020-02-20'"))
}

func TestCampaignSteps(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, `
		UPDATE thaw.enrollments SET step = 1 WHERE id = 2;
		UPDATE thaw.enrollments SET status = 'pending' WHERE id = 3;
		UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'account_issue', paused_at = thaw.now() WHERE id = 4;
		UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now() WHERE id = 5;
		UPDATE thaw.enrollments SET status = 'replied' WHERE id = 6;
		UPDATE thaw.enrollments SET account_id = NULL WHERE id = 7;`)
	require.Equal(t, 29, testdb.Value[int](t, db, `SELECT thaw.set_campaign_steps('acme', 'spring', '[{"kind": "view"}, {"kind": "invite", "delay": "36 hours"}]')`))
	require.Equal(t, []string{"view", "invite", "view", "view", "view", "invite", "view"},
		testdb.Column[string](t, db, "SELECT next_kind FROM thaw.enrollments WHERE id <= 7 ORDER BY id"))
	require.Equal(t, []string{"0 view 00:00:00", "1 invite 36:00:00"},
		testdb.Column[string](t, db, "SELECT concat_ws(' ', position, kind, delay) FROM thaw.campaign_steps ORDER BY position"))
	require.Zero(t, testdb.Value[int](t, db, `SELECT thaw.set_campaign_steps('acme', 'spring', '[]')`))
	require.Equal(t, "view", testdb.Value[string](t, db, "SELECT next_kind FROM thaw.enrollments WHERE id = 1"), "the platform passes the next one")
	for steps, message := range map[string]string{
		`{}`:                                        "the steps are not a list of at most 200 steps",
		`[{"kind": "fax"}]`:                         `the kind "fax" is unknown`,
		`[{"kind": "view"}, {"type": "view"}]`:      "step 1 is not an object with kind and delay",
		`[{"kind": "view", "delay": "a while"}]`:    "step 0 has an invalid delay: a while",
		`[{"kind": "view", "delay": "-1 day"}]`:     "step 0 has an invalid delay: -1 day",
		`[{"kind": "view", "delay": 2}]`:            "step 0 has an invalid delay: 2",
		`[{"kind": "view", "delay": "99999999 y"}]`: "step 0 has an invalid delay: 99999999 y",
	} {
		require.Equal(t, message, refused(t, db, "SELECT thaw.set_campaign_steps('acme', 'spring', '"+steps+"')").Message)
	}
}

// A person settles an unknown action. The audit log has the reason.
func TestVerifyAction(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "SELECT thaw.reserve(1); SELECT thaw.start(1); SELECT thaw.settle(1, 'unknown', error_code => 'timeout')")
	missing := refused(t, db, "SELECT thaw.verify_action(999, 'verified_sent', 'why')")
	require.Equal(t, []string{"there is no action 999", "Use the ID of an unknown action: thaw actions --unknown lists them."}, []string{missing.Message, missing.Hint})
	require.Equal(t, `an unknown action is not settled as "sent"`, refused(t, db, "SELECT thaw.verify_action(1, 'sent', 'why')").Message)
	for range 2 { // a repeated one changes nothing
		require.Equal(t, "sent", testdb.Value[string](t, db, "SELECT thaw.verify_action(1, 'verified_sent', 'it is in her list', 'jane')"))
	}
	require.Equal(t, []string{"action_settled by jane: it is in her list (action 1: verified_sent)"},
		testdb.Column[string](t, db, "SELECT format('%s by %s: %s (%s)', what, actor, reason, detail) FROM thaw.manual_actions"))
	require.Contains(t, refused(t, db, "SELECT thaw.verify_action(1, 'verified_absent', 'why')").Message, "action 1 cannot be settled as verified_absent")
	require.Contains(t, refused(t, db, "SELECT thaw.verify_action(1, 'verified_sent', ' ')").Message, "reason")
	require.Equal(t, "an action that was not delivered has no ID of the provider", refused(t, db, "SELECT thaw.verify_action(1, 'verified_absent', 'why', provider_ref => 'inv_1')").Message)
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.is_undoable(1, 'action_settled')"))
}
