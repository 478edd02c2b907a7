package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/plan"
)

// PlanWithin is the timeout of each attempt to find the candidates of a tick, far below
// [StatementTimeout]. It is a variable for tests.
var PlanWithin = 4 * time.Second

// allAccounts is the attempt to plan for all accounts with waiting prospects.
const allAccounts = 0

// attempts are the numbers of these accounts that a plan considers, each after the previous one
// took too long.
var attempts = []int32{allAccounts, 20_000, 2_000}

// The jobs that one sweep requeues at most: usually, and if that takes longer than [PlanWithin].
const (
	requeuedPauses       = 20_000
	requeuedPausesInPart = 2_000
)

// RequeuePauses requeues overdue pauses, and pauses prospects that became active on an account that
// was gone already. If that takes longer than [PlanWithin], it does less: it requeues fewer pauses,
// and leaves those prospects to the next sweep. It says so (isPartial).
func (s *Store) RequeuePauses(ctx context.Context, tick time.Time) (isPartial bool, err error) {
	requeue := func(within time.Duration, size int32, withLate bool) error {
		return s.within(ctx, within, func(_ pgx.Tx, q *dbsqlc.Queries) error {
			_, err := q.RequeueOverduePauses(ctx, dbsqlc.RequeueOverduePausesParams{TickAt: tick, Size: size, WithLate: withLate})
			return err
		})
	}
	err = requeue(PlanWithin, requeuedPauses, true)
	if isTimeout(err) {
		return true, requeue(StatementTimeout, requeuedPausesInPart, false)
	}
	return false, err
}

// PlanTick makes the plan of a tick without writing anything. It works in two steps, so that not
// all accounts are transferred to this process: the database sums what each workspace can use,
// [plan.Shares] shares the quota among workspaces, and only accounts that may get an allocation
// are read. If planning takes longer than [PlanWithin], the plan covers a part of the accounts and
// is marked as partial.
func (s *Store) PlanTick(ctx context.Context, tick time.Time, opened dbsqlc.OpenSweepRow) (dbsqlc.RecordPlanParams, error) {
	record := dbsqlc.RecordPlanParams{
		TickAt: tick, StartedAt: opened.StartedAt, AccountCap: opened.AccountCap, FleetCap: opened.FleetCap, LookedTo: opened.LookedTo,
		// Empty, not null.
		AccountIds: []int64{}, WorkspaceIds: []int64{}, Planned: []int32{},
	}
	var allocations []plan.Allocation
	for i, accounts := range attempts {
		record.IsPartial = accounts != allAccounts
		err := s.plan(ctx, &record, &allocations, accounts)
		if err == nil {
			break
		}
		if !isTimeout(err) || i == len(attempts)-1 {
			return record, err
		}
	}
	granted := make(map[int64]bool, len(allocations))
	for _, g := range allocations {
		granted[g.AccountID] = true
		record.AccountIds = append(record.AccountIds, g.AccountID)
		record.WorkspaceIds = append(record.WorkspaceIds, g.WorkspaceID)
		record.Planned = append(record.Planned, int32(g.Planned))
	}
	if err := s.addBlocked(ctx, &record, granted); err != nil {
		return record, err
	}
	return record, s.addMoves(ctx, &record, granted)
}

