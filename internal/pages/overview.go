package pages

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/outlook"
)

// keepOverview is how long an overview is good for everybody. It costs as much as an idle tick, so a room full of viewers
// must not cost that each.
const keepOverview = 2 * time.Second

// An overviewCache reads the overview at most once in a while, whoever asks.
type overviewCache struct {
	db *pgxpool.Pool

	mu     sync.Mutex
	last   outlook.Overview
	readAt time.Time
}

func (c *overviewCache) read(ctx context.Context) (outlook.Overview, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.readAt) < keepOverview {
		return c.last, nil
	}
	o, err := outlook.ReadOverview(ctx, c.db)
	if err != nil {
		return o, err
	}
	c.last, c.readAt = o, time.Now()
	return o, nil
}

// forget makes the next one be read anew: something has changed.
func (c *overviewCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readAt = time.Time{}
}

type fleetPage struct {
	outlook.Overview
	Chart chart
}

func (s *site) fleet(r *http.Request) (view, error) {
	o, err := s.overview.read(r.Context())
	if err != nil {
		return view{}, err
	}
	return view{"fleet.html", "Fleet", fleetPage{Overview: o, Chart: chartOf(o.Ticks)}}, nil
}
