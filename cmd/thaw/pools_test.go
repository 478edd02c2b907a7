package main

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	dbconn "github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/testdb"
)

// The server ends every transaction of a process that is frozen, also one of River.
func TestEveryPoolLimitsIdleTransactions(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	budget, err := dbconn.Share(dbconn.DefaultConnections, true, true, false)
	require.NoError(t, err)
	pools, err := database{DatabaseURL: db.Direct}.openPools(t.Context(), budget)
	require.NoError(t, err)
	defer closePools(pools)
	for _, pool := range []*pgxpool.Pool{pools.Reads, pools.Queue, pools.Passes, pools.Webhooks} {
		var limit string
		require.NoError(t, pool.QueryRow(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&limit))
		require.Equal(t, "10s", limit)
	}
}
