package chaos_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/localpg"
)

// A cluster is a scenario's own durable Postgres server, which can be crashed and started again.
type cluster struct {
	*testing.T
	url   string // of the maintenance database
	data  string // the data folder
	owner *syscall.Credential

	command    []string // the postmaster's
	postmaster *exec.Cmd
	ended      chan struct{} // closed when the postmaster and all of its children have ended
	log        *serverLog
}

// startCluster starts a server until the test ends.
func startCluster(t *testing.T, settings map[string]string) *cluster {
	t.Helper()
	// Package localpg creates the cluster. Its postmaster ends when the cluster is ready, and the
	// test's own takes over.
	made, err := localpg.Start(t.Context(), localpg.Options{Durable: true, Settings: settings})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, made.Close()) })
	c := &cluster{T: t, url: made.URL(""), log: &serverLog{}}
	conn, err := pgx.Connect(t.Context(), c.url)
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&c.data))
	require.NoError(t, conn.Close(t.Context()))

	folder, err := os.Stat(c.data)
	require.NoError(t, err)
	if user := folder.Sys().(*syscall.Stat_t); os.Geteuid() == 0 {
		c.owner = &syscall.Credential{Uid: user.Uid, Gid: user.Gid}
	}
	c.command = c.commandLine()
	require.NoError(t, syscall.Kill(c.pid(), syscall.SIGINT)) // a fast shutdown
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(c.data, "postmaster.pid"))
		return os.IsNotExist(err)
	}, 30*time.Second, 5*time.Millisecond, "Postgres did not stop")

	t.Cleanup(func() {
		c.crash()
		if t.Failed() {
			t.Logf("last output of Postgres:\n%s", c.log)
		}
	})
	c.start()
	return c
}

// commandLine returns the postmaster's command line, which Postgres stores in its data folder.
func (c *cluster) commandLine() (words []string) {
	c.Helper()
	content, err := os.ReadFile(filepath.Join(c.data, "postmaster.opts"))
	require.NoError(c, err)
	program, rest, _ := strings.Cut(strings.TrimSpace(string(content)), " ")
	words = append(words, program)
	for _, word := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(rest, -1) {
		words = append(words, word[1])
	}
	return words
}

// pid returns the process ID of the postmaster.
func (c *cluster) pid() int {
	c.Helper()
	content, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	require.NoError(c, err)
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(c, err)
	return pid
}

// start starts the server and returns when it accepts connections.
func (c *cluster) start() {
	c.Helper()
	c.launch()
	require.NoError(c, c.answers(time.Minute), "Postgres did not start\n%s", c.log)
}

// launch starts the postmaster.
func (c *cluster) launch() {
	c.Helper()
	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = c.log, c.log
	// SIGQUIT is an immediate shutdown, which still removes the shared memory.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	require.NoError(c, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	c.postmaster, c.ended = cmd, ended
}

// crash is pg_ctl stop -m immediate: unflushed data is lost.
func (c *cluster) crash() {
	if c.postmaster != nil {
		_ = c.postmaster.Process.Signal(syscall.SIGQUIT) // fails only if it has ended
		<-c.ended
	}
}

// kill is kill -9 of all processes of the server, the postmaster first, so that it does not end
// them in an orderly way. The next postmaster finds the files of the dead one.
func (c *cluster) kill() {
	c.Helper()
	pid := c.postmaster.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	require.NoError(c, err)
	require.NoError(c, c.postmaster.Process.Kill())
	<-c.ended
	for _, child := range strings.Fields(string(children)) {
		id, err := strconv.Atoi(child)
		require.NoError(c, err)
		_ = syscall.Kill(id, syscall.SIGKILL) // fails only if it has ended
		require.Eventually(c, func() bool { return errors.Is(syscall.Kill(id, 0), syscall.ESRCH) }, time.Minute, time.Millisecond, "process %d of Postgres does not end", id)
	}
}

// restart is pg_ctl restart -m immediate. It returns when the server accepts connections.
func (c *cluster) restart() {
	c.Helper()
	c.crash()
	c.start()
}

// A serverLog keeps a server's last output and counts lines.
type serverLog struct {
	output
	full, panics int // lines that report a full disk or a panic
}

func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	l.full += bytes.Count(b, []byte("No space left on device"))
	l.panics += bytes.Count(b, []byte("PANIC:"))
	l.mu.Unlock()
	return l.output.Write(b)
}

func (l *serverLog) counts() (full, panics int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full, l.panics
}

// answers waits until the server accepts connections. It fails if the postmaster ends.
func (c *cluster) answers(patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; {
		conn, err := pgx.Connect(c.Context(), c.url)
		if err == nil {
			return conn.Close(c.Context())
		}
		select {
		case <-c.ended:
			return fmt.Errorf("the postmaster ended: %w", err)
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}
