package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

func TestHardDisconnectPausesAtOnceWithItsReason(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t)
	for status, reason := range map[string]string{
		"disconnected":       disconnected,
		"removed":            disconnected,
		"needs_verification": issue,
		"restricted":         restricted,
	} {
		a := f.account(t, account{key: status})
		c := f.campaign(t, campaign{key: status})
		active := f.prospects(t, prospects{account: a, campaign: c, n: 10})
		f.prospects(t, prospects{account: a, campaign: c, n: 1, status: "replied"})
		f.prospects(t, prospects{account: a, campaign: c, n: 1, status: "pending"})
		f.prospects(t, prospects{account: a, campaign: c, n: 1, reason: byUser})

		f.signal(t, status, status)
		f.settle(t)
		require.Equal(t, map[string]int{reason: 10, "replied": 1, "pending": 1, byUser: 1}, f.states(t, a), status)
		require.Equal(t, reason, f.campaignState(t, c), status)
		require.True(t, testdb.Value[bool](t, f.DB, "SELECT pause_after IS NULL FROM thaw.accounts WHERE id = $1", a))

		require.Equal(t, 10, testdb.Value[int](t, f.DB, `
			SELECT count(*)
			FROM thaw.enrollment_events AS event
			JOIN thaw.enrollments AS e ON e.id = event.enrollment_id AND e.paused_at = event.at AND e.step = event.step
			JOIN thaw.account_signals AS s ON s.id = event.signal_id AND s.account_id = e.account_id
			WHERE e.id = ANY ($1) AND event.kind = 'paused' AND event.source = 'signal' AND event.from_status = 'active'
				AND event.to_status = 'paused' AND event.reason = e.paused_reason AND event.job_id IS NOT NULL`, active),
			"each pause of %s has an event", status)
		require.Equal(t, 1, testdb.Value[int](t, f.DB, `
			SELECT count(*) FROM thaw.campaign_events
			WHERE campaign_id = $1 AND kind = 'paused' AND reason = $2::thaw.pause_reason`, c, reason))
	}
}

func TestRestrictionAppliesToAlreadyPausedProspects(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1", status: "disconnected"})
	waiting := f.waiting(t, a, 20)
	before := testdb.Column[time.Time](t, f.DB, "SELECT paused_at FROM thaw.enrollments WHERE id = ANY ($1) ORDER BY id", waiting)
	f.start(t)

	f.signal(t, "a1", "restricted")
	f.settle(t)
	require.Equal(t, map[string]int{restricted: 20}, f.states(t, a))
	require.Equal(t, before,
		testdb.Column[time.Time](t, f.DB, "SELECT paused_at FROM thaw.enrollments WHERE id = ANY ($1) ORDER BY id", waiting),
		"paused since then")

	// Only a person can end this.
	f.signal(t, "a1", "connected")
	f.settle(t)
	require.Zero(t, f.sweep(t))
	require.Equal(t, map[string]int{restricted: 20}, f.states(t, a))
}

func TestTransientErrorInsideGracePeriodChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: a, campaign: c, n: 10})
	f.start(t)

	f.signal(t, "a1", "error")
	f.Advance(t, time.Hour)
	f.signal(t, "a1", "connecting")
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'pause_account' AND state = 'scheduled'"),
		"a second transient error does not extend the first and inserts no job")
	require.InDelta(t, time.Hour, testdb.Value[time.Duration](t, f.DB, "SELECT pause_after - thaw.now() FROM thaw.accounts"), float64(time.Minute))
	f.Advance(t, 59*time.Minute)
	f.signal(t, "a1", "connected")
	f.settle(t)
	require.Zero(t, f.sweep(t))

	require.Equal(t, map[string]int{"active": 10}, f.states(t, a))
	require.Equal(t, "running", f.campaignState(t, c))
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events"))
	require.Equal(t, "account_connected", testdb.Value[string](t, f.DB, "SELECT verdict FROM thaw.pause_batch($1, 100, NULL, NULL, 0)", a),
		"the scheduled job will find the account connected")
}

func TestTransientErrorPastGracePeriodIsPaused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: a, campaign: c, n: 10})
	w := f.start(t)

	f.signal(t, "a1", "error")
	job := testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.river_job WHERE kind = 'pause_account'")
	f.Advance(t, 2*time.Hour+time.Second)
	// The queue uses the real clock, which this test cannot move.
	_, err := w.Client().JobRetry(t.Context(), job)
	require.NoError(t, err)
	f.settle(t)
	require.Equal(t, map[string]int{issue: 10}, f.states(t, a))
	require.Equal(t, issue, f.campaignState(t, c))
}

