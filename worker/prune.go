package worker

import (
	"context"
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

type pruneWorker struct {
	river.WorkerDefaults[jobs.PruneArgs]
	store  *store.Store
	logger *slog.Logger
}

// Work deletes expired rows batch by batch. After each batch it sleeps for as long as the batch
// took, so pruning uses at most half of the time, however many rows there are. If another prune job
// is running, it stops.
func (w *pruneWorker) Work(ctx context.Context, job *river.Job[jobs.PruneArgs]) error {
	removed := 0
	defer func() {
		if removed > 0 {
			w.logger.InfoContext(ctx, "expired rows removed", "rows", removed)
		}
	}()
	for deadline := time.Now().Add(workSlice); ; {
		var batch dbsqlc.PruneBatchRow
		began := time.Now()
		err := w.store.Tx(ctx, func(tx pgx.Tx, q *dbsqlc.Queries) error {
			var err error
			if batch, err = q.PruneBatch(ctx, batchSize); err != nil {
				return fmt.Errorf("removing expired rows: %w", err)
			}
			if batch.Verdict == verdictMore {
				return nil
			}
			_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
			return err
		})
		if err != nil {
			return err
		}
		removed += int(batch.Removed)
		if batch.Verdict != verdictMore {
			return nil
		}
		if time.Now().After(deadline) {
			return river.JobSnooze(0)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Since(began)):
		}
	}
}
