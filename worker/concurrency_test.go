package worker_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
)

// Twenty accounts in shared campaigns each change status many times while several workers and
// sweeps run. The last signal of each is connected. Then no enrollment may stay paused, without any
// further sweep.
func TestNoResumeIsLostOnBusyAccounts(t *testing.T) {
	t.Parallel()
	const accounts, senders = 20, 8
	signals := testdb.Size(8, 100) // per account
	f := setup(t)
	// Raised so that only the lock order prevents lost resumes, not a cap or an idempotency record.
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 1000000, fleet_cap = 10000000, signal_cap = 10000000")
	var campaigns []int64
	for i := range 5 {
		campaigns = append(campaigns, f.campaign(t, campaign{key: fmt.Sprint("c", i)}))
	}
	for i := range accounts {
		a := f.account(t, account{key: fmt.Sprint("a", i)})
		for j := range 2 {
			f.prospects(t, prospects{account: a, campaign: campaigns[(i+j)%5], n: 10})
		}
	}
	f.Exec(t, "UPDATE thaw.settings SET safety_accounts = 1000000, flap_limit = 0") // the accounts are lost repeatedly
	for range testdb.Size(2, 3) {
		f.launch(t)
	}

	send := func(n int) error {
		status := "connected"
		if n/accounts%2 == 0 {
			status = "disconnected"
		}
		_, err := f.Pool.Exec(t.Context(),
			"SELECT thaw.receive_signal('linkedin', $1, upper($2), $2, NULL, NULL, $3, false, NULL)",
			fmt.Sprint("a", n%accounts), status, fmt.Sprint("delivery ", n))
		return err
	}
	numbers := make(chan int)
	var sending errgroup.Group
	for range senders {
		sending.Go(func() error {
			for n := range numbers {
				if err := send(n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for n := range accounts * (signals - 1) {
		if n%150 == 0 {
			f.Advance(t, tick)
			f.Exec(t, "SELECT thaw.sweep()")
		}
		numbers <- n
	}
	close(numbers)
	require.NoError(t, sending.Wait())
	for n := range accounts { // the last signals, after all others are processed
		require.NoError(t, send(accounts*(signals-1)+n))
	}

	f.settle(t)
	require.Equal(t, accounts*20, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'"))
	require.Equal(t, len(campaigns), testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.campaigns WHERE status = 'running'"))
	require.Equal(t, accounts*signals, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.account_signals WHERE outcome = 'applied'"))
	require.Greater(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed'"), accounts*20,
		"the accounts were resumed more than once")
	f.noDeadlock(t)
	f.verify(t)
}

func (f *fleet) noDeadlock(t *testing.T) {
	t.Helper()
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
}

// One account disconnects while another reconnects, in one campaign. The pause stops the campaign
// after the pass found it running and before the pass locks it.
func TestPassMeetsConcurrentCampaignPause(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.attemptsMayFail = true // on a busy host the pause may wait longer than its lock timeout
	shared := f.campaign(t, campaign{key: "shared"})
	leaving, returning := f.account(t, account{key: "leaving"}), f.account(t, account{key: "returning", status: "disconnected"})
	f.prospects(t, prospects{account: leaving, campaign: shared, n: 10})
	f.prospects(t, prospects{account: returning, campaign: shared, n: 10, reason: disconnected})
	f.start(t)

	const blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	platform := f.begin(t)
	_, err := platform.Exec(t.Context(), "SELECT FROM thaw.campaigns FOR UPDATE")
	require.NoError(t, err)
	f.signal(t, "leaving", "disconnected")
	f.eventually(t, 1, blocked)
	f.signal(t, "returning", "connected")
	f.eventually(t, 2, blocked)
	require.NoError(t, platform.Commit(t.Context()))
	f.settle(t)
	require.Equal(t, map[string]int{disconnected: 10}, f.states(t, leaving))
	require.Equal(t, map[string]int{"active": 10}, f.states(t, returning))
	require.Equal(t, "running", f.campaignState(t, shared))
}

// Both lanes resume the same accounts and their siblings in one tick. Whichever is faster, no cap
// is exceeded.
func TestCapsHoldWhileSignalsAndSweepCompete(t *testing.T) {
	t.Parallel()
	const families = 12
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 15, fleet_cap = 100, signal_cap = 70")
	for i := range families {
		member := fmt.Sprint("member ", i)
		f.waiting(t, f.account(t, account{key: fmt.Sprint("old", i), member: member, status: "removed"}), 40)
		f.account(t, account{key: fmt.Sprint("new", i), member: member})
	}
	for range testdb.Size(2, 3) {
		f.launch(t)
	}
	for range testdb.Size(2, 3) {
		var sending errgroup.Group
		for i := range families {
			sending.Go(func() error {
				for range 5 {
					if _, err := f.Pool.Exec(t.Context(), "SELECT thaw.signal('linkedin', $1, 'connected')", fmt.Sprint("new", i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		f.Exec(t, "SELECT thaw.sweep()")
		require.NoError(t, sending.Wait())
		f.settle(t)
		f.Advance(t, tick)
	}

	// Each tick resumes all that the caps allow: the account caps allow 180, the lanes 170.
	require.LessOrEqual(t, testdb.Value[int](t, f.DB, "SELECT max(used) FROM thaw.account_quotas"), 15)
	require.LessOrEqual(t, testdb.Value[int](t, f.DB, "SELECT max(used) FROM thaw.fleet_quotas WHERE lane = 'sweep'"), 100)
	require.Equal(t, []int{70}, testdb.Column[int](t, f.DB, "SELECT DISTINCT used FROM thaw.fleet_quotas WHERE lane = 'signal'"))
	f.noDeadlock(t)
	f.verify(t)
}

// A signal and the insert of its account run concurrently. Either one sees the other, or the next
// check sees both.
func TestSignalMeetsInsertOfItsAccount(t *testing.T) {
	t.Parallel()
	const rounds = 50
	f := setup(t)
	for i := range rounds {
		var both errgroup.Group
		both.Go(func() error {
			_, err := f.Pool.Exec(t.Context(), "SELECT thaw.signal('linkedin', $1, 'connected')", fmt.Sprint("a", i))
			return err
		})
		both.Go(func() error {
			_, err := f.Pool.Exec(t.Context(), "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, $1)", fmt.Sprint("a", i))
			return err
		})
		require.NoError(t, both.Wait())
	}
	f.Exec(t, "SELECT thaw.pick_up_signals('2 minutes')")
	require.Equal(t, rounds, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.accounts WHERE status = 'connected'"))
	require.Equal(t, rounds, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.account_signals WHERE outcome = 'applied'"))
}
