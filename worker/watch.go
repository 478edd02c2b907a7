package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/readmodel"
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
	w.count(ctx)
	// The count may be too much for a large database: then there is none, and the look was made all the same.
	if _, err := w.store.Trip().SampleBacklog(ctx); err != nil {
		w.logger.WarnContext(ctx, "the paused enrollments could not be counted", "error", err)
	}
	w.forecast(ctx)
	return nil
}

// forecastWithin is how long a look takes to forecast a large fleet. One that takes longer is not stored, and who asks makes one.
const forecastWithin = 6 * time.Second

// forecast stores a forecast of a large fleet for processes that have none.
func (w *watchWorker) forecast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, forecastWithin)
	defer cancel()
	if err := readmodel.Store(ctx, w.store.Pool(), readmodel.LargeFleet); err != nil {
		w.logger.WarnContext(ctx, "the forecast of the fleet could not be stored", "error", err)
	}
}

const (
	// foldSize is how many changes of what is paused one transaction adds to the counts.
	foldSize = 20_000
	// foldWithin is how long a look does so. What is left then is added by the next one; readers see it all the same.
	foldWithin = 5 * time.Second
	// recountSize is how many accounts are recounted in a minute: a fleet of 100,000 comes round in less than an hour.
	recountSize = 2000
)

// count keeps the counts of what is paused: it adds up what changed, and compares the counts of the next accounts with the rows.
// The next look goes on where this one fails.
func (w *watchWorker) count(ctx context.Context) {
	for deadline := time.Now().Add(foldWithin); ; {
		folded, err := w.store.Trip().FoldCounts(ctx, foldSize)
		if err != nil {
			w.logger.WarnContext(ctx, "changes of what is paused could not be added to the counts", "error", err)
		}
		if err != nil || folded < foldSize || time.Now().After(deadline) {
			break
		}
	}
	slice, err := w.store.Trip().Recount(ctx, recountSize)
	switch {
	case err != nil:
		w.logger.WarnContext(ctx, "paused enrollments could not be recounted", "error", err)
	case slice.Corrected > 0:
		w.logger.WarnContext(ctx, "counts of paused enrollments were wrong and have been corrected: rows were changed while triggers were off",
			"corrected", slice.Corrected, "accounts", slice.Accounts)
	}
}
