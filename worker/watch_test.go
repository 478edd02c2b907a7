package worker_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/testdb"
)

// An incident disconnects twelve of twenty accounts and reconnects them all at once. Nothing
// resumes in safety mode. Afterwards the caps of a tick hold as usual.
func TestNoStampedeAfterIncident(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 2, fleet_cap = 10, signal_cap = 10")
	accounts := make([]int64, 20)
	for i := range accounts {
		accounts[i] = f.account(t, account{key: fmt.Sprint("a", i)})
		c := f.campaign(t, campaign{key: fmt.Sprint("c", i)})
		f.prospects(t, prospects{account: accounts[i], campaign: c, n: 3})
	}
	f.start(t)
	for i := range 12 {
		f.signal(t, fmt.Sprint("a", i), "disconnected")
	}
	f.settle(t)
	require.Equal(t, 36, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'"), "hard disconnects still pause")
	for i := range 12 {
		f.signal(t, fmt.Sprint("a", i), "connected")
	}
	f.settle(t)
	require.Equal(t, []string{"safety_mode"}, testdb.Column[string](t, f.DB, "SELECT DISTINCT verdict FROM thaw.account_signals WHERE status = 'connected'"))
	f.Advance(t, tick)
	require.Zero(t, f.sweep(t))

	// The quiet period begins when the last loss has left the window.
	for range 31 {
		f.Advance(t, time.Minute)
		f.Exec(t, "SELECT thaw.request_watch()")
		f.settle(t)
	}
	require.Equal(t, []string{"safety_entered", "safety_exited"}, testdb.Column[string](t, f.DB, "SELECT what FROM thaw.manual_actions WHERE what LIKE 'safety%' ORDER BY id"))
	resumed := 0
	for range 4 {
		f.Advance(t, tick)
		f.sweep(t)
		f.settle(t)
		now := testdb.Value[int](t, f.DB, "SELECT used FROM thaw.fleet_quotas WHERE tick_at = thaw.tick() AND lane = 'sweep'")
		require.LessOrEqual(t, now, 10)
		resumed += now
	}
	require.Equal(t, 36, resumed)
}

// Every process inserts the watch job of a minute; only one exists.
func TestOneWatchJobPerMinute(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.launch(t)
	f.launch(t)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'watch' AND state = 'completed'")
	f.Exec(t, "SELECT thaw.request_watch()")
	f.settle(t)
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'watch'"))
}

// A person requeues prospects that a restriction paused: the next sweeps resume them under the
// usual caps.
func TestRequeuedProspectsResumeInTurn(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 4")
	a := f.account(t, account{key: "a1"})
	c := f.campaign(t, campaign{key: "spring"})
	f.prospects(t, prospects{account: a, campaign: c, n: 6})
	f.start(t)
	f.signal(t, "a1", "restricted")
	f.settle(t)
	f.signal(t, "a1", "connected")
	f.settle(t)
	f.Advance(t, tick)
	f.sweep(t)
	require.Equal(t, map[string]int{restricted: 6}, f.states(t, a), "nothing resumes automatically after a restriction")

	f.Exec(t, "SELECT thaw.resume_campaign('acme', 'spring', 'the restriction is lifted', 'ann')")
	f.Exec(t, "SELECT thaw.resume_account('a1', 'the restriction is lifted', 'ann')")
	f.Advance(t, tick)
	require.Equal(t, 4, f.sweep(t))
	f.Advance(t, tick)
	require.Equal(t, 2, f.sweep(t))
	require.Equal(t, map[string]int{"active": 6}, f.states(t, a))

	// No lane resumes prospects that a person paused.
	f.Exec(t, "SELECT thaw.pause_account('a1', 'asked by phone', 'ann')")
	f.signal(t, "a1", "disconnected")
	f.signal(t, "a1", "connected")
	f.settle(t)
	f.Advance(t, tick)
	require.Zero(t, f.sweep(t))
	f.Exec(t, "SELECT thaw.heal('acme')")
	f.settle(t)
	require.Equal(t, map[string]int{byUser: 6}, f.states(t, a))
}

// A platform that only asks the gate, and neither claims nor is called: what counts as due are
// accounts whose gates are open, from the time at which they could go.
func TestDueAccountsOfAPlatformThatOnlyAsksTheGate(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '09:00', closes = '17:00'; UPDATE thaw.action_limits SET per_day = 1, per_week = 100")
	// moveTo moves the clock to an hour of the next day.
	moveTo := func(hour string) {
		f.Advance(t, testdb.Value[time.Duration](t, f.DB, "SELECT date_trunc('day', thaw.now(), 'UTC') + interval '1 day' + $1::interval - thaw.now()", hour))
	}
	moveTo("10:00")
	for _, key := range []string{"ann", "bob", "cyd"} {
		a, c := f.sender(t, key, "connected")
		f.Exec(t, `
			INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
			SELECT 1, $1, $2, format('https://www.linkedin.com/in/p%s-%s', $2::bigint, n), 'active', thaw.now() FROM generate_series(1, 10) AS n`, c, a)
	}
	f.Exec(t, "SELECT thaw.take_nudges()")
	f.start(t)
	send := func(accounts string) {
		for _, id := range testdb.Column[int64](t, f.DB, `
			SELECT min(e.id) FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id
			WHERE e.status = 'active' AND a.provider_account_id = ANY ($1::text[]) GROUP BY a.id`, accounts) {
			f.Exec(t, "SELECT thaw.start((thaw.reserve($1)).id)", id)
			f.Exec(t, "SELECT thaw.settle(max(id), 'sent', provider_ref => 'inv') FROM thaw.actions")
		}
		f.Exec(t, "SELECT thaw.take_nudges()")
	}
	requireDue := func(accounts int, age time.Duration, why string) {
		t.Helper()
		// The job is completed with its first statement, and looks after that. It passes over rows that
		// are locked, so it may take another one.
		for deadline := time.Now().Add(30 * time.Second); ; {
			f.Exec(t, "DELETE FROM thaw.river_job WHERE kind = 'watch' AND state = 'completed'; SELECT thaw.request_watch()")
			f.settle(t)
			now, err := dbsqlc.New(f.Pool).MetricsActions(t.Context())
			require.NoError(t, err)
			if int(now.DueAccounts) == accounts && math.Abs(now.Oldest-age.Seconds()) < 60 {
				return
			}
			require.True(t, time.Now().Before(deadline), "%s: %d accounts, for %v s", why, now.DueAccounts, now.Oldest)
		}
	}
	f.Advance(t, 30*time.Minute)
	requireDue(3, 30*time.Minute, "nothing was reserved yet")
	send("{ann,bob,cyd}")
	f.Advance(t, 3*time.Hour)
	requireDue(0, 0, "all caps are full")
	f.eventually(t, 3, "SELECT count(*) FROM thaw.sending_accounts WHERE code = 'daily_cap'")
	moveTo("00:00:10")
	requireDue(0, 0, "the caps are open, and the windows are closed")
	f.eventually(t, 3, "SELECT count(*) FROM thaw.sending_accounts WHERE code = 'window_closed'")
	f.Advance(t, 12*time.Hour)
	requireDue(3, 3*time.Hour, "the platform does not reserve")
	f.eventually(t, 3, "SELECT count(*) FROM thaw.sending_accounts WHERE code IS NULL")
	send("{ann,bob}")
	f.Advance(t, time.Minute)
	requireDue(1, 3*time.Hour+time.Minute, "cyd")
	send("{cyd}")
	f.Advance(t, time.Minute)
	requireDue(0, 0, "all have sent")
}
