package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// What is shown as used is counted from the rows of the ledger, in every state
// in which the request may have reached the prospect.
func TestShownUseIsCountedFromRows(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 100, per_week = 100")
	want := 0
	for n, outcome := range []string{"sent", "unknown", "already", "throttled", ""} {
		id := reserve(t, db, n+1)
		require.Equal(t, "go", start(t, db, id))
		if outcome != "" {
			settle(t, db, id, outcome, "provider_ref => 'x'")
		}
		if outcome == "sent" || outcome == "unknown" || outcome == "" {
			want++
		}
		require.Equal(t, want, used(t, db), outcome)
	}
	settle(t, db, reserve(t, db, 6), "released")
	reserve(t, db, 7)
	require.Equal(t, want+1, used(t, db))
	db.Exec(t, "DELETE FROM thaw.actions WHERE state = 'unknown'")
	require.Equal(t, want, used(t, db), "there is no counter that could drift")
}

// A refusal costs nothing: no row, no gap, and neither the campaign nor the
// prospect is paused.
func TestRefusalCostsNothing(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 1")
	send(t, db, 1)
	const everything = `
		SELECT a::text FROM thaw.actions AS a UNION ALL SELECT s::text FROM thaw.senders AS s UNION ALL SELECT e::text FROM thaw.enrollments AS e
		UNION ALL SELECT c::text FROM thaw.campaigns AS c UNION ALL SELECT j.id::text FROM thaw.river_job AS j ORDER BY 1`
	before := testdb.Column[string](t, db, everything)
	for range 10 {
		require.Equal(t, "daily_cap", reserve(t, db, 2))
	}
	require.Equal(t, before, testdb.Column[string](t, db, everything))
}

// Gates are per kind: a full cap of invites does not hold up messages to people
// who are connected already.
func TestFullInviteCapLeavesMessagesAlone(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 1 WHERE kind = 'invite'; UPDATE thaw.enrollments SET step = 1 WHERE id = 2")
	send(t, db, 1)
	require.Equal(t, "daily_cap", reserve(t, db, 3))
	send(t, db, 2)
	require.Contains(t, claim(t, db, 10), 11)
}

// A week is the last 168 hours, and not the calendar week. A sender with new connections, and in
// another time zone, counts the same: nothing is kept in the session. The chaos tests kill senders
// and Postgres while caps of a week are full (TestGatedSenders).
func TestWeekIsTheLast168Hours(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 2, per_week = 3; SET timezone = 'Pacific/Kiritimati'")
	moveTo(t, db, "2026-03-08 10:00:00+00") // Sunday
	send(t, db, 1)
	moveTo(t, db, "2026-03-09 10:00:00+00") // Monday, of another calendar week
	send(t, db, 2)
	send(t, db, 3)
	require.Equal(t, "daily_cap", reserve(t, db, 4))
	db.Pool.Reset() // The next connections have the server's time zone.
	require.Equal(t, "daily_cap", reserve(t, db, 4))
	moveTo(t, db, "2026-03-10 10:00:00+00")
	require.Equal(t, "weekly_cap 2026-03-15 10:00", testdb.Value[string](t, db, "SELECT concat_ws(' ', r.code, to_char(r.opens_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')) FROM thaw.reserve(4) AS r"))
	moveTo(t, db, "2026-03-15 09:59:00+00")
	require.Equal(t, "weekly_cap", reserve(t, db, 4))
	moveTo(t, db, "2026-03-15 10:01:00+00")
	send(t, db, 4)
	require.Equal(t, "weekly_cap", reserve(t, db, 5))
}

// A cap that is full ends with its day, and a hold with its time; nothing
// counts as finished meanwhile.
func TestFullCapOpensByItself(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 1")
	send(t, db, 1)
	for day := range 3 {
		require.NotContains(t, claim(t, db, 10), 2+day)
		require.Equal(t, "running active", testdb.Value[string](t, db, "SELECT concat_ws(' ', c.status, e.status) FROM thaw.campaigns AS c, thaw.enrollments AS e WHERE e.id = 2"))
		db.Advance(t, 24*time.Hour)
		require.Equal(t, 1, len(testdb.Column[int](t, db, "SELECT c.enrollment FROM thaw.claim_actions(10) AS c WHERE c.account = 'ann'")), "day %d", day)
	}
	settle(t, db, "1", "sent", "'ref_1'")
	db.Exec(t, "SELECT thaw.hold_kind(1, 'invite', thaw.now() + interval '1 day', 'limited', 'a limit', 'x')")
	require.Equal(t, "kind_on_hold", reserve(t, db, 9))
	db.Advance(t, 24*time.Hour)
	require.NotEqual(t, "kind_on_hold", reserve(t, db, 9))
}

