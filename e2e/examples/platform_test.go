// Package examples runs the programs in folder examples as their READMEs say. It needs Node and
// npm, which .ci/run installs.
package examples_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	program := build(t)
	platform, thaw := freeAddress(t), freeAddress(t)
	_, port, err := net.SplitHostPort(platform)
	require.NoError(t, err)
	environment := append(os.Environ(),
		"PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"), "DATABASE_URL="+db.Direct,
		"THAW_ADDR="+thaw, "THAW_URL=http://"+thaw, "PORT="+port)

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
	return folder
}

// build returns the path of the program thaw.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "thaw")
	command := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/thaw")
	command.Dir = "../.."
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// start runs commands in a shell, whose processes end with the test. It returns a channel that is
// closed when they have ended before that, and what they have written until then.
func start(t *testing.T, folder string, environment []string, commands string) (ended <-chan struct{}, out *strings.Builder) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	shell.Dir, shell.Env = folder, environment
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGTERM) }
	out = &strings.Builder{}
	shell.Stdout, shell.Stderr = out, out
	require.NoError(t, shell.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = shell.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return done, out
}

// freeAddress returns a loopback address with a free port.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
