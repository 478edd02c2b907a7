package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

// watchEvery is how often a process checks that the current tick has a sweep. For ticks shorter
// than 3 minutes it checks three times per tick.
const watchEvery = time.Minute

// A watchdog inserts the sweep of the current tick and the jobs watch and schedule of the current
// minute, unless they exist. It runs in every process.
type watchdog struct {
	store  *store.Store
	clock  *tickClock
	logger *slog.Logger
}

// lookWithin bounds one check. A connection that a firewall has dropped silently never returns an
// error.
const lookWithin = 5 * time.Second

func (d *watchdog) run(ctx context.Context) {
	for {
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			d.logger.WarnContext(ctx, "could not insert the sweep of this tick and the jobs of this minute; retrying", "error", err)
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
	if err := d.store.Trip().AskSweepAndWatch(ctx); err != nil {
		return err
	}
	if _, err := d.store.Trip().CountActionHours(ctx); err != nil {
		d.logger.WarnContext(ctx, "could not count the actions of this hour; retrying", "error", err)
	}
	return d.measure(ctx)
}

const (
	// pickUpEvery is how often a process looks for signals that were received while their account
	// was being inserted. The query probes an index that is almost always empty.
	pickUpEvery = time.Second
	// pickUpWithin is how far back that query looks. The job "watch" covers all kept signals.
	pickUpWithin = 2 * time.Minute
)

// pickUp applies signals that were kept for an unknown account which exists now, and changes of the
// platform's own tables that could not be applied before. It rings for changes that the platform
// has not taken, tends the actions, and logs recorded manual actions.
func (d *watchdog) pickUp(ctx context.Context) {
	duties := []duty{
		{do: d.applyKept, failed: "could not look for signals of new accounts; retrying"},
		{do: d.tendAdoption, failed: "could not look for changes of the platform's tables; retrying"},
		{do: d.tendActions, failed: "could not look for due actions; retrying"},
		{do: d.logActions, failed: "could not log recorded actions; retrying"},
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pickUpEvery):
		}
		for i := range duties {
			if err := duties[i].do(ctx); err != nil && ctx.Err() == nil {
				d.logger.Log(ctx, duties[i].level(time.Now()), duties[i].failed, "error", err)
			}
		}
	}
}

// A duty is something that a process does every second.
type duty struct {
	do       func(ctx context.Context) error
	failed   string // the message if it fails
	warnedAt time.Time
}

// level returns the level of a failure: warn at most once per watchEvery, debug otherwise. A duty
// that fails does so every second.
func (y *duty) level(now time.Time) slog.Level {
	if !y.warnedAt.IsZero() && now.Sub(y.warnedAt) < watchEvery {
		return slog.LevelDebug
	}
	y.warnedAt = now
	return slog.LevelWarn
}

func (d *watchdog) applyKept(ctx context.Context) error {
	settled, err := d.pickUpOnce(ctx)
	if settled > 0 {
		d.logger.InfoContext(ctx, "applied signals that arrived before their account was inserted", "signals", settled)
	}
	return err
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

// tendAdoption does nothing, in two queries, while the platform's tables are not adopted.
func (d *watchdog) tendAdoption(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var failed int32
	err := d.store.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) (err error) {
		failed, err = q.RetryAdoption(ctx)
		return err
	})
	if failed > 0 {
		d.logger.WarnContext(ctx, "changes of the platform's tables could not be applied; see thaw adopt status", "rows", failed)
	}
	return errors.Join(err, d.store.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error { return q.RingChanges(ctx) }))
}

// tendActions ends leases that are over, notes which accounts may have something to send, notifies
// senders, and follows changes of persons. These are separate transactions, because each locks
// other rows first.
func (d *watchdog) tendActions(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	_, expire := d.store.Trip().ExpireActions(ctx)
	_, nudge := d.store.Trip().TakeNudges(ctx)
	ring := d.store.Trip().RingActions(ctx)
	// Last, because it waits for senders.
	_, follow := d.store.Trip().FollowPersons(ctx)
	return errors.Join(expire, nudge, ring, follow)
}

// measure reads the length of a tick and the offset of the database's clock from the process's
// clock.
func (d *watchdog) measure(ctx context.Context) error {
	before := time.Now()
	read, err := d.store.Read().TickClock(ctx)
	if err != nil {
		return err
	}
	middle := before.Add(time.Since(before) / 2)
	d.clock.now.Store(&reading{tick: read.Tick, origin: read.TickAt, ahead: read.Now.Sub(middle)})
	return nil
}

// A tickClock computes ticks of the database's clock without a query. River's scheduler uses it:
// the scheduler runs on the process's clock and must not block.
type tickClock struct{ now atomic.Pointer[reading] }

type reading struct {
	tick   time.Duration
	origin time.Time     // the start of some tick
	ahead  time.Duration // offset of the database's clock from the process's clock
}

// afterTheEdge is a margin after the start of a tick. Without it, a measurement error could yield
// the previous tick.
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

// start returns the start of the tick, by the database's clock, for a time of the process's clock.
func (r *reading) start(ours time.Time) time.Time {
	since := ours.Add(r.ahead).Sub(r.origin)
	ticks := since / r.tick
	if since%r.tick < 0 {
		ticks--
	}
	return r.origin.Add(ticks * r.tick)
}
