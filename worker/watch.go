package worker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

type watchWorker struct {
	river.WorkerDefaults[jobs.WatchArgs]
	store  *store.Store
	logger *slog.Logger
}

// Work looks once, whichever minute it was asked for: what matters is how it is now.
func (w *watchWorker) Work(ctx context.Context, job *river.Job[jobs.WatchArgs]) error {
	look, err := w.store.Trip().Watch(ctx, job.ID)
	if err != nil {
		return fmt.Errorf("looking for lost accounts: %w", err)
	}
	switch look.Verdict {
	case "entered":
		w.logger.WarnContext(ctx, "safety mode is on: many accounts were lost at once")
	case "left":
		w.logger.InfoContext(ctx, "safety mode is over: the next sweep goes on")
	}
	// The count may be too much for a large database: then there is none, and the look was made all the same.
	if _, err := w.store.Trip().SampleBacklog(ctx); err != nil {
		w.logger.WarnContext(ctx, "the paused enrollments could not be counted", "error", err)
	}
	return nil
}
