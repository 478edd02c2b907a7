package worker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

type watchWorker struct {
	river.WorkerDefaults[jobs.WatchArgs]
	store       *store.Store
	logger      *slog.Logger
	riverSchema string
}

// Work checks the current state once, whichever minute the job was inserted for.
func (w *watchWorker) Work(ctx context.Context, job *river.Job[jobs.WatchArgs]) error {
	if _, err := w.store.Trip().Watch(ctx, job.ID); err != nil {
		return fmt.Errorf("checking for lost accounts: %w", err)
	}
	w.look(ctx)
	w.lookAtDue(ctx)
	w.count(ctx)
	// In a large database the count may time out. The safety check above has been made regardless.
	if _, err := w.store.Trip().SampleBacklog(ctx); err != nil {
		w.logger.WarnContext(ctx, "could not count paused enrollments", "error", err)
	}
	w.forecast(ctx)
	return nil
}

// look checks that the tables of an adopted platform still fit the mapping. What does not is logged
// once, and when it ends.
func (w *watchWorker) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var found adopt.Look
	err := w.store.Tx(ctx, func(tx pgx.Tx, _ *dbsqlc.Queries) (err error) {
		found, err = adopt.Watch(ctx, tx, w.riverSchema)
		return err
	})
	switch {
	case err != nil:
		w.logger.WarnContext(ctx, "could not compare the platform's tables with the mapping; retrying in a minute", "error", err)
	case !found.IsNew:
	case len(found.Problems) == 0:
		w.logger.InfoContext(ctx, "the platform's tables fit the mapping again; thaw adopt check releases the accounts that are held", "held_accounts", found.Held)
	default:
		for _, problem := range found.Problems {
			w.logger.ErrorContext(ctx, "the platform's tables no longer fit the mapping", "problem", problem.Message, "what_to_do", problem.Fix, "held_accounts", found.Held)
		}
	}
}

const (
	// dueAccounts is how many accounts a run looks at, the longest due first, and dueSize how many in
	// one transaction.
	dueAccounts, dueSize = 20_000, 200
	// dueWithin is how long a run looks. The next one goes on: what was noted is not due any more.
	dueWithin = 3 * time.Second
)

// lookAtDue finds out which of the accounts whose time has come can send, so that the metrics are
// right however the platform sends (thaw.look_at). After an error, more accounts count as due until
// the next run.
func (w *watchWorker) lookAtDue(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	began := time.Now()
	ids, err := w.store.Trip().DueAccounts(ctx, dueAccounts)
	for batch := range slices.Chunk(ids, dueSize) {
		if err != nil || time.Since(began) > dueWithin {
			break
		}
		_, err = w.store.Trip().LookAt(ctx, batch)
	}
	if err != nil {
		w.logger.WarnContext(ctx, "could not look at all accounts whose time has come; retrying in a minute", "error", err)
	}
}

// forecastWithin bounds the forecast of a large fleet. A forecast that takes longer is not stored,
// and readers compute their own.
const forecastWithin = 6 * time.Second

// forecast stores a forecast of a large fleet for processes that have none.
func (w *watchWorker) forecast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, forecastWithin)
	defer cancel()
	if err := readmodel.Store(ctx, w.store, readmodel.LargeFleet); err != nil {
		w.logger.WarnContext(ctx, "could not store the fleet forecast", "error", err)
	}
}

const (
	// foldSize is how many recorded changes one transaction adds to the counts.
	foldSize = 20_000
	// foldWithin bounds the folding per run. The next run adds the rest. Readers include changes
	// that are not folded yet.
	foldWithin = 5 * time.Second
	// recountSize is how many accounts are recounted per minute: 100,000 accounts take less than an
	// hour.
	recountSize = 2000
)

// count maintains the counts of paused enrollments: it folds recorded changes into them, and
// compares the counts of the next accounts with the rows. After an error, the next run continues
// from there.
func (w *watchWorker) count(ctx context.Context) {
	for deadline := time.Now().Add(foldWithin); ; {
		folded, err := w.store.Trip().FoldCounts(ctx, foldSize)
		if err != nil {
			w.logger.WarnContext(ctx, "could not fold changes into the counts of paused enrollments", "error", err)
		}
		if err != nil || folded < foldSize || time.Now().After(deadline) {
			break
		}
	}
	slice, err := w.store.Trip().Recount(ctx, recountSize)
	switch {
	case err != nil:
		w.logger.WarnContext(ctx, "could not recount paused enrollments", "error", err)
	case slice.Corrected > 0:
		w.logger.WarnContext(ctx, "corrected wrong counts of paused enrollments: rows were changed while triggers were disabled",
			"corrected", slice.Corrected, "accounts", slice.Accounts)
	}
}
