package localpg

import (
	"bytes"
	"strings"
	"sync"
)

// tailBytes is how much of a log is kept: some twenty lines.
const tailBytes = 4096

// logTail keeps the last lines of what is written to it. Its zero value is ready for use.
type logTail struct {
	mu   sync.Mutex
	kept []byte
	cut  bool // kept begins inside a line
}

func (t *logTail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
		t.cut = true
	}
	return len(p), nil
}

// String returns the kept lines, whole ones only, without a final newline.
func (t *logTail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.kept
	if t.cut {
		_, lines, _ = bytes.Cut(lines, []byte("\n"))
	}
	return strings.TrimRight(string(lines), "\n")
}
