package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// An account without a time zone sends nothing and says so. It is neither
// treated as UTC nor forgotten.
func TestMissingZoneIsACode(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "UPDATE thaw.accounts SET timezone = NULL WHERE id = 1")
	require.Equal(t, "window_has_no_zone", reserve(t, db, 1))
	require.NotContains(t, claim(t, db, 10), 1)
	require.Equal(t, "window_has_no_zone", testdb.Value[string](t, db, "SELECT code FROM thaw.sending_accounts WHERE account_id = 1"))
	db.Exec(t, "UPDATE thaw.accounts SET timezone = 'America/New_York' WHERE id = 1")
	require.Equal(t, "window_closed", reserve(t, db, 1), "it is four in the morning there")
	require.NotContains(t, claim(t, db, 10), 1)
	moveTo(t, db, "2026-03-03 14:01:00+00")
	require.Contains(t, claim(t, db, 10), 1)
	// The zone of a window is used for an account that has none.
	db.Exec(t, "UPDATE thaw.accounts SET timezone = NULL WHERE id = 2; UPDATE thaw.sending_windows SET timezone = 'Asia/Kathmandu'")
	require.Equal(t, "window_closed", reserve(t, db, 20))
	moveTo(t, db, "2026-03-04 03:16:00+00")
	require.NotEqual(t, "window_closed", reserve(t, db, 20))
}

// Deferral follows the rules of the zone on the day, both ways, and not an
// offset of winter or the midnight of UTC.
func TestOpeningsFollowClockChanges(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	opens := func(at string) string {
		moveTo(t, db, at)
		return testdb.Value[string](t, db, "SELECT concat_ws(' ', r.code, to_char(r.opens_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI')) FROM thaw.reserve(1) AS r")
	}
	require.Equal(t, "window_closed 03-30 07:00", opens("2026-03-27 18:00+00"), "the Monday after the change in spring")
	require.Equal(t, "window_closed 10-26 08:00", opens("2026-10-23 18:00+00"), "the Monday after the change in autumn")

	// The day of a cap has 23 or 25 hours.
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 1")
	for at, want := range map[string]string{"2027-03-27 23:30+00": "daily_cap 03-28 22:00", "2027-10-30 22:30+00": "daily_cap 10-31 23:00"} {
		fresh := withSenders(t)
		fresh.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 1")
		moveTo(t, fresh, at)
		reserve(t, fresh, 1)
		require.Equal(t, want, testdb.Value[string](t, fresh, "SELECT concat_ws(' ', r.code, to_char(r.opens_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI')) FROM thaw.reserve(2) AS r"))
	}
}

// The windows of an account replace those of its workspace, and these replace those of the fleet.
func TestWindowsOfTheNearestOwner(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, `INSERT INTO thaw.sending_windows (workspace_id, weekdays, opens, closes) VALUES (1, '{2}', '12:00', '13:00'), (1, '{2}', '15:00', '16:00')`)
	require.Equal(t, "window_closed Mar 03 12:00", testdb.Value[string](t, db, answer))
	moveTo(t, db, "2026-03-03 12:00:00+00")
	require.Equal(t, "window_closed Mar 03 15:00", testdb.Value[string](t, db, answer))
	db.Exec(t, `INSERT INTO thaw.sending_windows (workspace_id, account_id, weekdays, opens, closes) VALUES (1, 1, '{1}', '22:00', '02:00')`)
	require.Equal(t, "window_closed Mar 09 22:00", testdb.Value[string](t, db, answer))
	moveTo(t, db, "2026-03-10 00:59:00+00")
	require.Equal(t, "1", testdb.Value[string](t, db, answer), "Tuesday night belongs to the window of Monday")
	require.Equal(t, "window_closed", reserve(t, db, 11))
}

