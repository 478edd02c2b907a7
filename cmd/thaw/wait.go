package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/process"
	"github.com/thawline/thaw/internal/store"
)

// pollEvery is the poll interval of a waiting command.
const pollEvery = 100 * time.Millisecond

// waiting runs wait, and works the queue in this process while no worker process is alive. It
// checks every second, because the last worker may die, or may seem alive for some seconds after
// its end. An additional worker is always allowed.
func waiting(ctx context.Context, e *env, d database, db *store.Store, wait func(ctx context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	over, done := context.WithCancel(ctx)
	group.Go(func() error {
		defer done()
		return wait(ctx)
	})
	group.Go(func() error {
		for {
			alive, err := db.Read().WorkersAlive(over)
			switch {
			case over.Err() != nil:
				return nil
			case err != nil:
				return err
			case alive == 0:
				e.logger.InfoContext(ctx, "no worker process is alive; this process does the work")
				err := workUntil(over, e, d)
				if over.Err() != nil && errors.Is(err, context.Canceled) {
					return nil // the wait ended before the worker started
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
	share, err := connectionsFlag{}.share(running, d, false, true, e.logger)
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

// poll calls look until it is done or fails, or ctx ends.
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

// withStore runs a command with a store on a migrated database.
func withStore(ctx context.Context, e *env, d database, do func(*store.Store) error) error {
	db, err := d.openStore(ctx, e.logger)
	if err != nil {
		return err
	}
	defer db.Pool().Close()
	return do(db)
}
