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
	notify func(queues ...string)
}

const (
	// dropSize is how many jobs of earlier ticks one transaction removes.
	dropSize = 5000
	// dropWithin is how long a sweep removes them before it makes its plan. What is left then is removed after it: until then the
	// queue hands them out before those of the new tick, and each ends at once.
	dropWithin = 2 * time.Second
)

// Work sweeps a tick: it ends the ticks before it, with their jobs, in transactions of their own, so that no pass waits for the
// plan; then it plans: all of the plan, its jobs and its summary row, or nothing.
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
	if _, err := w.store.Trip().RequeueOverduePauses(ctx, tick); err != nil {
		return fmt.Errorf("asking again for overdue pauses: %w", err)
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
	// The sweep is done; the next one would remove them too.
	if _, err := w.dropJobs(ctx, tick, workSlice); err != nil {
		w.logger.WarnContext(ctx, "jobs of earlier ticks could not be removed; the next tick does it", "error", err)
	}
	return nil
}

// dropJobs removes the jobs of ticks before this one that are still to be done, for so long at most, and returns whether none is
// left.
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
	if s.IsPartial {
		logger.WarnContext(ctx, "planning this tick took too long: only a part of the accounts were candidates", "tick_at", s.TickAt.UTC())
	}
	logger.InfoContext(ctx, "tick swept", "tick_at", s.TickAt.UTC(), "accounts_planned", s.AccountsPlanned,
		"accounts_processed", s.AccountsProcessed, "resumed", s.Resumed, "moved", s.Moved,
		"campaigns_resumed", s.CampaignsResumed, "remaining", s.Remaining, "took", took)
}