// A change of the zone, in any direction and back, never gives a second day.
func TestChangeOfZoneNeverGivesASecondDay(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 1, per_week = NULL")
	move := func(zone string) { db.Exec(t, "UPDATE thaw.accounts SET timezone = $1 WHERE id = 1", zone) }
	moveTo(t, db, "2026-03-03 21:00:00+00") // 22:00 in Berlin
	send(t, db, 1)
	for _, zone := range []string{"Asia/Tokyo", "Pacific/Kiritimati", "America/Los_Angeles", "Pacific/Pago_Pago", "Europe/Berlin"} {
		move(zone)
		require.Equal(t, "daily_cap", reserve(t, db, 2), zone)
	}
	// In Tokyo it is the next day since 15:00 UTC, but the day in Berlin began at 23:00 UTC.
	move("Asia/Tokyo")
	moveTo(t, db, "2026-03-03 22:59:00+00")
	require.Equal(t, "daily_cap", reserve(t, db, 2))
	moveTo(t, db, "2026-03-04 14:59:00+00")
	require.Equal(t, "daily_cap", reserve(t, db, 2))
	moveTo(t, db, "2026-03-04 15:01:00+00")
	send(t, db, 2)
	move("Europe/Berlin")
	db.Advance(t, 24*time.Hour)
	require.Equal(t, "daily_cap", reserve(t, db, 3), "the day began at 15:00 UTC, and the next midnight in Berlin is at 23:00")
	db.Advance(t, 8*time.Hour)
	send(t, db, 3)
}

// A request that is under way at midnight may be made in the new day, so it counts into both days.
func TestActionUnderWayAtMidnightCountsIntoBothDays(t *testing.T) {
	t.Parallel()
	for outcome, today := range map[string]int{"sent": 2, "unknown": 2, "throttled": 1} {
		db := withSenders(t)
		db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 2")
		moveTo(t, db, "2026-03-03 22:50:00+00") // 23:50 in Berlin
		send(t, db, 1)
		moveTo(t, db, "2026-03-03 22:59:00+00")
		late := reserve(t, db, 2)
		require.Equal(t, "go", start(t, db, late))
		require.Equal(t, "daily_cap", reserve(t, db, 3))

		moveTo(t, db, "2026-03-03 23:01:00+00")
		require.Equal(t, 1, used(t, db), "the one that is under way")
		third := reserve(t, db, 3)
		require.Equal(t, "daily_cap", reserve(t, db, 4))
		require.Equal(t, "go", start(t, db, third))
		settle(t, db, late, outcome, "provider_ref => 'x'")
		settle(t, db, third, "sent", "provider_ref => 'x'")
		require.Equal(t, today, used(t, db), outcome)
		for range 2 - today {
			send(t, db, 4)
		}
		require.Equal(t, "daily_cap", reserve(t, db, 5))
	}
}

// The same for the cap of a campaign. Its accounts may have several zones, and an action counts
// into the days of its own.
func TestCampaignCountsWhatIsUnderWayAtMidnight(t *testing.T) {
	t.Parallel()
	for outcome, isOpen := range map[string]bool{"sent": false, "unknown": false, "throttled": true} {
		db := withSenders(t)
		db.Exec(t, noGaps+`
			INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 2, 'x', 'x');
			UPDATE thaw.accounts SET timezone = 'America/Los_Angeles' WHERE id = 2`)
		moveTo(t, db, "2026-03-03 22:50:00+00") // 23:50 in Berlin, 14:50 in Los Angeles
		send(t, db, 1)
		moveTo(t, db, "2026-03-03 22:59:00+00")
		late := reserve(t, db, 2)
		require.Equal(t, "go", start(t, db, late))
		require.Equal(t, "campaign_cap", reserve(t, db, 3))
		require.Equal(t, "campaign_cap", reserve(t, db, 11), "both were started on the same day of the calendar")

		moveTo(t, db, "2026-03-03 23:01:00+00")
		third := reserve(t, db, 3)
		require.Equal(t, "campaign_cap", reserve(t, db, 4), "one is under way")
		require.Equal(t, "go", start(t, db, third))
		settle(t, db, late, outcome, "provider_ref => 'x'")
		settle(t, db, third, "sent", "provider_ref => 'x'")
		if isOpen {
			require.Equal(t, "reserved", testdb.Value[string](t, db, "SELECT state::text FROM thaw.actions WHERE id = $1::bigint", reserve(t, db, 4)), outcome)
		}
		require.Equal(t, "campaign_cap", reserve(t, db, 5), outcome)
	}
	db := withSenders(t)
	db.Exec(t, noGaps+`
		INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 1, 'x', 'x');
		UPDATE thaw.accounts SET timezone = 'America/Los_Angeles' WHERE id = 2`)
	moveTo(t, db, "2026-03-03 23:30:00+00")
	send(t, db, 11)
	require.Equal(t, "campaign_cap", reserve(t, db, 12))
	require.NotEqual(t, "campaign_cap", reserve(t, db, 1), "the day before, in its own zone")
}
