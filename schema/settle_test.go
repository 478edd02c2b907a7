package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
)

// An action that is under way when the pause comes completes after it: the pause goes on, and the
// resume does not repeat the step.
func TestActionCompletesAfterThePause(t *testing.T) {
	t.Parallel()
	for name, settle := range map[string]string{
		"by thaw.complete_step":               "SELECT thaw.complete_step(1, 0, thaw.now() + interval '3 days')",
		"by an update":                        "UPDATE thaw.enrollments SET step = step + 1, next_action_at = thaw.now() + interval '3 days' WHERE id = 1",
		"by two updates":                      "UPDATE thaw.enrollments SET step = 2 WHERE id = 1; UPDATE thaw.enrollments SET step = 1, next_action_at = thaw.now() + interval '3 days' WHERE id = 1",
		"by an update of a role of its own":   "",
		"by an update that changes the pause": "UPDATE thaw.enrollments SET step = 1, next_action_at = thaw.now() + interval '3 days', paused_reason = 'account_issue' WHERE id = 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withBacklog(t)
			db.Exec(t, "DELETE FROM thaw.sweeps")
			if settle == "" {
				role, app := asApp(t, db)
				db.Exec(t, "GRANT SELECT, UPDATE ON thaw.enrollments TO "+role)
				_, err := app.Exec(t.Context(), "UPDATE thaw.enrollments SET step = step + 1, next_action_at = thaw.now() + interval '3 days' WHERE id = 1")
				require.NoError(t, err)
			} else {
				db.Exec(t, settle)
			}
			require.Equal(t, "1 paused", testdb.Value[string](t, db, "SELECT concat_ws(' ', step, status) FROM thaw.enrollments"))
			receive(t, db, delivery{status: "connected"})
			require.Equal(t, 1, testdb.Value[int](t, db, `
				SELECT r.resumed FROM (SELECT max(s.id) AS id FROM thaw.account_signals AS s) AS s,
				LATERAL thaw.resume_pass('signal', 1, 1, p_signal_id => s.id) AS r`))
			require.Equal(t, "1 active t", testdb.Value[string](t, db,
				"SELECT concat_ws(' ', step, status, next_action_at > thaw.now() + interval '2 days') FROM thaw.enrollments"))
			require.Zero(t, violations(t, db))

			// A resume that repeats the step is found.
			db.Exec(t, "UPDATE thaw.enrollment_events SET step = 0 WHERE kind = 'resumed'")
			require.NotZero(t, violations(t, db))
		})
	}
}

func TestSettleIsIdempotentAndInOrder(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	settle := func(step int) bool { return testdb.Value[bool](t, db, "SELECT thaw.complete_step(1, $1)", step) }
	require.True(t, settle(0))
	require.False(t, settle(0))
	require.True(t, settle(1))
	require.False(t, settle(0))
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT step FROM thaw.enrollments"))
	require.Equal(t, []int{1, 2}, testdb.Column[int](t, db, "SELECT step FROM thaw.enrollment_events WHERE kind = 'settled' ORDER BY id"))
	for statement, message := range map[string]string{
		"SELECT thaw.complete_step(1, 3)":    "step 3 of enrollment 1 cannot be completed: it is at step 2",
		"SELECT thaw.complete_step(1, NULL)": "step null of enrollment 1 cannot be completed",
		"SELECT thaw.complete_step(9, 0)":    "there is no enrollment 9",
		"SELECT thaw.complete_step(NULL, 0)": "there is no enrollment null",
	} {
		_, err := db.Pool.Exec(t.Context(), statement)
		require.ErrorContains(t, err, message)
	}
}

// violations is how many rows thaw verify reports.
func violations(t *testing.T, db *testdb.DB) int {
	t.Helper()
	report, err := verify.Run(t.Context(), db.Pool, verify.Options{})
	require.NoError(t, err)
	for _, check := range report.Checks {
		if check.Violations > 0 {
			t.Logf("%s: %q", check.About, check.Examples)
		}
	}
	return report.Violations()
}
