package localpg

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWatcherEndsItsGroupAndRemovesTheFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "a b")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "deep"), 0o700))
	w, err := startWatcher(folder)
	require.NoError(t, err)
	cmd := exec.Command("sleep", "1000")
	w.end(cmd)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	require.NoError(t, w.close())
	require.Error(t, <-ended)
	require.Equal(t, syscall.SIGQUIT, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	require.NoDirExists(t, folder)
}

func TestWatcherAwaitsOtherProcesses(t *testing.T) {
	t.Parallel()
	outside, folder := t.TempDir(), t.TempDir()
	w, err := startWatcher(folder)
	require.NoError(t, err)
	cmd := exec.Command("/bin/sh", "-c", "sleep 0.5; ls -d "+folder+" > "+filepath.Join(outside, "seen"))
	w.await(cmd)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	require.NoError(t, w.close())
	require.NoError(t, <-ended, "the command was not signalled")
	seen, err := os.ReadFile(filepath.Join(outside, "seen"))
	require.NoError(t, err)
	require.Equal(t, folder+"\n", string(seen), "the folder existed until the command ended")
	require.NoDirExists(t, folder)
}
