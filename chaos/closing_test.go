package chaos_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A closing is the summary line of a scenario.
type closing struct {
	name string
	did  string
	seed int64
	rows int64 // in the test
	lost string
	took time.Duration
}

func (c closing) String() string {
	return fmt.Sprintf("%s: %s; seed %d; %d rows in the test; lost: %s; %s", c.name, c.did, c.seed, c.rows, c.lost, c.took.Round(time.Second/10))
}

// closings are the summary lines of all scenarios of this run.
var closings book

type book struct {
	mu    sync.Mutex
	lines []closing
}

func (b *book) add(c closing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, c)
}

// write writes a Markdown table, unless path is empty.
func (b *book) write(path string) error {
	if path == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.SortFunc(b.lines, func(x, y closing) int { return cmp.Compare(x.name, y.name) })
	var text strings.Builder
	text.WriteString("| scenario | what it did | seed | rows in the test | lost | duration |\n|---|---|---:|---:|---|---:|\n")
	for _, c := range b.lines {
		fmt.Fprintf(&text, "| %s | %s | %d | %d | %s | %s |\n", c.name, c.did, c.seed, c.rows, c.lost, c.took.Round(time.Second/10))
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}
