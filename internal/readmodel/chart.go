package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A TickPoint is a step of the chart: one tick, or several.
type TickPoint struct {
	At        time.Time // when the step begins
	Resumable int       // ready to resume after its last tick
	Paused    *int64    // in its last tick; nil if not counted
	// What was resumed in the step, by the sweep, on reconnect and by heals. A heal counts in the
	// step in which it was started.
	BySweep, BySignal, ByHeal int64
}

// Resumed is the sum of what was resumed.
func (p TickPoint) Resumed() int64 { return p.BySweep + p.BySignal + p.ByHeal }

// A ChartRange is how far back a chart goes.
type ChartRange struct {
	Since time.Duration
	step  time.Duration // at least; a tick may be longer
}

// The ranges of a chart. The day has a step per tick.
var (
	ChartDay   = ChartRange{24 * time.Hour, 0}
	ChartWeek  = ChartRange{7 * 24 * time.Hour, time.Hour}
	ChartMonth = ChartRange{30 * 24 * time.Hour, 4 * time.Hour}
)

// chartSteps is the maximum number of steps of a chart.
const chartSteps = 200

// Chart returns the steps of a range, oldest first.
func Chart(ctx context.Context, db *store.Store, in ChartRange) ([]TickPoint, error) {
	var points []TickPoint
	err := db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		settings, err := q.Settings(ctx)
		if err != nil {
			return err
		}
		step := max(in.step, settings.Tick)
		rows, err := q.ChartPoints(ctx, dbsqlc.ChartPointsParams{Step: step, Since: in.Since, Size: chartSteps})
		if err != nil {
			return err
		}
		heals, err := q.ChartHeals(ctx, dbsqlc.ChartHealsParams{Step: step, Since: in.Since})
		if err != nil {
			return err
		}
		healed := map[int64]int64{}
		for _, h := range heals {
			healed[h.At.Unix()] = h.Resumed
		}
		points = make([]TickPoint, len(rows))
		for i, r := range rows {
			point := TickPoint{
				At: r.At.UTC(), Resumable: int(r.Remaining),
				BySweep: r.Resumed, BySignal: r.ResumedBySignal, ByHeal: healed[r.At.Unix()],
			}
			if r.Paused >= 0 {
				point.Paused = &r.Paused
			}
			points[len(rows)-1-i] = point
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the chart: %w", err)
	}
	return points, nil
}
