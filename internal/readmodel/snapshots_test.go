package readmodel

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// The overview names the session that holds an old snapshot.
func TestOldSnapshotNamesItsSession(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	idle, err := pgx.Connect(t.Context(), f.Direct)
	require.NoError(t, err)
	defer idle.Close(context.WithoutCancel(t.Context()))
	_, err = idle.Exec(t.Context(), "SET application_name = 'report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
	require.NoError(t, err)

	overview, err := NewReader(f.store).Overview(t.Context())
	require.NoError(t, err)
	require.Empty(t, overview.Snapshots, "the snapshot is not old yet")

	// With thresholds that count any snapshot as old.
	ask := func(q dbsqlc.DBTX) []dbsqlc.OldestSnapshotsRow {
		rows, err := dbsqlc.New(q).OldestSnapshots(t.Context(), dbsqlc.OldestSnapshotsParams{OlderThan: time.Microsecond, MoreThan: -1})
		require.NoError(t, err)
		return rows
	}
	find := func(rows []dbsqlc.OldestSnapshotsRow) *dbsqlc.OldestSnapshotsRow {
		for _, row := range rows {
			if row.Application == "report" {
				return &row
			}
		}
		return nil
	}
	seen := find(ask(f.Pool))
	require.NotNil(t, seen)
	require.Equal(t, "session", seen.Holder)
	require.Equal(t, "idle in transaction", seen.State)
	require.Positive(t, seen.Seconds)
}
