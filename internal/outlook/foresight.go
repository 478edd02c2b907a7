package outlook

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/schema/dbsqlc"
)

const (
	// freshSight is the age from which on a forecast is made anew, while the last one is still good for who asks.
	freshSight = 2 * time.Second
	// keepSight is the age from which on it is not good for anybody.
	keepSight = time.Minute
	// renewWithin bounds the making of one that nobody waits for.
	renewWithin = 10 * time.Second
)

// A Foresight answers what depends on the whole fleet: who waits at this moment, and which tick wakes whom. To find that out
// costs as much as an idle tick, so it is kept for those who ask next: for a minute at most, never beyond its tick or the making
// of its plan, and made anew in the background when it is asked for after two seconds. Safe for use by several goroutines.
type Foresight struct {
	db *pgxpool.Pool

	mu         sync.Mutex
	kept       *sight
	isRenewing bool
}

// A sight is the fleet at one moment, and the ticks that follow from it.
type sight struct {
	made      ticks
	at        time.Time
	claimants []plan.Claimant
	backlog   int
	forecast  *plan.Forecast
}

// NewForesight returns one that has yet to look.
func NewForesight(db *pgxpool.Pool) *Foresight { return &Foresight{db: db} }

// Renew looks now.
func (f *Foresight) Renew(ctx context.Context) error {
	var s *sight
	err := read(ctx, f.db, func(q *dbsqlc.Queries) error {
		t, err := readTicks(ctx, q)
		if err != nil {
			return err
		}
		s, err = see(ctx, q, t)
		return err
	})
	if err != nil {
		return fmt.Errorf("looking ahead: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = s
	return nil
}

// Forget makes the next one who asks look.
func (f *Foresight) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = nil
}

// look returns a sight of these ticks. Of several who need a new one at the same time, one looks and the others wait for it.
func (f *Foresight) look(ctx context.Context, q *dbsqlc.Queries, t ticks) (*sight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept != nil && f.kept.made == t {
		age := time.Since(f.kept.at)
		if age > freshSight && age <= keepSight && !f.isRenewing {
			f.isRenewing = true
			go f.renew(context.WithoutCancel(ctx))
		}
		if age <= keepSight {
			return f.kept, nil
		}
	}
	s, err := see(ctx, q, t)
	if err != nil {
		return nil, err
	}
	f.kept = s
	return s, nil
}

// renew fails silently: who asks when the last one is too old gets to see the error.
func (f *Foresight) renew(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, renewWithin)
	defer cancel()
	_ = f.Renew(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isRenewing = false
}

func see(ctx context.Context, q *dbsqlc.Queries, t ticks) (*sight, error) {
	s := &sight{made: t, at: time.Now()}
	var err error
	if s.claimants, s.backlog, err = claimantsOf(ctx, q, t); err != nil {
		return nil, err
	}
	s.forecast, err = forecastFor(ctx, q, t, s.claimants)
	return s, err
}
