package localpg

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTempDirIsInMemoryOnRequest(t *testing.T) {
	t.Setenv("TMPDIR", "")
	require.Equal(t, os.TempDir(), tempDir(false))
	require.Contains(t, []string{memoryFolder, os.TempDir()}, tempDir(true))

	t.Setenv("TMPDIR", t.TempDir())
	require.Equal(t, os.Getenv("TMPDIR"), tempDir(true), "TMPDIR takes precedence")
}

func TestServerInMemoryLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, Options{InMemory: true})
	f := traces(t, connect(t, s.URL("")), s.cluster.folder, s.cluster.postgres.Process.Pid)
	require.NoError(t, s.Close())
	require.Empty(t, f.left())
}
