package metrics

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
)

const (
	// patience is how long a scrape waits for all groups together.
	patience = 200 * time.Millisecond
	// readWithin limits a reading, in this process and in the database. A reading that outlives its
	// scrape is shown by the next one.
	readWithin = 10 * time.Second
	// shownFor is how long an old reading is shown while a newer one is late.
	shownFor = time.Minute
	// readingsAtOnce is the maximum number of connections of a scrape.
	readingsAtOnce = 2
)

// A group is a set of fleet metrics that is read in its own snapshot, so that a slow or failing
// group does not affect the others. At most one reading of a group runs at a time.
type group struct {
	name string
	read func(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error)

	mu         sync.Mutex
	last       []prometheus.Metric
	readAt     time.Time     // when last was read; zero: never
	reading    chan struct{} // closed when the running reading is done; nil: none is running
	incomplete float64       // number of scrapes without this group
}

// start begins a reading unless one is running or the last one is younger than maxAge. The tokens
// limit how many readings run at a time.
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
	// Waiting for the other groups does not count: two groups that hang would otherwise end the
	// readings of all groups behind them.
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	err = s.SnapshotWith(ctx, store.SnapshotOptions{Timeout: readWithin}, func(q *dbsqlc.Queries) error {
		metrics, err = g.read(ctx, q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", g.name, err)
	}
	return metrics, nil
}

// wait waits for the running reading, if any.
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

// collect returns the metrics to show: the last reading if it was made since the scrape began or is
// younger than maxAge, or one of the last minute if a newer one is late. Otherwise it counts an
// incomplete scrape. A failed reading is not replaced by an older one.
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

// wasReadSince reports whether a reading succeeded after at.
func (g *group) wasReadSince(at time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.readAt.After(at)
}

// answers reports whether the database answers. If the pool has no free connection, it opens a new
// one.
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

// answerWithin is how long the database may take to answer a ping.
const answerWithin = 2 * time.Second
