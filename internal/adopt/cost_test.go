package adopt

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A step of a running prospect writes nothing in Thaw's schema, so it costs no WAL for Thaw.
func TestStepsWriteNothing(t *testing.T) {
	t.Parallel()
	db, _ := adopted(t)
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context())
	// The statistics of the connection also count what it wrote before.
	written := func() (rows int64) {
		require.NoError(t, tx.QueryRow(t.Context(), `
			SELECT sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del)::bigint FROM pg_stat_xact_user_tables AS s WHERE s.schemaname = 'thaw'`).Scan(&rows))
		return rows
	}
	before := written()
	for step := range 10 {
		_, err := tx.Exec(t.Context(), fmt.Sprintf(
			"UPDATE app.campaign_leads SET current_step = %d, next_run_at = now() + interval '%[1]d days' WHERE id IN ('cl_1', 'cl_7')", step))
		require.NoError(t, err)
	}
	require.Equal(t, before, written())
	_, err = tx.Exec(t.Context(), "UPDATE app.campaign_leads SET state = 'paused' WHERE id = 'cl_1'")
	require.NoError(t, err)
	require.Greater(t, written(), before, "a pause is copied")
	require.NoError(t, tx.Commit(t.Context()))
}
