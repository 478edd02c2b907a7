package schema_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// second is another account, in a workspace of its own, with ten prospects (31 to 40).
const second = noGaps + `
	INSERT INTO thaw.workspaces (key) VALUES ('globex');
	INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (2, 'autumn', 'running');
	INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite');
	INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone, tier) VALUES (2, 'ann-2', 'connected', 'Europe/Berlin', 'premium');
	INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
	SELECT 2, 2, 4, 'active', thaw.now(), 'https://www.linkedin.com/in/new-' || n FROM generate_series(1, 10) AS n;`

// A person who connects again as a new record, whose member is known only for the new one, has one
// quota, one ramp and one invite per prospect: also while nothing touches the old record.
func TestLinkedRecordKeepsWhatWasUsed(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`UPDATE thaw.accounts SET member_id = NULL; SELECT thaw.take_nudges();
		UPDATE thaw.senders SET ramp_started_at = thaw.now() - interval '60 days', last_started_at = thaw.now();
		UPDATE thaw.action_limits SET per_day = 3 WHERE kind = 'invite'`)
	for id := 1; id <= 3; id++ {
		send(t, db, id)
	}
	db.Exec(t, `
		SELECT thaw.signal('linkedin', 'ann', 'disconnected');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier) VALUES (1, 'ann-2', 'm-ann', 'connected', 'Europe/Berlin', 'premium');
		SELECT thaw.link_accounts('ann', 'ann-2', 'the same person');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url) VALUES (1, 1, 4, 'active', thaw.now(), 'https://www.linkedin.com/in/new')`)
	require.Equal(t, "daily_cap", reserve(t, db, 31))
	require.Equal(t, "6 3", ramp(t, db, 4))
	db.Exec(t, `UPDATE thaw.action_limits SET per_day = 30;
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'summer', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url) VALUES (1, 2, 4, 'active', thaw.now(), 'https://www.linkedin.com/in/p1-1')`)
	require.Equal(t, "already_invited", reserve(t, db, 32))
}

// The member of a disconnected account becomes known: what it has used moves, without a touch.
func TestMemberOfADisconnectedAccountBecomesKnown(t *testing.T) {
	t.Parallel()
	for name, follow := range map[string]string{"before a reservation": "SELECT 1", "once a second": "SELECT thaw.follow_persons()"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withSenders(t)
			db.Exec(t, second+"UPDATE thaw.action_limits SET per_day = 2")
			send(t, db, 31)
			send(t, db, 32)
			db.Exec(t, "SELECT thaw.signal('linkedin', 'ann-2', 'disconnected'); UPDATE thaw.accounts SET member_id = 'm-ann' WHERE id = 4")
			db.Exec(t, follow)
			require.Equal(t, "daily_cap", reserve(t, db, 1))
			require.NotContains(t, claim(t, db, 10), 1)
		})
	}
}

// While more persons change than a reservation can follow, nothing is reserved.
func TestManyChangesOfPersonsHoldUpReservations(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"INSERT INTO thaw.person_changes (account_id) SELECT 1 FROM generate_series(1, 1001)")
	require.Equal(t, "the persons behind many accounts have just changed", refused(t, db, "SELECT thaw.reserve(1)").Message)
	require.Empty(t, claim(t, db, 10))
	require.Equal(t, 1000, testdb.Value[int](t, db, "SELECT thaw.follow_persons()"))
	require.Len(t, claim(t, db, 10), 3)
}

// Two accounts turn out to be one person, and both have an invite to one prospect. The better
// proven one stays open, and one that is only reserved is not sent any more.
func TestBetterProvenInviteStaysOpen(t *testing.T) {
	t.Parallel()
	for _, one := range []struct{ first, second, wantFirst, wantSecond string }{
		{"reserved", "sent", "released", "sent"},
		{"sent", "reserved", "sent", "released"},
		{"started", "sent", "started duplicate", "sent"},
		{"sent", "started", "sent", "started duplicate"},
		{"unknown", "started", "unknown", "started duplicate"},
		{"reserved", "reserved", "reserved", "released"},
	} {
		t.Run(one.first+" and "+one.second, func(t *testing.T) {
			t.Parallel()
			db := withSenders(t)
			db.Exec(t, second+"UPDATE thaw.enrollments SET prospect_url = 'https://www.linkedin.com/in/P1-1' WHERE id = 31")
			invite := func(enrollment int, state string) string {
				id := reserve(t, db, enrollment)
				if state != "reserved" {
					require.Equal(t, "go", start(t, db, id))
				}
				if state == "sent" || state == "unknown" {
					settle(t, db, id, state, "provider_ref => 'inv'")
				}
				return id
			}
			a, b := invite(1, one.first), invite(31, one.second)
			db.Exec(t, "UPDATE thaw.accounts SET member_id = 'm-ann' WHERE id = 4; SELECT thaw.follow_persons()")
			states := "SELECT concat_ws(' ', state, closed_as) FROM thaw.actions WHERE id = $1::bigint"
			require.Equal(t, one.wantFirst, testdb.Value[string](t, db, states, a))
			require.Equal(t, one.wantSecond, testdb.Value[string](t, db, states, b))
			require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(DISTINCT sender_id) FROM thaw.actions"))
		})
	}
}

