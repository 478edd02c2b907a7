package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

// Verdicts of SQL functions that workers handle. The functions' comments list all verdicts.
const (
	verdictMore      = "more"
	verdictBusy      = "busy"
	verdictStaleTick = "stale_tick"
)

type pauseWorker struct {
	river.WorkerDefaults[jobs.PauseAccountArgs]
	store  *store.Store
	logger *slog.Logger
}

// Work pauses the account's active enrollments batch by batch. It checks the account before every
// batch: if the account has recovered, the remaining enrollments stay active.
func (w *pauseWorker) Work(ctx context.Context, job *river.Job[jobs.PauseAccountArgs]) error {
	args := job.Args
	params := dbsqlc.PauseBatchParams{AccountID: args.AccountID, Size: pauseSize, JobID: job.ID}
	if args.SignalID != 0 {
		params.SignalID = &args.SignalID
	}
	if !args.TickAt.IsZero() {
		params.TickAt = &args.TickAt.Time
	}
	for deadline := time.Now().Add(workSlice); ; {
		batch, err := w.store.Trip().PauseBatch(ctx, params)
		switch {
		case err != nil:
			return fmt.Errorf("pausing account %d: %w", args.AccountID, err)
		case batch.Verdict == verdictBusy:
			return river.JobSnooze(time.Second)
		case batch.Verdict != verdictMore:
			w.logger.DebugContext(ctx, "paused", "account_id", args.AccountID, "verdict", batch.Verdict)
			return nil
		case time.Now().After(deadline):
			return river.JobSnooze(0)
		}
	}
}
