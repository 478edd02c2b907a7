package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

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
// continues from there. If the remaining rows are locked by other transactions, or the rate allows
// no more now, the job is snoozed.
func (w *healWorker) Work(ctx context.Context, job *river.Job[jobs.HealArgs]) error {
	if isFirstAttempt(job.JobRow) {
		w.logStart(ctx, job.Args.HealID)
	}
	params := dbsqlc.HealBatchParams{HealID: job.Args.HealID, Size: batchSize, JobID: job.ID}
	for deadline := time.Now().Add(workSlice); ; {
		batch, err := w.store.Trip().HealBatch(ctx, params)
		switch {
		case err != nil:
			return fmt.Errorf("healing: %w", err)
		case batch.Verdict == verdictBusy, batch.Verdict == verdictPaced:
			w.logger.DebugContext(ctx, "heal waits", "heal_id", job.Args.HealID, "verdict", batch.Verdict, "retry_in", seconds(batch.RetrySeconds))
			return river.JobSnooze(seconds(batch.RetrySeconds))
		case batch.Verdict != verdictMore:
			w.logEnd(ctx, job.Args.HealID, batch.Verdict)
			return nil
		case time.Now().After(deadline):
			return river.JobSnooze(0)
		}
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// isFirstAttempt reports whether a job runs for the first time: it was neither retried nor snoozed.
func isFirstAttempt(job *rivertype.JobRow) bool {
	var metadata struct {
		Snoozes int `json:"snoozes"`
	}
	err := json.Unmarshal(job.Metadata, &metadata)
	return job.Attempt == 1 && (err != nil || metadata.Snoozes == 0)
}

// logStart writes the log line of a heal that begins or, after a stop, continues.
func (w *healWorker) logStart(ctx context.Context, healID int64) {
	heal, err := w.store.Read().Heal(ctx, healID)
	if err != nil {
		w.logger.WarnContext(ctx, "heal started; could not read it", "heal_id", healID, "error", err)
		return
	}
	w.logger.InfoContext(ctx, "heal started", "heal_id", healID, "target", heal.Target, "actor", heal.Actor, "reason", heal.Reason,
		"cap", heal.Cap, "rate", orZero(heal.Rate), "resumed", heal.Resumed)
}

// logEnd writes the log line of a heal that is done, or was stopped.
func (w *healWorker) logEnd(ctx context.Context, healID int64, verdict string) {
	heal, err := w.store.Read().Heal(ctx, healID)
	switch {
	case err != nil:
		w.logger.WarnContext(ctx, "heal ended; could not read its result", "heal_id", healID, "verdict", verdict, "error", err)
	case verdict == verdictDone:
		w.logger.InfoContext(ctx, "heal done", "heal_id", healID, "target", heal.Target, "actor", heal.Actor, "cap", heal.Cap,
			"found", orZero(heal.Found), "resumed", heal.Resumed, "moved", heal.Moved, "campaigns_resumed", heal.CampaignsResumed,
			"remaining", orZero(heal.Remaining), "skipped", heal.Skipped)
	default:
		w.logger.WarnContext(ctx, "heal stopped", "heal_id", healID, "target", heal.Target, "verdict", verdict, "reason", heal.StoppedReason,
			"resumed", heal.Resumed)
	}
}

func orZero(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}
