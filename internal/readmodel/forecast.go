package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/plan"
)

// Horizon is the length of a forecast, in ticks: four weeks of quarter hours.
const Horizon = 4 * 7 * 24 * 4

// allocations limits the work of a forecast. It is enough for four weeks if fewer than 190 accounts
// take part in each tick, and for two and a half days if 2,000 do. A forecast takes at most a
// quarter of a second and keeps at most 10 MiB.
const allocations = 500_000

// Forecast returns when the enrollments that wait now will resume, by account and queue position,
// if nothing else changes. Pending signals and heals may resume them earlier.
func Forecast(ctx context.Context, db *store.Store) (*plan.Forecast, error) {
	seen, err := see(ctx, db)
	if err != nil {
		return nil, err
	}
	return seen.forecast, nil
}

// ticks is the current tick with the settings that determine the following ones.
type ticks struct {
	current   time.Time
	isPlanned bool // the sweep of the current tick has a plan
	length    time.Duration
	settings  dbsqlc.SettingsRow
}

// next returns the next tick to be planned.
func (t ticks) next() time.Time {
	if t.isPlanned {
		return t.current.Add(t.length)
	}
	return t.current
}

func readTicks(ctx context.Context, q *dbsqlc.Queries) (ticks, error) {
	tick, err := q.TickPlanned(ctx)
	if err != nil {
		return ticks{}, fmt.Errorf("reading the tick: %w", err)
	}
	settings, err := q.Settings(ctx)
	if err != nil {
		return ticks{}, fmt.Errorf("reading settings: %w", err)
	}
	return ticks{current: tick.TickAt.UTC(), isPlanned: tick.IsPlanned, length: settings.Tick, settings: settings}, nil
}

// forecastFor starts with the current tick even if that already has a plan; the tick is then
// limited to the open allocations of the plan. It may change the quota of the candidates.
func forecastFor(ctx context.Context, q *dbsqlc.Queries, t ticks, candidates []plan.Candidate) (*plan.Forecast, error) {
	quota := int(t.settings.FleetCap)
	if t.isPlanned {
		var err error
		if quota, err = keepToPlan(ctx, q, t.current, candidates); err != nil {
			return nil, err
		}
	}
	return plan.NewForecast(candidates, plan.Rules{
		First: t.current, FirstQuota: quota,
		Tick: t.length, FleetCap: int(t.settings.FleetCap),
		Horizon: Horizon, Allocations: allocations,
	}), nil
}

// keepToPlan limits the quota of the candidates to the open allocations of the tick's plan, and
// returns the sum.
func keepToPlan(ctx context.Context, q *dbsqlc.Queries, tick time.Time, candidates []plan.Candidate) (quota int, err error) {
	allocations, err := q.OpenAllocations(ctx, tick)
	if err != nil {
		return 0, fmt.Errorf("reading open allocations: %w", err)
	}
	planned := make(map[int64]int, len(allocations))
	for _, g := range allocations {
		planned[g.AccountID] = int(g.Planned)
	}
	for i, c := range candidates {
		candidates[i].Quota = max(0, min(c.Quota, planned[c.AccountID]))
		quota += candidates[i].Quota
	}
	return quota, nil
}
