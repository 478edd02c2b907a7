package worker

import (
	"context"
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

type healWorker struct {
	river.WorkerDefaults[jobs.HealArgs]
	store  *store.Store
	logger *slog.Logger
}

// Work goes on with a heal, batch by batch; where it is stands in its row, so that another attempt goes on from there.
func (w *healWorker) Work(ctx context.Context, job *river.Job[jobs.HealArgs]) error {
	for deadline := time.Now().Add(workSlice); ; {
		more := false
		err := w.store.Tx(ctx, func(tx pgx.Tx, q *dbsqlc.Queries) error {
			batch, err := q.HealBatch(ctx, dbsqlc.HealBatchParams{HealID: job.Args.HealID, Size: batchSize, JobID: job.ID})
			if err != nil {
				return fmt.Errorf("healing: %w", err)
			}
			if more = batch.Verdict == verdictMore; more {
				return nil
			}
			_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
			return err
		})
		switch {
		case err != nil:
			return err
		case !more:
			w.logger.InfoContext(ctx, "heal done", "heal_id", job.Args.HealID)
			return nil
		case time.Now().After(deadline):
			return river.JobSnooze(0)
		}
	}
}
