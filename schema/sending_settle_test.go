package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// outcome settles the first action of a new fleet, and returns the database and the reservation.
func outcome(t *testing.T, outcome string, args ...string) (db *testdb.DB, id string) {
	t.Helper()
	db = withSenders(t)
	db.Exec(t, noGaps+"INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com')")
	id = reserve(t, db, 1)
	require.Equal(t, "go", start(t, db, id))
	settle(t, db, id, outcome, args...)
	return db, id
}

// used is what the first account has used today.
func used(t *testing.T, db *testdb.DB) int {
	t.Helper()
	return testdb.Value[int](t, db, "SELECT used_today FROM thaw.kind_gates('{1}', '{invite}')")
}

// enrollment describes the first prospect.
func enrollment(t *testing.T, db *testdb.DB) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT concat_ws(' ', status, step, next_kind, to_char(next_action_at AT TIME ZONE 'Europe/Berlin', 'Mon DD HH24:MI')) FROM thaw.enrollments WHERE id = 1")
}

func TestSentMovesOn(t *testing.T) {
	t.Parallel()
	db, id := outcome(t, "sent", "provider_ref => 'inv_1'")
	require.Equal(t, "sent sent", state(t, db, id))
	require.Equal(t, 1, used(t, db))
	require.Equal(t, "active 1 message Mar 04 10:00", enrollment(t, db))
	db.Advance(t, 24*time.Hour)
	db.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://second.example.com')")
	send(t, db, 1)
	require.Equal(t, "completed 2", testdb.Value[string](t, db, "SELECT concat_ws(' ', status, step, next_kind) FROM thaw.enrollments WHERE id = 1"), "after the last step")
}

// A provider that answers 200 without the ID of the delivery has proven
// nothing.
func TestSentWithoutTheProvidersIDIsUnknown(t *testing.T) {
	t.Parallel()
	db, id := outcome(t, "sent")
	require.Equal(t, "unknown unknown", state(t, db, id))
	require.Equal(t, "active 0 invite Mar 03 09:00", enrollment(t, db))
	require.Equal(t, "already_unknown", reserve(t, db, 1))
	require.Equal(t, "unknown", settle(t, db, id, "sent"), "a repeated call")
	require.Equal(t, "unknown", settle(t, db, id, "sent", "provider_ref => '  '"), "a blank ID")
	// A profile view has no ID.
	db.Exec(t, "UPDATE thaw.enrollments SET next_kind = 'view' WHERE id = 2; DELETE FROM thaw.campaign_steps")
	view := reserve(t, db, 2)
	require.Equal(t, "go", start(t, db, view))
	require.Equal(t, "sent", settle(t, db, view, "sent"))
}

func TestAlreadyDoesNotCountAndClosesThePair(t *testing.T) {
	t.Parallel()
	db, id := outcome(t, "already")
	require.Equal(t, "already already", state(t, db, id))
	require.Zero(t, used(t, db))
	require.Equal(t, "active 1 message Mar 04 10:00", enrollment(t, db))
}

func TestRefusedUsesNoQuotaAndFails(t *testing.T) {
	t.Parallel()
	db, id := outcome(t, "refused", "error_code => 'invalid_recipient'")
	require.Equal(t, "refused refused invalid_recipient", state(t, db, id))
	require.Zero(t, used(t, db))
	require.Equal(t, "failed 0 invite Mar 03 09:00", enrollment(t, db))
	db, _ = outcome(t, "refused", "if_refused => 'skip'")
	require.Equal(t, "active 1 message Mar 04 10:00", enrollment(t, db))
	require.Zero(t, used(t, db))
	db, _ = outcome(t, "refused", "if_refused => 'keep'")
	require.Equal(t, "active 0 invite Mar 04 10:00", enrollment(t, db))
	db.Advance(t, 24*time.Hour)
	require.Equal(t, "2", reserve(t, db, 1))
}

