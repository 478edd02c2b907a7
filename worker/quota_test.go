package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Two passes read the same remaining fleet quota, and both write before either takes from it. The
// later one finds less, rolls back its writes, and resumes only what remains. No prospect, event or
// quota change of its first try stays.
func TestPassResumesWhatRemainsOfTheQuota(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ cap, first, second, left int }{
		"some remains":    {cap: 100, first: 60, second: 60, left: 40},
		"nothing remains": {cap: 60, first: 60, second: 60, left: 0},
		"all remains":     {cap: 120, first: 60, second: 60, left: 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.Exec(t, "UPDATE thaw.settings SET signal_cap = $1", c.cap)
			first := f.account(t, account{key: "a1", status: "disconnected"})
			f.waiting(t, first, c.first)
			second := f.account(t, account{key: "a2", status: "disconnected"})
			f.waiting(t, second, c.second)
			f.signal(t, "a1", "connected")
			f.signal(t, "a2", "connected")
			// The row exists, so both passes read the same value.
			f.Exec(t, "INSERT INTO thaw.fleet_quotas (tick_at, lane, cap) VALUES (thaw.tick(), 'signal', $1)", c.cap)
			const pass = `SELECT (thaw.resume_pass('signal', s.account_id, 1, p_signal_id => s.id)).resumed
				FROM thaw.account_signals AS s WHERE s.account_id = $1`

			ahead := f.begin(t)
			var resumed int
			require.NoError(t, ahead.QueryRow(t.Context(), pass, first).Scan(&resumed))
			require.Equal(t, c.first, resumed)
			over, done := make(chan error, 1), make(chan struct{})
			go func() {
				defer close(done)
				over <- f.Pool.QueryRow(t.Context(), pass, second).Scan(&resumed)
			}()
			require.True(t, f.waits(t, done), "it has written and waits for the quota")
			require.NoError(t, ahead.Commit(t.Context()))
			require.NoError(t, <-over)

			require.Equal(t, c.left, resumed)
			require.Equal(t, c.left, f.states(t, second)["active"])
			require.Equal(t, c.left, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed' AND to_account_id = $1", second))
			require.Equal(t, c.first+c.left, testdb.Value[int](t, f.DB, "SELECT used FROM thaw.fleet_quotas"))
			require.Equal(t, c.left, testdb.Value[int](t, f.DB, "SELECT coalesce(sum(used), 0) FROM thaw.account_quotas WHERE account_id = $1", second))
			require.Equal(t, c.left, testdb.Value[int](t, f.DB, "SELECT resumed FROM thaw.account_signals WHERE account_id = $1", second))
		})
	}
}

const signalPass = `SELECT (thaw.resume_pass('signal', s.account_id, 1, p_signal_id => s.id)).resumed
	FROM thaw.account_signals AS s WHERE s.account_id = $1 AND s.finished_at IS NULL`

// The length of a tick may change at any time: overlapping ticks share the caps of each lane and of
// each account.
func TestTickLengthChangeOpensNoNewQuota(t *testing.T) {
	t.Parallel()
	for name, caps := range map[string]struct{ account, fleet int }{
		"of the fleet": {account: 1000, fleet: 30}, "of the account": {account: 30, fleet: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			// In the middle of a tick for each of these lengths, and not near its end.
			f.Exec(t, "UPDATE thaw_test.clock SET ahead = '2030-01-01 12:07:30+00' - pg_catalog.now()")
			f.Exec(t, "UPDATE thaw.settings SET account_cap = $1, signal_cap = $2, fleet_cap = $2", caps.account, caps.fleet)
			id := f.account(t, account{key: "a1", status: "disconnected"})
			f.waiting(t, id, 200)
			total := 0
			for _, length := range []string{"15 minutes", "10 minutes", "7 minutes", "1 hour", "13 minutes", "15 minutes", "2 minutes", "1 day", "5 minutes"} {
				f.Exec(t, "UPDATE thaw.settings SET tick = $1::interval", length)
				f.signal(t, "a1", "connected")
				var resumed int
				require.NoError(t, f.Pool.QueryRow(t.Context(), signalPass, id).Scan(&resumed))
				total += resumed
				require.LessOrEqual(t, total, 30, "after a change to %s", length)
			}
			require.Equal(t, 30, total)
			require.Equal(t, 30, f.states(t, id)["active"])
			// A later tick has its full cap.
			f.Advance(t, 2*time.Hour)
			f.signal(t, "a1", "connected")
			var resumed int
			require.NoError(t, f.Pool.QueryRow(t.Context(), signalPass, id).Scan(&resumed))
			require.Equal(t, 30, resumed)
		})
	}
}

// A change of the tick length waits for a running pass and counts it.
func TestTickLengthChangeWaitsForRunningPass(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw_test.clock SET ahead = '2030-01-01 12:07:30+00' - pg_catalog.now()")
	f.Exec(t, "UPDATE thaw.settings SET signal_cap = 30")
	id := f.account(t, account{key: "a1", status: "disconnected"})
	f.waiting(t, id, 100)
	f.signal(t, "a1", "connected")
	pass := f.begin(t)
	var resumed int
	require.NoError(t, pass.QueryRow(t.Context(), signalPass, id).Scan(&resumed))
	require.Equal(t, 30, resumed)
	over, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		_, err := f.Pool.Exec(t.Context(), "UPDATE thaw.settings SET tick = '5 minutes'")
		over <- err
	}()
	require.True(t, f.waits(t, done), "the change waits for the pass")
	require.NoError(t, pass.Commit(t.Context()))
	require.NoError(t, <-over)
	f.signal(t, "a1", "connected")
	require.NoError(t, f.Pool.QueryRow(t.Context(), signalPass, id).Scan(&resumed))
	require.Zero(t, resumed)
}
