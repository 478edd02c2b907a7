package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// A queue is another job queue with its settings.
type queue struct {
	name     string
	script   string
	settings map[string]any
}

// A peer is a running script; see peers/protocol.mjs.
type peer struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	ready  chan struct{}
	exited chan struct{}
	errors lastLines

	mu      sync.Mutex
	asked   int
	answers map[int]chan answer
}

type answer struct {
	Ready bool    `json:"ready"`
	ID    int     `json:"id"`
	At    float64 `json:"at"` // milliseconds since the epoch
	Error string  `json:"error"`
}

// duringPeer runs do while a queue's workers run.
func (r *rig) duringPeer(ctx context.Context, db *database, q queue, do func(*peer) (sample, error)) (got sample, err error) {
	p, err := r.startPeer(ctx, db, q)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", q.name, err)
	}
	defer p.stop()
	got, err = do(p)
	if said := p.errors.String(); err != nil && said != "" {
		err = fmt.Errorf("%w; its errors:\n%s", err, said)
	}
	return got, err
}

func (r *rig) startPeer(ctx context.Context, db *database, q queue) (*peer, error) {
	options, err := json.Marshal(map[string]any{"url": db.URL, "settings": q.settings})
	if err != nil {
		return nil, err
	}
	p := &peer{ready: make(chan struct{}), exited: make(chan struct{}), answers: make(map[int]chan answer)}
	p.cmd = exec.Command(r.peers.node, filepath.Join(r.peers.folder, q.script), string(options)) //nolint:noctx // stop ends it
	p.cmd.Dir, p.cmd.Stderr = r.peers.folder, &p.errors
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		p.listen(stdout)
		_ = p.cmd.Wait() // its stderr has the reason
	}()
	select {
	case <-p.ready:
		return p, nil
	case <-p.exited:
		err = errors.New("it ended")
	case <-time.After(patience):
		err = fmt.Errorf("it was not ready after %s", patience)
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.stop()
	return nil, fmt.Errorf("%w\n%s", err, p.errors.String())
}

// listen reads the script's responses line by line. It skips output of the script's packages.
func (p *peer) listen(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var said answer
		if json.Unmarshal(lines.Bytes(), &said) != nil {
			continue
		}
		if said.Ready {
			close(p.ready)
			continue
		}
		p.mu.Lock()
		waiting := p.answers[said.ID]
		delete(p.answers, said.ID)
		p.mu.Unlock()
		if waiting != nil {
			waiting <- said
		}
	}
}

// ask sends a request and returns the time in the script's response.
func (p *peer) ask(ctx context.Context, request map[string]any) (time.Time, error) {
	answered := make(chan answer, 1)
	p.mu.Lock()
	p.asked++
	request["id"] = p.asked
	p.answers[p.asked] = answered
	line, err := json.Marshal(request)
	if err == nil {
		_, err = p.stdin.Write(append(line, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		return time.Time{}, err
	}
	select {
	case said := <-answered:
		if said.Error != "" {
			return time.Time{}, errors.New(said.Error)
		}
		return time.UnixMicro(int64(said.At * 1000)), nil
	case <-p.exited:
		return time.Time{}, errors.New("it ended")
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// peerStopPatience is short because the shutdown of a queue is not measured.
const peerStopPatience = 5 * time.Second

func (p *peer) stop() {
	_ = p.stdin.Close()
	select {
	case <-p.exited:
	case <-time.After(peerStopPatience):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}