// Without any action a ramp does not grow, however often one is reserved.
func TestRampWithoutActionsDoesNotGrow(t *testing.T) {
	t.Parallel()
	db := rampingUp(t, 4)
	db.Advance(t, 40*24*time.Hour)
	require.Equal(t, "3 15", ramp(t, db, 1))
	reserve(t, db, 2)
	db.Advance(t, time.Hour)
	db.Exec(t, "SELECT thaw.expire_actions()")
	db.Advance(t, 35*24*time.Hour)
	require.Equal(t, "3 15", ramp(t, db, 1))
}

// A window in a zone that the server has lost is not read in another one.
func TestZoneOfAWindowIsGone(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "UPDATE thaw.sending_windows SET timezone = 'US/Pacific'; DELETE FROM thaw.zones WHERE key = 'us/pacific'")
	require.Equal(t, "window_has_no_zone", reserve(t, db, 1))
}

// A hold was of the person: after its correction the other accounts send, too.
func TestCorrectedHoldOpensForSiblings(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, second+`UPDATE thaw.accounts SET member_id = 'm-ann' WHERE id = 4; DELETE FROM thaw.enrollments WHERE account_id <> 4;
		SELECT thaw.hold_action_kind('ann', 'invite', thaw.now() + interval '90 days', 'asked', 'x')`)
	// The accounts of a person take turns.
	require.Empty(t, claim(t, db, 10))
	require.Empty(t, claim(t, db, 10))
	require.Equal(t, "kind_on_hold", testdb.Value[string](t, db, "SELECT code FROM thaw.sending_accounts WHERE account_id = 4"))
	db.Exec(t, "SELECT thaw.correct_action_hold('ann', 'invite', NULL, 'mistake', 'x')")
	require.Len(t, append(claim(t, db, 10), claim(t, db, 10)...), 1)
}

// A next kind without a time is due at once.
func TestNextKindWithoutATimeIsDue(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"DELETE FROM thaw.campaign_steps")
	id := reserve(t, db, 1)
	require.Equal(t, "go", start(t, db, id))
	settle(t, db, id, "sent", "provider_ref => 'inv'", "next_kind => 'message'")
	require.Equal(t, "active 1 message Mar 03 10:00", enrollment(t, db))
}

// A transaction that has waited long for a lock has a clock that has stopped.
func TestStartThatWaitedTooLongIsRefused(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	id := reserve(t, db, 1)
	db.Exec(t, "CREATE OR REPLACE FUNCTION thaw.longest_reserving() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN interval '100 milliseconds'")
	for _, call := range []string{"SELECT thaw.start(" + id + ")", "SELECT thaw.reserve(2)"} {
		locked, err := db.Pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = locked.Exec(t.Context(), "SELECT FROM thaw.accounts WHERE id = 1 FOR UPDATE")
		require.NoError(t, err)
		answer := make(chan error, 1)
		go func() {
			_, err := db.Pool.Exec(context.WithoutCancel(t.Context()), call)
			answer <- err
		}()
		require.Eventually(t, func() bool {
			return testdb.Value[bool](t, db, `SELECT EXISTS (SELECT FROM pg_stat_activity AS a
				WHERE a.datname = current_database() AND a.query = $1 AND a.wait_event_type = 'Lock' AND now() - a.xact_start > '200 milliseconds')`, call)
		}, time.Minute, 10*time.Millisecond)
		require.NoError(t, locked.Commit(t.Context()))
		require.ErrorContains(t, <-answer, "this transaction began")
	}
}

