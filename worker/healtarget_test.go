package worker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// A heal of an old account goes through the new account that it found at its start. If the old one is back before it comes to
// that, its prospects stay where they are.
func TestHealLeavesProspectsWhoseOwnAccountIsBack(t *testing.T) {
	t.Parallel()
	f := setup(t)
	old := f.account(t, account{key: "old", member: "jane", status: "disconnected"})
	f.waiting(t, old, 5)
	f.account(t, account{key: "new", member: "jane"})
	for name, scope := range map[string]string{
		"the account":      "SELECT thaw.heal('acme', account => 'old')",
		"listed prospects": "SELECT thaw.start_heal(NULL, NULL, ARRAY(SELECT id FROM thaw.enrollments), 100, false, 'a test')",
	} {
		f.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE id = $1", old)
		batch := dbsqlc.HealBatchParams{HealID: testdb.Value[int64](t, f.DB, scope), Size: 100, JobID: 1}
		_, err := dbsqlc.New(f.Pool).HealBatch(t.Context(), batch) // finds the accounts to go through
		require.NoError(t, err)
		f.Exec(t, "UPDATE thaw.accounts SET status = 'connected' WHERE id = $1", old)

		for verdict := ""; verdict != "done"; {
			next, err := dbsqlc.New(f.Pool).HealBatch(t.Context(), batch)
			require.NoError(t, err)
			verdict = next.Verdict
		}
		require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'repointed'"), name)
		require.Equal(t, 5, testdb.Value[int](t, f.DB, "SELECT left_over FROM thaw.heals WHERE id = $1", batch.HealID), name)
	}
}
