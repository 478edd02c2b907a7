package simulate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A child is a process of the simulation: a server or a sender.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser // of a sender
	lines chan string    // of a sender's standard output; closed when it ends
	url   string         // of a server
	tail  []string       // the last lines of a server's log
}

const (
	secret = "secret-of-the-simulation"
	// patience is how long the simulation waits for a process before it gives up.
	patience = 2 * time.Minute
)

func startServer(ctx context.Context, program, databaseURL string) (*child, error) {
	c := &child{cmd: exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--log-format", "json", "--log-level", "info")} //nolint:noctx // it is killed below
	c.cmd.Env = append(os.Environ(), "THAW_DATABASE_URL="+databaseURL, "THAW_UNIPILE_V1_SECRET="+secret)
	log, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	ready := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(log)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				ready <- line.URL
			}
			c.tail = append(c.tail[max(0, len(c.tail)-20):], lines.Text())
		}
		_, _ = io.Copy(io.Discard, log)
	}()
	select {
	case c.url = <-ready:
		return c, nil
	case <-ended:
		return nil, errors.Join(fmt.Errorf("the server ended: %v", c.tail), c.kill())
	case <-time.After(patience):
		return nil, errors.Join(errors.New("the server does not start"), c.kill())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), c.kill())
	}
}

func startSender(program, databaseURL, providerURL string) (*child, error) {
	c := &child{cmd: exec.Command(program, "simulate", "--sender-of", providerURL), lines: make(chan string)} //nolint:noctx // it is killed below
	c.cmd.Env = append(os.Environ(), "THAW_DATABASE_URL="+databaseURL)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a sender: %w", err)
	}
	go func() {
		defer close(c.lines)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			c.lines <- lines.Text()
		}
	}()
	return c, nil
}

// kill ends a process as kill -9 does, and waits for its end.
func (c *child) kill() error {
	err := c.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	if c.lines != nil {
		for range c.lines { // until it is closed
		}
	}
	_ = c.cmd.Wait() // always an error after a kill
	return err
}

// round makes a sender do what can be done now, and reports whether it is still alive after it. It
// dies after a stage of it. Empty: it lives.
func (c *child) round(ctx context.Context, dies stage) (alive bool, err error) {
	line := "go\n"
	if dies != "" {
		line = fmt.Sprintf("die %s\n", dies)
	}
	if _, err := io.WriteString(c.in, line); err != nil {
		return false, fmt.Errorf("a sender ended: %w", err)
	}
	select {
	case _, ok := <-c.lines:
		if !ok && dies == "" {
			return false, errors.New("a sender ended by itself")
		}
		return ok, nil
	case <-time.After(patience):
		return false, errors.New("a sender does not answer")
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// cpuTime returns the CPU time of this process and of its children that have ended.
func cpuTime() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if syscall.Getrusage(who, &usage) == nil {
			sum += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		}
	}
	return sum
}