func TestSweepPausesAfterMissedJob(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: a, campaign: c, n: 10})
	w := f.start(t)

	f.signal(t, "a1", "error")
	_, err := w.Client().JobCancel(t.Context(), testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.river_job WHERE kind = 'pause_account'"))
	require.NoError(t, err)
	f.sweep(t)
	require.Equal(t, map[string]int{"active": 10}, f.states(t, a), "the grace period is not over")
	f.Advance(t, 2*time.Hour)
	f.sweep(t)
	require.Equal(t, map[string]int{issue: 10}, f.states(t, a))
	require.Equal(t, 10, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE source = 'sweep' AND tick_at = thaw.tick()"))
}

func TestGracePeriodStopsInSafetyMode(t *testing.T) {
	t.Parallel()
	f := setup(t)
	c := f.campaign(t, campaign{key: "spring"})
	transientError, gone := f.account(t, account{key: "transientError"}), f.account(t, account{key: "gone"})
	for _, a := range []int64{transientError, gone} {
		f.prospects(t, prospects{account: a, campaign: c, n: 10})
	}
	f.start(t)

	f.Exec(t, "SELECT thaw.enter_safety_mode('the provider has an incident', 'a test', true)")
	f.signal(t, "transientError", "error")
	f.signal(t, "gone", "disconnected")
	f.Advance(t, 3*time.Hour)
	f.sweep(t)
	require.Equal(t, map[string]int{"active": 10}, f.states(t, transientError))
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, gone), "a hard disconnect is still paused")

	f.Exec(t, "SELECT thaw.exit_safety_mode('it is over', 'a test')")
	f.Advance(t, 2*time.Hour-tick)
	f.sweep(t)
	require.Equal(t, map[string]int{"active": 10}, f.states(t, transientError), "the time in safety mode does not count")
	f.Advance(t, 2*tick)
	f.sweep(t)
	require.Equal(t, map[string]int{issue: 10}, f.states(t, transientError))
}

func TestNewAccountHasNothingToPause(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "a1", status: "connecting"})
	require.Equal(t, "applied", testdb.Value[string](t, f.DB,
		"SELECT thaw.receive_signal('linkedin', 'a1', 'CREATION_SUCCESS', 'connecting', NULL, NULL, NULL, true, NULL)"))
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT pause_after IS NULL FROM thaw.accounts"))
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job"))
}

func TestReconnectBeforeThePauseWins(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: a, campaign: c, n: 10})
	f.signal(t, "a1", "disconnected")
	f.signal(t, "a1", "connected")
	f.start(t)

	require.Equal(t, 2, testdb.Value[int](t, f.DB,
		"SELECT count(*) FROM thaw.river_job WHERE kind IN ('pause_account', 'resume_account') AND state = 'completed'"))
	require.Equal(t, map[string]int{"active": 10}, f.states(t, a))
	require.Equal(t, "running", f.campaignState(t, c))
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events"))
}

func TestCampaignRunsWhileAnotherAccountServesIt(t *testing.T) {
	t.Parallel()
	f := setup(t)
	shared, own := f.campaign(t, campaign{key: "shared"}), f.campaign(t, campaign{key: "own"})
	first, second := f.account(t, account{key: "first"}), f.account(t, account{key: "second"})
	f.prospects(t, prospects{account: first, campaign: shared, n: 5})
	f.prospects(t, prospects{account: first, campaign: own, n: 5})
	f.prospects(t, prospects{account: second, campaign: shared, n: 5})
	// Completed or paused prospects do not keep a campaign running.
	f.prospects(t, prospects{account: second, campaign: own, n: 1, status: "completed"})
	f.prospects(t, prospects{account: second, campaign: own, n: 1, reason: byUser})
	f.start(t)

	f.signal(t, "first", "disconnected")
	f.settle(t)
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, first))
	require.Equal(t, "running", f.campaignState(t, shared))
	require.Equal(t, disconnected, f.campaignState(t, own))

	// While its transient error may end in time, the second account still serves the campaign.
	f.signal(t, "second", "error")
	f.signal(t, "first", "connected")
	f.settle(t)
	f.signal(t, "first", "disconnected")
	f.settle(t)
	require.Equal(t, "running", f.campaignState(t, shared))

	f.signal(t, "second", "needs_verification")
	f.settle(t)
	require.Equal(t, issue, f.campaignState(t, shared), "the last account is lost")
}

func TestLargePauseRunsInShortTransactions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: a, campaign: c, n: 2500})
	f.start(t)

	f.signal(t, "a1", "disconnected")
	f.settle(t)
	require.Equal(t, map[string]int{disconnected: 2500}, f.states(t, a))
	require.Equal(t, []int{1000, 1000, 500}, testdb.Column[int](t, f.DB,
		"SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'paused' GROUP BY at ORDER BY at"), "one time per transaction")
}

func TestLockedProspectsArePausedLater(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring"})
	active := f.prospects(t, prospects{account: a, campaign: c, n: 10})
	f.start(t)

	platform := f.begin(t)
	_, err := platform.Exec(t.Context(), "UPDATE thaw.enrollments SET step = step + 1 WHERE id = $1", active[3])
	require.NoError(t, err)
	f.signal(t, "a1", "disconnected")
	f.eventually(t, 9, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'pause_account' AND state = 'available' AND scheduled_at > now()")
	require.Equal(t, map[string]int{disconnected: 9, "active": 1}, f.states(t, a))

	require.NoError(t, platform.Commit(t.Context()))
	f.settle(t)
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, a))
	require.Equal(t, 5, testdb.Value[int](t, f.DB, "SELECT step FROM thaw.enrollments WHERE id = $1", active[3]),
		"the step that the platform wrote meanwhile")
}
