package localpg

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// watchScript waits for the end of file on its standard input (the lease), ends its process group,
// waits for the end of file on descriptor 3 (no process is left) and removes folder $1.
//
// The signal is repeated because a process may be joining the group just then; SIGCONT is for one
// that was stopped. To a server SIGQUIT means an immediate shutdown, in which it still removes its
// shared memory; after SIGKILL that would stay behind.
const watchScript = `
trap '' HUP INT QUIT TERM
read -r line
read -r line <&3 &
while kill -0 $! 2>/dev/null; do kill -QUIT 0; kill -CONT 0; sleep 0.02; done
rm -rf -- "$1"
`

// A watcher cleans up after this process. It is a shell that holds the read end of a pipe, the
// lease, whose only write end is ours: the kernel closes that when we end, in whatever way. The
// watcher then ends the processes of its group, waits for those that it only awaits, and removes
// the folder. Close takes the same way. The parent-death signal of Linux would not do: it follows
// the thread that started the child, knows nothing of folders, and does not exist on macOS.
//
// None of the processes is in the group of our terminal, so Ctrl-C ends us first.
type watcher struct {
	shell *exec.Cmd
	lease *os.File // write end; closing it sets the watcher off
	alive *os.File // write end; inherited by every process that is ended or awaited
}

// startWatcher starts the watcher of a folder.
func startWatcher(folder string) (*watcher, error) {
	leaseRead, lease, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("opening a pipe: %w", err)
	}
	defer leaseRead.Close()
	aliveRead, alive, err := os.Pipe()
	if err != nil {
		lease.Close()
		return nil, fmt.Errorf("opening a pipe: %w", err)
	}
	defer aliveRead.Close()

	shell := exec.Command("/bin/sh", "-c", watchScript, "localpg-watcher", folder)
	shell.Dir = "/"
	shell.Stdin = leaseRead
	shell.ExtraFiles = []*os.File{aliveRead} // descriptor 3
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := shell.Start(); err != nil {
		lease.Close()
		alive.Close()
		return nil, fmt.Errorf("starting the watcher: %w", err)
	}
	return &watcher{shell: shell, lease: lease, alive: alive}, nil
}

// end makes a command that has not started yet one of the processes that the watcher ends.
func (w *watcher) end(cmd *exec.Cmd) { w.hold(cmd, w.shell.Process.Pid) }

// await makes a command that has not started yet one that the watcher lets finish, before it
// removes the folder.
func (w *watcher) await(cmd *exec.Cmd) { w.hold(cmd, 0) }

// hold puts a command into a process group, 0 for a new one, and into the watcher's snapshot.
func (w *watcher) hold(cmd *exec.Cmd, group int) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pgid = group
	cmd.ExtraFiles = append(cmd.ExtraFiles, w.alive)
}

// close ends or awaits the processes, removes the folder and returns when that is done.
func (w *watcher) close() error {
	w.lease.Close()
	w.alive.Close()
	if err := w.shell.Wait(); err != nil {
		return fmt.Errorf("watcher: %w", err)
	}
	return nil
}
