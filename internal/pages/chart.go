package pages

import (
	"fmt"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/readmodel"
)

// The sizes of the chart and its margins, in the units of its view box. Two panels are above each
// other: what waits, and what was resumed. Each has its own scale, because the caps of a tick limit
// the second, and nothing limits the first.
const (
	chartWidth, chartHeight = 960.0, 330.0
	chartLeft, chartRight   = 64.0, 8.0
	waitTop, waitHeight     = 12.0, 170.0
	barTop, barHeight       = 206.0, 90.0
)

// A chart shows what waits and what was resumed over time.
type chart struct {
	Points    []readmodel.TickPoint
	Steps     []step
	Resumable string // points of a polyline
	Paused    string
	Lines     []mark // scales of both panels
	Times     []mark
}

// A step is a column of the chart: its bars, and the area that shows its numbers on hover.
type step struct {
	X, Width, BarX, BarWidth float64
	Bars                     []bar
	At                       time.Time
	Text                     string
}

// A bar is a part of what was resumed, or settled, in a step.
type bar struct {
	Kind      string // sweep, signal or heal; sent, unknown or undelivered
	Y, Height float64
	count     int64
}

// A mark is a labelled position on a scale.
type mark struct {
	At    float64
	Label string
	Time  time.Time // of a mark on the time scale
}

func chartOf(points []readmodel.TickPoint, in chartRange) chart {
	c := chart{Points: points}
	if len(points) < 2 {
		return c
	}
	most, mostResumed := int64(1), int64(1)
	for _, p := range points {
		most = max(most, int64(p.Resumable))
		if p.Paused != nil {
			most = max(most, *p.Paused)
		}
		mostResumed = max(mostResumed, p.Resumed())
	}
	most, mostResumed = roundUp(most), roundUp(mostResumed)
	y := func(value int64) float64 { return waitTop + waitHeight*(1-float64(value)/float64(most)) }

	c.Steps, c.Times = layOut(len(points), func(i int) time.Time { return points[i].At }, in)
	var resumable, paused strings.Builder
	for i, p := range points {
		s := &c.Steps[i]
		fmt.Fprintf(&resumable, "%.1f,%.1f ", s.X+s.Width/2, y(int64(p.Resumable)))
		if p.Paused != nil {
			fmt.Fprintf(&paused, "%.1f,%.1f ", s.X+s.Width/2, y(*p.Paused))
		}
		s.Text = hover(p)
		s.Bars = stack(barTop, barHeight, mostResumed, bar{Kind: "sweep", count: p.BySweep}, bar{Kind: "signal", count: p.BySignal}, bar{Kind: "heal", count: p.ByHeal})
	}
	c.Resumable, c.Paused = strings.TrimSpace(resumable.String()), strings.TrimSpace(paused.String())
	for _, part := range []int64{0, 1, 2} {
		c.Lines = append(c.Lines, mark{At: y(most * part / 2), Label: count(most * part / 2)})
	}
	c.Lines = append(c.Lines, mark{At: barTop + barHeight, Label: "0"}, mark{At: barTop, Label: count(mostResumed)})
	return c
}

// layOut returns the columns of a chart, without their bars, and the marks of its time scale.
func layOut(columns int, at func(int) time.Time, in chartRange) (steps []step, times []mark) {
	width := (chartWidth - chartLeft - chartRight) / float64(columns)
	for i := range columns {
		s := step{X: chartLeft + width*float64(i), Width: width, BarWidth: min(width*0.8, 28), At: at(i)}
		s.BarX = s.X + (width-s.BarWidth)/2
		steps = append(steps, s)
		if every := max(1, columns/6); i%every == 0 {
			times = append(times, mark{s.X + width/2, s.At.Format(in.format), s.At})
		}
	}
	return steps, times
}

// stack puts bars on each other, in a panel whose height stands for most.
func stack(top, height float64, most int64, parts ...bar) (bars []bar) {
	y := top + height
	for _, part := range parts {
		if part.count > 0 {
			part.Height = height * float64(part.count) / float64(most)
			y -= part.Height
			part.Y = y
			bars = append(bars, part)
		}
	}
	return bars
}

// An actionChart shows what senders settled over time, in one panel with the height of the upper
// one of a [chart].
type actionChart struct {
	Points []readmodel.ActionStep
	Steps  []step
	Lines  []mark
	Times  []mark
}

func actionChartOf(points []readmodel.ActionStep, in chartRange) actionChart {
	c := actionChart{Points: points}
	if len(points) == 0 {
		return c
	}
	most := int64(1)
	for _, p := range points {
		most = max(most, p.Settled())
	}
	most = roundUp(most)
	c.Steps, c.Times = layOut(len(points), func(i int) time.Time { return points[i].At }, in)
	for i, p := range points {
		c.Steps[i].Text = fmt.Sprintf("%s: %s sent, %s unknown, %s not delivered", p.At.Format("2006-01-02 15:04 UTC"), count(p.Sent), count(p.Unknown), count(p.Undelivered))
		c.Steps[i].Bars = stack(waitTop, waitHeight, most,
			bar{Kind: "sent", count: p.Sent}, bar{Kind: "unknown", count: p.Unknown}, bar{Kind: "undelivered", count: p.Undelivered})
	}
	c.Lines = []mark{{At: waitTop + waitHeight, Label: "0"}, {At: waitTop, Label: count(most)}}
	return c
}

// hover returns the numbers of a step.
func hover(p readmodel.TickPoint) string {
	text := fmt.Sprintf("%s: %s ready to resume", p.At.Format("2006-01-02 15:04 UTC"), count(p.Resumable))
	if p.Paused != nil {
		text += fmt.Sprintf(", %s paused", count(*p.Paused))
	}
	return text + fmt.Sprintf("; resumed %s (%s by the sweep, %s on reconnect, %s by heals)",
		count(p.Resumed()), count(p.BySweep), count(p.BySignal), count(p.ByHeal))
}

// A chartRange is a range that a viewer can choose.
type chartRange struct {
	Key, Label, Path string
	IsChosen         bool
	format           string // of the times below the chart
	reads            readmodel.ChartRange
}

// Unit is what the marks on the time scale show: the time or the day.
func (r chartRange) Unit() string {
	if r.reads == readmodel.ChartDay {
		return "time"
	}
	return "day"
}

// Column is how long a column of the chart of actions is.
func (r chartRange) Column() string {
	if r.reads == readmodel.ChartMonth {
		return "4 hours"
	}
	return "hour"
}

// chartRanges are the ranges; the first is shown if none is chosen.
var chartRanges = []chartRange{
	{Key: "day", Label: "Last 24 hours", format: "15:04", reads: readmodel.ChartDay},
	{Key: "week", Label: "Last 7 days", format: "Jan 2", reads: readmodel.ChartWeek},
	{Key: "month", Label: "Last 30 days", format: "Jan 2", reads: readmodel.ChartMonth},
}

// roundUp returns the next round number: a digit followed by zeros.
func roundUp(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, digit := range []int64{1, 2, 3, 4, 5, 6, 8} {
			if digit*unit >= n {
				return digit * unit
			}
		}
	}
}
