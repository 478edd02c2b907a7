package worker_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// sharing inserts two accounts with prospects in one running campaign, and connect signals whose
// passes have not run.
func (f *fleet) sharing(t *testing.T) (shared int64, accounts, signals [2]int64) {
	t.Helper()
	shared = f.campaign(t, campaign{key: "shared"})
	for i, key := range []string{"a1", "a2"} {
		accounts[i] = f.account(t, account{key: key, status: "disconnected"})
		f.prospects(t, prospects{account: accounts[i], campaign: shared, n: 5, reason: disconnected})
		signals[i] = f.connect(t, key)
	}
	return shared, accounts, signals
}

// Passes of accounts that share a campaign do not wait for each other: they only need it to stay
// unchanged.
func TestPassesShareACampaign(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, accounts, signals := f.sharing(t)
	first := f.begin(t)
	_, err := passOfSignal(t.Context(), first, accounts[0], signals[0])
	require.NoError(t, err)
	// Takes the other pass's locks up to its campaigns, but not the quota of the lane, at which both
	// passes would meet.
	m := meet(t, f, first, func() (bool, error) {
		var starts bool
		err := f.Pool.QueryRow(t.Context(), "SELECT thaw.lock_campaigns(ARRAY(SELECT id FROM thaw.campaigns))").Scan(&starts)
		return starts, err
	})
	require.NoError(t, m.err)
	require.False(t, m.waited)
	require.False(t, m.value)
}

// The platform changes a campaign that passes share. Postgres would let later passes share it
// first, and the platform would wait as long as passes arrive.
func TestCampaignChangeIsNotStarvedByPasses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, accounts, signals := f.sharing(t)
	first := f.begin(t)
	_, err := first.Exec(t.Context(), "SELECT thaw.lock_campaigns(ARRAY(SELECT id FROM thaw.campaigns))")
	require.NoError(t, err)
	var both errgroup.Group
	both.Go(func() error {
		_, err := f.Pool.Exec(t.Context(), "UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now()")
		return err
	})
	f.eventually(t, 1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	var second pass
	both.Go(func() (err error) {
		second, err = passOfSignal(t.Context(), f.Pool, accounts[1], signals[1])
		return err
	})
	f.eventually(t, 1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")
	require.NoError(t, first.Commit(t.Context()))
	require.NoError(t, both.Wait())
	require.Equal(t, pass{Verdict: "resumed"}, second, "the change was made first")
}

// Two passes wait for a pause that stops their shared campaign. Each finds it stopped, one starts
// it, and neither waits for a lock of the other.
func TestPassesFindTheirCampaignStopped(t *testing.T) {
	t.Parallel()
	f := setup(t)
	leaving := f.account(t, account{key: "leaving"})
	f.signal(t, "leaving", "disconnected")
	shared, accounts, signals := f.sharing(t)
	f.prospects(t, prospects{account: leaving, campaign: shared, n: 5})

	pausing := f.begin(t)
	_, err := pausing.Exec(t.Context(), "SELECT thaw.pause_batch($1, 100, 1, NULL, 1)", leaving)
	require.NoError(t, err)
	var both errgroup.Group
	for i := range accounts {
		both.Go(func() error {
			_, err := passOfSignal(t.Context(), f.Pool, accounts[i], signals[i])
			return err
		})
	}
	f.eventually(t, 2, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')")
	require.NoError(t, pausing.Commit(t.Context()))
	require.NoError(t, both.Wait())
	require.Equal(t, "running", f.campaignState(t, shared))
	for _, a := range accounts {
		require.Equal(t, map[string]int{"active": 5}, f.states(t, a))
	}
	f.noDeadlock(t)
}
