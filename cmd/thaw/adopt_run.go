package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/store"
)

type adoptRunCmd struct {
	database `embed:""`
	Name     string `help:"Name of this consumer, for logs." default:"thaw adopt run"`
	Once     bool   `help:"Write the changes that wait, then exit."`
}

func (adoptRunCmd) Help() string {
	return "Runs until it is stopped. Each batch is one transaction that locks the platform's rows in the order of their ids, and leaves rows that the platform has locked to a later batch. A new mapping takes effect without a restart. Several processes can run. Not needed if a worker of the platform calls thaw.take_changes itself.\n\nExample:\n  thaw adopt run"
}

func (c *adoptRunCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		pool := db.Pool()
		m, err := adopt.Applied(ctx, pool)
		if err != nil {
			return err
		}
		prepared, err := prepareAdoption(ctx, pool, m, "the mapping that was applied", c.RiverSchema)
		if err != nil {
			return err
		}
		consumer := prepared.NewConsumer(c.Name, e.logger)
		if c.Once {
			return runOnce(ctx, e, pool, consumer)
		}
		e.logger.InfoContext(ctx, "writing Thaw's changes into the platform's tables", slog.String("consumer", c.Name))
		var listen func(context.Context, func()) error
		if !c.PollOnly {
			listen = func(ctx context.Context, notified func()) error { return listenForChanges(ctx, pool, notified) }
		}
		return consumer.Run(ctx, pool, listen)
	})
}

// runOnce waits at most this often, and this long, for rows that the platform has locked.
const (
	lockedAttempts = 25
	lockedPause    = 200 * time.Millisecond
)

func runOnce(ctx context.Context, e *env, pool *pgxpool.Pool, consumer *adopt.Consumer) error {
	var total adopt.Written
	for attempt := 1; ; {
		done, err := consumer.Batch(ctx, pool)
		if err != nil {
			return err
		}
		total.Taken, total.Written, total.Refused = total.Taken+done.Taken, total.Written+done.Written, total.Refused+done.Refused
		switch {
		case done.Taken > 0:
			continue
		case done.Locked > 0 && attempt < lockedAttempts:
			attempt++
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(lockedPause):
			}
			continue
		}
		printf(e.stdout, "%s taken, %s written, %s refused", many(total.Taken, "change"), many(total.Written, "row"), number(total.Refused))
		if done.Locked > 0 {
			printf(e.stdout, ", %s left: the platform has locked their rows", number(done.Locked))
		}
		printf(e.stdout, ".\n")
		return nil
	}
}

// listenForChanges calls notified for every notification, until ctx or the connection ends.
func listenForChanges(ctx context.Context, pool *pgxpool.Pool, notified func()) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// A connection that listens does not go back into the pool.
	listening := conn.Hijack()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = listening.Close(closing) // nothing depends on it
	}()
	if _, err := listening.Exec(ctx, `LISTEN "thaw.changes"`); err != nil {
		return err
	}
	for {
		notified() // also for what was queued before
		if _, err := listening.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}
