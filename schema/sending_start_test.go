package schema_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// What changed between the reservation and the call counts: the last look
// refuses, and the quota is released.
func TestStartLooksAgain(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	for want, change := range map[string]string{
		"go":                    "SELECT 1",
		"account_locked":        "UPDATE thaw.accounts SET locked_at = thaw.now(), locked_reason = 'checkpoint' WHERE id = 1",
		"account_on_hold":       "SELECT thaw.hold('ann', thaw.now() + interval '1 hour', 'new device')",
		"safety_mode":           "SELECT thaw.safety_enter('an incident')",
		"limits_missing":        "DELETE FROM thaw.action_limits",
		"daily_cap":             "UPDATE thaw.action_limits SET per_day = 0",
		"weekly_cap":            "UPDATE thaw.action_limits SET per_week = 0",
		"campaign_cap":          "INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 0, 'x', 'x')",
		"window_closed":         "UPDATE thaw.sending_windows SET opens = '23:00', closes = '23:30'",
		"window_has_no_zone":    "UPDATE thaw.accounts SET timezone = NULL",
		"kind_on_hold":          "INSERT INTO thaw.action_holds (account_id, kind, until, code, reason, actor) VALUES (1, 'invite', thaw.now() + interval '1 hour', 'limited', 'x', 'x')",
		"no_such_step":          "UPDATE thaw.enrollments SET step = 1 WHERE id = 1",
		"not_active":            "DELETE FROM thaw.enrollments WHERE id = 1",
		"account_flapping":      "UPDATE thaw.accounts SET resume_after = thaw.now() + interval '1 hour' WHERE id = 1",
		"account_not_connected": "ALTER TABLE thaw.accounts DISABLE TRIGGER accounts_release_actions; UPDATE thaw.accounts SET status = 'connecting' WHERE id = 1",
		"campaign_not_running":  "ALTER TABLE thaw.campaigns DISABLE TRIGGER campaigns_release_actions; UPDATE thaw.campaigns SET status = 'draft'",
	} {
		const begin = "CREATE TEMPORARY TABLE mine AS SELECT r.id FROM thaw.reserve(1) AS r"
		assert.Equal(t, want, undone(t, db, begin, change, "SELECT coalesce(r.code, 'go') FROM mine, thaw.start(mine.id) AS r"), change)
		if want != "go" {
			assert.Equal(t, "released "+want+" 0", undone(t, db, begin, change, "SELECT thaw.start(mine.id) FROM mine", `
				SELECT concat_ws(' ', a.state, a.error_code, (SELECT count(*) FROM thaw.actions AS used WHERE used.is_used)) FROM thaw.actions AS a`), change)
		}
	}
}

// An enrollment that moved to a sibling account is not sent through the old one.
func TestStartRefusesMovedEnrollment(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	id := reserve(t, db, 1)
	db.Exec(t, "UPDATE thaw.enrollments SET account_id = 2 WHERE id = 1")
	require.Equal(t, "not_active", start(t, db, id))
	require.Equal(t, "released not_active", state(t, db, id))
	require.NotEqual(t, "already_reserved", reserve(t, db, 1))
}

// Two reservations of one sender that are started at once: the second has to wait,
// and is kept.
func TestStartKeepsTheGap(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	first := reserve(t, db, 1)
	db.Advance(t, 9*time.Minute)
	second := reserve(t, db, 2)
	require.Equal(t, "go", start(t, db, first))
	require.Equal(t, "cooldown 00:03:00", testdb.Value[string](t, db, `
		SELECT concat_ws(' ', r.code, r.opens_at - earlier.started_at) FROM thaw.start($1::bigint) AS r, thaw.actions AS earlier WHERE earlier.id = $2::bigint`, second, first))
	require.Equal(t, "reserved", state(t, db, second))
	db.Advance(t, 3*time.Minute)
	require.Equal(t, "go", start(t, db, second))
}

// A lower cap while three are reserved: as many as the new cap allows are started.
func TestLoweredCapHoldsForWhatIsReserved(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	var ids []string
	for enrollment := range 4 {
		ids = append(ids, reserve(t, db, enrollment+1))
	}
	db.Exec(t, "UPDATE thaw.action_limits SET per_day = 2")
	var results []string
	for _, id := range ids {
		results = append(results, start(t, db, id))
	}
	require.Equal(t, []string{"daily_cap", "daily_cap", "go", "go"}, results)
}

// Pausing releases what is reserved, and leaves what is started.
func TestPauseReleasesWhatIsReserved(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct{ statement, code string }{
		"account disconnects": {"SELECT thaw.signal('linkedin', 'ann', 'disconnected')", "account_not_connected"},
		"account is paused":   {"SELECT thaw.pause_account('ann', 'asked')", "not_active"},
		"campaign is paused":  {"SELECT thaw.pause_campaign('acme', 'spring', 'asked')", "campaign_not_running"},
		"prospect is paused":  {"SELECT thaw.pause_prospect('https://www.linkedin.com/in/p1-2', 'asked')", "not_active"},
		"platform pauses":     {"UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now() WHERE id = 2", "not_active"},
	} {
		for _, gateOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gate only %v", name, gateOnly), func(t *testing.T) {
				t.Parallel()
				db := withSenders(t)
				db.Exec(t, noGaps)
				if gateOnly {
					db.Exec(t, "DELETE FROM thaw.campaign_steps; UPDATE thaw.enrollments SET next_kind = NULL, next_action_at = thaw.now()")
				}
				started, reserved := reserveKind(t, db, 1, "invite"), reserveKind(t, db, 2, "invite")
				require.Equal(t, "go", start(t, db, started))
				db.Exec(t, one.statement)
				require.Equal(t, "released "+one.code, state(t, db, reserved))
				require.Equal(t, "started", state(t, db, started))
				require.Equal(t, "released", start(t, db, reserved))
				require.Equal(t, "released", settle(t, db, reserved, "released"), "the sender releases what was released")
				require.Equal(t, "sent", settle(t, db, started, "sent", "'inv_1'"))
				require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE is_used"))
			})
		}
	}
}

// A refused invite reached the provider. It uses no quota, but the next one keeps the gap between
// invites, and not only the shorter one between any two actions.
func TestARefusedInviteKeepsTheGapBetweenInvites(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	first := reserve(t, db, 1)
	require.Equal(t, "go", start(t, db, first))
	require.Equal(t, "refused", settle(t, db, first, "refused"))
	db.Exec(t, "UPDATE thaw.senders SET next_allowed_at = thaw.now(), last_started_at = NULL")
	require.Equal(t, "cooldown t", testdb.Value[string](t, db,
		"SELECT concat_ws(' ', r.code, r.opens_at >= a.started_at + interval '3 minutes') FROM thaw.reserve(2) AS r, thaw.actions AS a WHERE a.id = $1::bigint", first))
}
