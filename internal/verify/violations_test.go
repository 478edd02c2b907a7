package verify_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
)

// A violation breaks exactly one invariant of a busy fleet. If a constraint or a foreign key would
// prevent it, the statements drop that first: a check must find bad rows no matter how they got in.
type violation struct {
	check string
	how   string
	sql   string
	// finds is a pattern for the example that describes the violation.
	finds string
}

// withoutForeignKeys disables the triggers of foreign keys for the following statements.
const withoutForeignKeys = "SET LOCAL session_replication_role = replica; "

// copied adds copies of the sent actions of a kind, n at a time, with other steps. %s: the kind,
// how many, and the prospect and the local day of a copy.
const copied = `INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, step, kind, actor, state,
		outcome, reserved_at, started_at, settled_at, used_at, timezone, gap, next_of_kind_at, provider_ref, prospect_url, local_day)
	SELECT a.workspace_id, a.account_id, a.sender_id, a.campaign_id, a.enrollment_id, a.provider, a.step + n, a.kind, a.actor, a.state,
		a.outcome, a.reserved_at, a.started_at, a.settled_at, a.used_at, a.timezone, a.gap, a.next_of_kind_at, a.provider_ref, %[3]s, %[4]s
	FROM thaw.actions AS a, generate_series(1, %[2]d) AS n
	WHERE a.id = (SELECT min(x.id) FROM thaw.actions AS x WHERE x.kind = '%[1]s' AND x.state = 'sent')`

// grown puts the start of every ramp so many days before the first start of an action.
func grown(days int) string {
	return fmt.Sprintf(`UPDATE thaw.senders SET ramp_started_at = (SELECT min(a.started_at) FROM thaw.actions AS a) - interval '%d days'; `, days)
}

