package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/process"
	"github.com/thawline/thaw/internal/store"
)

// pollEvery is how often a waiting command looks.
const pollEvery = 100 * time.Millisecond

// waiting runs wait and makes sure that it does not wait in vain: while no worker process is alive, this one works. It looks
// again now and then, because the last worker may die, or seem alive for some seconds after its end. One more worker on a
// database is always allowed.
func waiting(ctx context.Context, e *env, d database, db *store.Store, wait func(ctx context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	over, done := context.WithCancel(ctx)
	group.Go(func() error {
		defer done()
		return wait(ctx)
	})
	group.Go(func() error {
		for {
			alive, err := db.HasLeader(over, d.RiverSchema)
			switch {
			case over.Err() != nil:
				return nil
			case err != nil:
				return err
			case !alive:
				e.logger.InfoContext(ctx, "no worker process is alive; this command does the work itself")
				err := workUntil(over, e, d)
				if over.Err() != nil && errors.Is(err, context.Canceled) {
					return nil // the wait was over before the worker had begun
				}
				return err
			}
			select {
			case <-over.Done():
				return nil
			case <-time.After(time.Second):
			}
		}
	})
	return group.Wait()
}

// workUntil runs a worker until ctx ends.
func workUntil(ctx context.Context, e *env, d database) error {
	running := context.WithoutCancel(ctx)
	const concurrency = 4
	share, err := budgetFlag{}.budget(running, d, false, true, e.logger)
	if err != nil {
		return err
	}
	pools, err := d.openPools(running, share)
	if err != nil {
		return err
	}
	defer closePools(pools)
	return process.Run(ctx, process.Config{
		Pools: pools, RiverSchema: d.RiverSchema, DrainFor: drainFor, Logger: e.logger,
		Work: &process.Work{Concurrency: concurrency, PollOnly: d.PollOnly},
	})
}

// poll calls look until it says that the end is reached, it fails, or ctx ends.
func poll(ctx context.Context, look func() (done bool, err error)) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// withStore runs a command on a migrated database.
func withStore(ctx context.Context, e *env, d database, do func(*store.Store) error) error {
	db, err := d.openStore(ctx, e.logger)
	if err != nil {
		return err
	}
	defer db.Pool().Close()
	return do(db)
}
