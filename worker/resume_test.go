package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/testdb"
)

func TestConnectSignalResumesAndStartsTheCampaign(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	spring := f.campaign(t, campaign{key: "spring", reason: disconnected})
	summer := f.campaign(t, campaign{key: "summer", reason: issue})
	f.prospects(t, prospects{account: a, campaign: spring, n: 10, reason: disconnected})
	f.prospects(t, prospects{account: a, campaign: summer, n: 10, reason: issue})
	f.start(t)

	f.signal(t, "a1", "connected")
	f.settle(t)
	require.Equal(t, map[string]int{"active": 20}, f.states(t, a))
	require.Equal(t, "running", f.campaignState(t, spring))
	require.Equal(t, "running", f.campaignState(t, summer))
	require.Equal(t, 20, testdb.Value[int](t, f.DB, `
		SELECT count(*) FROM thaw.enrollment_events AS event
		JOIN thaw.account_signals AS s ON s.id = event.signal_id
		WHERE event.kind = 'resumed' AND event.source = 'signal' AND event.tick_at = thaw.tick() AND event.job_id IS NOT NULL
			AND event.to_account_id = $1 AND event.from_account_id = $1 AND event.reason IS NOT NULL AND s.resumed = 20`, a))
	require.Equal(t, 2, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.campaign_events WHERE kind = 'resumed' AND account_id = $1", a))
}

func TestAccountCapHoldsAcrossSweepAndSignals(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, a, 450)
	f.start(t)

	f.signal(t, "a1", "connected")
	f.signal(t, "a1", "connected")
	f.settle(t)
	require.Equal(t, 200, f.states(t, a)["active"], "two signals in one tick")

	require.Equal(t, 200, f.sweep(t))
	f.signal(t, "a1", "connected")
	f.settle(t)
	require.Equal(t, 400, f.states(t, a)["active"], "a signal after its tick was swept")

	f.Advance(t, tick)
	f.signal(t, "a1", "connected")
	f.settle(t)
	require.Equal(t, 450, f.states(t, a)["active"])
}

func TestSweepUsesQuotaRemainingAfterSignal(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 30, signal_cap = 10")
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, a, 50)
	f.start(t)

	f.Advance(t, tick)
	f.signal(t, "a1", "connected")
	f.settle(t)
	require.Equal(t, 10, f.states(t, a)["active"])
	f.Exec(t, "SELECT thaw.sweep()")
	f.settle(t)
	require.Equal(t, 30, f.states(t, a)["active"])
	require.Equal(t, 20, testdb.Value[int](t, f.DB, "SELECT planned FROM thaw.allocations WHERE tick_at = thaw.tick()"))
}

// Caps can be changed at any time. A tick keeps the caps with which its quotas were opened.
func TestCapChangeWithinTick(t *testing.T) {
	t.Parallel()
	for _, next := range []int{10, 50} {
		t.Run(fmt.Sprintf("from 30 to %d", next), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.Exec(t, "UPDATE thaw.settings SET account_cap = 30")
			a := f.account(t, account{key: "a1"})
			f.waiting(t, a, 100)
			f.start(t)
			require.Equal(t, map[string]int{"active": 30, disconnected: 70}, f.states(t, a))

			f.Exec(t, "UPDATE thaw.settings SET account_cap = $1", next)
			f.signal(t, "a1", "connected")
			f.settle(t)
			require.Equal(t, 30, f.states(t, a)["active"], "the cap at the start of the tick")
			require.Equal(t, next, f.sweep(t))
		})
	}
}

func TestEachLaneHasItsFleetCap(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET fleet_cap = 50, signal_cap = 35")
	for i := range 4 {
		f.waiting(t, f.account(t, account{key: fmt.Sprint("a", i)}), 30)
	}
	f.start(t)
	const active = "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'"
	require.Equal(t, 50, testdb.Value[int](t, f.DB, active), "the sweep")

	for i := range 4 {
		f.signal(t, fmt.Sprint("a", i), "connected")
	}
	f.settle(t)
	require.Equal(t, 85, testdb.Value[int](t, f.DB, active), "the signals have their own cap")
	require.Equal(t, 35, f.sweep(t), "all remaining prospects")
}