// A limit of the provider is no failure of the prospect: the step is kept, and
// only this kind of this account rests.
func TestLimitedHoldsTheKindAndKeepsTheStep(t *testing.T) {
	t.Parallel()
	const hold = "SELECT concat_ws(' ', kind, code, to_char(until AT TIME ZONE 'Europe/Berlin', 'Dy Mon DD HH24:MI')) FROM thaw.action_holds"
	db, id := outcome(t, "limited", "error_code => 'limit_exceeded'")
	require.Equal(t, "released limited limit_exceeded", state(t, db, id))
	require.Zero(t, used(t, db))
	require.Equal(t, "active 0 invite Mar 03 09:00", enrollment(t, db))
	require.Equal(t, "invite limit_exceeded Wed Mar 04 00:00", testdb.Value[string](t, db, hold))
	require.Equal(t, "kind_on_hold", reserve(t, db, 2))
	require.Equal(t, "2", reserve(t, db, 11), "another account")
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.outbox WHERE type = 'account.limited'"))
	db.Exec(t, "UPDATE thaw.enrollments SET step = 1 WHERE id = 2")
	require.Equal(t, "3", reserve(t, db, 2), "messages go on")
	db.Advance(t, 14*time.Hour)
	require.Equal(t, "4", reserve(t, db, 1), "the same step again, on the next day")

	for until, args := range map[string][]string{
		"invite limited Tue Mar 03 12:00":           {"until => '2026-03-03 11:00+00'"},
		"invite cannot_resend_yet Mon Mar 09 00:00": {"error_code => 'cannot_resend_yet'"},
		"invite insufficient_credits Wed Apr 01 02": {"error_code => 'insufficient_credits'"},
		"invite limited Wed Mar 04 00:00":           {"error_code => 'HTTP 429'"},
	} {
		db, _ = outcome(t, "limited", args...)
		require.Equal(t, until, testdb.Value[string](t, db, hold)[:len(until)])
	}

	// If the zone was lost after the start, no local day is known.
	for until, args := range map[string][]string{
		"invite limited Wed Mar 04 10:00":           {},
		"invite cannot_resend_yet Tue Mar 10 10:00": {"error_code => 'cannot_resend_yet'"},
		"invite insufficient_credits Wed Apr 01 02": {"error_code => 'insufficient_credits'"},
	} {
		db := withSenders(t)
		id := reserve(t, db, 1)
		require.Equal(t, "go", start(t, db, id))
		db.Exec(t, "UPDATE thaw.accounts SET timezone = NULL")
		settle(t, db, id, "limited", args...)
		require.Equal(t, until, testdb.Value[string](t, db, hold)[:len(until)])
	}
}

func TestThrottledTriesAgain(t *testing.T) {
	t.Parallel()
	db, id := outcome(t, "throttled", "until => '2026-03-03 09:30+00'")
	require.Equal(t, "released throttled", state(t, db, id))
	require.Equal(t, "active 0 invite Mar 03 10:30", enrollment(t, db))
	require.Equal(t, "2", reserve(t, db, 2), "no other prospect waits")
	db, _ = outcome(t, "throttled")
	require.Equal(t, "active 0 invite Mar 03 10:05", enrollment(t, db))
}

// A lost account is a signal in the transaction of the settlement: the account stops at once.
func TestAccountLostIsASignal(t *testing.T) {
	t.Parallel()
	for result, status := range map[string]string{"account_lost": "disconnected", "restricted": "restricted"} {
		db, id := outcome(t, result)
		require.Equal(t, "released "+result, state(t, db, id))
		require.Equal(t, status, statusOf(t, db, "ann"))
		require.Equal(t, "account_not_connected", reserve(t, db, 2))
		require.Equal(t, result+" applied", testdb.Value[string](t, db, "SELECT concat_ws(' ', raw_status, outcome) FROM thaw.account_signals"))
		require.Equal(t, "released", settle(t, db, id, result), "a repeated call")
		require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals"))
	}
}

// An unknown outcome counts and is never repeated. A person, or the list of the provider, settles
// it.
func TestUnknownIsSettledByAPerson(t *testing.T) {
	t.Parallel()
	db, id := outcome(t, "unknown", "error_code => 'timeout'")
	require.Equal(t, "unknown unknown timeout", state(t, db, id))
	require.Equal(t, 1, used(t, db))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.outbox WHERE type = 'actions.unknown'"))
	require.Equal(t, "sent", settle(t, db, id, "verified_sent", "actor => 'jo'"))
	require.Equal(t, 1, used(t, db))
	require.Equal(t, "active 1 message Mar 04 10:00", enrollment(t, db))
	require.Equal(t, "jo seen", testdb.Value[string](t, db, "SELECT concat_ws(' ', actor, reason) FROM thaw.manual_actions WHERE what = 'action_settled'"))

	db, id = outcome(t, "unknown")
	require.Equal(t, "released", settle(t, db, id, "verified_absent"))
	require.Zero(t, used(t, db))
	require.Equal(t, "active 0 invite Mar 03 09:00", enrollment(t, db))
	require.Equal(t, "2", reserve(t, db, 1), "only this frees it")
}

