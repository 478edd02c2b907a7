package localpg

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// ownerVariable makes the test binary an owner: a process that starts a server and is then killed
// or interrupted by the test.
const ownerVariable = "LOCALPG_TEST_OWNER"

func TestMain(m *testing.M) {
	if os.Getenv(ownerVariable) != "" {
		if err := beOwner(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// ownerReport is the line that an owner prints when its server is running.
type ownerReport struct {
	Folder string
	PID    int // of the postmaster
	URL    string
}

// beOwner starts a server, reports it, runs a query on each SIGINT, and exits at the end of
// standard input.
func beOwner() error {
	ctx := context.Background()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	o := Options{InMemory: true, Contents: nothing}
	if os.Getenv("TMPDIR") != "" {
		o = Options{} // the test watches initdb
	}
	s, err := Start(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	report, err := json.Marshal(ownerReport{Folder: s.cluster.folder, PID: s.cluster.postgres.Process.Pid, URL: s.URL("")})
	if err != nil {
		return err
	}
	fmt.Println(string(report))
	stuck := make(chan struct{})
	go func() {
		defer close(stuck)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	for {
		select {
		case <-interrupts:
			conn, err := pgx.Connect(ctx, s.URL(""))
			if err != nil {
				return err
			}
			var one int
			if err := errors.Join(conn.QueryRow(ctx, "SELECT 1").Scan(&one), conn.Close(ctx)); err != nil {
				return err
			}
			fmt.Println(one)
		case <-stuck:
			return nil
		}
	}
}

// owner is a running owner process in its own process group, as started by a shell.
type owner struct {
	cmd    *exec.Cmd
	output *bufio.Scanner
}

// startOwner starts an owner with a temporary folder ("" for the default).
func startOwner(t *testing.T, tempDir string) *owner {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), ownerVariable+"=1")
	if tempDir != "" {
		cmd.Env = append(cmd.Env, "TMPDIR="+tempDir)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = t.Output()
	_, err = cmd.StdinPipe() // the owner exits at end of file, when this process ends
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	o := &owner{cmd: cmd, output: bufio.NewScanner(stdout)}
	t.Cleanup(o.kill)
	return o
}

// kill ends the owner with kill -9. It may be called repeatedly.
func (o *owner) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

// line returns the next line of output.
func (o *owner) line(t *testing.T) string {
	t.Helper()
	require.True(t, o.output.Scan(), "the owner ended: %v", o.output.Err())
	return o.output.Text()
}

func (o *owner) report(t *testing.T) ownerReport {
	t.Helper()
	var r ownerReport
	require.NoError(t, json.Unmarshal([]byte(o.line(t)), &r))
	return r
}
