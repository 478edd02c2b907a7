package localpg

import (
	"bytes"
	"strings"
	"sync"
)

// tailBytes is how many bytes of a log are kept: about twenty lines.
const tailBytes = 4096

// logTail keeps the last lines that are written to it. The zero value is ready to use.
type logTail struct {
	mu   sync.Mutex
	kept []byte
	cut  bool // kept begins in the middle of a line
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

// String returns the kept complete lines, without a final line break.
func (t *logTail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.kept
	if t.cut {
		_, lines, _ = bytes.Cut(lines, []byte("\n"))
	}
	return strings.TrimRight(string(lines), "\n")
}