// What is locked and what is reserved are of one account, also if a prospect moves meanwhile.
func TestSchedulerReservesForLockedAccountsOnly(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`SELECT thaw.take_nudges(); DELETE FROM thaw.enrollments WHERE account_id = 3 OR account_id = 1 AND id > 1;
		UPDATE thaw.sending_accounts SET next_at = 'infinity' WHERE account_id <> 1`)
	batch := testdb.Value[string](t, db, "SELECT pg_get_functiondef('thaw.schedule_batch(integer,interval,text,bigint)'::regprocedure)")
	const moment = "-- Rows that the platform has locked are left to the next look."
	require.Equal(t, 1, strings.Count(batch, moment))
	db.Exec(t, strings.Replace(batch, moment, "UPDATE thaw.enrollments SET account_id = 2 WHERE id = 1;", 1))
	require.Empty(t, testdb.Column[int](t, db, "SELECT c.enrollment FROM thaw.claim_actions(10) AS c"))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions"))
}

// A prospect whose own invite is unknown stays due behind a known one: once it is verified that the
// invite did not arrive, the next one goes at once, and not a day later.
func TestProspectWithAnUnknownInviteStaysDue(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		DELETE FROM thaw.enrollments WHERE id > 2;
		SELECT thaw.ensure_senders('{1}');
		INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, state, outcome, actor, reserved_at, started_at, settled_at, used_at, local_day, gap, next_of_kind_at, provider_ref)
		SELECT 1, 1, sending.sender_id, 2, 10000, 'linkedin', e.prospect_url, 0, 'invite', 'sent', 'sent', 'x', past.at, past.at, past.at, past.at, past.at::date, '0', past.at, 'x'
		FROM thaw.sending_accounts AS sending, thaw.enrollments AS e, (SELECT thaw.now() - interval '20 days' AS at) AS past WHERE e.id = 1`)
	unknown := reserve(t, db, 2)
	require.Equal(t, "go", start(t, db, unknown))
	require.Equal(t, "unknown", settle(t, db, unknown, "unknown"))
	require.Empty(t, claim(t, db, 10))
	settle(t, db, unknown, "verified_absent")
	db.Advance(t, 2*time.Second)
	require.Contains(t, claim(t, db, 10), 2)
}

// A list of prospects who were invited before does not hold up those behind for as many looks.
func TestKnownProspectsAreDeferredTogether(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		DELETE FROM thaw.enrollments;
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'again', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite');
		SELECT thaw.ensure_senders('{1}');
		INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, state, outcome, actor, reserved_at, started_at, settled_at, used_at, local_day, gap, next_of_kind_at, provider_ref)
		SELECT 1, 1, sending.sender_id, 1, 10000 + n, 'linkedin', 'https://www.linkedin.com/in/known-' || n, 0, 'invite', 'sent', 'sent', 'x', past.at, past.at, past.at, past.at, past.at::date, '0', past.at, 'x'
		FROM thaw.sending_accounts AS sending, generate_series(1, 60) AS n, (SELECT thaw.now() - interval '20 days' AS at) AS past;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, 2, 1, 'active', thaw.now() - interval '1 hour', 'https://www.linkedin.com/in/' || CASE WHEN n <= 60 THEN 'Known-' || n ELSE 'fresh' END FROM generate_series(1, 61) AS n`)
	require.Empty(t, claim(t, db, 10))
	db.Advance(t, 2*time.Second)
	require.Len(t, claim(t, db, 10), 1)
}

// An outcome is taken whatever has become of the account and the prospect.
func TestOutcomeOfWhatIsGone(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	var ids []string
	for id := 1; id <= 4; id++ {
		ids = append(ids, reserve(t, db, id))
		require.Equal(t, "go", start(t, db, ids[id-1]))
	}
	db.Exec(t, "DELETE FROM thaw.enrollments WHERE account_id = 1; DELETE FROM thaw.accounts WHERE id = 1")
	for i, outcome := range []string{"limited", "account_lost", "restricted"} {
		require.Equal(t, "released", settle(t, db, ids[i], outcome))
	}
	require.Equal(t, "sent", settle(t, db, ids[3], "sent", "provider_ref => 'inv'"))

	id := reserve(t, db, 12)
	require.Equal(t, "go", start(t, db, id))
	db.Exec(t, "SELECT thaw.erase_prospect('https://www.linkedin.com/in/p2-2', 'asked', 'jo')")
	require.Equal(t, "sent", settle(t, db, id, "sent", "provider_ref => 'urn:p2-2'", "error_code => 'p2-2'"))
	require.Equal(t, "[erased "+id+"] [erased]", testdb.Value[string](t, db, "SELECT concat_ws(' ', prospect_url, provider_ref, error_code) FROM thaw.actions WHERE id = $1::bigint", id))
}
