package metrics

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

const (
	// patience is how long a scrape waits for the database, for all groups together.
	patience = 200 * time.Millisecond
	// readWithin ends a reading for which no scrape waits any more. It is shown by the next scrape.
	readWithin = 10 * time.Second
	// shownFor is how old a reading may be that is shown because a newer one is not there in time.
	shownFor = time.Minute
	// readingsAtOnce is how many connections a scrape takes at most.
	readingsAtOnce = 2
)

// snapshot begins the transaction of a reading. The server ends a statement too, because it does not always notice that the
// client waits no longer. The planner would compile for longer than these statements run.
var snapshot = pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off; SET LOCAL statement_timeout = " +
	strconv.FormatInt(readWithin.Milliseconds(), 10)}

// A group is a part of what the database knows that is read by itself, in a snapshot of its own: one that takes long, or fails,
// keeps no other from being shown. At most one reading of a group is under way.
type group struct {
	name string
	read func(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error)

	mu         sync.Mutex
	last       []prometheus.Metric
	readAt     time.Time     // when last was read; zero: it never was
	reading    chan struct{} // closed when the reading that is under way is done; nil: there is none
	incomplete float64       // scrapes that went without this group
}

// start begins a reading unless one is under way, or the last one is younger than maxAge. Of all readings that it is given a
// token for, a few run at once.
func (g *group) start(ctx context.Context, s *store.Store, maxAge time.Duration, tokens chan struct{}, failed func(name string, err error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reading != nil || !g.readAt.IsZero() && time.Since(g.readAt) <= maxAge {
		return
	}
	done := make(chan struct{})
	g.reading = done
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		defer cancel()
		metrics, err := g.readNow(ctx, s, tokens)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.reading = nil
		if err != nil {
			failed(g.name, err)
			return
		}
		g.last, g.readAt = metrics, time.Now()
	}()
}

func (g *group) readNow(ctx context.Context, s *store.Store, tokens chan struct{}) (metrics []prometheus.Metric, err error) {
	select {
	case tokens <- struct{}{}:
		defer func() { <-tokens }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = pgx.BeginTxFunc(ctx, s.Pool(), snapshot, func(tx pgx.Tx) error {
		metrics, err = g.read(ctx, s.WithTx(tx))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", g.name, err)
	}
	return metrics, nil
}

// wait waits for the reading that is under way, if there is one.
func (g *group) wait(ctx context.Context) {
	g.mu.Lock()
	reading := g.reading
	g.mu.Unlock()
	if reading == nil {
		return
	}
	select {
	case <-reading:
	case <-ctx.Done():
	}
}

// collect returns what there is to show to a scrape: the last reading if it was made since the scrape began or is younger than
// maxAge; an older one of the last minute if the newest comes late; else nothing, which is counted. A reading that failed is not
// replaced by an older one.
func (g *group) collect(began time.Time, maxAge time.Duration, up bool) (metrics []prometheus.Metric, age time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	age = time.Since(g.readAt)
	isLate := g.reading != nil && age <= shownFor
	if !up || g.readAt.IsZero() || g.readAt.Before(began) && age > maxAge && !isLate {
		g.incomplete++
		return nil, 0, false
	}
	return g.last, age, true
}

// wasReadSince says whether a reading ended well since a moment, or was young enough not to be made anew.
func (g *group) wasReadSince(at time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.readAt.After(at)
}

// answers says whether the database answers at all. A pool in which no connection is free says nothing about it, so that then a
// connection of its own is opened.
func answers(ctx context.Context, s *store.Store) error {
	if stat := s.Pool().Stat(); stat.AcquiredConns() < stat.MaxConns() {
		return s.Pool().Ping(ctx)
	}
	config := s.Pool().Config()
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return conn.Ping(ctx)
}

// answerWithin is how long a database has to answer that it is there.
const answerWithin = 2 * time.Second
