package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A narrator writes the story: headlines, and the results below them.
type narrator struct {
	out      io.Writer
	terminal bool // supports escape codes
	step     int
}

func (n *narrator) headline(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if n.terminal {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(n.out, "\n%s\n", text)
}

// chapter begins the next numbered step.
func (n *narrator) chapter(title string) {
	n.step++
	n.headline("%d. %s", n.step, title)
}

func (n *narrator) say(format string, args ...any) {
	fmt.Fprintf(n.out, "   "+format+"\n", args...)
}

// bar returns a progress bar, which is visible on a terminal only. The bar stays on screen when it
// is full.
func (n *narrator) bar(name, unit string, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(n.out), progressbar.OptionSetVisibility(n.terminal),
		progressbar.OptionSetDescription("   "+name), progressbar.OptionSetWidth(40),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(40*time.Millisecond),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(n.out) }))
}

// width is the maximum line length of wrapped text.
const width = 110

// wrap writes a long text in lines that begin with indent.
func (n *narrator) wrap(indent, text string) {
	line := indent
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && line != indent {
			fmt.Fprintln(n.out, line)
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(n.out, line)
}

// since formats the elapsed time for people.
func since(then time.Time) string {
	took := time.Since(then)
	if took < time.Second {
		return fmt.Sprintf("%d ms", max(took.Milliseconds(), 1))
	}
	return fmt.Sprintf("%.1f s", took.Seconds())
}

// clock formats the time of a tick.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
