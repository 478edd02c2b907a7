package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// Horizon is how far a forecast looks ahead, in ticks: four weeks of quarter hours.
const Horizon = 4 * 7 * 24 * 4

// allocations bounds the work of a forecast: enough for four weeks of a fleet in which fewer than 190 accounts take part in each
// tick, and for two and a half days of one in which 2,000 do. It takes a quarter of a second at most, and keeps 10 MiB at most.
const allocations = 500_000

// Forecast says when the enrollments that wait at this moment will be resumed, by account and position in line, if nothing
// else changes. Signals that are about to resume somebody, and heals, make it sooner.
func Forecast(ctx context.Context, db *pgxpool.Pool) (*plan.Forecast, error) {
	seen, err := see(ctx, db)
	if err != nil {
		return nil, err
	}
	return seen.forecast, nil
}

// ticks says where the fleet is in time.
type ticks struct {
	current   time.Time
	isPlanned bool // the sweep of the current tick has made its plan
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

// forecastFor begins with the current tick even if that is planned already: what its plan has still to give is then all that there
// is to give in it. It may change the quota of the candidates.
func forecastFor(ctx context.Context, q *dbsqlc.Queries, t ticks, candidates []plan.Candidate) (*plan.Forecast, error) {
	budget := int(t.settings.FleetCap)
	if t.isPlanned {
		var err error
		if budget, err = keepToPlan(ctx, q, t.current, candidates); err != nil {
			return nil, err
		}
	}
	return plan.NewForecast(candidates, plan.Rules{
		First: t.current, FirstBudget: budget,
		Tick: t.length, FleetCap: int(t.settings.FleetCap), AccountCap: int(t.settings.AccountCap),
		Horizon: Horizon, Allocations: allocations,
	}), nil
}

// keepToPlan leaves the candidates the quota that the plan of the tick has still to give them, and returns the sum of it.
func keepToPlan(ctx context.Context, q *dbsqlc.Queries, tick time.Time, candidates []plan.Candidate) (budget int, err error) {
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
		budget += candidates[i].Quota
	}
	return budget, nil
}
