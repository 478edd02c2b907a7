package worker_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A transaction that waits for a lock holds none that comes later in the lock order of
// docs/design.md. So no two transactions can wait for each other.
func TestLocksAreTakenInOneOrder(t *testing.T) {
	t.Parallel()
	type lock struct{ name, sql string }
	locks := []lock{
		{"account", "SELECT FROM thaw.accounts FOR NO KEY UPDATE"},
		{"first campaign", "SELECT FROM thaw.campaigns WHERE key = 'first' FOR NO KEY UPDATE"},
		{"second campaign", "SELECT FROM thaw.campaigns WHERE key = 'second' FOR NO KEY UPDATE"},
		{"enrollments", "SELECT FROM thaw.enrollments FOR NO KEY UPDATE"},
		{"quota", "SELECT FROM thaw.fleet_quotas FOR NO KEY UPDATE"},
	}
	for name, c := range map[string]struct {
		reason string // of the prospects' pause
		run    string
		waits  []string // for which locks; nothing waits for enrollments
	}{
		"resume": {disconnected, "SELECT thaw.resume_pass('signal', 1, 1, p_signal_id => 1)",
			[]string{"account", "first campaign", "second campaign", "quota"}},
		"heal": {disconnected, "SELECT thaw.heal_batch(1, 100, 1)",
			[]string{"account", "first campaign", "second campaign"}},
		"pause": {"", "SELECT thaw.pause_batch(1, 100, 2, NULL, 1)",
			[]string{"account", "first campaign", "second campaign"}},
	} {
		for _, held := range c.waits {
			t.Run(name+" waits for "+held, func(t *testing.T) {
				t.Parallel()
				f := setup(t)
				a := f.account(t, account{key: "a1", status: "disconnected"})
				for _, key := range []string{"first", "second"} {
					f.prospects(t, prospects{account: a, campaign: f.campaign(t, campaign{key: key}), n: 5, reason: c.reason})
				}
				f.signal(t, "a1", "connected")
				if name == "pause" {
					f.signal(t, "a1", "disconnected")
				}
				f.Exec(t, "INSERT INTO thaw.fleet_quotas (tick_at, lane, cap) VALUES (thaw.tick(), 'signal', 100)")
				f.Exec(t, "INSERT INTO thaw.heals (account_id, target, cap, found, actor) VALUES (1, 'account:1', 100, 1000, 'a test')")

				holder := f.begin(t)
				over := make(chan error, 1)
				done := make(chan struct{})
				for i, l := range locks {
					if l.name != held {
						continue
					}
					_, err := holder.Exec(t.Context(), l.sql)
					require.NoError(t, err)
					go func() {
						defer close(done)
						_, err := f.Pool.Exec(t.Context(), c.run)
						over <- err
					}()
					require.True(t, f.waits(t, done), "it takes this lock")
					for _, later := range locks[i+1:] {
						_, err := holder.Exec(t.Context(), later.sql+" NOWAIT")
						require.NoError(t, err, later.name)
					}
				}
				require.NoError(t, holder.Rollback(t.Context()))
				require.NoError(t, <-over)
			})
		}
	}
}

// A paused campaign is started while a pause waits for the lock on a later one: the pause still
// keeps the lock order.
func TestPauseLocksACampaignThatIsStartedMeanwhile(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.prospects(t, prospects{account: a, campaign: f.campaign(t, campaign{key: "first", reason: disconnected}), n: 5})
	f.prospects(t, prospects{account: a, campaign: f.campaign(t, campaign{key: "second"}), n: 5})
	f.signal(t, "a1", "disconnected")
	starter, holder, third := f.begin(t), f.begin(t), f.begin(t)
	_, err := starter.Exec(t.Context(), "UPDATE thaw.campaigns SET status = 'running', paused_reason = NULL, paused_at = NULL WHERE key = 'first'")
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), "SELECT FROM thaw.campaigns WHERE key = 'second' FOR NO KEY UPDATE")
	require.NoError(t, err)

	over := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := f.Pool.Exec(t.Context(), "SELECT thaw.pause_batch($1, 100, 1, NULL, 1)", a)
		over <- err
	}()
	require.True(t, f.waits(t, done))
	require.NoError(t, starter.Commit(t.Context()))
	// Whether the pause already holds the first lock is a matter of timing. If not, it waits for
	// this test's lock and must not hold the second.
	_, held := third.Exec(t.Context(), "SELECT FROM thaw.campaigns WHERE key = 'first' FOR NO KEY UPDATE NOWAIT")
	require.NoError(t, holder.Commit(t.Context()))
	if held == nil {
		var pid int // the server's; a pooler reports another one
		require.NoError(t, third.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
		f.eventually(t, 1, "SELECT count(*) FROM pg_stat_activity WHERE $1::integer = ANY (pg_blocking_pids(pid))", pid)
		_, err = third.Exec(t.Context(), "SELECT FROM thaw.campaigns WHERE key = 'second' FOR NO KEY UPDATE NOWAIT")
		require.NoError(t, err)
	}
	require.NoError(t, third.Rollback(t.Context()))
	require.NoError(t, <-over)
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, a))
}
