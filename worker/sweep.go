package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// errStale cancels a job whose tick is over: the next sweep covers what it would have done, and two budgets never flow
// together.
var errStale = errors.New("the tick of this job is over; the next sweep covers it")

type sweepWorker struct {
	river.WorkerDefaults[jobs.SweepArgs]
	store  *store.Store
	logger *slog.Logger
	wake   func(queues ...string)
}

// Work plans a tick: all of the plan, its jobs and its summary row, or nothing.
func (w *sweepWorker) Work(ctx context.Context, job *river.Job[jobs.SweepArgs]) error {
	tick := job.Args.TickAt.Time
	var over []time.Time
	err := w.store.Tx(ctx, func(tx pgx.Tx, q *dbsqlc.Queries) error {
		var err error
		if over, err = w.sweep(ctx, tx, q, tick); err != nil {
			return err
		}
		_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
	if err != nil {
		return err
	}
	w.wake(jobs.QueueTick)
	for _, tick := range over {
		logTick(ctx, w.logger, w.store, tick)
	}
	return nil
}

// sweep plans the tick unless it is planned already. It returns the ticks that are over with it.
func (w *sweepWorker) sweep(ctx context.Context, tx pgx.Tx, q *dbsqlc.Queries, tick time.Time) ([]time.Time, error) {
	opened, err := q.OpenSweep(ctx, tick)
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening the tick: %w", err)
	case opened.IsOver:
		return nil, river.JobCancel(errStale)
	case !opened.Opened:
		return nil, nil
	}
	over, err := q.CloseStaleSweeps(ctx, tick)
	if err != nil {
		return nil, fmt.Errorf("closing earlier ticks: %w", err)
	}
	if _, err := q.RequeueOverduePauses(ctx, tick); err != nil {
		return nil, fmt.Errorf("asking again for overdue pauses: %w", err)
	}

	rows, err := q.Claimants(ctx, tick)
	if err != nil {
		return nil, fmt.Errorf("finding claimants: %w", err)
	}
	blocked, err := q.BlockedCampaigns(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding blocked campaigns: %w", err)
	}
	claimants, backlog := store.Claimants(rows)
	record := dbsqlc.RecordPlanParams{TickAt: tick, Backlog: int32(min(backlog, 1<<31-1)), Prune: opened.IsFirstOfHour}
	granted := make(map[int64]bool)
	grant := func(account, workspace int64, planned int) {
		granted[account] = true
		record.AccountIds = append(record.AccountIds, account)
		record.WorkspaceIds = append(record.WorkspaceIds, workspace)
		record.Planned = append(record.Planned, int32(planned))
	}
	for _, g := range plan.Grants(claimants, int(opened.FleetCap)) {
		grant(g.AccountID, g.WorkspaceID, g.Planned)
	}
	for _, b := range blocked {
		if !granted[b.AccountID] {
			grant(b.AccountID, b.WorkspaceID, 0)
		}
	}
	if err := q.RecordPlan(ctx, record); err != nil {
		return nil, fmt.Errorf("recording the plan: %w", err)
	}
	if len(granted) == 0 {
		return append(over, tick), nil
	}

	inserts := make([]river.InsertManyParams, len(record.AccountIds))
	for i, account := range record.AccountIds {
		inserts[i].Args = jobs.ResumeAccountArgs{AccountID: account, TickAt: jobs.TickAt(tick)}
	}
	if _, err := river.ClientFromContext[pgx.Tx](ctx).InsertManyTx(ctx, tx, inserts); err != nil {
		return nil, fmt.Errorf("inserting the jobs of the tick: %w", err)
	}
	return over, nil
}

// logTick writes the one line that every tick has in the log, when it is over.
func logTick(ctx context.Context, logger *slog.Logger, db *store.Store, tick time.Time) {
	s, err := db.Sweep(ctx, tick)
	if err != nil {
		logger.WarnContext(ctx, "a tick is over, but its summary could not be read", "tick_at", tick, "error", err)
		return
	}
	var took time.Duration
	if s.FinishedAt != nil {
		took = s.FinishedAt.Sub(s.StartedAt)
	}
	logger.InfoContext(ctx, "tick swept", "tick_at", s.TickAt.UTC(), "accounts_planned", s.AccountsPlanned,
		"accounts_processed", s.AccountsProcessed, "resumed", s.Resumed, "repointed", s.Repointed,
		"campaigns_resumed", s.CampaignsResumed, "backlog_left", s.BacklogLeft, "took", took)
}
