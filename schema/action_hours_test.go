package schema_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// hours counts the hours that changed, requires that the chart has what its rows say, and returns
// the chart.
func hours(t *testing.T, db *testdb.DB) string {
	t.Helper()
	db.Advance(t, 5*time.Minute)
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.count_action_hours()"))
	shown := testdb.Column[string](t, db, "SELECT concat_ws(' ', to_char(hour AT TIME ZONE 'UTC', 'DD HH24:'), sent, unknown, undelivered) FROM thaw.action_hours ORDER BY hour")
	require.ElementsMatch(t, testdb.Column[string](t, db, `
		SELECT concat_ws(' ', to_char(settled_at AT TIME ZONE 'UTC', 'DD HH24:'), count(*) FILTER (WHERE state = 'sent'),
			count(*) FILTER (WHERE state = 'unknown'), count(*) FILTER (WHERE state IN ('already', 'refused', 'released')))
		FROM thaw.actions WHERE settled_at > thaw.now() - interval '31 days' AND started_at IS NOT NULL GROUP BY to_char(settled_at AT TIME ZONE 'UTC', 'DD HH24:')`), shown)
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.action_hour_changes"))
	return strings.Join(shown, ", ")
}

// An action counts in the hour of its last settlement only, however long after the first one that
// is.
func TestChartFollowsChangedSettlements(t *testing.T) {
	t.Parallel()
	db, first := outcome(t, "unknown")
	late, absent := reserve(t, db, 2), reserve(t, db, 3)
	require.Equal(t, "go", start(t, db, late))
	require.Equal(t, "go", start(t, db, absent))
	settle(t, db, absent, "unknown")
	db.Advance(t, 20*time.Minute)
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.expire_actions()"))
	require.Equal(t, "03 09: 0 3 0", hours(t, db))
	moveTo(t, db, "2026-03-03 12:00:00+00")
	require.Equal(t, "03 09: 0 3 0", hours(t, db))

	moveTo(t, db, "2026-03-03 14:00:00+00")
	settle(t, db, first, "verified_sent")
	require.Equal(t, "03 09: 0 2 0, 03 14: 1 0 0", hours(t, db))
	require.Equal(t, "sent", settle(t, db, late, "sent", "provider_ref => 'inv_2'"), "the report came late")
	require.Equal(t, "03 09: 0 1 0, 03 14: 2 0 0", hours(t, db))
	moveTo(t, db, "2026-03-20 10:00:00+00")
	settle(t, db, absent, "verified_absent")
	require.Equal(t, "03 14: 2 0 0, 20 10: 0 0 1", hours(t, db))
	require.Zero(t, violations(t, db))
}

// A first settlement, a repeated one and an erasure change no hour that was counted.
func TestChartNotesOnlyChangedHours(t *testing.T) {
	t.Parallel()
	db, id := outcome(t, "sent", "provider_ref => 'inv_1'")
	settle(t, db, id, "sent", "provider_ref => 'inv_1'")
	db.Exec(t, "SELECT thaw.close_invite(1, 'accepted')")
	db.Exec(t, "SELECT thaw.erase_prospect('https://www.linkedin.com/in/p1-1', 'request 17', 'jo')")
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.action_hour_changes"))
	require.Equal(t, "03 09: 1 0 0", hours(t, db))
}

// What retention and the removal of a workspace delete leaves the chart.
func TestChartFollowsRemovedActions(t *testing.T) {
	t.Parallel()
	db, unknown := outcome(t, "unknown")
	refused := reserve(t, db, 2)
	require.Equal(t, "go", start(t, db, refused))
	settle(t, db, refused, "refused")
	db.Exec(t, "UPDATE thaw.settings SET keep_history = '10 days'")
	require.Equal(t, "03 09: 0 1 1", hours(t, db))
	db.Advance(t, 20*24*time.Hour)
	prune(t, db, 30)
	require.Equal(t, "03 09: 0 1 0", hours(t, db))

	settle(t, db, unknown, "verified_absent")
	require.Equal(t, "23 09: 0 0 1", hours(t, db))
	db.Advance(t, 10*24*time.Hour)
	for batches, done := 0, false; !done; batches++ {
		require.Less(t, batches, 500)
		done = testdb.Value[bool](t, db, "SELECT done FROM thaw.remove_workspace('acme', 'the contract ended', 'jo', 5)")
	}
	require.Empty(t, hours(t, db))
}

// Many changed hours are counted again a part at a time, and settlements never wait for a count.
func TestCountOfChangedHoursIsBounded(t *testing.T) {
	t.Parallel()
	db, unknown := outcome(t, "unknown")
	db.Advance(t, 31*24*time.Hour)
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.count_action_hours()"))
	db.Exec(t, "INSERT INTO thaw.action_hour_changes (hour) SELECT thaw.hour_of(thaw.now() - n * interval '1 hour') FROM generate_series(0, 249) AS n, generate_series(1, 2)")
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context())
	for _, left := range []int{300, 100} {
		db.Advance(t, 5*time.Minute)
		require.True(t, testdb.Value[bool](t, db, "SELECT thaw.count_action_hours()"))
		require.Equal(t, left, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.action_hour_changes"))
	}
	db.Advance(t, 5*time.Minute)
	_, err = tx.Exec(t.Context(), "SELECT thaw.count_action_hours()")
	require.NoError(t, err)
	db.Exec(t, "SET lock_timeout = '5s'; SELECT thaw.verify_action("+unknown+", 'verified_sent', 'seen'); RESET lock_timeout")
	require.NoError(t, tx.Commit(t.Context()))
	require.Contains(t, hours(t, db), "03 09: 1 0 0")
}
