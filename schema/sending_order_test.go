package schema_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pastInvite inserts an invite of the first account, with the given enrollment, step, prospect and
// columns.
func pastInvite(enrollment, step, prospect, state, columns, values string) string {
	return `
		INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, state,
			actor, reserved_at, used_at, local_day, gap, next_of_kind_at, ` + columns + `)
		SELECT 1, 1, 1, 2, ` + enrollment + `, provider, 'https://www.linkedin.com/in/` + prospect + `', ` + step + `, 'invite', '` + state + `',
			'x', thaw.now(), thaw.now(), local_day, '0', thaw.now(), ` + values + `
		FROM thaw.actions WHERE enrollment_id = 2`
}

// Each gate is closed together with all later ones, and is the answer, with its opening time. The
// table has all documented gates in the documented order.
func TestFirstClosedGateIsTheAnswer(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	// The second prospect uses up whatever cap is 1. The first one is in another campaign too.
	db.Exec(t, noGaps+`
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'summer', 'running')`)
	send(t, db, 2)
	const (
		open     = "lease_until"
		started  = "started_at, lease_until"
		over     = "started_at, settled_at"
		settled  = "started_at, settled_at, outcome"
		verdict  = "started_at, settled_at, outcome, error_code"
		closed   = "started_at, settled_at, outcome, closed_at, closed_as"
		now      = "thaw.now()"
		inAnHour = "thaw.now() + interval '1 hour'"
	)
	gates := []struct {
		code, opens string
		// isAlone: the next gate cannot be closed at the same time.
		isAlone bool
		close   string
	}{
		{"no_account", "", false, "UPDATE thaw.enrollments SET account_id = NULL WHERE id = 1"},
		{"not_active", "", false, "UPDATE thaw.enrollments SET status = 'pending' WHERE id = 1"},
		{"account_not_connected", "", false, "UPDATE thaw.accounts SET status = 'connecting' WHERE id = 1"},
		{"account_locked", "", false, "UPDATE thaw.accounts SET locked_at = thaw.now(), locked_reason = 'checkpoint' WHERE id = 1"},
		{"account_parked", "", false, "UPDATE thaw.accounts SET parked_reason = 'unclear' WHERE id = 1"},
		{"account_on_hold", "Mar 03 12:00", false, "UPDATE thaw.accounts SET hold_until = thaw.now() + interval '2 hours', hold_reason = 'x' WHERE id = 1"},
		{"safety_mode", "", false, "SELECT thaw.safety_enter('an incident')"},
		{"account_flapping", "Mar 03 11:00", false, "UPDATE thaw.accounts SET resume_after = thaw.now() + interval '1 hour' WHERE id = 1"},
		{"campaign_not_running", "", false, "UPDATE thaw.campaigns SET status = 'draft' WHERE id = 1"},
		{"no_such_step", "", false, "UPDATE thaw.campaign_steps SET kind = 'message'; UPDATE thaw.enrollments SET next_kind = 'message' WHERE id = 1"},
		// The profile was written with another URL when the step was given out: it is not also the
		// open invite of this one.
		{"already_reserved", "", true, pastInvite("1", "0", "earlier", "reserved", open, inAnHour)},
		{"already_started", "", true, pastInvite("1", "0", "earlier", "started", started, now+", "+inAnHour)},
		{"already_sent", "", true, pastInvite("1", "0", "earlier", "sent", settled, now+", "+now+", 'sent'")},
		{"already_unknown", "", false, pastInvite("1", "0", "earlier", "unknown", over, now+", "+now)},
		{"shadow_mode", "", false, "UPDATE thaw.workspaces SET shadow = true"},
		{"not_due", "Mar 03 13:00", false, "UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '3 hours' WHERE id = 1"},
		{"limits_missing", "", false, "DELETE FROM thaw.action_ceilings WHERE kind = 'invite'"},
		{"kind_on_hold", "Mar 03 15:00", false, "INSERT INTO thaw.action_holds (account_id, kind, until, code, reason, actor) VALUES (1, 'invite', thaw.now() + interval '5 hours', 'limited', 'x', 'x')"},
		{"window_has_no_zone", "", false, "UPDATE thaw.accounts SET timezone = NULL WHERE id = 1"},
		{"window_closed", "Mar 08 00:00", false, "UPDATE thaw.sending_windows SET weekdays = '{7}'"},
		{"cooldown", "Mar 03 10:05", false, "UPDATE thaw.senders SET next_allowed_at = thaw.now() + interval '5 minutes' WHERE id = 1"},
		{"daily_cap", "Mar 04 00:00", false, "UPDATE thaw.action_limits SET per_day = 1"},
		{"weekly_cap", "Mar 10 10:00", false, "UPDATE thaw.action_limits SET per_week = 1"},
		{"campaign_cap", "Mar 04 00:00", false, "INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 1, 'x', 'x')"},
		{"pending_invites", "", false, "UPDATE thaw.settings SET pending_invites = 1"},
		{"already_invited", "", true, pastInvite("99", "1", "p1-1", "sent", settled, now+", "+now+", 'sent'")},
		{"already_connected", "", false, pastInvite("99", "1", "P1-1/?trk=x", "already", verdict, now+", "+now+", 'already', 'already_connected'")},
		{"invite_withdrawn", "Mar 24 10:00", false, pastInvite("99", "0", "p1-1", "sent", closed, now+", "+now+", 'sent', thaw.now(), 'withdrawn'")},
	}

	page, err := os.ReadFile("../docs/sending.md")
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(page), "\n| code | closed while | opens |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented, placed []string
	for line := range strings.Lines(table) {
		codes, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, code := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(codes, -1) {
			documented = append(documented, code[1])
		}
	}
	for _, gate := range gates {
		placed = append(placed, gate.code)
	}
	require.Equal(t, documented, placed, "the order of docs/sending.md")

	const format = "to_char(opens_at AT TIME ZONE 'Europe/Berlin', 'Mon DD HH24:MI')"
	const answer = "SELECT concat_ws(' ', id, code, " + format + ") FROM thaw.reserve(1, 'invite')"
	const explained = "SELECT concat_ws(' ', code, " + format + ") FROM thaw.action_gates('{1}', '{invite}', p_is_given_out => true)"
	var later []string // what closes the later gates, the last one first
	for i, gate := range slices.Backward(gates) {
		if gate.isAlone {
			// It takes the place of the next one.
			later = later[:len(later)-1]
		}
		later = append(later, gate.close)
		for _, question := range []string{answer, explained} {
			want := gate
			if want.code == "shadow_mode" && question == answer {
				want = gates[i+1] // the platform's own sender goes on
			}
			require.Equal(t, strings.TrimSpace(want.code+" "+want.opens), undone(t, db, append(slices.Clone(later), question)...), "gate %d", i)
		}
	}
	require.Regexp(t, `^\d+$`, undone(t, db, answer))
	// A kind without limits is due first, too.
	const unlimited, view = "UPDATE thaw.enrollments SET campaign_id = 2, next_kind = NULL WHERE id = 1; DELETE FROM thaw.action_ceilings WHERE kind = 'view'", "SELECT code FROM thaw.reserve(1, 'view')"
	require.Equal(t, "limits_missing", undone(t, db, unlimited, view))
	require.Equal(t, "not_due", undone(t, db, unlimited, "UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '1 hour' WHERE id = 1", view))
}
