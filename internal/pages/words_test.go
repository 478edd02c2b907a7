package pages

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/readmodel"
)

func TestCount(t *testing.T) {
	t.Parallel()
	million, none := 1234567, (*int64)(nil)
	for want, n := range map[string]any{"0": 0, "999": int32(999), "1,000": int64(1000), "1,234,567": &million, "-1,000": -1000, "–": none} {
		require.Equal(t, want, count(n))
	}
	require.Equal(t, "1 account", many(1, "account"))
	require.Equal(t, "0 accounts", many(0, "account"))
}

// A spreadsheet runs no cell of an export as a formula.
func TestExportedCellsAreHarmless(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{"": "", "a=b": "a=b", "=1+1": "'=1+1", "@x": "'@x", "-1": "'-1", "+1": "'+1"} {
		require.Equal(t, want, harmless(cell))
	}
}

// The chart of any range stays within its frame, and its scales cover all values.
func TestChartStaysWithinItsFrame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		points := make([]readmodel.TickPoint, rapid.IntRange(0, 300).Draw(r, "steps"))
		for i := range points {
			points[i] = readmodel.TickPoint{
				At: time.Unix(int64(i)*900, 0).UTC(), Resumable: rapid.IntRange(0, 10_000_000).Draw(r, "resumable"),
				BySweep: rapid.Int64Range(0, 2000).Draw(r, "by sweep"), BySignal: rapid.Int64Range(0, 2000).Draw(r, "by signal"),
				ByHeal: rapid.Int64Range(0, 2000).Draw(r, "by heal"),
			}
			if rapid.Bool().Draw(r, "counted") {
				paused := rapid.Int64Range(0, 10_000_000).Draw(r, "paused")
				points[i].Paused = &paused
			}
		}
		c := chartOf(points, chartRanges[0])
		for _, s := range c.Steps {
			if s.X < chartLeft-0.01 || s.X+s.Width > chartWidth-chartRight+0.01 || s.BarX < s.X-0.01 || s.BarX+s.BarWidth > s.X+s.Width+0.01 {
				r.Fatalf("step outside the frame: %+v", s)
			}
			for _, b := range s.Bars {
				if b.Y < barTop-0.01 || b.Height <= 0 || b.Y+b.Height > barTop+barHeight+0.01 {
					r.Fatalf("bar outside its panel: %+v", b)
				}
			}
		}
		for _, m := range c.Lines {
			if m.At < waitTop || m.At > barTop+barHeight {
				r.Fatalf("scale line outside the frame: %+v", m)
			}
		}
		if len(c.Times) > 12 {
			r.Fatalf("%d labels overlap", len(c.Times))
		}
	})
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.Int64Range(1, 1_000_000_000).Draw(r, "n")
		if up := roundUp(n); up < n || up > n*5/2+1 {
			r.Fatalf("%d rounds up to %d", n, up)
		}
	})
}
