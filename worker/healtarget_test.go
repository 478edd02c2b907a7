package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/testdb"
)

// scopes are the heals that include the prospects of account "old" in workspace "acme".
var scopes = map[string]string{
	"the account":      "SELECT thaw.heal('acme', account => 'old')",
	"the workspace":    "SELECT thaw.heal('acme')",
	"listed prospects": "SELECT thaw.start_heal(NULL, NULL, ARRAY(SELECT id FROM thaw.enrollments), 100, false, 'a test')",
}

// The account of a heal is disconnected when the heal begins, so its prospects would resume through
// its sibling. If it has reconnected before its turn, they resume through it and are not moved.
func TestHealDoesNotMoveProspectsOfReconnectedAccount(t *testing.T) {
	t.Parallel()
	for name, start := range scopes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			old := f.account(t, account{key: "old", member: "jane", status: "disconnected"})
			f.waiting(t, old, 5)
			f.account(t, account{key: "new", member: "jane"})
			heal := testdb.Value[int64](t, f.DB, start)
			f.Exec(t, "UPDATE thaw.accounts SET status = 'connected' WHERE id = $1", old)

			require.Equal(t, dbsqlc.HealBatchRow{Verdict: "done", Resumed: 5}, f.healBatch(t, heal, 100))
			require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'moved'"))
			require.Equal(t, map[string]int{"active": 5}, f.states(t, old))
		})
	}
}

// healBatch runs one batch of a heal.
func (f *fleet) healBatch(t *testing.T, heal int64, size int32) dbsqlc.HealBatchRow {
	t.Helper()
	// Fails instead of hanging if it waits for a lock of this test.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	batch, err := dbsqlc.New(f.Pool).HealBatch(ctx, dbsqlc.HealBatchParams{HealID: heal, Size: size, JobID: 1})
	require.NoError(t, err)
	return batch
}