// A report after the end of the lease is still taken: the sender was only slow.
func TestLateReportIsTaken(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	id := reserve(t, db, 1)
	require.Equal(t, "go", start(t, db, id))
	db.Advance(t, time.Hour)
	db.Exec(t, "SELECT thaw.expire_actions()")
	require.Equal(t, "unknown", state(t, db, id))
	require.Equal(t, "sent", settle(t, db, id, "sent", "'inv_1'"))
	require.Equal(t, "sent sent", state(t, db, id))
}

// A repeated settlement is harmless, another outcome is an error that changes nothing.
func TestSettlementIsFinal(t *testing.T) {
	t.Parallel()
	outcomes := []string{"sent", "already", "refused", "limited", "throttled", "account_lost", "restricted", "unknown"}
	for _, first := range outcomes {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			db, id := outcome(t, first, "provider_ref => 'inv_1'")
			rows := func() string {
				return testdb.Value[string](t, db, "SELECT concat(a, e, s) FROM thaw.actions AS a, thaw.enrollments AS e, thaw.senders AS s WHERE e.id = 1")
			}
			before, is := rows(), testdb.Value[string](t, db, "SELECT state FROM thaw.actions")
			require.Equal(t, is, settle(t, db, id, first, "provider_ref => 'inv_1'"))
			require.Equal(t, before, rows())
			for _, other := range append([]string{"released", "verified_sent", "verified_absent"}, outcomes...) {
				if other == first || first == "unknown" && other[0] == 'v' {
					continue
				}
				statement := "SELECT thaw.settle($1::bigint, $2, 'inv_1')"
				if other[0] == 'v' {
					statement = "SELECT thaw.verify_action($1::bigint, $2, 'seen')"
				}
				_, err := db.Pool.Exec(t.Context(), statement, id, other)
				require.ErrorContains(t, err, "cannot be settled as "+other, first)
				require.Equal(t, before, rows())
			}
		})
	}
}

func TestSettleRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	id := reserve(t, db, 1)
	for _, one := range []struct{ statement, message string }{
		{"SELECT thaw.settle(1, 'sent', 'x')", "action 1 cannot be settled as sent: it is reserved"},
		{"SELECT thaw.settle(99, 'sent')", "there is no reservation 99"},
		{"SELECT thaw.settle(1, 'delivered')", `the outcome "delivered" is unknown`},
		{"SELECT thaw.settle(1, 'verified_absent')", "verified_absent is not an outcome that a sender reports"},
		{"SELECT thaw.settle(1, NULL)", `the outcome "null" is unknown`},
		{"SELECT thaw.settle(1, 'refused', if_refused => 'retry')", `if_refused is "retry"`},
		{"SELECT thaw.settle(1, 'sent', next_kind => 'fax')", `the kind "fax" is unknown`},
		{"SELECT thaw.settle(1, 'limited', until => 'infinity')", "a time is too far in the future"},
		{"SELECT thaw.settle(1, 'sent', repeat('x', 10000))", "provider_ref"},
		{"SELECT thaw.close_invite(1, 'accepted')", "action 1 is no sent invite"},
		{"SELECT thaw.close_invite(1, 'lost')", `an invite does not end as "lost"`},
	} {
		_, err := db.Pool.Exec(t.Context(), one.statement)
		require.ErrorContains(t, err, one.message, one.statement)
	}
	require.Equal(t, "reserved", state(t, db, id))
	require.Equal(t, "released", settle(t, db, id, "released"))
}

// Three refusals of a kind to different prospects within a day: the kind rests, other kinds go on.
func TestThreeRefusalsHoldTheKind(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	refuse := func(enrollment int) {
		id := reserve(t, db, enrollment)
		require.Equal(t, "go", start(t, db, id), id)
		settle(t, db, id, "refused", "if_refused => 'keep'", "next_at => thaw.now()")
	}
	refuse(1)
	refuse(1)
	refuse(1)
	refuse(2)
	require.NotEqual(t, "kind_on_hold", reserve(t, db, 4), "three refusals of two prospects")
	refuse(3)
	require.Equal(t, "kind_on_hold", reserve(t, db, 5))
	require.Equal(t, "invite refusals: the provider refused invites to 3 prospects within a day",
		testdb.Value[string](t, db, "SELECT concat(kind, ' ', code, ': ', reason) FROM thaw.action_holds"))
	require.NotEqual(t, "kind_on_hold", reserve(t, db, 11))
	db.Exec(t, "UPDATE thaw.enrollments SET step = 1 WHERE id = 6")
	require.NotEqual(t, "kind_on_hold", reserve(t, db, 6))
	// no sender shortens the hold by the way.
	_, err := db.Pool.Exec(t.Context(), "UPDATE thaw.action_holds SET until = thaw.now()")
	require.ErrorContains(t, err, "the kind invite is on hold until")
	_, err = db.Pool.Exec(t.Context(), "DELETE FROM thaw.action_holds")
	require.ErrorContains(t, err, "the kind invite is on hold until")
}

