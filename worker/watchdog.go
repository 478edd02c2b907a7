package worker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// watchEvery is how often a process looks whether the current tick has its sweep; shorter ticks are looked at more often.
const watchEvery = time.Minute

// A watchdog inserts the sweep of the current tick if nobody else did, and the look of the current minute. It runs in every
// process.
type watchdog struct {
	store  *store.Store
	clock  *tickClock
	logger *slog.Logger
}

// lookWithin bounds one look. A connection that a firewall has forgotten answers nothing, not even that it is gone.
const lookWithin = 5 * time.Second

func (d *watchdog) run(ctx context.Context) {
	for {
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			d.logger.WarnContext(ctx, "could not ask for the sweep of this tick and the look of this minute; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(watchEvery, d.clock.length()/3)):
		}
	}
}

func (d *watchdog) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if err := d.store.AskSweepAndWatch(ctx); err != nil {
		return err
	}
	return d.measure(ctx)
}

const (
	// pickUpEvery is how often a process looks for signals that came while their account was being inserted. The look is one
	// probe of an index that is nearly always empty.
	pickUpEvery = time.Second
	// pickUpWithin is how far back that look goes; the job "watch" looks at all of them.
	pickUpWithin = 2 * time.Minute
)

// pickUp applies signals that were kept for an account that exists by now.
func (d *watchdog) pickUp(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pickUpEvery):
		}
		settled, err := d.pickUpOnce(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			d.logger.DebugContext(ctx, "could not look for signals of new accounts; trying again", "error", err)
		case settled > 0:
			d.logger.InfoContext(ctx, "applied signals that were faster than their account", "signals", settled)
		}
	}
}

func (d *watchdog) pickUpOnce(ctx context.Context) (settled int32, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	err = d.store.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		settled, err = q.PickUpSignals(ctx, pickUpWithin)
		return err
	})
	return settled, err
}

// measure learns the length of a tick, and by how much the database's clock is ahead of this process's.
func (d *watchdog) measure(ctx context.Context) error {
	before := time.Now()
	read, err := d.store.TickClock(ctx)
	if err != nil {
		return err
	}
	middle := before.Add(time.Since(before) / 2)
	d.clock.now.Store(&reading{tick: read.Tick, origin: read.TickAt, ahead: read.Now.Sub(middle)})
	return nil
}

// A tickClock knows the ticks of the database's clock without asking it, for River's scheduler, which runs by the clock of
// the process and must not block.
type tickClock struct{ now atomic.Pointer[reading] }

type reading struct {
	tick   time.Duration
	origin time.Time     // the start of some tick
	ahead  time.Duration // of the database's clock before ours
}

// afterTheEdge keeps an error in the reading from naming the tick before.
const afterTheEdge = 100 * time.Millisecond

func (c *tickClock) length() time.Duration { return c.now.Load().tick }

// Next implements [river.PeriodicSchedule]: shortly after the next tick has begun.
func (c *tickClock) Next(current time.Time) time.Time {
	r := c.now.Load()
	return r.start(current.Add(-afterTheEdge)).Add(r.tick - r.ahead + afterTheEdge)
}

// sweep is the job that the scheduler inserts.
func (c *tickClock) sweep() (river.JobArgs, *river.InsertOpts) {
	return jobs.SweepArgs{TickAt: jobs.TickAt(c.now.Load().start(time.Now()))}, nil
}

// start returns the start of the tick, by the database's clock, at a time of ours.
func (r *reading) start(ours time.Time) time.Time {
	since := ours.Add(r.ahead).Sub(r.origin)
	ticks := since / r.tick
	if since%r.tick < 0 {
		ticks--
	}
	return r.origin.Add(ticks * r.tick)
}
