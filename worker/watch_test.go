package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
