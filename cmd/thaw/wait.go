package main

import (
	"context"
	"errors"
	"time"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/worker"
)

// pollEvery is how often a waiting command looks.
const pollEvery = 100 * time.Millisecond

// workMeanwhile makes a command that waits for a job not wait in vain: if no worker process is alive, this one works until
// the returned function is called. One more worker on a database is always allowed.
func workMeanwhile(ctx context.Context, e *env, d database, db *store.Store) (stop func() error, err error) {
	alive, err := db.HasLeader(ctx, d.RiverSchema)
	if err != nil {
		return nil, err
	}
	if alive {
		return func() error { return nil }, nil
	}
	e.logger.InfoContext(ctx, "no worker process is alive; this command does the work itself")
	pool, err := d.open(ctx, 12)
	if err != nil {
		return nil, err
	}
	riverPool, err := d.open(ctx, 12)
	if err != nil {
		pool.Close()
		return nil, err
	}
	closePools := func() { riverPool.Close(); pool.Close() }
	w, err := worker.New(ctx, worker.Config{
		Pool: pool, RiverPool: riverPool, RiverSchema: d.RiverSchema, PollOnly: d.PollOnly, Logger: e.logger,
	})
	if err == nil {
		err = w.Start(context.WithoutCancel(ctx))
	}
	if err != nil {
		closePools()
		return nil, err
	}
	return func() error {
		defer closePools()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
		defer cancel()
		return w.Stop(drain)
	}, nil
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

// waiting runs wait while somebody works.
func waiting(ctx context.Context, e *env, d database, db *store.Store, wait func() error) error {
	stop, err := workMeanwhile(ctx, e, d, db)
	if err != nil {
		return err
	}
	err = wait()
	return errors.Join(err, stop())
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
