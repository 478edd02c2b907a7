package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// ramp is the ramp week and the cap of invites of an account.
func ramp(t *testing.T, db *testdb.DB, account int) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT concat_ws(' ', ramp_week, per_day) FROM thaw.kind_gates(ARRAY[$1::bigint], '{invite}')", account)
}

// rampingUp has one sent invite, and is in the given week of the ramp.
func rampingUp(t *testing.T, week int) *testdb.DB {
	t.Helper()
	db := withSenders(t)
	db.Exec(t, noGaps)
	require.Equal(t, "1 5", ramp(t, db, 1))
	send(t, db, 1)
	for range week - 1 { // Something is sent in each week.
		db.Advance(t, 7*24*time.Hour)
		db.Exec(t, "UPDATE thaw.senders SET last_sent_at = thaw.now(), last_started_at = thaw.now()")
	}
	return db
}

// The ramp begins with the first action that was sent, and not with the first attempt.
func TestRampBeginsWithTheFirstSentAction(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	id := reserve(t, db, 1)
	require.Equal(t, "go", start(t, db, id))
	settle(t, db, id, "throttled")
	db.Advance(t, 14*24*time.Hour)
	require.Equal(t, "1 5", ramp(t, db, 1))
	send(t, db, 1)
	for _, want := range []string{"2 10", "3 15", "4 20", "5 25", "6 30", "6 30"} {
		db.Advance(t, 7*24*time.Hour)
		db.Exec(t, "UPDATE thaw.senders SET last_sent_at = thaw.now(), last_started_at = thaw.now()")
		require.Equal(t, want, ramp(t, db, 1))
	}
}

// A full cap opens when the next week of the ramp begins, also in the middle of a day: the
// scheduler looks at the account then, and not only on the next day.
func TestFullCapOpensWithTheNextRampWeek(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"SELECT thaw.ensure_senders('{1}'); UPDATE thaw.senders SET ramp_started_at = thaw.now() - interval '6 days 22 hours', last_sent_at = thaw.now(); DELETE FROM thaw.enrollments WHERE account_id <> 1")
	sent := 0
	for range 20 {
		sent += len(claim(t, db, 10))
	}
	require.Equal(t, 5, sent)
	opens := testdb.Value[time.Time](t, db, "SELECT ramp_started_at + interval '168 hours' FROM thaw.senders WHERE key = 'member:m-ann'")
	require.Equal(t, "daily_cap", reserve(t, db, 9))
	require.Equal(t, opens, testdb.Value[time.Time](t, db, "SELECT next_at FROM thaw.sending_accounts WHERE account_id = 1"))
	db.Advance(t, 3*time.Hour)
	require.Len(t, claim(t, db, 10), 1)
}

// A reconnect keeps the week, and so does a new account record of the member.
func TestNewAccountRecordKeepsTheRamp(t *testing.T) {
	t.Parallel()
	db := rampingUp(t, 4)
	require.Equal(t, "4 20", ramp(t, db, 1))
	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'disconnected'); SELECT thaw.signal('linkedin', 'ann', 'connected')")
	require.Equal(t, "4 20", ramp(t, db, 1))
	db.Exec(t, `DELETE FROM thaw.enrollments WHERE account_id = 1; DELETE FROM thaw.accounts WHERE id = 1;
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier) VALUES (1, 'ann-again', 'm-ann', 'connected', 'Europe/Berlin', 'premium')`)
	require.Equal(t, "4 20", ramp(t, db, 4))
}

// A restriction starts the ramp again at half its week, once.
func TestRestrictionHalvesTheRamp(t *testing.T) {
	t.Parallel()
	db := rampingUp(t, 6)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'restricted'); SELECT thaw.signal('linkedin', 'ann', 'connected'); UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL WHERE id = 2")
	require.Equal(t, "3 15", ramp(t, db, 1))
	send(t, db, 2)
	require.Equal(t, "3 15", ramp(t, db, 1))
	db.Advance(t, 7*24*time.Hour)
	require.Equal(t, "4 20", ramp(t, db, 1))
}

// Linked accounts are one person: a restriction of one account counts once, whichever of them
// sends.
func TestRestrictionOfALinkedAccountCountsOnce(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`UPDATE thaw.accounts SET member_id = NULL; SELECT thaw.link_accounts('ann', 'bob', 'the same person')`)
	send(t, db, 1)
	send(t, db, 11)
	for range 5 {
		db.Advance(t, 7*24*time.Hour)
		db.Exec(t, "UPDATE thaw.senders SET last_sent_at = thaw.now(), last_started_at = thaw.now()")
	}
	require.Equal(t, "6 30", ramp(t, db, 2))
	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'restricted'); SELECT thaw.signal('linkedin', 'ann', 'connected'); UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL WHERE id = 2")
	require.Equal(t, "3 15", ramp(t, db, 2))
	for _, enrollment := range []int{12, 2, 13} {
		send(t, db, enrollment)
		require.Equal(t, "3 15", ramp(t, db, 1))
		require.Equal(t, "3 15", ramp(t, db, 2))
	}
}

// An idle month steps the ramp back by one week at most, however long it was.
func TestIdleMonthStepsTheRampBackOneWeek(t *testing.T) {
	t.Parallel()
	for days, want := range map[int]string{29: "6 30", 31: "3 15", 300: "3 15"} {
		db := rampingUp(t, 4)
		db.Advance(t, time.Duration(days)*24*time.Hour)
		require.Equal(t, want, ramp(t, db, 1), "%d days", days)
		send(t, db, 2)
		if days > 30 {
			require.Equal(t, want, ramp(t, db, 1))
			db.Advance(t, 7*24*time.Hour)
			require.Equal(t, "4 20", ramp(t, db, 1))
		}
	}
}

// A ramp that the platform dates is kept, and an override only lowers a cap while it lasts.
func TestOverrideOnlyLowersDuringTheRamp(t *testing.T) {
	t.Parallel()
	db := rampingUp(t, 2)
	db.Exec(t, "INSERT INTO thaw.action_overrides (workspace_id, account_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 70, 'x', 'x')")
	require.Equal(t, "2 10", ramp(t, db, 1))
	db.Exec(t, "UPDATE thaw.action_overrides SET per_day = 7")
	require.Equal(t, "2 7", ramp(t, db, 1))
	db.Exec(t, "UPDATE thaw.action_overrides SET per_day = 90; UPDATE thaw.senders SET ramp_started_at = thaw.now() - interval '1 year'")
	require.Equal(t, "6 80", ramp(t, db, 1), "the ceiling")
}
