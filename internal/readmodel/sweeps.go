package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A SweepEntry is the result of one tick for the fleet or, in the scope of one workspace, for that
// workspace. Fields that are only known for the fleet are nil in the scope of a workspace.
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
	FinishedAt        *time.Time `json:"finished_at"` // nil while it is running
	Seconds           *float64   `json:"seconds"`     // nil while it is running
	IsPartial         bool       `json:"is_partial"`  // planned only some accounts: took too long
}

// Sweeps returns a page of ticks, newest first; in the scope of one workspace, only ticks that
// included it.
func Sweeps(ctx context.Context, db *store.Store, s Scope, p Paging) (Page[SweepEntry], error) {
	page, err := sweeps(ctx, db.Read(), s, p)
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

// seconds returns the duration between two times, or nil if the second is not known yet.
func seconds(from time.Time, to *time.Time) *float64 {
	if to == nil {
		return nil
	}
	took := to.Sub(from).Seconds()
	return &took
}
