package verify_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
)

// newPrunedFleet is the busy fleet 500 days later: old rows were removed except those still needed,
// and new ones were added.
func newPrunedFleet(t *testing.T) *fleet {
	t.Helper()
	f := newBusyFleet(t)
	f.Advance(t, 500*24*time.Hour)
	f.Exec(t, "UPDATE thaw.river_job SET state = 'completed', finalized_at = now()")
	f.Exec(t, "SELECT thaw.expire_actions()")
	for testdb.Value[string](t, f.DB, "SELECT verdict FROM thaw.prune_batch(50)") != "done" {
	}
	f.disconnect("carl", "disconnected")
	require.Equal(t, "applied", f.signal("carl", "connected"))
	require.Equal(t, "resumed", f.resumeBySignal("carl"))
	f.disconnect("ann-new", "disconnected")
	require.Equal(t, "applied", f.signal("ann-old", "connected"))
	f.Advance(t, 15*time.Minute)
	f.plan("ann-old", "carl")
	require.Equal(t, "resumed", f.resumeBySweep("ann-old"))
	require.Equal(t, "resumed", f.resumeBySweep("carl"))
	f.heal(`SELECT thaw.start_heal(NULL, NULL, ARRAY(
		SELECT e.id FROM thaw.enrollments AS e
		JOIN thaw.accounts AS a ON a.id = e.account_id AND a.provider_account_id = 'gil'
		WHERE e.waits_for_account), 100, true, 'support')`)
	return f
}

func TestPrunedFleetIsSound(t *testing.T) {
	t.Parallel()
	fleet := newPrunedFleet(t)
	require.Zero(t, testdb.Value[int](t, fleet.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed' AND at < thaw.now() - interval '400 days'"))
	require.Positive(t, testdb.Value[int](t, fleet.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'paused' AND at < thaw.now() - interval '400 days'"))
	report, err := verify.Run(t.Context(), fleet.Pool, verify.Options{})
	require.NoError(t, err)
	require.Empty(t, found(report))
}

// Checks that skip removed history still find violations in the rest.
func TestChecksFindViolationsAfterPruning(t *testing.T) {
	t.Parallel()
	fleet := newPrunedFleet(t)
	for check, sql := range map[string]string{ //nolint:paralleltest // They lock what they break.
		"account_quotas_match_events": "UPDATE thaw.account_quotas SET used = used - 1 WHERE used > 0",
		"fleet_quotas_match_events":   "DELETE FROM thaw.fleet_quotas",
		"allocations_match_events":    "UPDATE thaw.allocations SET resumed = resumed - 1 WHERE resumed > 0",
		"heals_match_events":          "UPDATE thaw.heals SET resumed = resumed - 1 WHERE resumed > 0",
		"heals_stay_in_scope":         "DELETE FROM thaw.heal_enrollments",
		"moves_come_with_a_resume":    "DELETE FROM thaw.enrollment_events WHERE kind = 'moved'",
		"resumes_keep_the_step":       "UPDATE thaw.enrollment_events SET step = step + 1 WHERE kind = 'resumed'",
		"signals_apply_their_status":  "DELETE FROM thaw.account_signals",
		"signals_match_events":        "UPDATE thaw.account_signals SET resumed = resumed - 1 WHERE resumed > 0",
		"sweeps_match_events":         "UPDATE thaw.sweeps SET moved = moved + 1",
		"sweeps_match_allocations":    "UPDATE thaw.sweeps SET accounts_planned = accounts_planned + 1",
	} {
		t.Run(check, func(t *testing.T) {
			tx, err := fleet.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer tx.Rollback(context.WithoutCancel(t.Context()))
			_, err = tx.Exec(t.Context(), sql)
			require.NoError(t, err)
			report, err := verify.RunIn(t.Context(), tx, inRanges)
			require.NoError(t, err)
			require.NotEmpty(t, found(report)[check])
		})
	}
}
