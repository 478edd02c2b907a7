package bench

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A logTap receives the server's log and keeps selected parts.
type logTap struct {
	mu   sync.Mutex
	open bool
	text strings.Builder
}

// Write implements [io.Writer].
func (t *logTap) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open {
		t.text.Write(p)
	}
	return len(p), nil
}

// logLag is how long the server may take to write its log.
const logLag = 500 * time.Millisecond

// start starts keeping the log.
func (t *logTap) start() { t.set(true) }

// end returns what the server has logged since start, and stops keeping the log.
func (t *logTap) end(ctx context.Context) string {
	select {
	case <-ctx.Done():
	case <-time.After(logLag):
	}
	return t.set(false)
}

// set opens or closes the tap and returns what was kept.
func (t *logTap) set(open bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.text.String()
	t.text.Reset()
	t.open = open
	return text
}

// logged matches the statements in a log written with log_statement = all: session and text.
var logged = regexp.MustCompile(`(?m)^\S+ \S+ UTC \[(\d+)\] LOG:  (?:statement|execute [^:]+): (.*(?:\n\t.*)*)`)

// statements returns the statements of a log by session.
func statements(log string) map[string][]string {
	sessions := make(map[string][]string)
	for _, found := range logged.FindAllStringSubmatch(log, -1) {
		sessions[found[1]] = append(sessions[found[1]], found[2])
	}
	return sessions
}
