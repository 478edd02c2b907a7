package chaos_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// A launch describes how to start a process of the program. The zero value is thaw serve on the
// scenario's database.
type launch struct {
	program string   // default: built from this tree
	command string   // default: serve
	url     string   // of the database; default: the scenario's
	options []string // additional flags
	env     []string // additional environment, as NAME=value
}

// A process is a running thaw, or a sender.
type process struct {
	s *scenario
	// name is the application_name of its connections.
	name string
	// base is its HTTP address, such as http://127.0.0.1:41234, or empty for thaw work.
	base string
	// client is its client ID in river_job.attempted_by and river_leader.
	client string
	pid    int
	cmd    *exec.Cmd
	output *output
	ended  chan struct{} // closed when it has ended; then err is set
	err    error
}

// serve starts `thaw serve` with additional flags and returns when it is ready.
func (s *scenario) serve(options ...string) *process {
	s.Helper()
	return s.serveAt(s.url, options...)
}

// serveAt is serve with another database URL, such as a proxy's.
func (s *scenario) serveAt(url string, options ...string) *process {
	s.Helper()
	p := s.start(launch{url: url, options: options})
	p.ready()
	return p
}

// start starts a process and returns when it works and listens. It may not be ready yet: there may
// be no leader.
func (s *scenario) start(l launch) *process {
	s.Helper()
	p := s.begin(l)
	p.listening()
	return p
}

// begin starts a process without waiting.
func (s *scenario) begin(l launch) *process {
	s.Helper()
	return s.run(s.command(l), &output{works: l.command != "web", listens: l.command != "work", started: make(chan struct{})})
}

// run starts a process that ends with the test at the latest.
func (s *scenario) run(cmd *exec.Cmd, o *output) *process {
	s.Helper()
	p := &process{s: s, cmd: cmd, output: o, ended: make(chan struct{})}
	p.name = fmt.Sprintf("thaw-%d", s.processes.Add(1))
	p.cmd.Env = append(p.cmd.Env, "PGAPPNAME="+p.name)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	require.NoError(s, p.cmd.Start())
	p.pid = p.cmd.Process.Pid
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	s.Cleanup(func() {
		p.end()
		if s.Failed() {
			s.Logf("last output of %s, process %d:\n%s", p.name, p.pid, p.log())
		}
	})
	return p
}

// command returns a run of the program that ends with the test at the latest.
func (s *scenario) command(l launch) *exec.Cmd {
	s.Helper()
	path := l.program
	if path == "" {
		var err error
		path, err = program()
		require.NoError(s, err)
	}
	args := []string{cmp.Or(l.command, "serve"), "--log-format=json"}
	if l.command == "" {
		args = append(args, "--addr=127.0.0.1:0")
	}
	args = append(args, l.options...)
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "THAW_DATABASE_URL="+cmp.Or(l.url, s.url), "THAW_STANDARD_SECRET="+standardSecret)
	cmd.Env = append(cmd.Env, l.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

const startPatience = 30 * time.Second

// listening waits until the process has logged that it works, and where it listens.
func (p *process) listening() {
	p.s.Helper()
	select {
	case <-p.output.started:
		p.base, p.client = p.output.base, p.output.client
	case <-p.ended:
		require.FailNow(p.s, "the process ended during startup", "%v\n%s", p.err, p.log())
	case <-time.After(startPatience):
		require.FailNow(p.s, "the process did not start", "%s", p.log())
	}
}

// ready waits until the process serves, a worker process is alive, and ticks are swept.
func (p *process) ready() {
	p.s.Helper()
	require.Eventually(p.s, func() bool {
		ready, answer := p.readiness()
		return ready && !strings.Contains(answer, "worker process is alive") && !strings.Contains(answer, "The last sweep")
	}, startPatience, 10*time.Millisecond, "%s is not ready\n%s", p.name, p.log())
}

func (p *process) isReady() bool {
	ready, _ := p.readiness()
	return ready
}

// readiness returns whether /readyz returns 200, and its answer.
func (p *process) readiness() (ready bool, answer string) {
	response, err := web.Get(p.base + "/readyz")
	if err != nil {
		return false, ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return err == nil && response.StatusCode == http.StatusOK, string(body)
}

// kill is kill -9. It returns when the process has ended.
func (p *process) kill() {
	p.end()
}

func (p *process) end() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// freeze stops the process with SIGSTOP, like a suspended host. It returns when all of its threads
// have stopped.
func (p *process) freeze() {
	p.s.Helper()
	require.NoError(p.s, p.cmd.Process.Signal(syscall.SIGSTOP))
	require.Eventually(p.s, func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
		return err == nil && bytes.Contains(status, []byte("\nState:\tT"))
	}, 10*time.Second, time.Millisecond, "%s did not stop", p.name)
}

// unfreeze continues a frozen process.
func (p *process) unfreeze() {
	p.s.Helper()
	require.NoError(p.s, p.cmd.Process.Signal(syscall.SIGCONT))
}

// stop asks the process to shut down, and requires that it does so without an error.
func (p *process) stop() {
	p.s.Helper()
	require.NoError(p.s, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.ended:
		require.NoError(p.s, p.err, "%s ended with an error\n%s", p.name, p.log())
	case <-time.After(45 * time.Second):
		require.FailNow(p.s, "the process did not end", "%s\n%s", p.name, p.log())
	}
}

// alive reports whether the process is running.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// log returns the last output of the process.
func (p *process) log() string { return p.output.String() }

// An output keeps the last output of a process and finds its address in it.
type output struct {
	mu           sync.Mutex
	text         []byte
	line         []byte // incomplete
	works        bool   // to be expected: a line about either
	listens      bool
	started      chan struct{} // closed when these are there
	base, client string
}

const outputKept = 64 << 10

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if over := len(o.text) - outputKept; over > 0 {
		o.text = append(o.text[:0], o.text[over:]...)
	}
	o.line = append(o.line, b...)
	for {
		line, rest, ended := bytes.Cut(o.line, []byte("\n"))
		if !ended {
			return len(b), nil
		}
		o.read(line)
		o.line = append([]byte(nil), rest...)
	}
}

// read looks for the lines that are logged once during startup.
func (o *output) read(line []byte) {
	var entry struct {
		Msg      string
		URL      string
		ClientID string `json:"client_id"`
	}
	if json.Unmarshal(line, &entry) != nil {
		return
	}
	switch entry.Msg {
	case "River client started":
		o.client = entry.ClientID
	case "serving":
		o.base = strings.TrimSuffix(entry.URL, "/")
	default:
		return
	}
	if (!o.works || o.client != "") && (!o.listens || o.base != "") {
		close(o.started)
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
