package demo

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/localpg"
)

func TestDatabase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server, err := localpg.Start(ctx, localpg.Options{})
	require.NoError(t, err)
	defer server.Close()
	admin, err := pgx.Connect(ctx, server.URL(""))
	require.NoError(t, err)
	defer admin.Close(ctx)
	exists := func() (yes bool) {
		require.NoError(t, admin.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_database WHERE datname = $1", databaseName).Scan(&yes))
		return yes
	}

	// One that happens to have the name is left alone.
	_, err = admin.Exec(ctx, "CREATE DATABASE thaw_demo")
	require.NoError(t, err)
	_, err = newDatabase(ctx, server)
	require.ErrorContains(t, err, "there is one on this server that no demo made")
	require.True(t, exists())
	_, err = admin.Exec(ctx, "DROP DATABASE thaw_demo")
	require.NoError(t, err)

	first, err := newDatabase(ctx, server)
	require.NoError(t, err)
	visitor, err := pgx.Connect(ctx, server.URL(databaseName))
	require.NoError(t, err)
	defer visitor.Close(ctx)
	_, err = visitor.Exec(ctx, "CREATE TABLE leftover ()")
	require.NoError(t, err)

	// While the first demo runs, a second one does not start.
	_, err = newDatabase(ctx, server)
	require.ErrorContains(t, err, "there is one of another demo, which may be running")

	// What a killed one left behind is replaced.
	require.NoError(t, visitor.Close(ctx))
	require.Eventually(t, func() bool {
		if second, err := newDatabase(ctx, server); err == nil {
			return second.admin.Close(ctx) == nil
		}
		return false
	}, patience, lookEvery, "the server notices that the visitor is gone")
	visitor, err = pgx.Connect(ctx, server.URL(databaseName))
	require.NoError(t, err)
	_, err = visitor.Exec(ctx, "TABLE leftover")
	require.ErrorContains(t, err, `relation "leftover" does not exist`)

	// The end of a demo does not wait for whoever looks inside.
	require.NoError(t, first.close(ctx))
	require.False(t, exists())
}