// A person has one quota, through whichever account: one in another workspace, a linked one, and a
// new record of the same account.
func TestPersonHasOneQuota(t *testing.T) {
	t.Parallel()
	const setUp = noGaps + `
		UPDATE thaw.action_limits SET per_day = 2;
		INSERT INTO thaw.workspaces (key) VALUES ('globex');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (2, 'autumn', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite');`
	prospects := func(workspace, campaign string) string {
		return `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
			SELECT ` + workspace + ", " + campaign + `, 4, 'active', thaw.now(), 'https://www.linkedin.com/in/new-' || n FROM generate_series(1, 5) AS n`
	}
	t.Run("in another workspace", func(t *testing.T) {
		t.Parallel()
		db := withSenders(t)
		db.Exec(t, setUp+"INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone) VALUES (2, 'ann-2', 'm-ann', 'connected', 'Europe/Berlin');"+prospects("2", "2"))
		send(t, db, 1)
		send(t, db, 31)
		require.Equal(t, "daily_cap", reserve(t, db, 2))
		require.Equal(t, "daily_cap", reserve(t, db, 32))
		// The pair is closed for the person too.
		db.Advance(t, 24*time.Hour)
		db.Exec(t, "UPDATE thaw.enrollments SET prospect_url = 'https://www.linkedin.com/in/p1-1' WHERE id = 33")
		require.Equal(t, "already_invited", reserve(t, db, 33))
	})
	t.Run("linked", func(t *testing.T) {
		t.Parallel()
		db := withSenders(t)
		db.Exec(t, setUp+`
			UPDATE thaw.accounts SET member_id = NULL;
			INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone) VALUES (1, 'ann-2', 'connected', 'Europe/Berlin');`+prospects("1", "1"))
		send(t, db, 1)
		send(t, db, 31)
		send(t, db, 32)
		require.Equal(t, "daily_cap", reserve(t, db, 33), "two senders, as far as is known")
		send(t, db, 2)
		db.Exec(t, "SELECT thaw.link_accounts('ann', 'ann-2', 'the same person')")
		require.Equal(t, "daily_cap", reserve(t, db, 3))
		require.Equal(t, "daily_cap", reserve(t, db, 33))
		require.Equal(t, 4, testdb.Value[int](t, db, "SELECT max(used_today) FROM thaw.kind_gates('{4}', '{invite}')"))
	})
	t.Run("known later", func(t *testing.T) {
		t.Parallel()
		db := withSenders(t)
		db.Exec(t, setUp+`
			INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone) VALUES (2, 'ann-2', 'connected', 'America/New_York');`+prospects("2", "2"))
		send(t, db, 31)
		send(t, db, 1)
		reserved := reserve(t, db, 32)
		db.Exec(t, "UPDATE thaw.accounts SET member_id = 'm-ann' WHERE id = 4")
		require.Equal(t, "daily_cap", start(t, db, reserved), "the last look knows the person")
		require.Equal(t, "daily_cap", reserve(t, db, 33))
		require.Equal(t, "daily_cap", reserve(t, db, 2))
		require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(DISTINCT sender_id) FROM thaw.actions WHERE is_used"))
	})
	t.Run("both had invited the prospect", func(t *testing.T) {
		t.Parallel()
		db := withSenders(t)
		db.Exec(t, setUp+`
			INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone) VALUES (2, 'ann-2', 'connected', 'Europe/Berlin');`+prospects("2", "2")+`;
			UPDATE thaw.enrollments SET prospect_url = 'https://www.linkedin.com/in/p1-1' WHERE id = 31`)
		send(t, db, 1)
		id := send(t, db, 31)
		db.Exec(t, "UPDATE thaw.accounts SET member_id = 'm-ann' WHERE id = 4")
		require.Equal(t, "daily_cap", reserve(t, db, 32), "what was used stays used")
		require.Equal(t, "duplicate", testdb.Value[string](t, db, "SELECT closed_as FROM thaw.actions WHERE id = $1::bigint", id))
		require.Equal(t, 1, testdb.Value[int](t, db, "SELECT pending_invites FROM thaw.kind_gates('{1}', '{invite}')"))
		require.False(t, testdb.Value[bool](t, db, "SELECT thaw.close_invite($1::bigint, 'accepted')", id))
	})
	t.Run("a new record", func(t *testing.T) {
		t.Parallel()
		db := withSenders(t)
		db.Exec(t, setUp)
		send(t, db, 1)
		send(t, db, 2)
		db.Exec(t, `DELETE FROM thaw.enrollments WHERE account_id = 1; DELETE FROM thaw.accounts WHERE id = 1;
			INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone) VALUES (1, 'ann-again', 'm-ann', 'connected', 'Europe/Berlin');`+prospects("1", "1"))
		require.Equal(t, "daily_cap", reserve(t, db, 31))
	})
}
