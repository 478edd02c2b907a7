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

	// A database of the same name that no demo created is kept.
	_, err = admin.Exec(ctx, "CREATE DATABASE thaw_demo")
	require.NoError(t, err)
	_, err = newDatabase(ctx, server)
	require.ErrorContains(t, err, "a database of this name exists that was not created by a demo")
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
	require.ErrorContains(t, err, "the database of another demo exists, which may be running")

	// The database of a killed demo is replaced.
	require.NoError(t, visitor.Close(ctx))
	require.Eventually(t, func() bool {
		if second, err := newDatabase(ctx, server); err == nil {
			return second.admin.Close(ctx) == nil
		}
		return false
	}, patience, lookEvery, "the server notices that the session has ended")
	visitor, err = pgx.Connect(ctx, server.URL(databaseName))
	require.NoError(t, err)
	_, err = visitor.Exec(ctx, "TABLE leftover")
	require.ErrorContains(t, err, `relation "leftover" does not exist`)

	// A demo ends even if other sessions use its database.
	require.NoError(t, first.close(ctx))
	require.False(t, exists())
}
