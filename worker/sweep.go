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

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

// errStale cancels a job whose tick is over. The next sweep covers its work, and the quotas of two
// ticks are never spent at the same time.
var errStale = errors.New("the job's tick is over; the next sweep covers its work")

type sweepWorker struct {
	river.WorkerDefaults[jobs.SweepArgs]
	store  *store.Store
	logger *slog.Logger
	notify func(queues ...string)
}

const (
	// dropSize is how many jobs of earlier ticks one transaction removes.
	dropSize = 5000
	// dropWithin is how long a sweep removes them before it makes its plan. The rest is removed
	// after the plan. Until then the queue hands out these jobs before those of the new tick, and
	// each ends immediately.
	dropWithin = 2 * time.Second
)

// Work sweeps a tick. First it ends earlier ticks and removes their jobs, in separate transactions,
// so that no pass waits for the plan. Then it records the plan, its jobs and its summary row in one
// transaction.
func (w *sweepWorker) Work(ctx context.Context, job *river.Job[jobs.SweepArgs]) error {
	tick := job.Args.TickAt.Time
	opened, err := w.store.Trip().OpenSweep(ctx, tick)
	switch {
	case err != nil:
		return fmt.Errorf("ending earlier ticks: %w", err)
	case opened.IsOver:
		return river.JobCancel(errStale)
	}
	for _, earlier := range opened.Closed {
		logTick(ctx, w.logger, w.store, earlier)
	}
	if opened.IsPlanned {
		return nil
	}
	dropped, err := w.dropJobs(ctx, tick, dropWithin)
	if err != nil {
		return err
	}
	isPartial, err := w.store.RequeuePauses(ctx, tick)
	if err != nil {
		return fmt.Errorf("requeueing overdue pauses: %w", err)
	}
	if isPartial {
		w.logger.WarnContext(ctx, "requeueing pauses took too long: the next sweep looks for prospects that became active on lost accounts", "tick_at", tick.UTC())
	}
	w.notify(jobs.QueueResume)

	record, err := w.store.PlanTick(ctx, tick, opened)
	if err != nil {
		return err
	}
	var recorded bool
	err = w.store.Tx(ctx, func(tx pgx.Tx, q *dbsqlc.Queries) error {
		var err error
		if recorded, err = q.RecordPlan(ctx, record); err != nil {
			return fmt.Errorf("recording the plan: %w", err)
		}
		_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
	if err != nil {
		return err
	}
	w.notify(jobs.QueueTick)
	if recorded && len(record.AccountIds) == 0 {
		logTick(ctx, w.logger, w.store, tick)
	}
	if dropped {
		return nil
	}
	// The sweep is done. If this fails, the next sweep removes them.
	if _, err := w.dropJobs(ctx, tick, workSlice); err != nil {
		w.logger.WarnContext(ctx, "could not remove jobs of earlier ticks; the next sweep removes them", "error", err)
	}
	return nil
}

// dropJobs removes unfinished jobs of earlier ticks for at most the given time. It returns true if
// none remain.
func (w *sweepWorker) dropJobs(ctx context.Context, tick time.Time, within time.Duration) (all bool, err error) {
	for deadline := time.Now().Add(within); ; {
		dropped, err := w.store.Trip().DropTickJobs(ctx, dbsqlc.DropTickJobsParams{TickAt: tick, Size: dropSize})
		if err != nil {
			return false, fmt.Errorf("removing jobs of earlier ticks: %w", err)
		}
		if dropped < dropSize || time.Now().After(deadline) {
			return dropped < dropSize, nil
		}
	}
}

// logTick writes the log line of a tick that is over: one line per tick.
func logTick(ctx context.Context, logger *slog.Logger, db *store.Store, tick time.Time) {
	s, err := db.Read().Sweep(ctx, tick)
	if err != nil {
		logger.WarnContext(ctx, "could not read the summary of a finished tick", "tick_at", tick, "error", err)
		return
	}
	var took time.Duration
	if s.FinishedAt != nil {
		took = s.FinishedAt.Sub(s.StartedAt)
	}
	if s.IsPartial {
		logger.WarnContext(ctx, "planning took too long: only some accounts were candidates in this tick", "tick_at", s.TickAt.UTC())
	}
	logger.InfoContext(ctx, "tick swept", "tick_at", s.TickAt.UTC(), "accounts_planned", s.AccountsPlanned,
		"accounts_processed", s.AccountsProcessed, "resumed", s.Resumed, "moved", s.Moved,
		"campaigns_resumed", s.CampaignsResumed, "remaining", s.Remaining, "took", took)
}