func TestLongestPausedResumesFirst(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 10")
	old, young := f.account(t, account{key: "old", member: "jane", status: "removed"}), f.account(t, account{key: "young", member: "jane"})
	var ids []int64
	for _, a := range []int64{young, old} {
		for _, key := range []string{"spring", "summer"} {
			c := f.campaign(t, campaign{key: fmt.Sprint(key, a)})
			ids = append(ids, f.prospects(t, prospects{account: a, campaign: c, n: 10, reason: disconnected})...)
		}
	}
	// 40 prospects with 20 distinct pause times, in an order unrelated to account, campaign and ID.
	f.Exec(t, "UPDATE thaw.enrollments SET paused_at = thaw.now() - (id * 7 % 40 / 2) * interval '1 hour' - interval '1 day'")
	oldest := testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.enrollments WHERE id = ANY ($1) ORDER BY paused_at, id LIMIT 10", ids)
	f.start(t)

	require.ElementsMatch(t, oldest, testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.enrollments WHERE status = 'active'"))
}

func TestBlockedAccountResumesNothing(t *testing.T) {
	t.Parallel()
	for verdict, gate := range map[string]struct{ shut, open string }{
		"account_not_connected": {
			"SELECT thaw.signal('linkedin', 'a1', 'disconnected')", "SELECT thaw.signal('linkedin', 'a1', 'connected')"},
		"account_on_hold": {
			"UPDATE thaw.accounts SET hold_until = thaw.now() + interval '5 hours', hold_reason = 'too fast'",
			"UPDATE thaw_test.clock SET ahead = ahead + interval '5 hours'"},
		"safety_mode": {
			"SELECT thaw.enter_safety_mode('the provider has an incident', 'a test', true)", "SELECT thaw.exit_safety_mode('it is over', 'a test')"},
		"auto_resume_off": {
			"SELECT thaw.set_auto_resume('acme', false, 'asked us to wait')", "SELECT thaw.set_auto_resume('acme', true)"},
	} {
		t.Run(verdict, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			a := f.account(t, account{key: "a1", status: "disconnected"})
			c := f.campaign(t, campaign{key: "spring", reason: disconnected})
			f.prospects(t, prospects{account: a, campaign: c, n: 10, reason: disconnected})
			f.signal(t, "a1", "connected")
			f.Exec(t, gate.shut)
			f.start(t)

			require.Equal(t, verdict, testdb.Value[string](t, f.DB, "SELECT verdict FROM thaw.account_signals ORDER BY id LIMIT 1"))
			require.Zero(t, f.sweep(t))
			require.Zero(t, testdb.Value[int](t, f.DB, "SELECT planned FROM thaw.sweeps WHERE tick_at = thaw.tick()"), "nothing was planned")
			require.Equal(t, map[string]int{disconnected: 10}, f.states(t, a))
			require.Equal(t, disconnected, f.campaignState(t, c))

			f.Exec(t, gate.open)
			f.sweep(t)
			f.settle(t)
			require.Equal(t, map[string]int{"active": 10}, f.states(t, a))
			require.Equal(t, "running", f.campaignState(t, c))
		})
	}
}

func TestProspectsPausedByPersonStayPaused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	for _, reason := range []string{byUser, "subscription_inactive", "high_failure_rate", restricted} {
		c := f.campaign(t, campaign{key: reason, reason: reason})
		f.prospects(t, prospects{account: a, campaign: c, n: 2, reason: disconnected})
		f.prospects(t, prospects{account: a, campaign: c, n: 1})
	}
	for _, status := range []string{"draft", "completed"} {
		c := f.campaign(t, campaign{key: status, status: status})
		f.prospects(t, prospects{account: a, campaign: c, n: 2, reason: issue})
	}
	c := f.campaign(t, campaign{key: "spring"})
	for _, reason := range []string{byUser, restricted} {
		f.prospects(t, prospects{account: a, campaign: c, n: 2, reason: reason})
	}
	for _, status := range []string{"pending", "completed", "replied", "failed", "removed"} {
		f.prospects(t, prospects{account: a, campaign: c, n: 1, status: status})
	}
	const everything = `SELECT to_jsonb(e) #>> '{}' || c.status || c.paused_reason
		FROM thaw.enrollments AS e JOIN thaw.campaigns AS c ON c.id = e.campaign_id ORDER BY e.id`
	before := testdb.Column[*string](t, f.DB, everything)
	f.start(t)

	f.signal(t, "a1", "connected")
	f.settle(t)
	require.Zero(t, f.sweep(t))
	f.Exec(t, "SELECT thaw.heal('acme', cap => 1000, even_if_off => true)")
	f.settle(t)
	require.Equal(t, before, testdb.Column[*string](t, f.DB, everything))
}

