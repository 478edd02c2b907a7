package bench

import (
	"bytes"
	"strings"
	"sync"
)

// lastLines keeps the last lines of a process's output, for the error that reports its failure.
type lastLines struct {
	mu    sync.Mutex
	lines []string
	open  []byte
}

const keptLines = 20

// Write implements [io.Writer].
func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, p...)
	for {
		line, rest, whole := bytes.Cut(l.open, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.lines = append(l.lines[max(0, len(l.lines)-keptLines+1):], string(line))
		l.open = rest
	}
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(append(l.lines[:len(l.lines):len(l.lines)], string(l.open)), "\n")
}
