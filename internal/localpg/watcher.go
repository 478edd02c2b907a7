package localpg

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// watchScript waits for end of file on standard input (the lease), ends its process group, waits
// for end of file on descriptor 3 (all processes have ended), and removes folder $1.
//
// It repeats the signal, because a process may be joining the group. SIGCONT continues stopped
// processes. SIGQUIT makes a server shut down immediately and remove its shared memory; SIGKILL
// would leave the shared memory behind.
const watchScript = `
trap '' HUP INT QUIT TERM
read -r line
read -r line <&3 &
while kill -0 $! 2>/dev/null; do kill -QUIT 0; kill -CONT 0; sleep 0.02; done
rm -rf -- "$1"
`

// A watcher cleans up after this process. It is a shell that holds the read end of a pipe, the
// lease. This process has the only write end, which the kernel closes when the process ends for any
// reason. The watcher then ends the processes of its group, waits for the processes that it only
// awaits, and removes the folder. Close does the same. The parent-death signal of Linux is not
// sufficient: it depends on the thread that started the child, does not remove folders, and does
// not exist on macOS.
//
// The processes are not in the process group of the terminal, so Ctrl-C reaches this process only.
type watcher struct {
	shell *exec.Cmd
	lease *os.File // write end; closing it triggers the watcher
	alive *os.File // write end; inherited by all processes that the watcher ends or awaits
}

// startWatcher starts a watcher for a folder.
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

// end makes the watcher end a command. The command must not have started yet.
func (w *watcher) end(cmd *exec.Cmd) { w.attach(cmd, w.shell.Process.Pid) }

// await makes the watcher wait for a command before it removes the folder. The command must not
// have started yet.
func (w *watcher) await(cmd *exec.Cmd) { w.attach(cmd, 0) }

// attach puts a command into a process group (0 for a new one) and passes it the alive pipe.
func (w *watcher) attach(cmd *exec.Cmd, group int) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pgid = group
	cmd.ExtraFiles = append(cmd.ExtraFiles, w.alive)
}

// close ends or awaits the processes, and returns when the folder is removed.
func (w *watcher) close() error {
	w.lease.Close()
	w.alive.Close()
	if err := w.shell.Wait(); err != nil {
		return fmt.Errorf("watcher: %w", err)
	}
	return nil
}
