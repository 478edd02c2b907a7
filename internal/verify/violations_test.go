package verify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
)

// A violation breaks one invariant of a busy fleet and no other. Where a constraint or a foreign key would not let it, the
// constraint goes first: a check must find what got in nevertheless.
type violation struct {
	check string
	how   string
	sql   string
	// finds is a pattern for the example that names the offender.
	finds string
}

// withoutForeignKeys switches off the triggers of foreign keys for the statements that follow.
const withoutForeignKeys = "SET LOCAL session_replication_role = replica; "

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
		`campaign \d+: status paused, reason linkedin\w+, paused at none`,
	},
	{
		"connected_means_no_error", "an error left over",
		`ALTER TABLE thaw.accounts DROP CONSTRAINT accounts_connected_has_no_error;
		UPDATE thaw.accounts SET last_error = 'expired' WHERE provider_account_id = 'carl'`,
		`account \d+: connected, last error expired`,
	},
	{
		"connected_means_no_pause_due", "a pause left over",
		`ALTER TABLE thaw.accounts DROP CONSTRAINT accounts_connected_is_not_due_to_pause;
		UPDATE thaw.accounts SET pause_after = thaw.now() WHERE provider_account_id = 'carl'`,
		`account \d+: connected, its prospects are due`,
	},
	{
		"signals_find_their_account", "a signal that nothing picked up",
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
		"fleet_budgets_match_events", "a budget row that counts too few",
		`UPDATE thaw.fleet_budgets SET used = used - 1
		WHERE (tick_at, lane) = (SELECT b.tick_at, b.lane FROM thaw.fleet_budgets AS b WHERE b.used > 0 AND b.lane = 'signal' LIMIT 1)`,
		`tick .+, lane signal: the budget row counts \d+, the history \d+`,
	},
	{
		"fleet_budgets_match_events", "a budget row that is gone",
		`DELETE FROM thaw.fleet_budgets WHERE lane = 'sweep'`,
		`tick .+, lane sweep: the budget row counts 0, the history \d+`,
	},
	{
		"fleet_caps_hold", "a tick over its cap",
		`ALTER TABLE thaw.fleet_budgets DROP CONSTRAINT fleet_budgets_used_is_within_cap;
		UPDATE thaw.fleet_budgets SET cap = used - 1 WHERE used > 0 AND lane = 'sweep'`,
		`tick .+, lane sweep: \d+ resumed, the cap is \d+`,
	},
	{
		"account_budgets_match_events", "a budget row that counts too few",
		`UPDATE thaw.account_budgets SET used = used - 1 WHERE used > 0`,
		`account \d+ at tick .+: the budget row counts \d+, the history \d+`,
	},
	{
		"account_budgets_match_events", "a budget row that is gone",
		`DELETE FROM thaw.account_budgets`,
		`account \d+ at tick .+: the budget row counts 0, the history \d+`,
	},
	{
		"account_caps_hold", "an account over its cap",
		`ALTER TABLE thaw.account_budgets DROP CONSTRAINT account_budgets_used_is_within_cap;
		UPDATE thaw.account_budgets SET cap = used - 1 WHERE used > 0`,
		`account \d+ at tick .+: \d+ resumed, the cap is \d+`,
	},
	{
		"allocations_match_events", "an allocation, and with it its sweep, that counts too few",
		`WITH changed AS (
			UPDATE thaw.allocations SET resumed = resumed - 1
			WHERE (tick_at, account_id) = (SELECT g.tick_at, g.account_id FROM thaw.allocations AS g WHERE g.resumed > 0 LIMIT 1)
			RETURNING tick_at)
		UPDATE thaw.sweeps AS s SET resumed = s.resumed - 1 FROM changed WHERE s.tick_at = changed.tick_at`,
		`allocation of account \d+ at tick .+: the allocation counts \d+, the history \d+`,
	},
	{
		"plans_stay_within_caps", "an allocation over the cap of an account",
		`UPDATE thaw.sweeps SET account_cap = 5`,
		`allocation of account \d+ at tick .+: planned 6, resumed \d+, the cap of an account is 5`,
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
		`sweep of tick .+: planned \d+, the cap of the fleet is 7`,
	},
	{
		"sweeps_match_allocations", "an account too many",
		`UPDATE thaw.sweeps SET accounts_planned = accounts_planned + 1`,
		`sweep of tick .+: it says \d+ of 1 accounts and 0 of 0 prospects, its allocations 0 of 0 and 0 of 0`,
	},
	{
		"sweeps_match_allocations", "a closed allocation that was not counted",
		`UPDATE thaw.sweeps SET accounts_processed = accounts_processed - 1 WHERE accounts_processed > 0`,
		`sweep of tick .+: it says 2 of 3 accounts and \d+ of 18 prospects, its allocations 3 of 3 and \d+ of 18`,
	},
	{
		"sweeps_match_allocations", "more planned than granted",
		`UPDATE thaw.sweeps SET planned = planned + 1`,
		`sweep of tick .+ of 19 prospects, its allocations 3 of 3 and \d+ of 18`,
	},
	{
		"sweeps_match_allocations", "fewer resumed than the allocations say",
		`UPDATE thaw.sweeps SET resumed = resumed - 1 WHERE resumed > 0`,
		`sweep of tick .+: it says 3 of 3 accounts`,
	},
	{
		"sweeps_match_events", "a move that did not happen",
		`UPDATE thaw.sweeps SET moved = moved + 1`,
		`sweep of tick .+: it counts 1 re-pointed and 0 campaigns, the history 0 and 0`,
	},
	{
		"sweeps_match_events", "a campaign start that is not counted",
		`UPDATE thaw.sweeps SET campaigns_resumed = 0`,
		`sweep of tick .+: it counts \d+ re-pointed and 0 campaigns, the history \d+ and [1-9]`,
	},
	{
		"finished_sweeps_have_no_open_allocation", "finished too early",
		`UPDATE thaw.sweeps SET finished_at = thaw.now() WHERE finished_at IS NULL`,
		`sweep of tick .+: finished, with 1 open allocations`,
	},
	{
		"finished_sweeps_have_no_open_allocation", "never finished",
		`UPDATE thaw.sweeps SET finished_at = NULL`,
		`sweep of tick .+: not finished, with 0 open allocations`,
	},
	{
		"signals_match_events", "a signal that counts too many",
		`UPDATE thaw.account_signals SET resumed = resumed + 1 WHERE resumed > 0`,
		`signal \d+: it counts \d+, the history \d+`,
	},
	{
		"passes_run_once", "a signal that resumed at two times",
		`UPDATE thaw.enrollment_events SET at = at + interval '1 second' WHERE id = (
			SELECT max(event.id) FROM thaw.enrollment_events AS event
			WHERE event.kind = 'resumed' AND event.source = 'signal' AND event.from_account_id = event.to_account_id)`,
		`signal \d+: resumed prospects between`,
	},
	{
		"passes_run_once", "an allocation that was used by two jobs",
		`UPDATE thaw.enrollment_events SET job_id = job_id + 1000 WHERE id = (
			SELECT max(event.id) FROM thaw.enrollment_events AS event
			WHERE event.kind = 'resumed' AND event.source = 'sweep')`,
		`allocation of account \d+ at tick .+: resumed prospects between .+, in jobs \d+ to 1\d+`,
	},
	{
		"signals_change_what_they_say", "resumed by a stale signal",
		`UPDATE thaw.account_signals SET outcome = 'stale' WHERE resumed > 0`,
		`enrollment \d+: resumed through account \d+ by signal \d+, which is stale`,
	},
	{
		"signals_change_what_they_say", "resumed by the signal of another account",
		`UPDATE thaw.account_signals SET account_id = 5 WHERE resumed > 0`,
		`enrollment \d+: resumed through account \d+ by signal \d+, which is applied for account 5`,
	},
	{
		"signals_change_what_they_say", "paused by a connect signal",
		`UPDATE thaw.account_signals SET status = 'connected' WHERE status = 'disconnected' AND outcome = 'applied'`,
		`enrollment \d+: paused through account \d+ by signal \d+, which is applied for account \d+ and says connected`,
	},
	{
		"signals_change_what_they_say", "paused by a signal that is gone",
		`DELETE FROM thaw.account_signals WHERE status = 'restricted'`,
		`enrollment \d+: paused through account \d+ by signal \d+, which is missing for account none and says nothing`,
	},
	{
		"blocked_passes_resume_nothing", "an allocation",
		`UPDATE thaw.allocations SET verdict = 'account_on_hold' WHERE resumed > 0`,
		`allocation of account \d+ at tick .+: account_on_hold, and yet it resumed \d+`,
	},
	{
		"blocked_passes_resume_nothing", "a signal",
		`UPDATE thaw.account_signals SET verdict = 'safety_mode' WHERE resumed > 0`,
		`signal \d+: safety_mode, and yet it resumed \d+`,
	},
	{
		"heals_match_events", "a heal that counts too few",
		`UPDATE thaw.heals SET resumed = resumed - 1 WHERE id = 1`,
		`heal 1: it counts 8 resumed, 0 re-pointed and \d campaigns, the history 9, 0 and \d`,
	},
	{
		"heals_match_events", "a heal that counts a move too many",
		`UPDATE thaw.heals SET moved = moved + 1 WHERE id = 1`,
		`heal 1: it counts 9 resumed, 1 re-pointed`,
	},
	{
		"heals_match_events", "a heal that counts a campaign too many",
		`UPDATE thaw.heals SET campaigns_resumed = campaigns_resumed + 1 WHERE id = 1`,
		`heal 1: it counts 9 resumed`,
	},
	{
		"heals_match_events", "a heal that is gone",
		`DELETE FROM thaw.heals WHERE id = 1`,
		`heal 1: it counts 0 resumed, 0 re-pointed and 0 campaigns, the history 9`,
	},
	{
		"heals_stay_within_cap", "a heal over its cap",
		`ALTER TABLE thaw.heals DROP CONSTRAINT heals_resumed_is_within_cap; UPDATE thaw.heals SET cap = 8 WHERE id = 1`,
		`heal 1: 9 resumed, its cap is 8`,
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
		"heals_stay_in_scope", "somebody who is not on the list",
		`DELETE FROM thaw.heal_enrollments`,
		`enrollment \d+: resumed by heal 3 of prospects:\w+, from account 1 through account 6`,
	},
	{
		"one_heal_a_target", "two at once",
		`DROP INDEX thaw.heals_one_running_a_target_key;
		INSERT INTO thaw.heals (workspace_id, target, cap, requested_by)
		SELECT h.workspace_id, h.target, 1, 'support' FROM thaw.heals AS h WHERE h.status = 'running'`,
		`workspace:2: heals 4, 5 are running`,
	},
	{
		"resumed_once_a_pause", "two resumes of one pause",
		`UPDATE thaw.enrollment_events AS second SET paused_at = first.paused_at, step = first.step
		FROM thaw.enrollment_events AS first
		WHERE first.enrollment_id = second.enrollment_id AND first.kind = 'resumed' AND second.kind = 'resumed'
			AND first.id < second.id`,
		`enrollment \d+: its pause of .+ was ended by events \d+ and \d+`,
	},
	{
		"ended_pauses_are_over", "resumed in the history only",
		// Past the trigger that lets a pause that is dated back begin with the last resume, and counted like a restore.
		`SET LOCAL session_replication_role = replica;
		UPDATE thaw.enrollments AS e SET status = 'paused', paused_reason = event.reason, paused_at = event.paused_at
		FROM thaw.enrollment_events AS event
		WHERE event.enrollment_id = e.id AND event.kind = 'resumed' AND e.status = 'active';
		SET LOCAL session_replication_role = origin;
		SELECT thaw.recount()`,
		`enrollment \d+: still paused since .+, though event \d+ ended that`,
	},
	{
		"resumes_keep_the_step", "a step further",
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
		"resumed_only_from_account_reasons", "a prospect that was paused for no reason",
		`UPDATE thaw.enrollment_events SET reason = NULL WHERE kind = 'resumed' AND source = 'sweep'`,
		`enrollment \d+: paused for no reason, resumed by sweep in event \d+`,
	},
	{
		"resumed_only_from_account_reasons", "a campaign that billing stopped",
		`UPDATE thaw.campaign_events SET reason = 'subscription_inactive' WHERE kind = 'resumed'`,
		`campaign \d+: paused for subscription_inactive, resumed by \w+ in event \d+`,
	},
	{
		"people_have_the_last_word", "a prospect that a person had paused, and nobody gave back",
		`UPDATE thaw.enrollment_events AS pause SET reason = 'paused_by_user'
		WHERE pause.kind = 'paused' AND EXISTS (
			SELECT FROM thaw.enrollment_events AS resume
			WHERE resume.kind = 'resumed' AND resume.enrollment_id = pause.enrollment_id AND resume.paused_at = pause.paused_at)`,
		`enrollment \d+: stopped by event \d+ \(paused_by_user\), resumed by event \d+, and nobody gave it back in between`,
	},
	{
		"resumed_only_through_own_accounts", "moved to the account of another person",
		`UPDATE thaw.accounts SET member_id = 'somebody else' WHERE provider_account_id = 'ann-old'`,
		`enrollment \d+: (resumed|moved) from account 1 to account 6 in event \d+`,
	},
	{
		"resumed_only_through_own_accounts", "moved to the account of nobody known",
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
		`enrollment \d+: by signal at .+ from account 1 to account 6 at step \d: 1 resumed, 0 re-pointed`,
	},
	{
		"moves_come_with_a_resume", "moved without being resumed",
		`INSERT INTO thaw.enrollment_events (
			enrollment_id, at, tick_at, signal_id, from_account_id, to_account_id, step, kind, source, from_status, to_status)
		SELECT 1, thaw.now(), thaw.tick(), max(s.id), 1, 6, 0, 'moved', 'signal', 'active', 'active'
		FROM thaw.account_signals AS s`,
		`enrollment 1: by signal at .+: 0 resumed, 1 re-pointed`,
	},
	{
		"moves_come_with_a_resume", "moved at another step",
		`UPDATE thaw.enrollment_events SET step = step + 1 WHERE kind = 'moved'`,
		`enrollment \d+: by \w+ at .+ from account 1 to account 6 at step \d: \d resumed, \d re-pointed`,
	},
	{
		"messages_match_records", "a pass of a signal told twice",
		`INSERT INTO thaw.outbox (type, data)
		SELECT 'enrollments.resumed', jsonb_build_object('signal_id', s.id, 'resumed', s.resumed / 2)
		FROM (SELECT s.id, s.resumed FROM thaw.account_signals AS s WHERE s.resumed > 0 AND s.resumed % 2 = 0 LIMIT 1) AS s, generate_series(1, 2)`,
		`signal \d+: told 2 times, of (\d+), it counts \d+`,
	},
	{
		"messages_match_records", "a pass of a tick told wrongly",
		`INSERT INTO thaw.outbox (type, account_id, data)
		SELECT 'enrollments.resumed', g.account_id, jsonb_build_object('tick_at', thaw.rfc3339(g.tick_at), 'resumed', g.resumed + 1)
		FROM thaw.allocations AS g WHERE g.resumed > 0 LIMIT 1`,
		`account \d+ in tick .+: told 1 times, of \d+, its allocation counts \d+`,
	},
	{
		"messages_match_records", "more told of a heal than it did",
		`INSERT INTO thaw.outbox (type, data)
		SELECT 'enrollments.resumed', jsonb_build_object('heal_id', h.id, 'resumed', h.resumed + 1) FROM thaw.heals AS h LIMIT 1`,
		`heal \d+: told of \d+, it counts \d+`,
	},
	{
		"events_change_what_they_name", "a pause that does not pause",
		`UPDATE thaw.enrollment_events SET to_status = 'active' WHERE kind = 'paused'`,
		`enrollment \d+: event \d+ is paused, from active on account \d to active on account \d`,
	},
	{
		"events_change_what_they_name", "a resume of somebody active",
		`UPDATE thaw.enrollment_events SET from_status = 'active' WHERE kind = 'resumed'`,
		`enrollment \d+: event \d+ is resumed, from active`,
	},
	{
		"counts_match_enrollments", "a pause that no trigger saw",
		withoutForeignKeys + `UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now()
		WHERE id = (SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.status = 'active')`,
		`account \d+, campaign \d+, paused_by_user: \d+ paused, the counts say \d+`,
	},
	{
		"counts_match_enrollments", "a count of what is gone",
		`INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta) VALUES (99, 99, 'paused_by_user', false, 2)`,
		`account 99, campaign 99, paused_by_user: 0 paused, the counts say 2`,
	},
	{
		"counts_match_enrollments", "a total that is not the sum",
		`SELECT thaw.fold_counts(); UPDATE thaw.waiting_totals SET waiting = waiting + 1`,
		`account \d+: \d+ wait by the counts, the total says \d+`,
	},
	{
		"events_change_what_they_name", "a re-point that resumes",
		`UPDATE thaw.enrollment_events SET from_status = 'paused' WHERE kind = 'moved'`,
		`enrollment \d+: event \d+ is moved, from paused`,
	},
	{
		"events_change_what_they_name", "a campaign start that leads elsewhere",
		`UPDATE thaw.campaign_events SET to_status = 'draft' WHERE kind = 'resumed'`,
		`campaign \d+: event \d+ is resumed, from paused to draft`,
	},
	{
		"events_change_what_they_name", "a campaign pause that does not pause",
		`UPDATE thaw.campaign_events SET to_status = 'running' WHERE kind = 'paused'`,
		`campaign \d+: event \d+ is paused, from running to running`,
	},
}

// inRanges makes a check take its table in several steps, so that it has to find what is wrong in any of them. Each step costs a
// statement: many small ones are for full size.
var inRanges = verify.Options{Range: int64(testdb.Size(60, 7))}

func TestEachViolationIsFoundByItsCheckAlone(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)
	for _, v := range violations { //nolint:paralleltest // They lock what they break.
		// Each breaks the fleet in a transaction of its own, constraints included, and takes it back.
		t.Run(v.check+"/"+v.how, func(t *testing.T) {
			tx, err := fleet.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer tx.Rollback(t.Context())
			// As Thaw itself: a plain statement would have a history of its own.
			_, err = tx.Exec(t.Context(), "SET LOCAL thaw.set_based = 'on'; "+v.sql)
			require.NoError(t, err)

			report, err := verify.RunIn(t.Context(), tx, inRanges)
			require.NoError(t, err)
			violated := found(report)
			require.Regexp(t, v.finds, violated[v.check])
			require.Len(t, violated, 1, "other checks see something too: %v", violated)
			require.Positive(t, report.Violations())
		})
	}
}
