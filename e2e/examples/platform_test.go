// Package examples runs the programs in folder examples as their READMEs say. It needs Node and
// npm, which .ci/run installs.
package examples_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The commands of the README connect the platform in examples/platform-node to Thaw. Then its leads
// are paused in its own table when their account is lost, and resumed when it is back, and its page
// shows Thaw's answer.
func TestPlatformNode(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	folder := checkout(t, "platform-node")
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, 2, "the commands that connect the platform, and those that lose and connect the account")
	program := build(t, "./cmd/thaw")
	platform, thaw := freeAddress(t), freeAddress(t)
	_, listens, err := net.SplitHostPort(platform)
	require.NoError(t, err)
	environment := append(os.Environ(),
		"PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"), "DATABASE_URL="+db.Direct,
		"THAW_ADDR="+thaw, "THAW_URL=http://"+thaw, "PORT="+listens)

	start(t, folder, environment, blocks[0][1])
	page := func() string {
		response, err := http.Get("http://" + platform + "/")
		if err != nil {
			return ""
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body)
	}
	require.Eventually(t, func() bool { return strings.Count(page(), "This prospect is not paused.") == 40 },
		2*time.Minute, 100*time.Millisecond, "waiting for Thaw's answers on the page")

	lost, back, found := strings.Cut(strings.TrimSpace(blocks[1][1]), "\n")
	require.True(t, found)
	states := func() map[string]int {
		counts := map[string]int{}
		for _, state := range testdb.Column[string](t, db, "SELECT concat_ws(' ', state, pause_cause) FROM app.campaign_leads") {
			counts[state]++
		}
		return counts
	}
	send := func(command string) {
		command = strings.ReplaceAll(command, "localhost:3000", platform)
		out, err := exec.CommandContext(t.Context(), "bash", "-c", command).CombinedOutput()
		require.NoError(t, err, "%s\n%s", command, out)
	}
	send(lost)
	require.Eventually(t, func() bool { return states()["paused account_lost"] == 40 }, time.Minute, 50*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Count(page(), "disconnected") >= 40 }, time.Minute, 100*time.Millisecond)
	send(back)
	require.Eventually(t, func() bool { return states()["running"] == 40 }, time.Minute, 50*time.Millisecond)

	check := exec.CommandContext(t.Context(), program, "adopt", "check")
	check.Dir, check.Env = folder, environment
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// checkout copies an example, so that what its commands install stays out of the repository.
func checkout(t *testing.T, name string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.CopyFS(folder, os.DirFS(filepath.Join("../../examples", name))))
	prepare, err := os.ReadFile("../../examples/prepare.sh")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(folder), "prepare.sh"), prepare, 0o600))
	return folder
}

// build returns the path of a program.
func build(t *testing.T, source string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(source))
	command := exec.CommandContext(t.Context(), "go", "build", "-o", program, source)
	command.Dir = "../.."
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// A running is a shell whose processes end with the test.
type running struct {
	*exec.Cmd
	// ended is closed when they have ended before that.
	ended chan struct{}

	mu      sync.Mutex
	written strings.Builder
}

// start runs commands in a shell.
func start(t *testing.T, folder string, environment []string, commands string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{Cmd: exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands), ended: make(chan struct{})}
	r.Dir, r.Env = folder, environment
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.Cancel = func() error { return syscall.Kill(-r.Process.Pid, syscall.SIGTERM) }
	r.WaitDelay = time.Minute
	r.Stdout, r.Stderr = r, r
	require.NoError(t, r.Start())
	go func() {
		defer close(r.ended)
		_ = r.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
		if t.Failed() {
			t.Log(r.out())
		}
	})
	return r
}

// Write receives what the processes write.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.written.Write(p)
}

// out returns what the processes have written until now.
func (r *running) out() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.written.String()
}

// port is the last port that freeAddress has drawn.
var port atomic.Int32

func init() { port.Store(10_000 + rand.Int32N(20_000)) }

// freeAddress returns a loopback address with a free port. It is used much later, when npm and the
// migrations are done, so it is below the ports that systems give to connections and to listeners
// on port 0: from 32768 on Linux.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", port.Add(1))
		if listener, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, listener.Close())
			return address
		}
	}
	require.Fail(t, "no free port below 32768")
	return ""
}
