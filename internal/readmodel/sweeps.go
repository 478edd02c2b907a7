package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// A SweepEntry is what one tick did: in the fleet, or, within the scope of one workspace, there. What is known of the fleet
// alone is nil then.
type SweepEntry struct {
	TickAt            time.Time  `json:"tick_at"`
	AccountsPlanned   int        `json:"accounts_planned"`
	AccountsProcessed int        `json:"accounts_processed"`
	Planned           int        `json:"planned"`
	Resumed           int        `json:"resumed"`
	Moved             *int       `json:"moved"`
	CampaignsResumed  *int       `json:"campaigns_resumed"`
	Remaining         *int       `json:"remaining"`
	AccountCap        *int       `json:"account_cap"`
	FleetCap          *int       `json:"fleet_cap"`
	StartedAt         time.Time  `json:"started_at"`
	FinishedAt        *time.Time `json:"finished_at"` // nil: it is still at work
	Seconds           *float64   `json:"seconds"`     // nil: it is still at work
	IsPartial         bool       `json:"is_partial"`  // planned for a part of the accounts, because planning took too long
}

// Sweeps returns a page of ticks, newest first; within the scope of one workspace those that had something for it.
func Sweeps(ctx context.Context, db *pgxpool.Pool, s Scope, p Paging) (Page[SweepEntry], error) {
	page, err := sweeps(ctx, dbsqlc.New(db), s, p)
	if err != nil {
		return Page[SweepEntry]{}, fmt.Errorf("listing sweeps: %w", err)
	}
	return page, nil
}

func sweeps(ctx context.Context, q *dbsqlc.Queries, s Scope, p Paging) (Page[SweepEntry], error) {
	const list = "sweeps"
	from, err := after(p, list, beforeAnyTick)
	if err != nil {
		return Page[SweepEntry]{}, err
	}
	if s.IsOneWorkspace() {
		rows, err := q.WorkspaceSweepPage(ctx, dbsqlc.WorkspaceSweepPageParams{WorkspaceID: s.first, BeforeTick: from.Tick, Size: p.size()})
		if err != nil {
			return Page[SweepEntry]{}, err
		}
		return paged(p, list, rows, sweepOfWorkspace, func(r dbsqlc.WorkspaceSweepPageRow) newestTick { return newestTick{r.TickAt} })
	}
	rows, err := q.SweepPage(ctx, dbsqlc.SweepPageParams{BeforeTick: from.Tick, Size: p.size()})
	if err != nil {
		return Page[SweepEntry]{}, err
	}
	return paged(p, list, rows, sweepOfFleet, func(r dbsqlc.SweepPageRow) newestTick { return newestTick{r.TickAt} })
}

func sweepOfFleet(r dbsqlc.SweepPageRow) SweepEntry {
	return SweepEntry{
		TickAt: r.TickAt.UTC(), AccountsPlanned: int(r.AccountsPlanned), AccountsProcessed: int(r.AccountsProcessed),
		Planned: int(r.Planned), Resumed: int(r.Resumed), Moved: number(&r.Moved), CampaignsResumed: number(&r.CampaignsResumed),
		Remaining: number(&r.Remaining), AccountCap: number(&r.AccountCap), FleetCap: number(&r.FleetCap),
		StartedAt: r.StartedAt.UTC(), FinishedAt: utc(r.FinishedAt), Seconds: seconds(r.StartedAt, r.FinishedAt), IsPartial: r.IsPartial,
	}
}

func sweepOfWorkspace(r dbsqlc.WorkspaceSweepPageRow) SweepEntry {
	return SweepEntry{
		TickAt: r.TickAt.UTC(), AccountsPlanned: int(r.AccountsPlanned), AccountsProcessed: int(r.AccountsProcessed),
		Planned: int(r.Planned), Resumed: int(r.Resumed),
		StartedAt: r.StartedAt.UTC(), FinishedAt: utc(r.FinishedAt), Seconds: seconds(r.StartedAt, r.FinishedAt), IsPartial: r.IsPartial,
	}
}

// seconds is how long something took that may not be over.
func seconds(from time.Time, to *time.Time) *float64 {
	if to == nil {
		return nil
	}
	took := to.Sub(from).Seconds()
	return &took
}