// Campaigns with branches have no steps: the platform says what comes next.
func TestPlatformNamesTheNextKind(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"DELETE FROM thaw.campaign_steps")
	id := reserve(t, db, 1)
	require.Equal(t, "go", start(t, db, id))
	settle(t, db, id, "sent", "'inv_1'", "next_kind => 'email'", "next_at => '2026-03-03 10:00+00'")
	require.Equal(t, "active 1 email Mar 03 11:00", enrollment(t, db))
	require.Equal(t, "not_due", reserve(t, db, 1))
	id = reserve(t, db, 2)
	require.Equal(t, "go", start(t, db, id))
	settle(t, db, id, "sent", "'inv_2'")
	require.Equal(t, "active 1", testdb.Value[string](t, db, "SELECT concat_ws(' ', status, step, next_kind) FROM thaw.enrollments WHERE id = 2"))
}

// After its last step a prospect is completed, also if it was paused while the action was under
// way. A resume would make it active again, with nothing left to do.
func TestLastStepCompletesAPausedProspect(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"DELETE FROM thaw.campaign_steps WHERE position = 1")
	first, second := reserve(t, db, 1), reserve(t, db, 11)
	require.Equal(t, "go", start(t, db, first))
	require.Equal(t, "go", start(t, db, second))
	db.Exec(t, "SELECT thaw.pause_prospect('https://www.linkedin.com/in/p1-1', 'asked'); SELECT thaw.signal('linkedin', 'bob', 'disconnected'); SELECT thaw.pause_batch(2, 100, 1, NULL, 1)")
	require.Equal(t, []string{"paused", "paused"}, testdb.Column[string](t, db, "SELECT status FROM thaw.enrollments WHERE id IN (1, 11) ORDER BY id"))
	settle(t, db, first, "sent", "'ref'")
	settle(t, db, second, "sent", "'ref'")
	require.Equal(t, []string{"completed 1", "completed 1"}, testdb.Column[string](t, db, "SELECT concat_ws(' ', status, step, next_kind, paused_reason) FROM thaw.enrollments WHERE id IN (1, 11) ORDER BY id"))
	require.Zero(t, violations(t, db))
}

// An invite that was accepted stays accepted: withdrawn, it could be repeated. An invite that
// has ended does not count toward the ceiling.
func TestEndOfAnInvite(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.settings SET pending_invites = 1")
	id := send(t, db, 1)
	require.NotContains(t, claim(t, db, 10), 2)
	require.Equal(t, "pending_invites", testdb.Value[string](t, db, "SELECT code FROM thaw.sending_accounts WHERE account_id = 1"))
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.close_invite($1::bigint, 'withdrawn')", id))
	require.Contains(t, claim(t, db, 10), 2)
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.close_invite($1::bigint, 'accepted')", id), "a late report")
	require.Equal(t, "the invite of action "+id+" was accepted", refused(t, db, "SELECT thaw.close_invite("+id+", 'withdrawn')").Message)
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.close_invite($1::bigint, 'accepted')", id))
}

// What the prospect has accepted, or the person withdrawn, was delivered: it is not free again,
// whatever a person or a slow sender reports of it.
func TestEndOfAnInviteProvesIt(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"accepted", "withdrawn"} {
		db, id := outcome(t, "unknown")
		require.True(t, testdb.Value[bool](t, db, "SELECT thaw.close_invite($1::bigint, $2)", id, end))
		message := "action " + id + " cannot be settled as verified_absent: its invite was " + end + ", so the prospect had it"
		require.Equal(t, message, refused(t, db, "SELECT thaw.verify_action("+id+", 'verified_absent', 'not in the list', 'ann')").Message)
		require.Equal(t, "already_unknown", reserve(t, db, 1))
		db.Exec(t, "SELECT thaw.verify_action("+id+", 'verified_sent', 'in the list', 'ann', 'ref')")
		require.Equal(t, "sent verified_sent", state(t, db, id))

		db = withSenders(t)
		id = reserve(t, db, 1)
		require.Equal(t, "go", start(t, db, id))
		db.Advance(t, 11*time.Minute)
		db.Exec(t, "SELECT thaw.expire_actions()")
		require.True(t, testdb.Value[bool](t, db, "SELECT thaw.close_invite($1::bigint, $2)", id, end))
		require.Contains(t, refused(t, db, "SELECT thaw.settle("+id+", 'refused')").Message, "cannot be settled as refused: its invite was "+end)
		require.Equal(t, "sent", settle(t, db, id, "sent", "provider_ref => 'ref'"))
	}
}