func TestSignalStartsCampaignWithoutPausedProspects(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring", reason: disconnected})
	f.prospects(t, prospects{account: a, campaign: c, n: 3})
	f.signal(t, "a1", "connected")
	f.start(t)
	require.Equal(t, "running", f.campaignState(t, c))
}

func TestSweepStartsCampaignWithoutPausedProspects(t *testing.T) {
	t.Parallel()
	f := setup(t)
	late := f.account(t, account{key: "late"})
	c := f.campaign(t, campaign{key: "spring", reason: disconnected})
	f.prospects(t, prospects{account: late, campaign: c, n: 3})
	// Another account's disconnect stopped this campaign while its own account was connected: it
	// waits for the other account.
	early := f.account(t, account{key: "early", connectedAgo: 3 * time.Hour})
	other := f.campaign(t, campaign{key: "summer", reason: disconnected})
	f.prospects(t, prospects{account: early, campaign: other, n: 3})
	f.start(t)

	require.Equal(t, "running", f.campaignState(t, c))
	require.Equal(t, disconnected, f.campaignState(t, other))
	require.Equal(t, []int{0}, testdb.Column[int](t, f.DB, "SELECT planned FROM thaw.allocations"), "an allocation of 0, to start the campaign")
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT campaigns_resumed FROM thaw.sweeps"))
}

func TestStepStaysAndActionsSpreadOverTheWindow(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	ids := f.waiting(t, a, 100)
	// The last prospect's next action is planned for later; the first one's is overdue.
	f.Exec(t, "UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '3 days' WHERE id = $1", ids[99])
	f.Exec(t, "UPDATE thaw.enrollments SET next_action_at = thaw.now() - interval '3 days' WHERE id = $1", ids[0])
	later := testdb.Value[time.Time](t, f.DB, "SELECT next_action_at FROM thaw.enrollments WHERE id = $1", ids[99])
	steps := testdb.Column[int](t, f.DB, "SELECT step FROM thaw.enrollments ORDER BY id")
	f.start(t)

	resumed := testdb.Value[time.Time](t, f.DB, "SELECT DISTINCT at FROM thaw.enrollment_events WHERE kind = 'resumed'")
	at := testdb.Column[time.Time](t, f.DB, "SELECT next_action_at FROM thaw.enrollments ORDER BY id")
	slice := tick / 100
	for i := range 99 {
		from := resumed.Add(time.Duration(i) * slice)
		require.WithinRange(t, at[i], from, from.Add(slice), "prospect %d acts in slice %d", i, i)
	}
	require.Equal(t, later, at[99])
	require.Equal(t, steps, testdb.Column[int](t, f.DB, "SELECT step FROM thaw.enrollments ORDER BY id"))
}

