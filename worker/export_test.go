package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertest"
	"github.com/riverqueue/river/rivertype"
	"golang.org/x/sync/semaphore"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

// WorkByHand runs one job that is marked as running, as the queue would, and returns its worker's
// result.
func WorkByHand(t testing.TB, pool *pgxpool.Pool, client *river.Client[pgx.Tx], row *rivertype.JobRow) error {
	ctx := rivertest.WorkContext(t.Context(), client)
	db, logger := store.New(pool), slog.New(slog.DiscardHandler)
	switch row.Kind {
	case jobs.SweepArgs{}.Kind():
		return work(ctx, &sweepWorker{store: db, logger: logger, notify: func(...string) {}}, row)
	case jobs.ResumeAccountArgs{}.Kind():
		return work(ctx, &resumeWorker{store: db, logger: logger, turns: semaphore.NewWeighted(1)}, row)
	case jobs.PauseAccountArgs{}.Kind():
		return work(ctx, &pauseWorker{store: db, logger: logger}, row)
	case jobs.HealArgs{}.Kind():
		return work(ctx, &healWorker{store: db, logger: logger}, row)
	case jobs.PruneArgs{}.Kind():
		return work(ctx, &pruneWorker{store: db, logger: logger}, row)
	case jobs.DeliverArgs{}.Kind():
		return work(ctx, &deliverWorker{store: db, logger: logger}, row)
	default:
		return fmt.Errorf("no worker for %q", row.Kind)
	}
}

func work[T river.JobArgs](ctx context.Context, worker river.Worker[T], row *rivertype.JobRow) error {
	job := &river.Job[T]{JobRow: row}
	if err := json.Unmarshal(row.EncodedArgs, &job.Args); err != nil {
		return err
	}
	return worker.Work(ctx, job)
}
