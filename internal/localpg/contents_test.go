package localpg

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// The second server starts with a copy of what the first was filled with. If the copy is damaged,
// the server is filled again.
func TestContentsAreCopied(t *testing.T) { //nolint:paralleltest // sets the cache folder of the process
	cache := useCache(t)
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

	startAndCount(1, "the first server")
	startAndCount(1, "a copy")
	copies, err := filepath.Glob(filepath.Join(cache, "thaw", "postgres", "*"))
	require.NoError(t, err)
	require.Len(t, copies, 1, "no incomplete copies")
	require.NoError(t, os.Truncate(copies[0], 1<<20))
	startAndCount(2, "a damaged copy")
}

// A copy is used only if no other user can have written it. A server also starts if no copy can be
// written.
func TestCopiesAreOfThisUser(t *testing.T) { //nolint:paralleltest // sets the cache folder of the process
	cache := useCache(t)
	source, target := &cluster{folder: t.TempDir()}, &cluster{folder: t.TempDir()}
	require.NoError(t, os.MkdirAll(filepath.Join(source.dataFolder(), "base", "1"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(source.dataFolder(), "base", "1", "112"), []byte("rows"), 0o600))
	name := source.copyFile("test")
	require.NoError(t, source.save(name))

	require.NoError(t, os.Chmod(name, 0o606))
	require.ErrorIs(t, target.restore(name), fs.ErrPermission)
	require.NoError(t, os.Chmod(name, 0o600))
	require.NoError(t, target.restore(name))
	restored, err := os.ReadFile(filepath.Join(target.dataFolder(), "base", "1", "112"))
	require.NoError(t, err)
	require.Equal(t, "rows", string(restored))

	require.NoError(t, os.RemoveAll(filepath.Join(cache, "thaw")))
	require.NoError(t, os.WriteFile(filepath.Join(cache, "thaw"), nil, 0o600))
	require.Error(t, source.save(name))
	require.Error(t, target.restore(name))
	require.Empty(t, (&cluster{password: "secret"}).copyFile("test"), "each such server has its own password")
}

// Copies that were not used for long, and all but the newest, make space for a new one.
func TestOldCopiesAreRemoved(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	add := func(name string, unused time.Duration) {
		file := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.NoError(t, os.Chtimes(file, time.Time{}, time.Now().Add(-unused)))
	}
	add("old", keepCopies+time.Hour)
	for i := range mostCopies + 5 {
		add(fmt.Sprintf("%02d", i), time.Duration(i)*time.Minute)
	}
	removeOldCopies(folder)
	left, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	require.Len(t, left, mostCopies-1)
	require.Equal(t, fmt.Sprintf("%02d", mostCopies-2), filepath.Base(left[len(left)-1]))
}

// useCache makes a new folder the user's cache folder.
func useCache(t *testing.T) string {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir()) // for macOS
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	return cache
}