// The first prospect of an account that Thaw schedules is due with its resume, the others within
// minutes. The jitter window of 15 minutes is for senders of the platform.
func TestScheduledActionsAreDueWithinMinutes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ids := f.waiting(t, f.account(t, account{key: "a1"}), 40)
	f.Exec(t, "UPDATE thaw.enrollments SET next_kind = 'invite', next_action_at = thaw.now() - interval '1 day' WHERE id = ANY ($1)", ids[20:])
	f.Exec(t, "UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '1 day' WHERE id = $1", ids[20])
	f.start(t)
	resumed := testdb.Value[time.Time](t, f.DB, "SELECT DISTINCT at FROM thaw.enrollment_events WHERE kind = 'resumed'")
	at := testdb.Column[time.Time](t, f.DB, "SELECT next_action_at FROM thaw.enrollments ORDER BY id")
	require.Equal(t, resumed, at[21], "the first one that does not wait for another time")
	within := func(prospect, slice int, window time.Duration) {
		from := resumed.Add(time.Duration(slice) * window / 20)
		require.WithinRange(t, at[prospect], from, from.Add(window/20), "prospect %d", prospect)
	}
	within(0, 0, tick)
	within(19, 19, tick)
	within(22, 1, 4*time.Minute)
	within(39, 18, 4*time.Minute)
}

func TestSpreadIsEvenAndInsideItsWindow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.Int64Range(1, 5000).Draw(r, "n")
		i := rapid.Int64Range(1, n).Draw(r, "i")
		window := time.Duration(rapid.Int64Range(0, int64(24*time.Hour/time.Microsecond)).Draw(r, "microseconds")) * time.Microsecond
		var got time.Duration
		if err := db.Pool.QueryRow(t.Context(), "SELECT thaw.spread($1, $2, $3)", i, n, window).Scan(&got); err != nil {
			r.Fatal(err)
		}
		// Postgres stores whole microseconds.
		from := time.Duration(float64(window)*float64(i-1)/float64(n)) - time.Microsecond
		to := time.Duration(float64(window)*float64(i)/float64(n)) + time.Microsecond
		if got < from || got > to {
			r.Fatalf("number %d of %d in %s: got %s, want %s to %s", i, n, window, got, from, to)
		}
		if got < 0 || got > window {
			r.Fatalf("got %s, outside of %s", got, window)
		}
	})
}

func TestClosedPassChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: a, campaign: c, n: 10, reason: disconnected})
	f.start(t)
	f.signal(t, "a1", "connected")
	f.settle(t)
	f.prospects(t, prospects{account: a, campaign: c, n: 10, reason: disconnected})
	require.Equal(t, 10, f.sweep(t))

	// There are prospects to resume and quota for them: only the closed idempotency record
	// prevents it.
	f.prospects(t, prospects{account: a, campaign: c, n: 10, reason: disconnected})
	q := dbsqlc.New(f.Pool)
	bySignal, err := q.ResumeForSignal(t.Context(), dbsqlc.ResumeForSignalParams{AccountID: a, SignalID: 1, JobID: 1})
	require.NoError(t, err)
	require.Equal(t, dbsqlc.ResumeForSignalRow{Verdict: "already_done"}, bySignal)
	bySweep, err := q.ResumeForSweep(t.Context(), dbsqlc.ResumeForSweepParams{
		AccountID: a, JobID: 1, TickAt: testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()")})
	require.NoError(t, err)
	require.Equal(t, dbsqlc.ResumeForSweepRow{Verdict: "already_done"}, bySweep)
	require.Equal(t, map[string]int{"active": 20, disconnected: 10}, f.states(t, a))
}

// A process freezes in the middle of a pass, another process runs the rescued job, and then both
// commit.
func TestTwoAttemptsOfOnePassResumeOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 10")
	a := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, a, 50)
	f.signal(t, "a1", "connected")

	pass := dbsqlc.ResumeForSignalParams{AccountID: a, SignalID: 1, JobID: 1}
	frozen := f.begin(t)
	first, err := dbsqlc.New(frozen).ResumeForSignal(t.Context(), pass)
	require.NoError(t, err)
	require.EqualValues(t, 10, first.Resumed)

	second := make(chan dbsqlc.ResumeForSignalRow, 1)
	go func() {
		// In a later tick, in which the account has quota again.
		row, _ := dbsqlc.New(f.Pool).ResumeForSignal(t.Context(), pass)
		second <- row
	}()
	f.eventually(t, 1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	f.Advance(t, tick)
	require.NoError(t, frozen.Commit(t.Context()))
	require.Equal(t, dbsqlc.ResumeForSignalRow{Verdict: "already_done"}, <-second)
	require.Equal(t, 10, f.states(t, a)["active"])
}
