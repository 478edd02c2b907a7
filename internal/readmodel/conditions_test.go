package readmodel

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Status, the fleet and the banner of every page report the same conditions: live worker processes,
// safety mode and silent providers.
func TestConditions(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	conditions := func() Conditions {
		t.Helper()
		banner, err := ReadBanner(t.Context(), f.store)
		require.NoError(t, err)
		fleet, err := NewReader(f.store).Fleet(t.Context(), Everything())
		require.NoError(t, err)
		status, err := Status(t.Context(), f.store, 1)
		require.NoError(t, err)
		require.Equal(t, banner.Conditions, fleet.Conditions)
		require.Equal(t, banner.Conditions, status.Conditions)
		return banner.Conditions
	}
	require.Equal(t, Conditions{SilentProviders: []SilentProvider{}}, conditions())

	// A registered process counts while the session that registered it lives.
	if !f.PollOnly {
		session, err := f.Pool.Acquire(t.Context())
		require.NoError(t, err)
		conn := session.Hijack()
		_, err = conn.Exec(t.Context(), "SELECT thaw.register_worker('worker-1')")
		require.NoError(t, err)
		require.Equal(t, 1, conditions().WorkersAlive)
		require.NoError(t, conn.Close(t.Context()))
		// Only one of the readers: the session may end between the reads of several.
		require.Eventually(t, func() bool {
			banner, err := ReadBanner(t.Context(), f.store)
			return err == nil && banner.WorkersAlive == 0
		}, 30*time.Second, 10*time.Millisecond)
		require.Zero(t, conditions().WorkersAlive)
	}
	// A process behind a pooler has no row; it shows as the leader.
	f.Exec(t, "INSERT INTO thaw.river_leader (elected_at, expires_at, leader_id) VALUES (now(), now() + interval '1 minute', 'here')")
	require.Equal(t, 1, conditions().WorkersAlive)

	f.Exec(t, `
		SELECT thaw.enter_safety_mode('provider incident', 'ann', false);
		INSERT INTO thaw.signal_gaps (provider, day, longest)
		SELECT 'linkedin', (thaw.now() - n * interval '1 day')::date, '1 hour' FROM generate_series(1, 20) AS n;
		INSERT INTO thaw.signal_sources (provider, last_signal_at) VALUES ('linkedin', thaw.now() - interval '1 day')`)
	got := conditions()
	require.True(t, got.Safety.On)
	require.Len(t, got.SilentProviders, 1)

	// A tenant sees whether Thaw works, and nothing about other workspaces.
	f.Exec(t, twoTenants)
	own, err := NewReader(f.store).Fleet(t.Context(), OfWorkspace(testdb.Value[int64](t, f.DB, "SELECT min(id) FROM thaw.workspaces")))
	require.NoError(t, err)
	require.Equal(t, 1, own.WorkersAlive)
	require.True(t, own.Safety.On)
	require.Nil(t, own.SilentProviders)
}

// The counts of paused prospects are exact as soon as a transaction commits, before the counts are
// folded and before a sample is taken.
func TestPausedCountIsExact(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants)
	check := func() {
		t.Helper()
		report, err := NewReader(f.store).Fleet(t.Context(), Everything())
		require.NoError(t, err)
		status, err := Status(t.Context(), f.store, 1)
		require.NoError(t, err)
		require.Equal(t, testdb.Value[int64](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'"), report.Paused.Total)
		require.Equal(t, testdb.Value[int64](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused' AND waits_for_account"), report.Paused.Waiting)
		require.Equal(t, report.Paused.Total, status.Backlog.Paused)
		var ofWorkspaces, byReason int64
		for _, id := range testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.workspaces") {
			own, err := NewReader(f.store).Fleet(t.Context(), OfWorkspace(id))
			require.NoError(t, err)
			ofWorkspaces += own.Paused.Total
		}
		for _, n := range report.Paused.ByReason {
			byReason += n
		}
		require.Equal(t, report.Paused.Total, ofWorkspaces)
		require.Equal(t, report.Paused.Total, byReason)
	}
	check()
	f.Exec(t, "UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL WHERE status = 'paused' AND id % 2 = 0")
	check()
	f.Exec(t, "SELECT thaw.fold_counts(1000000)")
	check()
}