// The steps of a campaign may be replaced while an action is under way: the prospect gets no second
// action at the same step, whatever its kind is now.
func TestReplacedStepsGiveNoSecondAction(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	require.Equal(t, "go", start(t, db, reserve(t, db, 1)))
	db.Exec(t, `SELECT thaw.set_campaign_steps('acme', 'spring', '[{"kind": "message"}, {"kind": "view"}]')`)
	require.Equal(t, "already_started", reserve(t, db, 1))
	require.NotContains(t, testdb.Column[int](t, db, "SELECT enrollment FROM thaw.claim_actions(100)"), 1)
}

// A prospect that the platform moved to another step while an action was under way keeps the status
// and the time of that step.
func TestOutcomeOfAnOldStepMovesNothing(t *testing.T) {
	t.Parallel()
	for _, test := range [][]string{
		{"throttled"}, {"refused", "if_refused => 'keep'"}, {"refused", "if_refused => 'fail'"}, {"refused", "if_refused => 'skip'"}, {"sent", "provider_ref => 'x'"},
	} {
		t.Run(test[0], func(t *testing.T) {
			t.Parallel()
			db := withSenders(t)
			db.Exec(t, noGaps)
			id := reserve(t, db, 1)
			require.Equal(t, "go", start(t, db, id))
			db.Exec(t, "UPDATE thaw.enrollments SET step = 1, next_action_at = '2026-03-12 09:00:00+00' WHERE id = 1")
			settle(t, db, id, test[0], test[1:]...)
			require.Equal(t, "active 1 message Mar 12 10:00", enrollment(t, db))
		})
	}
}

// A provider that names an end that is over says nothing about its limit.
func TestLimitThatIsOverHasTheDefaultEnd(t *testing.T) {
	t.Parallel()
	db, _ := outcome(t, "limited", "until => thaw.now() - interval '1 hour'")
	require.Equal(t, "kind_on_hold", reserve(t, db, 1))
	require.Equal(t, "Mar 04 00:00", testdb.Value[string](t, db, "SELECT to_char(until AT TIME ZONE 'Europe/Berlin', 'Mon DD HH24:MI') FROM thaw.action_holds"))
}

// Times that are over, and those that no column can store, mean now: the outcome is never lost.
func TestTimesThatAreOverMeanNow(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"1999-01-01", "-infinity", "2026-03-03 08:00+00"} {
		db, _ := outcome(t, "throttled", "until => '"+at+"'")
		require.Equal(t, "active 0 invite Mar 03 10:00", enrollment(t, db))
		db, _ = outcome(t, "refused", "if_refused => 'keep'", "next_at => '"+at+"'")
		require.Equal(t, "active 0 invite Mar 03 10:00", enrollment(t, db))
		db, id := outcome(t, "sent", "provider_ref => 'inv_1'", "next_at => '"+at+"'")
		require.Equal(t, "active 1 message Mar 03 10:00", enrollment(t, db))
		require.Equal(t, "sent", settle(t, db, id, "sent"), "the same outcome again, without the ID")
	}
}

// A report of a request says nothing about an account that has connected again since.
func TestAccountLostBeforeItCameBackIsOver(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	id := reserve(t, db, 1)
	require.Equal(t, "go", start(t, db, id))
	db.Advance(t, time.Minute)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'disconnected')")
	db.Advance(t, time.Minute)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'connected')")
	require.Equal(t, "released", settle(t, db, id, "account_lost"))
	require.Equal(t, "connected", statusOf(t, db, "ann"))
}

// A withdrawn invite that was accepted after all cannot be told beside a newer one.
func TestAcceptedInviteBesideANewerOne(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	first := send(t, db, 1)
	db.Exec(t, "SELECT thaw.close_invite("+first+", 'withdrawn')")
	db.Advance(t, 22*24*time.Hour)
	db.Exec(t, "UPDATE thaw.enrollments SET prospect_url = 'https://www.linkedin.com/in/P1-1' WHERE id = 2")
	second := send(t, db, 2)
	require.Equal(t, "the invite of action "+first+" was withdrawn, and action "+second+" invites the prospect again",
		refused(t, db, "SELECT thaw.close_invite("+first+", 'accepted')").Message)
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.close_invite($1::bigint, 'accepted')", second))
}