// plan shares the quota of the tick among at most that many accounts.
func (s *Store) plan(ctx context.Context, record *dbsqlc.RecordPlanParams, allocations *[]plan.Allocation, accounts int32) error {
	return s.within(ctx, PlanWithin, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		part := dbsqlc.PlanPartRow{AfterID: -1, UntilID: 1<<63 - 1}
		if accounts != allAccounts {
			var err error
			if part, err = q.PlanPart(ctx, dbsqlc.PlanPartParams{TickAt: record.TickAt, Size: accounts}); err != nil {
				return fmt.Errorf("choosing a part of the accounts: %w", err)
			}
		}
		wanted, err := q.PlanWorkspaces(ctx, dbsqlc.PlanWorkspacesParams{
			TickAt: record.TickAt, Quota: record.FleetCap, AfterID: part.AfterID, UntilID: part.UntilID,
		})
		if err != nil {
			return fmt.Errorf("finding the demand of workspaces: %w", err)
		}
		workspaces := make([]plan.Workspace, len(wanted))
		for i, w := range wanted {
			record.Backlog = int32(min(w.TotalWaiting, 1<<31-1))
			workspaces[i] = plan.Workspace{ID: w.WorkspaceID, Demand: int(w.Demand), Served: served(w.ServedAt)}
		}
		shares := plan.Shares(workspaces, int(record.FleetCap))
		if len(shares) == 0 {
			return nil
		}

		params := dbsqlc.PlanAccountsParams{TickAt: record.TickAt, AfterID: part.AfterID, UntilID: part.UntilID}
		for _, share := range shares {
			params.WorkspaceIds = append(params.WorkspaceIds, share.WorkspaceID)
			params.Shares = append(params.Shares, int32(share.Amount))
		}
		rows, err := q.PlanAccounts(ctx, params)
		if err != nil {
			return fmt.Errorf("finding candidates: %w", err)
		}
		candidates := make([]plan.Candidate, len(rows))
		for i, row := range rows {
			candidates[i] = plan.Candidate{
				AccountID: row.AccountID, WorkspaceID: row.WorkspaceID, Backlog: int(row.Backlog), Quota: int(row.Quota),
				AccountServed: served(row.ServedAt),
			}
		}
		*allocations = plan.AllocationsWithin(candidates, shares)
		return nil
	})
}

// addBlocked adds accounts with an allocation of 0, to start campaigns that block active prospects.
// If they cannot be found in time, the plan omits them, and the next sweep checks the same
// campaigns.
func (s *Store) addBlocked(ctx context.Context, record *dbsqlc.RecordPlanParams, granted map[int64]bool) error {
	var blocked dbsqlc.BlockedCampaignsRow
	err := s.within(ctx, PlanWithin, func(_ pgx.Tx, q *dbsqlc.Queries) (err error) {
		blocked, err = q.BlockedCampaigns(ctx, record.LookedTo)
		return err
	})
	switch {
	case isTimeout(err):
		record.IsPartial = true
		return nil
	case err != nil:
		return fmt.Errorf("finding blocked campaigns: %w", err)
	}
	addEmpty(record, granted, blocked.AccountIds, blocked.WorkspaceIds)
	record.LookedTo = blocked.LookedTo
	return nil
}

// addMoves adds accounts with an allocation of 0, to which pending prospects move from accounts
// that are gone. If they cannot be found in time, the plan omits them.
func (s *Store) addMoves(ctx context.Context, record *dbsqlc.RecordPlanParams, granted map[int64]bool) error {
	var found dbsqlc.MoveTargetsRow
	err := s.within(ctx, PlanWithin, func(_ pgx.Tx, q *dbsqlc.Queries) (err error) {
		found, err = q.MoveTargets(ctx)
		return err
	})
	switch {
	case isTimeout(err):
		record.IsPartial = true
		return nil
	case err != nil:
		return fmt.Errorf("finding pending prospects of accounts that are gone: %w", err)
	}
	addEmpty(record, granted, found.AccountIds, found.WorkspaceIds)
	return nil
}

// addEmpty adds allocations of 0 for the accounts that have none.
func addEmpty(record *dbsqlc.RecordPlanParams, granted map[int64]bool, accounts, workspaces []int64) {
	for i, account := range accounts {
		if !granted[account] {
			granted[account] = true
			record.AccountIds = append(record.AccountIds, account)
			record.WorkspaceIds = append(record.WorkspaceIds, workspaces[i])
			record.Planned = append(record.Planned, 0)
		}
	}
}

// isTimeout reports whether the server cancelled a statement because of its timeout.
func isTimeout(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return ok && failed.Code == "57014"
}
