package readmodel

import (
	"context"
	"sync"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
)

const (
	// countFactor is how many times as long as counting took a count is kept. All callers together
	// then count at most a twentieth of the time.
	countFactor = 20
	// countedFor is the maximum time for which a count is kept.
	countedFor = 3 * time.Second
	// cheapCount is how long counting may take without being kept: a small fleet always gets a new
	// count.
	cheapCount = 10 * time.Millisecond
)

// A pausedCounter counts the paused prospects of the fleet. Each count is exact, but adding up the
// counts of a hundred thousand accounts takes tens of milliseconds, more than the rest of a page.
// Such a count is therefore kept for a short time, see countFactor, and shared by all callers.
type pausedCounter struct {
	count func(context.Context, *dbsqlc.Queries) (PausedCount, error)
	now   func() time.Time // the clock of the process

	mu     sync.Mutex
	kept   PausedCount
	began  time.Time // when counting began
	until  time.Time // until when the count is served
	forgot time.Time // counts that began before this time must not be served
}

func newPausedCounter() *pausedCounter {
	return &pausedCounter{
		count: func(ctx context.Context, q *dbsqlc.Queries) (PausedCount, error) {
			return pausedCount(ctx, q, Everything())
		},
		now: time.Now,
	}
}

// read returns a count and its age. Callers must not change the count.
func (c *pausedCounter) read(ctx context.Context, q *dbsqlc.Queries) (count PausedCount, age time.Duration, err error) {
	began := c.now()
	c.mu.Lock()
	if began.Before(c.until) {
		defer c.mu.Unlock()
		return c.kept, began.Sub(c.began), nil
	}
	c.mu.Unlock()
	if count, err = c.count(ctx, q); err != nil {
		return count, 0, err
	}
	ended := c.now()
	took := ended.Sub(began)
	c.mu.Lock()
	defer c.mu.Unlock()
	if took > cheapCount && began.After(c.forgot) && began.After(c.began) {
		c.kept, c.began, c.until = count, began, ended.Add(min(countFactor*took, countedFor))
	}
	return count, took, nil
}

// forget drops the count, so that the next caller counts.
func (c *pausedCounter) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until, c.forgot = time.Time{}, c.now()
}
