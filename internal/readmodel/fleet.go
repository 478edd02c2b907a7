package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// A FleetReport says where the fleet stands at this moment, or one workspace of it.
type FleetReport struct {
	Now    time.Time `json:"now"` // by the clock of the database, which ticks follow
	Safety Safety    `json:"safety"`
	Tick   FleetTick `json:"tick"`
	// Backlog is nil where it could not be counted in time.
	Backlog *FleetBacklog `json:"backlog"`
	// Forecast says of which moment Backlog is; nil: it could not be counted in time.
	Forecast *ForecastInfo `json:"forecast"`
	// Budgets are those of the current tick; nil within the scope of one workspace.
	Budgets *Budgets `json:"budgets"`
	// LastSweep is the newest tick with a plan; nil: there was none yet, or none with something for the workspace.
	LastSweep *SweepEntry `json:"last_sweep"`
}

// A FleetTick says where the fleet is in time.
type FleetTick struct {
	At      time.Time `json:"at"`
	NextAt  time.Time `json:"next_at"`
	Seconds float64   `json:"seconds"`    // from a tick to the next
	Planned bool      `json:"is_planned"` // its sweep has made its plan
}

// A FleetBacklog counts those whom a sweep may resume now.
type FleetBacklog struct {
	Resumable int64 `json:"resumable"`
	Accounts  int   `json:"accounts"` // through which they resume
}

// Budgets are what a tick may resume in the whole fleet, by lane.
type Budgets struct {
	Sweep  Budget `json:"sweep"`
	Signal Budget `json:"signal"`
}

// A Budget is what a lane may resume in a tick, in enrollments, and has.
type Budget struct {
	Cap  int `json:"cap"`
	Used int `json:"used"`
}

// Fleet returns where the fleet stands, or the one workspace of the scope.
func (f *Reader) Fleet(ctx context.Context, s Scope) (FleetReport, error) {
	var report FleetReport
	seen, err := f.now(ctx)
	if err == nil {
		err = read(ctx, f.db, func(q *dbsqlc.Queries) (err error) {
			report, err = fleetReport(ctx, q, s, seen)
			return err
		})
	}
	if err != nil {
		return FleetReport{}, fmt.Errorf("reading the fleet: %w", err)
	}
	return report, nil
}

// fleetReport takes what is seen of the whole fleet; nil: it is not known.
func fleetReport(ctx context.Context, q *dbsqlc.Queries, s Scope, seen *view) (report FleetReport, err error) {
	now, err := q.Clock(ctx)
	if err != nil {
		return report, err
	}
	report.Now = now.UTC()
	if report.Safety, err = readSafety(ctx, q); err != nil {
		return report, err
	}
	t, err := readTicks(ctx, q)
	if err != nil {
		return report, err
	}
	report.Tick = FleetTick{At: t.current, NextAt: t.current.Add(t.length), Seconds: t.length.Seconds(), Planned: t.isPlanned}
	last, err := sweeps(ctx, q, s, Paging{Limit: 1})
	if err != nil {
		return report, err
	}
	if len(last.Items) > 0 {
		report.LastSweep = &last.Items[0]
	}
	report.Forecast = seen.info()
	if s.IsOneWorkspace() {
		// What it is like elsewhere is not a tenant's to know.
		report.Safety.EnteredBy, report.Safety.AccountsLost, report.Safety.AccountsConnected = "", nil, nil
		if seen != nil {
			own := seen.workspaces[s.first]
			report.Backlog = &own
		}
		return report, nil
	}
	if report.Budgets, err = budgets(ctx, q, t); err != nil {
		return report, err
	}
	if seen != nil {
		report.Backlog = &FleetBacklog{Resumable: int64(seen.backlog), Accounts: seen.accounts}
	}
	return report, nil
}

// budgets begin with the caps of the settings; what has a row was taken from already.
func budgets(ctx context.Context, q *dbsqlc.Queries, t ticks) (*Budgets, error) {
	b := &Budgets{Sweep: Budget{Cap: int(t.settings.FleetCap)}, Signal: Budget{Cap: int(t.settings.SignalCap)}}
	rows, err := q.FleetBudgets(ctx, t.current)
	if err != nil {
		return nil, fmt.Errorf("reading budgets: %w", err)
	}
	for _, row := range rows {
		budget := Budget{Cap: int(row.Cap), Used: int(row.Used)}
		switch row.Lane {
		case "sweep":
			b.Sweep = budget
		case "signal":
			b.Signal = budget
		}
	}
	return b, nil
}