var violations = []violation{
	{
		"paused_means_a_reason", "an enrollment without a reason",
		`ALTER TABLE thaw.enrollments DROP CONSTRAINT enrollments_paused_has_a_reason;
		UPDATE thaw.enrollments SET paused_reason = NULL
		WHERE id = (SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.waits_for_account)`,
		`enrollment \d+: status paused, reason none, paused at 2`,
	},
	{
		"paused_means_a_reason", "an active enrollment with a reason",
		`ALTER TABLE thaw.enrollments DROP CONSTRAINT enrollments_paused_has_a_reason;
		UPDATE thaw.enrollments SET paused_reason = 'paused_by_user', paused_at = thaw.now()
		WHERE id = (SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.status = 'active')`,
		`enrollment \d+: status active, reason paused_by_user`,
	},
	{
		"paused_means_a_reason", "a campaign without a time",
		`ALTER TABLE thaw.campaigns DROP CONSTRAINT campaigns_paused_has_a_reason;
		UPDATE thaw.campaigns SET paused_at = NULL
		WHERE id = (SELECT min(c.id) FROM thaw.campaigns AS c WHERE c.status = 'paused')`,
		`campaign \d+: status paused, reason account_\w+, paused at none`,
	},
	{
		"paused_means_a_reason", "a deprecated reason", `
		ALTER TABLE thaw.enrollments DISABLE TRIGGER enrollments_store_current_reason;
		UPDATE thaw.enrollments SET paused_reason = 'linkedin_account_issue'
		WHERE id = (SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.waits_for_account)`,
		`enrollment \d+: status paused, reason linkedin_account_issue`,
	},
	{
		"connected_means_no_error", "a stale error",
		`ALTER TABLE thaw.accounts DROP CONSTRAINT accounts_connected_has_no_error;
		UPDATE thaw.accounts SET last_error = 'expired' WHERE provider_account_id = 'carl'`,
		`account \d+: connected, last error expired`,
	},
	{
		"connected_means_no_pause_due", "a stale pause",
		`ALTER TABLE thaw.accounts DROP CONSTRAINT accounts_connected_is_not_due_to_pause;
		UPDATE thaw.accounts SET pause_after = thaw.now() WHERE provider_account_id = 'carl'`,
		`account \d+: connected, but a pause is due`,
	},
	{
		"signals_find_their_account", "a kept signal that was never applied",
		`INSERT INTO thaw.account_signals (provider, provider_account_id, raw_status, status, outcome, received_at)
		VALUES ('linkedin', 'carl', 'CREDENTIALS', 'disconnected', 'unknown_account', thaw.now() - interval '6 minutes')`,
		`signal \d+: CREDENTIALS was kept for account \d+, which exists`,
	},
	{
		"rows_stay_in_their_workspace", "an enrollment on another workspace's account",
		withoutForeignKeys + `UPDATE thaw.enrollments SET account_id = (SELECT a.id FROM thaw.accounts AS a WHERE a.provider_account_id = 'gil')
		WHERE id = (SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.status = 'active')`,
		`enrollment \d+: in workspace 1, its campaign in 1, its account in 2`,
	},
	{
		"rows_stay_in_their_workspace", "an enrollment in no campaign",
		withoutForeignKeys + `UPDATE thaw.enrollments SET campaign_id = 0
		WHERE id = (SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.status = 'active')`,
		`enrollment \d+: in workspace 1, its campaign in none, its account in 1`,
	},
	{
		"allocations_stay_in_their_workspace", "an allocation for another workspace",
		withoutForeignKeys + `UPDATE thaw.allocations SET workspace_id = 2
		WHERE (tick_at, account_id) = (SELECT g.tick_at, g.account_id FROM thaw.allocations AS g LIMIT 1)`,
		`allocation of account \d+ at tick \S+ \S+: in workspace 2, its account in 1`,
	},
	{
		"fleet_quotas_match_events", "a quota row that is too low",
		`UPDATE thaw.fleet_quotas SET used = used - 1
		WHERE (tick_at, lane) = (SELECT b.tick_at, b.lane FROM thaw.fleet_quotas AS b WHERE b.used > 0 AND b.lane = 'signal' LIMIT 1)`,
		`tick .+, lane signal: \d+ in the quota row, \d+ in the history`,
	},
	{
		"fleet_quotas_match_events", "a missing quota row",
		`DELETE FROM thaw.fleet_quotas WHERE lane = 'sweep'`,
		`tick .+, lane sweep: 0 in the quota row, \d+ in the history`,
	},
	{
		"fleet_caps_hold", "a tick over its cap",
		`ALTER TABLE thaw.fleet_quotas DROP CONSTRAINT fleet_quotas_used_is_within_cap;
		UPDATE thaw.fleet_quotas SET cap = used - 1 WHERE used > 0 AND lane = 'sweep'`,
		`tick .+, lane sweep: \d+ resumed, cap \d+`,
	},
	{
		"account_quotas_match_events", "a quota row that is too low",
		`UPDATE thaw.account_quotas SET used = used - 1 WHERE used > 0`,
		`account \d+ at tick .+: \d+ in the quota row, \d+ in the history`,
	},
	{
		"account_quotas_match_events", "a missing quota row",
		`DELETE FROM thaw.account_quotas`,
		`account \d+ at tick .+: 0 in the quota row, \d+ in the history`,
	},
	{
		"account_caps_hold", "an account over its cap",
		`ALTER TABLE thaw.account_quotas DROP CONSTRAINT account_quotas_used_is_within_cap;
		UPDATE thaw.account_quotas SET cap = used - 1 WHERE used > 0`,
		`account \d+ at tick .+: \d+ resumed, cap \d+`,
	},
	{
		"allocations_match_events", "an allocation that is too low, and its sweep",
		`WITH changed AS (
			UPDATE thaw.allocations SET resumed = resumed - 1
			WHERE (tick_at, account_id) = (SELECT g.tick_at, g.account_id FROM thaw.allocations AS g WHERE g.resumed > 0 LIMIT 1)
			RETURNING tick_at)
		UPDATE thaw.sweeps AS s SET resumed = s.resumed - 1 FROM changed WHERE s.tick_at = changed.tick_at`,
		`allocation of account \d+ at tick .+: \d+ in the allocation, \d+ in the history`,
	},
	{
		"plans_stay_within_caps", "an allocation over the cap of an account",
		`UPDATE thaw.sweeps SET account_cap = 5`,
		`allocation of account \d+ at tick .+: planned 6, resumed \d+, account cap 5`,
	},
	{
		"plans_stay_within_caps", "an allocation that resumed more than planned",
		`ALTER TABLE thaw.allocations DROP CONSTRAINT allocations_resumed_is_planned;
		ALTER TABLE thaw.sweeps DROP CONSTRAINT sweeps_resumed_is_planned;
		WITH changed AS (
			UPDATE thaw.allocations SET planned = 1 WHERE resumed > 1 RETURNING tick_at)
		UPDATE thaw.sweeps AS s SET planned = s.planned - 5 * (SELECT count(*) FROM changed WHERE changed.tick_at = s.tick_at)`,
		`allocation of account \d+ at tick .+: planned 1, resumed \d+`,
	},
	{
		"plans_stay_within_caps", "a plan over the cap of the fleet",
		`ALTER TABLE thaw.sweeps DROP CONSTRAINT sweeps_resumed_is_planned;
		UPDATE thaw.sweeps SET fleet_cap = 7`,
		`sweep of tick .+: planned \d+, fleet cap 7`,
	},
	{
		"sweeps_match_allocations", "one account too many",
		`UPDATE thaw.sweeps SET accounts_planned = accounts_planned + 1`,
		`sweep of tick .+: \d+ of 1 accounts and 0 of 0 prospects; in its allocations 0 of 0 and 0 of 0`,
	},
	{
		"sweeps_match_allocations", "a closed allocation that is not counted",
		`UPDATE thaw.sweeps SET accounts_processed = accounts_processed - 1 WHERE accounts_processed > 0`,
		`sweep of tick .+: 2 of 3 accounts and \d+ of 18 prospects; in its allocations 3 of 3 and \d+ of 18`,
	},
	{
		"sweeps_match_allocations", "more planned than allocated",
		`UPDATE thaw.sweeps SET planned = planned + 1`,
		`sweep of tick .+ of 19 prospects; in its allocations 3 of 3 and \d+ of 18`,
	},
	{
		"sweeps_match_allocations", "fewer resumed than in the allocations",
		`UPDATE thaw.sweeps SET resumed = resumed - 1 WHERE resumed > 0`,
		`sweep of tick .+: 3 of 3 accounts`,
	},
	{
		"sweeps_match_events", "a move that is not in the history",
		`UPDATE thaw.sweeps SET moved = moved + 1`,
		`sweep of tick .+: 1 moved and 0 campaigns started; in the history 0 and 0`,
	},
	{
		"sweeps_match_events", "a campaign start that is not counted",
		`UPDATE thaw.sweeps SET campaigns_resumed = 0`,
		`sweep of tick .+: \d+ moved and 0 campaigns started; in the history \d+ and [1-9]`,
	},
	{
		"finished_sweeps_have_no_open_allocation", "finished with an open allocation",
		`UPDATE thaw.sweeps SET finished_at = thaw.now() WHERE finished_at IS NULL`,
		`sweep of tick .+: finished, with 1 open allocations`,
	},
	{
		"finished_sweeps_have_no_open_allocation", "not finished without open allocations",
		`UPDATE thaw.sweeps SET finished_at = NULL`,
		`sweep of tick .+: not finished, with 0 open allocations`,
	},
	{
		"signals_match_events", "a signal with too many resumed",
		`UPDATE thaw.account_signals SET resumed = resumed + 1 WHERE resumed > 0`,
		`signal \d+: \d+ recorded, \d+ in the history`,
	},
	{
		"passes_run_once", "a signal that resumed in two transactions",
		`UPDATE thaw.enrollment_events SET at = at + interval '1 second' WHERE id = (
			SELECT max(event.id) FROM thaw.enrollment_events AS event
			WHERE event.kind = 'resumed' AND event.source = 'signal' AND event.from_account_id = event.to_account_id)`,
		`signal \d+: resumed prospects between`,
	},
	{
		"passes_run_once", "an allocation of two jobs",
		`UPDATE thaw.enrollment_events SET job_id = job_id + 1000 WHERE id = (
			SELECT max(event.id) FROM thaw.enrollment_events AS event
			WHERE event.kind = 'resumed' AND event.source = 'sweep')`,
		`allocation of account \d+ at tick .+: resumed prospects between .+, in jobs \d+ to 1\d+`,
	},
	{
		"signals_apply_their_status", "resumed by a stale signal",
		`UPDATE thaw.account_signals SET outcome = 'stale' WHERE resumed > 0`,
		`enrollment \d+: resumed through account \d+ by signal \d+, which is stale`,
	},
	{
		"signals_apply_their_status", "resumed by the signal of another account",
		`UPDATE thaw.account_signals SET account_id = 5 WHERE resumed > 0`,
		`enrollment \d+: resumed through account \d+ by signal \d+, which is applied for account 5`,
	},
	{
		"signals_apply_their_status", "paused by a connect signal",
		`UPDATE thaw.account_signals SET status = 'connected' WHERE status = 'disconnected' AND outcome = 'applied'`,
		`enrollment \d+: paused through account \d+ by signal \d+, which is applied for account \d+ with status connected`,
	},
	{
		"signals_apply_their_status", "paused by a missing signal",
		`DELETE FROM thaw.account_signals WHERE status = 'restricted'`,
		`enrollment \d+: paused through account \d+ by signal \d+, which is missing for account none with status none`,
	},
	{
		"blocked_passes_resume_nothing", "an allocation",
		`UPDATE thaw.allocations SET verdict = 'account_on_hold' WHERE resumed > 0`,
		`allocation of account \d+ at tick .+: verdict account_on_hold, but \d+ resumed`,
	},
	{
		"blocked_passes_resume_nothing", "a signal",
		`UPDATE thaw.account_signals SET verdict = 'safety_mode' WHERE resumed > 0`,
		`signal \d+: verdict safety_mode, but \d+ resumed`,
	},
	{
		"heals_match_events", "a heal with too few resumed",
		`UPDATE thaw.heals SET resumed = resumed - 1 WHERE id = 1`,
		`heal 1: 8 resumed, 0 moved and \d campaigns started; in the history 9, 0 and \d`,
	},
	{
		"heals_match_events", "a heal with one move too many",
		`UPDATE thaw.heals SET moved = moved + 1 WHERE id = 1`,
		`heal 1: 9 resumed, 1 moved`,
	},
	{
		"heals_match_events", "a heal with one campaign too many",
		`UPDATE thaw.heals SET campaigns_resumed = campaigns_resumed + 1 WHERE id = 1`,
		`heal 1: 9 resumed`,
	},
	{
		"heals_match_events", "a missing heal",
		`DELETE FROM thaw.heals WHERE id = 1`,
		`heal 1: 0 resumed, 0 moved and 0 campaigns started; in the history 9`,
	},
	{
		"heals_stay_within_cap", "a heal over its cap",
		`ALTER TABLE thaw.heals DROP CONSTRAINT heals_resumed_is_within_cap; UPDATE thaw.heals SET cap = 8 WHERE id = 1`,
		`heal 1: 9 resumed, cap 8`,
	},
	{
		"heals_stay_in_scope", "another workspace",
		`UPDATE thaw.heals SET workspace_id = 1 WHERE workspace_id = 2`,
		`enrollment \d+: resumed by heal 1 of workspace:2, from account 5 through account 5`,
	},
	{
		"heals_stay_in_scope", "another account",
		`UPDATE thaw.heals SET account_id = 1 WHERE account_id IS NOT NULL`,
		`enrollment \d+: resumed by heal 2 of account:5, from account 5 through account 5`,
	},
	{
		"heals_stay_in_scope", "a prospect that is not on the list",
		`DELETE FROM thaw.heal_enrollments`,
		`enrollment \d+: resumed by heal 3 of prospects:\w+, from account 1 through account 6`,
	},
	{
		"one_running_heal_per_target", "two running heals",
		`DROP INDEX thaw.heals_one_running_per_target_key;
		INSERT INTO thaw.heals (workspace_id, target, cap, actor)
		SELECT h.workspace_id, h.target, 1, 'support' FROM thaw.heals AS h WHERE h.status = 'running'`,
		`workspace:2: heals 4, 5 are running`,
	},
	{
		"resumed_once_per_pause", "two resumes of one pause",
		`UPDATE thaw.enrollment_events AS second SET paused_at = first.paused_at, step = first.step
		FROM thaw.enrollment_events AS first
		WHERE first.enrollment_id = second.enrollment_id AND first.kind = 'resumed' AND second.kind = 'resumed'
			AND first.id < second.id`,
		`enrollment \d+: the pause of .+ was ended by events \d+ and \d+`,
	},
	{
		"ended_pauses_are_over", "resumed only in the history",
		// Bypasses the trigger that limits a backdated pause to the last resume, and counts the row
		// as after a restore.
		`SET LOCAL session_replication_role = replica;
		UPDATE thaw.enrollments AS e SET status = 'paused', paused_reason = event.reason, paused_at = event.paused_at
		FROM thaw.enrollment_events AS event
		WHERE event.enrollment_id = e.id AND event.kind = 'resumed' AND e.status = 'active';
		SET LOCAL session_replication_role = origin;
		SELECT thaw.recount()`,
		`enrollment \d+: still paused since .+, but event \d+ ended that pause`,
	},
	{
		"resumes_keep_the_step", "another step",
		`UPDATE thaw.enrollment_events SET step = step + 1 WHERE id = (
			SELECT min(event.id) FROM thaw.enrollment_events AS event
			WHERE event.kind = 'resumed' AND event.from_account_id = event.to_account_id)`,
		`enrollment \d+: paused at step \d by event \d+, resumed at step \d by event \d+`,
	},
	{
		"resumed_only_from_account_reasons", "a prospect that a person paused",
		`UPDATE thaw.enrollment_events SET reason = 'paused_by_user' WHERE kind = 'resumed' AND source = 'heal'`,
		`enrollment \d+: paused for paused_by_user, resumed by heal in event \d+`,
	},
	{
		"resumed_only_from_account_reasons", "a prospect without a pause reason",
		`UPDATE thaw.enrollment_events SET reason = NULL WHERE kind = 'resumed' AND source = 'sweep'`,
		`enrollment \d+: paused for no reason, resumed by sweep in event \d+`,
	},
	{
		"resumed_only_from_account_reasons", "a campaign that billing paused",
		`UPDATE thaw.campaign_events SET reason = 'subscription_inactive' WHERE kind = 'resumed'`,
		`campaign \d+: paused for subscription_inactive, resumed by \w+ in event \d+`,
	},
	{
		"manual_pauses_are_kept", "a manually paused prospect without a manual resume",
		`UPDATE thaw.enrollment_events AS pause SET reason = 'paused_by_user'
		WHERE pause.kind = 'paused' AND EXISTS (
			SELECT FROM thaw.enrollment_events AS resume
			WHERE resume.kind = 'resumed' AND resume.enrollment_id = pause.enrollment_id AND resume.paused_at = pause.paused_at)`,
		`enrollment \d+: paused by event \d+ \(paused_by_user\), resumed by event \d+, without a manual resume in between`,
	},
	{
		"parked_prospects_are_paused", "an active prospect with a change that could not be applied",
		`WITH lead AS (
			UPDATE thaw.enrollments AS e SET external_id = 'lead-1'
			WHERE e.id = (SELECT min(a.id) FROM thaw.enrollments AS a WHERE a.status = 'active') RETURNING e.external_id)
		INSERT INTO thaw.adopt_errors (kind, external_id, change, code, problem)
		SELECT 'enrollment', lead.external_id, '{}', 'unknown_word', 'a word' FROM lead`,
		`enrollment \d+ \(lead-1\): active, although a change of the platform could not be applied \(unknown_word\)`,
	},
	{
		"resumed_only_through_own_accounts", "moved to the account of another person",
		`UPDATE thaw.accounts SET member_id = 'a_person else' WHERE provider_account_id = 'ann-old'`,
		`enrollment \d+: (resumed|moved) from account 1 to account 6 in event \d+`,
	},
	{
		"resumed_only_through_own_accounts", "moved to an account without a member",
		`UPDATE thaw.accounts SET member_id = NULL WHERE provider_account_id = 'ann-old'`,
		`enrollment \d+: (resumed|moved) from account 1 to account 6 in event \d+`,
	},
	{
		"resumed_only_through_own_accounts", "moved to another provider",
		`UPDATE thaw.accounts SET provider = 'elsewhere' WHERE provider_account_id = 'ann-old'`,
		`enrollment \d+: (resumed|moved) from account 1 to account 6 in event \d+`,
	},
	{
		"resumed_only_through_own_accounts", "resumed through another workspace's account",
		`UPDATE thaw.enrollment_events SET to_account_id = 5 WHERE heal_id = 3`,
		`enrollment \d+: (resumed|moved) from account 1 to account 5 in event \d+`,
	},
	{
		"moves_come_with_a_resume", "a move without an event",
		`DELETE FROM thaw.enrollment_events WHERE kind = 'moved' AND source = 'signal'`,
		`enrollment \d+: by signal at .+ from account 1 to account 6 at step \d: 1 resumed, 0 moved`,
	},
	{
		"moves_come_with_a_resume", "moved without being resumed",
		`INSERT INTO thaw.enrollment_events (
			enrollment_id, at, tick_at, signal_id, from_account_id, to_account_id, step, kind, source, from_status, to_status)
		SELECT 1, thaw.now(), thaw.tick(), max(s.id), 1, 6, 0, 'moved', 'signal', 'active', 'active'
		FROM thaw.account_signals AS s`,
		`enrollment 1: by signal at .+: 0 resumed, 1 moved`,
	},
	{
		"moves_come_with_a_resume", "moved at another step",
		`UPDATE thaw.enrollment_events SET step = step + 1 WHERE kind = 'moved'`,
		`enrollment \d+: by \w+ at .+ from account 1 to account 6 at step \d: \d resumed, \d moved`,
	},
	{
		"messages_match_records", "a pass of a signal reported twice",
		`INSERT INTO thaw.outbox (type, data)
		SELECT 'enrollments.resumed', jsonb_build_object('signal_id', s.id, 'resumed', s.resumed / 2)
		FROM (SELECT s.id, s.resumed FROM thaw.account_signals AS s WHERE s.resumed > 0 AND s.resumed % 2 = 0 LIMIT 1) AS s, generate_series(1, 2)`,
		`signal \d+: 2 messages with (\d+) resumed, \d+ recorded`,
	},
	{
		"messages_match_records", "a pass of a tick with a wrong message",
		`INSERT INTO thaw.outbox (type, account_id, data)
		SELECT 'enrollments.resumed', g.account_id, jsonb_build_object('tick_at', thaw.rfc3339(g.tick_at), 'resumed', g.resumed + 1)
		FROM thaw.allocations AS g WHERE g.resumed > 0 LIMIT 1`,
		`account \d+ at tick .+: 1 messages with \d+ resumed, \d+ in the allocation`,
	},
	{
		"messages_match_records", "messages of a heal with too many resumed",
		`INSERT INTO thaw.outbox (type, data)
		SELECT 'enrollments.resumed', jsonb_build_object('heal_id', h.id, 'resumed', h.resumed + 1) FROM thaw.heals AS h LIMIT 1`,
		`heal \d+: messages with \d+ resumed, \d+ recorded`,
	},
	{
		"events_match_their_kind", "a pause that does not pause",
		`UPDATE thaw.enrollment_events SET to_status = 'active' WHERE kind = 'paused'`,
		`enrollment \d+: event \d+ is paused, from active on account \d to active on account \d`,
	},
	{
		"events_match_their_kind", "a resume of an active prospect",
		`UPDATE thaw.enrollment_events SET from_status = 'active' WHERE kind = 'resumed'`,
		`enrollment \d+: event \d+ is resumed, from active`,
	},
	{
		"counts_match_enrollments", "a pause without triggers",
		withoutForeignKeys + `UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now()
		WHERE id = (SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.status = 'active')`,
		`account \d+, campaign \d+, paused_by_user: \d+ paused, \d+ counted`,
	},
	{
		"counts_match_enrollments", "a count of missing rows",
		`INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta) VALUES (99, 99, 'paused_by_user', false, 2)`,
		`account 99, campaign 99, paused_by_user: 0 paused, 2 counted`,
	},
	{
		"counts_match_enrollments", "a total that is not the sum",
		`SELECT thaw.fold_counts(); UPDATE thaw.waiting_totals SET waiting = waiting + 1`,
		`account \d+: \d+ waiting by the counts, \d+ by the total`,
	},
	{
		"events_match_their_kind", "a move that resumes",
		`UPDATE thaw.enrollment_events SET from_status = 'paused' WHERE kind = 'moved'`,
		`enrollment \d+: event \d+ is moved, from paused`,
	},
	{
		"events_match_their_kind", "a campaign start that does not start",
		`UPDATE thaw.campaign_events SET to_status = 'draft' WHERE kind = 'resumed'`,
		`campaign \d+: event \d+ is resumed, from paused to draft`,
	},
	{
		"events_match_their_kind", "a campaign pause that does not pause",
		`UPDATE thaw.campaign_events SET to_status = 'running' WHERE kind = 'paused'`,
		`campaign \d+: event \d+ is paused, from running to running`,
	},
	{
		"steps_are_done_once", "a step that was done as two kinds",
		`DROP INDEX thaw.actions_step_key;
		UPDATE thaw.actions SET step = 7, enrollment_id = 1 WHERE id IN (SELECT min(a.id) FROM thaw.actions AS a WHERE a.state = 'sent' GROUP BY a.kind)`,
		`enrollment 1: step 7 has actions \d+ \(\w+\) and \d+ \(\w+\)`,
	},
	{
		"steps_are_done_once", "a step that was sent twice",
		"DROP INDEX thaw.actions_step_key; UPDATE thaw.actions SET step = 7, enrollment_id = 1 WHERE kind = 'message' AND state = 'sent'",
		`enrollment 1: step 7 has actions \d+ \(message\) and \d+ \(message\)`,
	},
	{
		"steps_are_done_once", "a step of unknown outcome that was repeated",
		"DROP INDEX thaw.actions_step_key; UPDATE thaw.actions SET step = 7, enrollment_id = 1 WHERE kind = 'message' AND state IN ('unknown', 'started')",
		`enrollment 1: step 7 has actions \d+ \(message\) and \d+ \(message\)`,
	},
	{
		"invites_are_sent_once", "an accepted invite that was repeated",
		"DROP INDEX thaw.actions_invite_key; UPDATE thaw.actions SET prospect_url = 'https://example.com/in/same' WHERE kind = 'invite'",
		`prospect https://example.com/in/same: sender \d+ has open invites \d+ and \d+`,
	},
	{
		"action_caps_hold", "more than the first week of the ramp allows",
		fmt.Sprintf(copied, "message", 10, "a.prospect_url", "a.local_day"),
		`sender \d+: 1\d of kind message started on .+, cap 10`,
	},
	{
		"action_caps_hold", "more than the highest cap of all tiers, after a change of the tier",
		grown(60) + "UPDATE thaw.accounts SET tier = 'premium'; UPDATE thaw.accounts SET tier = 'free'; " +
			fmt.Sprintf(copied, "message", 80, "a.prospect_url", "a.local_day"),
		`sender \d+: 8\d of kind message started on .+, cap 80`,
	},
	{
		"action_caps_hold", "more than its ramp week allows",
		grown(8) + fmt.Sprintf(copied, "message", 20, "a.prospect_url", "a.local_day"),
		`sender \d+: 2\d of kind message started on .+, cap 20`,
	},
	{
		"action_caps_hold", "more than the ceiling, with a limit of its own that was just set",
		grown(60) + "SELECT thaw.set_action_limit('globex', 'message', per_day => 9, reason => 'slow'); " +
			fmt.Sprintf(copied, "message", 120, "a.prospect_url", "a.local_day"),
		`sender \d+: 12\d of kind message started on .+, cap 120`,
	},
	{
		"action_caps_hold", "more than the limit of its workspace",
		`INSERT INTO thaw.action_overrides (workspace_id, kind, per_day, reason, actor, changed_at)
		SELECT w.id, 'message', 9, 'slow', 'x', thaw.now() - interval '30 days' FROM thaw.workspaces AS w WHERE w.key = 'globex'; ` +
			fmt.Sprintf(copied, "message", 9, "a.prospect_url", "a.local_day"),
		`sender \d+: 1\d of kind message started on .+, cap 9`,
	},
	{
		"action_caps_hold", "more than its campaign allows",
		`INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor, changed_at)
		SELECT DISTINCT a.workspace_id, a.campaign_id, 'message', 1, 'slow', 'x', thaw.now() - interval '30 days' FROM thaw.actions AS a WHERE a.kind = 'message'`,
		`campaign \d+: \d of kind message started on .+, cap 1`,
	},
	{
		"action_caps_hold", "more than the tier ever allows in a week",
		grown(60) + fmt.Sprintf(copied, "invite", 100, "a.prospect_url || n", "a.local_day - n % 10"),
		`sender \d+: 10\d of kind invite started in the 168 hours until .+, cap 100`,
	},
	{
		"sent_actions_have_a_provider_ref", "a message without the ID of the provider",
		"UPDATE thaw.actions SET provider_ref = NULL WHERE kind = 'message' AND state = 'sent'",
		`action \d+: message is sent, without an ID of the provider`,
	},
	{
		"reservations_are_released_once", "released after the start",
		"UPDATE thaw.actions SET started_at = reserved_at WHERE outcome = 'released'",
		`action \d+: released \(released\), reserved at`,
	},
	{
		"reservations_are_released_once", "expired after the start",
		`ALTER TABLE thaw.actions DROP CONSTRAINT actions_started_has_a_time;
		UPDATE thaw.actions SET started_at = reserved_at WHERE state = 'expired'`,
		`action \d+: expired, reserved at`,
	},
	{
		"reservations_are_released_once", "settled before the start",
		"UPDATE thaw.actions SET settled_at = started_at - interval '1 second' WHERE state = 'sent' AND kind = 'view'",
		`action \d+: sent \(sent\), reserved at`,
	},
	{
		"open_leases_are_current", "a lease that never ended",
		"UPDATE thaw.actions SET lease_until = thaw.now() - interval '2 minutes' WHERE state = 'started'",
		`action \d+: started, but its lease ended at`,
	},
	{
		"actions_start_while_connected", "started through a disconnected account",
		`UPDATE thaw.account_events AS event SET at = event.at + CASE event.to_status WHEN 'connected' THEN interval '2 days' ELSE '-1 hour' END
		WHERE event.account_id = 5 AND event.id >= (
			SELECT max(gone.id) FROM thaw.account_events AS gone WHERE gone.account_id = 5 AND gone.to_status = 'disconnected')`,
		`action \d+: started at .+ through account 5, which is disconnected from`,
	},
	{
		"actions_start_while_connected", "started through an account that never connected",
		`ALTER TABLE thaw.accounts DISABLE TRIGGER USER; INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (2, 'hal');
		UPDATE thaw.actions SET account_id = (SELECT a.id FROM thaw.accounts AS a WHERE a.provider_account_id = 'hal')`,
		`action \d+: started at .+ through account \d+, which is \w+ from its start to now`,
	},
	{
		"actions_start_in_their_window", "started on another day",
		`UPDATE thaw.sending_windows SET weekdays = ARRAY[extract(isodow FROM thaw.now() + interval '3 days')::smallint]`,
		`action \d+: started at .+ outside of the windows of account 5, which is in Asia/Tokyo`,
	},
	{
		"actions_start_in_their_window", "started without a time zone",
		"UPDATE thaw.actions SET timezone = NULL WHERE state = 'started'",
		`action \d+: started at .+ outside of the windows of account 5, which had no time zone`,
	},
	{
		"action_hours_match_actions", "an hour that was not counted again",
		`SELECT thaw.count_action_hours();
		INSERT INTO thaw.action_hours (hour, sent, unknown, undelivered) VALUES (thaw.hour_of(thaw.now() - interval '3 days'), 0, 500, 0)
		ON CONFLICT (hour) DO UPDATE SET unknown = 500`,
		`hour .+: the chart has \d+ sent, 500 unknown and \d+ not delivered; its actions are \d+, \d+ and \d+`,
	},
	{
		"action_hours_match_actions", "an hour that the chart does not have",
		"UPDATE thaw.scheduler SET hours_counted_at = thaw.now() + interval '3 hours'",
		`hour .+: the chart has 0 sent, 0 unknown and 0 not delivered; its actions are \d+, \d+ and \d+`,
	},
	{
		"shown_use_matches_actions", "unknown actions that do not count",
		`ALTER TABLE thaw.actions ALTER COLUMN is_used DROP EXPRESSION;
		UPDATE thaw.actions SET is_used = false WHERE state = 'unknown'`,
		`account 5, message: \d used today, \d in 168 hours and 0 invites open; in its actions \d, \d and 0`,
	},
}

// inRanges makes a check process its table in several ranges, so that it has to find violations in
// any of them. Each range costs a statement, so only the full size uses many small ones.
var inRanges = verify.Options{Range: int64(testdb.Size(60, 7))}

// By default only the first violation of each check is tried.
func TestEachViolationIsFoundByOneCheck(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)
	broken := map[string]bool{}
	for _, v := range violations { //nolint:paralleltest // They lock what they break.
		if broken[v.check] && !testdb.Full() {
			continue
		}
		broken[v.check] = true
		// Each runs in its own transaction, including dropped constraints, and is rolled back.
		t.Run(v.check+"/"+v.how, func(t *testing.T) {
			tx, err := fleet.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer tx.Rollback(t.Context())
			// Runs as Thaw itself, because a plain statement would write its own history.
			_, err = tx.Exec(t.Context(), "SET LOCAL thaw.counts_by_statement = 'on'; "+v.sql)
			require.NoError(t, err)

			report, err := verify.RunIn(t.Context(), tx, inRanges)
			require.NoError(t, err)
			violated := found(report)
			require.Regexp(t, v.finds, violated[v.check])
			require.Len(t, violated, 1, "other checks fail too: %v", violated)
			require.Positive(t, report.Violations())
		})
	}
}
