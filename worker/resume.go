package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"golang.org/x/sync/semaphore"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema/dbsqlc"
)

type resumeWorker struct {
	river.WorkerDefaults[jobs.ResumeAccountArgs]
	store  *store.Store
	logger *slog.Logger
	// turns is how many passes of a tick run at once: fewer than are taken from the queue, so that they leave connections to
	// the signals. All of them end at the rows of their tick, where more would only wait for each other.
	turns *semaphore.Weighted
}

// Work runs the resume pass of one account in the name of its signal or of its allocation.
func (w *resumeWorker) Work(ctx context.Context, job *river.Job[jobs.ResumeAccountArgs]) error {
	switch args := job.Args; {
	case args.SignalID != 0 && args.TickAt.IsZero():
		return w.forSignal(ctx, job)
	case args.SignalID == 0 && !args.TickAt.IsZero():
		return w.forSweep(ctx, job)
	default:
		return river.JobCancel(errors.New("resume_account takes either signal_id or tick_at: signals come through thaw.signal, ticks through thaw.sweep"))
	}
}

func (w *resumeWorker) forSignal(ctx context.Context, job *river.Job[jobs.ResumeAccountArgs]) error {
	args := job.Args
	pass, err := w.store.Trip().ResumeForSignal(ctx, dbsqlc.ResumeForSignalParams{
		AccountID: args.AccountID, JobID: job.ID, SignalID: args.SignalID,
	})
	if err != nil {
		return fmt.Errorf("resuming account %d for signal %d: %w", args.AccountID, args.SignalID, err)
	}
	w.logger.DebugContext(ctx, "resumed by signal", "account_id", args.AccountID, "signal_id", args.SignalID,
		"verdict", pass.Verdict, "resumed", pass.Resumed, "moved", pass.Moved)
	return nil
}

func (w *resumeWorker) forSweep(ctx context.Context, job *river.Job[jobs.ResumeAccountArgs]) error {
	args := job.Args
	if err := w.turns.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for the passes before it: %w", err)
	}
	defer w.turns.Release(1)
	pass, err := w.store.Trip().ResumeForSweep(ctx, dbsqlc.ResumeForSweepParams{
		AccountID: args.AccountID, JobID: job.ID, TickAt: args.TickAt.Time,
	})
	if err != nil {
		return fmt.Errorf("resuming account %d in tick %s: %w", args.AccountID, args.TickAt, err)
	}
	if pass.TickFinished {
		logTick(ctx, w.logger, w.store, args.TickAt.Time)
	}
	if pass.Verdict == verdictStaleTick {
		return river.JobCancel(errStale)
	}
	return nil
}
