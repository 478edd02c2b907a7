package pages

import (
	"fmt"
	"strings"

	"github.com/thawline/thaw/internal/readmodel"
)

// The size of the chart, in the units of its view box, and its margins.
const (
	chartWidth, chartHeight = 960.0, 260.0
	chartLeft, chartRight   = 64.0, 8.0
	chartTop, chartBottom   = 12.0, 28.0
)

// A chart shows the ticks of the last 24 hours: bars for resumed prospects, lines for prospects
// that are ready to resume or paused. Bars have a separate scale, because the cap of a tick limits
// them and nothing limits the lines.
type chart struct {
	Points    []readmodel.TickPoint
	Bars      []bar
	Resumable string // points of a polyline
	Paused    string
	Lines     []mark // scale of the lines
	Times     []mark
	MostBars  int
}

type bar struct{ X, Y, Width, Height float64 }

// A mark is a labelled position on a scale.
type mark struct {
	At    float64
	Label string
}

func chartOf(points []readmodel.TickPoint) chart {
	c := chart{Points: points}
	if len(points) < 2 {
		return c
	}
	most := int64(1)
	for _, p := range points {
		most = max(most, int64(p.Resumable))
		if p.Paused != nil {
			most = max(most, *p.Paused)
		}
		c.MostBars = max(c.MostBars, p.Resumed)
	}
	most = roundUp(most)
	area := chartHeight - chartTop - chartBottom
	slot := (chartWidth - chartLeft - chartRight) / float64(len(points))
	y := func(value, of int64) float64 { return chartTop + area*(1-float64(value)/float64(of)) }

	var resumable, paused strings.Builder
	for i, p := range points {
		x := chartLeft + slot*(float64(i)+0.5)
		fmt.Fprintf(&resumable, "%.1f,%.1f ", x, y(int64(p.Resumable), most))
		if p.Paused != nil {
			fmt.Fprintf(&paused, "%.1f,%.1f ", x, y(*p.Paused, most))
		}
		if p.Resumed > 0 {
			height := area * float64(p.Resumed) / float64(c.MostBars) / 2
			width := min(slot*0.8, 28)
			c.Bars = append(c.Bars, bar{x - width/2, chartTop + area - height, width, height})
		}
		if every := max(1, len(points)/6); i%every == 0 {
			c.Times = append(c.Times, mark{x, p.TickAt.Format("15:04")})
		}
	}
	c.Resumable, c.Paused = strings.TrimSpace(resumable.String()), strings.TrimSpace(paused.String())
	for _, part := range []int64{0, 1, 2} {
		c.Lines = append(c.Lines, mark{y(most*part/2, most), count(most * part / 2)})
	}
	return c
}

// roundUp returns the next round number: 1, 2 or 5 followed by zeros.
func roundUp(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, digit := range []int64{1, 2, 5} {
			if digit*unit >= n {
				return digit * unit
			}
		}
	}
}
