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

// A bar is a part of what was resumed in a step.
type bar struct {
	Kind      string // sweep, signal or heal
	Y, Height float64
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
	width := (chartWidth - chartLeft - chartRight) / float64(len(points))
	y := func(value int64) float64 { return waitTop + waitHeight*(1-float64(value)/float64(most)) }

	var resumable, paused strings.Builder
	for i, p := range points {
		x := chartLeft + width*float64(i)
		fmt.Fprintf(&resumable, "%.1f,%.1f ", x+width/2, y(int64(p.Resumable)))
		if p.Paused != nil {
			fmt.Fprintf(&paused, "%.1f,%.1f ", x+width/2, y(*p.Paused))
		}
		s := step{X: x, Width: width, BarWidth: min(width*0.8, 28), At: p.At, Text: hover(p)}
		s.BarX = x + (width-s.BarWidth)/2
		top := barTop + barHeight
		for _, part := range []struct {
			kind  string
			count int64
		}{{"sweep", p.BySweep}, {"signal", p.BySignal}, {"heal", p.ByHeal}} {
			if part.count > 0 {
				height := barHeight * float64(part.count) / float64(mostResumed)
				top -= height
				s.Bars = append(s.Bars, bar{part.kind, top, height})
			}
		}
		c.Steps = append(c.Steps, s)
		if every := max(1, len(points)/6); i%every == 0 {
			c.Times = append(c.Times, mark{x + width/2, p.At.Format(in.format), p.At})
		}
	}
	c.Resumable, c.Paused = strings.TrimSpace(resumable.String()), strings.TrimSpace(paused.String())
	for _, part := range []int64{0, 1, 2} {
		c.Lines = append(c.Lines, mark{At: y(most * part / 2), Label: count(most * part / 2)})
	}
	c.Lines = append(c.Lines, mark{At: barTop + barHeight, Label: "0"}, mark{At: barTop, Label: count(mostResumed)})
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
