package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// Verdicts of the SQL functions that a worker acts on; the functions' comments list all of them.
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

// Work pauses the account's active enrollments batch by batch. Before every batch the account is looked at again: if it
// came back, the rest stays as it is.
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
