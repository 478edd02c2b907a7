package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A progress shows the progress of a long command: on a terminal a bar with rate and remaining
// time, elsewhere a line every few seconds.
type progress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar
	name  string
	unit  string
	total int64
	last  time.Time
}

// lineEvery is the interval of progress lines if the output is not a terminal.
const lineEvery = 5 * time.Second

// newProgress counts units up to total. A negative total means unknown.
func newProgress(w io.Writer, name, unit string, total int64) *progress {
	p := &progress{w: w, name: name, unit: unit, total: total, last: time.Now()}
	if isTerminal(w) {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(name), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit), progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

// expect corrects the total.
func (p *progress) expect(total int64) {
	if total == p.total || total <= 0 {
		return
	}
	p.total = total
	if p.bar != nil {
		p.bar.ChangeMax64(total)
	}
}

func (p *progress) set(done int64) {
	switch {
	case p.bar != nil:
		_ = p.bar.Set64(done)
	case time.Since(p.last) >= lineEvery:
		p.last = time.Now()
		if p.total > 0 {
			printf(p.w, "%s: %d of %d %s\n", p.name, done, p.total, p.unit)
		} else {
			printf(p.w, "%s: %d %s\n", p.name, done, p.unit)
		}
	}
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
