package localpg

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// The second server starts with a copy of what the first was filled with. A copy that is damaged,
// that other users could have written, or that cannot be written, does no harm: the server is
// filled again.
func TestContentsAreCopied(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir()) // for macOS
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	filled := 0
	contents := &Contents{Key: "test", Fill: func(ctx context.Context, server *Server) error {
		filled++
		conn, err := pgx.Connect(ctx, server.URL(""))
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE contents AS SELECT 'filled' AS state")
		return err
	}}
	startAndCount := func(want int, why string) {
		t.Helper()
		s := start(t, Options{Contents: contents})
		require.Equal(t, "filled", queryOne(t, connect(t, s.URL("")), "SELECT state FROM contents"))
		require.NoError(t, s.Close())
		require.Equal(t, want, filled, why)
	}
	copies := func() []string {
		found, err := filepath.Glob(filepath.Join(cache, "thaw", "postgres", "*"))
		require.NoError(t, err)
		return found
	}

	startAndCount(1, "the first server")
	require.Len(t, copies(), 1, "no incomplete copies")
	startAndCount(1, "a copy")
	require.NoError(t, os.Truncate(copies()[0], 1<<20))
	startAndCount(2, "a damaged copy")
	startAndCount(2, "a copy again")
	require.NoError(t, os.Chmod(copies()[0], 0o666))
	startAndCount(3, "others may write it")
	require.NoError(t, os.RemoveAll(filepath.Join(cache, "thaw")))
	require.NoError(t, os.WriteFile(filepath.Join(cache, "thaw"), nil, 0o600))
	startAndCount(4, "no folder for copies")
}
