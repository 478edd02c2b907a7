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
	verdictResumed   = "resumed"
	verdictDone      = "done"
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
	paused, campaignsPaused := int32(0), int32(0)
	for deadline := time.Now().Add(workSlice); ; {
		batch, err := w.store.Trip().PauseBatch(ctx, params)
		if err != nil {
			return fmt.Errorf("pausing account %d: %w", args.AccountID, err)
		}
		paused, campaignsPaused = paused+batch.Paused, campaignsPaused+batch.CampaignsPaused
		switch {
		case batch.Verdict == verdictBusy:
			return river.JobSnooze(time.Second)
		case batch.Verdict != verdictMore:
			message := "paused"
			if batch.Verdict != verdictDone {
				message = "pause not completed" // the account is back, or unknown
			}
			w.logger.DebugContext(ctx, message, "account_id", args.AccountID, "verdict", batch.Verdict, "paused", paused,
				"campaigns_paused", campaignsPaused)
			return nil
		case time.Now().After(deadline):
			return river.JobSnooze(0)
		}
	}
}
