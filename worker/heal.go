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

type healWorker struct {
	river.WorkerDefaults[jobs.HealArgs]
	store  *store.Store
	logger *slog.Logger
}

// verdictPaced: the rate of the heal allows no more now.
const verdictPaced = "paced"

// Work runs a heal batch by batch. The heal's row records the progress, so another attempt
// continues from there. If the remaining rows are locked by other transactions, or the rate allows no
// more now, the job is snoozed.
func (w *healWorker) Work(ctx context.Context, job *river.Job[jobs.HealArgs]) error {
	params := dbsqlc.HealBatchParams{HealID: job.Args.HealID, Size: batchSize, JobID: job.ID}
	for deadline := time.Now().Add(workSlice); ; {
		batch, err := w.store.Trip().HealBatch(ctx, params)
		switch {
		case err != nil:
			return fmt.Errorf("healing: %w", err)
		case batch.Verdict == verdictBusy, batch.Verdict == verdictPaced:
			return river.JobSnooze(time.Duration(batch.RetrySeconds * float64(time.Second)))
		case batch.Verdict != verdictMore:
			w.logEnd(ctx, job.Args.HealID, batch.Verdict)
			return nil
		case time.Now().After(deadline):
			return river.JobSnooze(0)
		}
	}
}

// logEnd writes the log line of a heal that is over.
func (w *healWorker) logEnd(ctx context.Context, healID int64, verdict string) {
	if verdict != verdictDone {
		w.logger.WarnContext(ctx, "heal is not running", "heal_id", healID, "verdict", verdict)
		return
	}
	heal, err := w.store.Read().Heal(ctx, healID)
	if err != nil {
		w.logger.WarnContext(ctx, "heal done; could not read its result", "heal_id", healID, "error", err)
		return
	}
	w.logger.InfoContext(ctx, "heal done", "heal_id", healID, "target", heal.Target, "actor", heal.Actor, "cap", heal.Cap,
		"found", orZero(heal.Found), "resumed", heal.Resumed, "moved", heal.Moved, "campaigns_resumed", heal.CampaignsResumed,
		"remaining", orZero(heal.Remaining), "skipped", heal.Skipped)
}

func orZero(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}
