package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// A program is a running thaw process.
type program struct {
	cmd    *exec.Cmd
	url    string // base URL, if it serves HTTP
	ready  chan string
	exited chan struct{}
	err    error // result of Wait
	log    lastLines
}

// start starts the program with arguments and returns when it is working or serving.
func (r *rig) start(ctx context.Context, db *database, env []string, args ...string) (*program, error) {
	p := &program{ready: make(chan string, 1), exited: make(chan struct{})}
	p.cmd = exec.Command(r.options.Program, append(args, "--log-format", "json")...) //nolint:noctx // it is stopped below
	// No other process uses the database: as many connections as a deployment for a large fleet
	// would have.
	p.cmd.Env = append(append(os.Environ(), env...), "THAW_DATABASE_URL="+db.URL, "THAW_MAX_CONNECTIONS=48")
	log, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", r.options.Program, err)
	}
	go func() {
		defer close(p.exited)
		p.follow(log)
		p.err = p.cmd.Wait()
	}()
	select {
	case p.url = <-p.ready:
		return p, nil
	case <-p.exited:
		return nil, fmt.Errorf("thaw %s ended: %w; the end of its log:\n%s", args[0], p.err, &p.log)
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), p.stop())
	}
}

// follow reads the log. A process has started when it logs "serving", or "working" if it does not
// serve.
func (p *program) follow(log io.Reader) {
	serves := p.cmd.Args[1] != "work"
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			if line.Msg == "serving" || line.Msg == "working" && !serves {
				p.ready <- line.URL
			}
		}
		fmt.Fprintln(&p.log, lines.Text())
	}
	_, _ = io.Copy(io.Discard, log) // a line that is too long stops the scanner; the program must not block
}

// stopPatience is how long the program may take to shut down.
const stopPatience = 30 * time.Second

// stop stops the program. Further calls do nothing.
func (p *program) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	select {
	case <-p.exited:
	case <-time.After(stopPatience):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	if p.err != nil {
		return fmt.Errorf("thaw ended with %w; the end of its log:\n%s", p.err, &p.log)
	}
	return nil
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peak returns the process's peak resident memory in MiB. It is available on Linux only.
func (p *program) peak() (float64, bool) { return peakMemory(p.cmd.Process.Pid) }

func peakMemory(pid int) (mib float64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	found := peakLine.FindSubmatch(status)
	if found == nil {
		return 0, false
	}
	kib, err := strconv.ParseFloat(string(found[1]), 64)
	return kib / 1024, err == nil
}

// during runs do while the program runs, and adds the program's peak memory to the sample.
func (r *rig) during(ctx context.Context, db *database, env, args []string, do func(*program) (sample, error)) (got sample, err error) {
	p, err := r.start(ctx, db, env, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if got, err = do(p); err != nil {
		return nil, fmt.Errorf("%w; the end of the log of thaw:\n%s", err, &p.log)
	}
	if mib, ok := p.peak(); ok {
		got[memory.Name] = mib
	}
	return got, nil
}
