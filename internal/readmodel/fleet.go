package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
)

// A FleetReport is the current state of the fleet, or of one workspace.
type FleetReport struct {
	Now time.Time `json:"now"` // by the database clock, which ticks follow
	Conditions
	Tick   FleetTick   `json:"tick"`
	Paused PausedCount `json:"paused"`
	// Backlog is nil if it could not be counted in time.
	Backlog *FleetBacklog `json:"backlog"`
	// Moves is counted with Backlog; nil likewise, and in the scope of one workspace.
	Moves *FleetMoves `json:"moves"`
	// Forecast describes the forecast behind Backlog; nil if there was none in time.
	Forecast *ForecastInfo `json:"forecast"`
	// Quotas are the quotas of the current tick; nil in the scope of one workspace.
	Quotas *Quotas `json:"quotas"`
	// LastSweep is the newest tick with a plan; nil if there is none, or none that included the
	// workspace.
	LastSweep *SweepEntry `json:"last_sweep"`
	// UnknownActions is how many actions have an unknown outcome, up to 10,000.
	UnknownActions int64 `json:"unknown_actions"`
}

// A PausedCount counts the paused prospects. It is exact at its own time.
type PausedCount struct {
	// At is when they were counted, by the database clock: at the time of the report, or for a large
	// fleet up to 3 seconds earlier.
	At       time.Time        `json:"at"`
	Total    int64            `json:"total"`   // for any reason
	Waiting  int64            `json:"waiting"` // of them, waiting for an account, connected or not
	ByReason map[string]int64 `json:"by_reason"`
}

// A FleetTick is the current tick.
type FleetTick struct {
	At      time.Time `json:"at"`
	NextAt  time.Time `json:"next_at"`
	Seconds float64   `json:"seconds"`    // length of a tick
	Planned bool      `json:"is_planned"` // its sweep has a plan
}

// A FleetBacklog counts the prospects that a sweep may resume now.
type FleetBacklog struct {
	Resumable int64 `json:"resumable"`
	Accounts  int   `json:"accounts"` // that they resume through
}

// FleetMoves counts the prospects that have not started, on accounts that are gone, and that the
// next sweeps move to a connected account of the same person.
type FleetMoves struct {
	// Prospects are counted up to maxMoves. With more, HasMore is true, and Accounts is a lower bound.
	Prospects int64 `json:"prospects"`
	HasMore   bool  `json:"-"`
	Accounts  int64 `json:"accounts"` // that they leave
}

// maxMoves limits the work of counting moves.
const maxMoves = 100_000

func countMoves(ctx context.Context, q *dbsqlc.Queries) (FleetMoves, error) {
	row, err := q.OpenMoves(ctx, maxMoves+1)
	if err != nil {
		return FleetMoves{}, fmt.Errorf("counting moves: %w", err)
	}
	return FleetMoves{Prospects: min(row.Prospects, maxMoves), HasMore: row.Prospects > maxMoves, Accounts: row.Accounts}, nil
}

// Quotas are the limits of a tick for the whole fleet, by lane.
type Quotas struct {
	Sweep  Quota `json:"sweep"`
	Signal Quota `json:"signal"`
}

// A Quota is how many enrollments a lane may resume in a tick, and how many it has resumed.
type Quota struct {
	Cap  int `json:"cap"`
	Used int `json:"used"`
}

// Fleet returns the current state of the fleet, or of the one workspace in the scope.
func (f *Reader) Fleet(ctx context.Context, s Scope) (FleetReport, error) {
	var report FleetReport
	seen, err := f.now(ctx)
	if err == nil {
		err = f.db.Snapshot(ctx, func(q *dbsqlc.Queries) (err error) {
			report, err = f.report(ctx, q, s, seen)
			return err
		})
	}
	if err != nil {
		return FleetReport{}, fmt.Errorf("reading the fleet: %w", err)
	}
	return report, nil
}

// report builds the report. seen is nil if there is no forecast.
func (f *Reader) report(ctx context.Context, q *dbsqlc.Queries, s Scope, seen *view) (report FleetReport, err error) {
	now, err := q.Clock(ctx)
	if err != nil {
		return report, err
	}
	report.Now = now.UTC()
	if report.Conditions, err = readConditions(ctx, q); err != nil {
		return report, err
	}
	var age time.Duration
	if s.IsOneWorkspace() {
		report.Paused, err = pausedCount(ctx, q, s)
	} else {
		report.Paused, age, err = f.paused.read(ctx, q)
	}
	if err != nil {
		return report, err
	}
	report.Paused.At = report.Now.Add(-age.Truncate(time.Second))
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
	report.UnknownActions, err = q.UnknownActions(ctx, dbsqlc.UnknownActionsParams{FirstWorkspace: s.first, LastWorkspace: s.last, Size: maxCounted})
	if err != nil {
		return report, fmt.Errorf("counting unknown actions: %w", err)
	}
	if s.IsOneWorkspace() {
		// A tenant must not learn about other workspaces.
		report.Safety.EnteredBy, report.Safety.AccountsLost, report.Safety.AccountsConnected = "", nil, nil
		report.SilentProviders, report.Adoption = nil, nil
		if seen != nil {
			own := seen.workspaces[s.first]
			report.Backlog = &own
		}
		return report, nil
	}
	if report.Quotas, err = quotas(ctx, q, t); err != nil {
		return report, err
	}
	if seen != nil {
		report.Backlog = &FleetBacklog{Resumable: int64(seen.backlog), Accounts: seen.accounts}
		report.Moves = &seen.moves
	}
	return report, nil
}

func pausedCount(ctx context.Context, q *dbsqlc.Queries, s Scope) (PausedCount, error) {
	count := PausedCount{ByReason: map[string]int64{}}
	var rows []dbsqlc.FleetPausedByReasonRow
	var err error
	if s.IsOneWorkspace() {
		var own []dbsqlc.WorkspacePausedByReasonRow
		own, err = q.WorkspacePausedByReason(ctx, s.WorkspaceID())
		for _, row := range own {
			rows = append(rows, dbsqlc.FleetPausedByReasonRow(row))
		}
	} else {
		rows, err = q.FleetPausedByReason(ctx)
	}
	if err != nil {
		return count, fmt.Errorf("counting paused prospects: %w", err)
	}
	for _, row := range rows {
		count.Total, count.Waiting = count.Total+row.Paused, count.Waiting+row.Waiting
		if row.Paused > 0 {
			count.ByReason[row.Reason] = row.Paused
		}
	}
	return count, nil
}

// quotas returns the caps from the settings for lanes that are unused in this tick: only used
// lanes have a row.
func quotas(ctx context.Context, q *dbsqlc.Queries, t ticks) (*Quotas, error) {
	b := &Quotas{Sweep: Quota{Cap: int(t.settings.FleetCap)}, Signal: Quota{Cap: int(t.settings.SignalCap)}}
	rows, err := q.FleetQuotas(ctx, t.current)
	if err != nil {
		return nil, fmt.Errorf("reading quotas: %w", err)
	}
	for _, row := range rows {
		quota := Quota{Cap: int(row.Cap), Used: int(row.Used)}
		switch enum.Lane(row.Lane) {
		case enum.LaneSweep:
			b.Sweep = quota
		case enum.LaneSignal:
			b.Signal = quota
		case enum.LaneHeal: // has no quota
		}
	}
	return b, nil
}
