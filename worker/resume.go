package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"golang.org/x/sync/semaphore"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

type resumeWorker struct {
	river.WorkerDefaults[jobs.ResumeAccountArgs]
	store  *store.Store
	logger *slog.Logger
	// turns limits how many passes of a tick run at once. It is lower than the number fetched from
	// the queue, so that connections remain for signals. All passes of a tick end by updating the
	// same quota rows; more of them would only wait for each other.
	turns *semaphore.Weighted
}

// Work runs the resume pass of one account for a signal or for an allocation.
func (w *resumeWorker) Work(ctx context.Context, job *river.Job[jobs.ResumeAccountArgs]) error {
	switch args := job.Args; {
	case args.SignalID != 0 && args.TickAt.IsZero():
		return w.forSignal(ctx, job)
	case args.SignalID == 0 && !args.TickAt.IsZero():
		return w.forSweep(ctx, job)
	default:
		return river.JobCancel(errors.New("resume_account requires exactly one of signal_id and tick_at: thaw.signal inserts jobs with signal_id, thaw.sweep with tick_at"))
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
	message := "resumed by signal"
	if pass.Verdict != verdictResumed {
		message = "not resumed by signal"
	}
	w.logger.DebugContext(ctx, message, "account_id", args.AccountID, "signal_id", args.SignalID,
		"verdict", pass.Verdict, "resumed", pass.Resumed, "moved", pass.Moved)
	return nil
}

func (w *resumeWorker) forSweep(ctx context.Context, job *river.Job[jobs.ResumeAccountArgs]) error {
	args := job.Args
	if err := w.turns.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for earlier passes: %w", err)
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
	if pass.Verdict != verdictResumed {
		w.logger.DebugContext(ctx, "not resumed by sweep", "account_id", args.AccountID, "tick_at", args.TickAt.Time, "verdict", pass.Verdict)
	}
	if pass.Verdict == verdictStaleTick {
		return river.JobCancel(errStale)
	}
	return nil
}
