package bench

import (
	"context"
	_ "embed"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

//go:embed sql/bare_racer.sql
var bareRacer string

// racers reserves actions of one account at a time from many clients at once. The database must
// give out exactly the cap. The baseline is the queue for a row lock, without any gate.
type racers struct{ accounts, clients, cap int }

func newRacers(s Scale) benchmark { return &racers{accounts: s.pick(20, 200), clients: 50, cap: 30} }

// racersWarmUp is the number of accounts, in addition to those of the work, with which the clients
// plan their statements.
const racersWarmUp = 2

func (r *racers) about() About {
	return About{
		Name: "racers",
		Work: fmt.Sprintf("%d clients reserve an action each of the same account at once, whose cap is %d, on %d accounts one after another: each call, from request to answer",
			r.clients, r.cap, r.accounts),
		Baseline: fmt.Sprintf("a queue for one row lock, and %d bare inserts", r.cap),
		Metrics: []Metric{
			{Name: "p99", Unit: Millis, Limit: 50}, {Name: "p50", Unit: Millis}, {Name: "latest", Unit: Millis},
			// The time in which all clients of an account are served.
			{Name: "race", Unit: Millis},
		},
	}
}

// load creates the accounts of each variant, those of its warm-up first.
func (r *racers) load(ctx context.Context, rig *rig, db *database) error {
	for range r.variants(rig) {
		if err := db.add(ctx, fleet{accounts: racersWarmUp + r.accounts, rows: r.clients, status: "connected"}); err != nil {
			return err
		}
	}
	if err := db.script(ctx, sendAtAnyTime); err != nil {
		return err
	}
	if err := db.run(ctx, "UPDATE thaw.action_limits SET per_day = $1", r.cap); err != nil {
		return err
	}
	// Even a gap of 0 keeps a transaction from reserving at a time before the last reservation, and
	// the one that gets the lock first is not always the one that began first.
	return db.stopClock(ctx)
}

func (r *racers) variants(*rig) []variant {
	return []variant{
		{"row lock", Baseline, func(ctx context.Context, db *database, place int) (sample, error) {
			return r.race(ctx, db, place, bareRacer, func(account racersOf, client int) []any {
				return []any{account.prospects[client], account.sender, client < r.cap}
			})
		}},
		{"thaw", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return r.race(ctx, db, place, "SELECT id FROM thaw.reserve($1) WHERE id IS NOT NULL", func(account racersOf, client int) []any {
				return []any{account.prospects[client]}
			})
		}},
	}
}

// racersOf is what the clients race for: the prospects of one account, one per client.
type racersOf struct {
	sender    int64
	prospects []int64
}

func (r *racers) race(ctx context.Context, db *database, place int, reserve string, args func(account racersOf, client int) []any) (sample, error) {
	pool, err := db.platform(ctx, r.clients)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	all := share{int64(place*(racersWarmUp+r.accounts) + 1), racersWarmUp + r.accounts}
	prospects, err := db.prospectsOf(ctx, all)
	if err != nil {
		return nil, err
	}
	var calls, races []float64
	for i, of := range prospects {
		if i == racersWarmUp {
			if err := db.settle(ctx); err != nil {
				return nil, err
			}
			calls, races = nil, nil
		}
		account := racersOf{prospects: of}
		if account.sender, err = db.number(ctx, "SELECT s.sender_id FROM thaw.sending_accounts AS s WHERE s.account_id = $1", all.first+int64(i)); err != nil {
			return nil, err
		}
		took, err := r.start(ctx, pool, reserve, func(client int) []any { return args(account, client) })
		if err != nil {
			return nil, err
		}
		calls, races = append(calls, took...), append(races, percentile(took, 100))
	}
	if err := db.expect(ctx, all.size, "accounts with as many reserved actions as their cap", `
		SELECT count(*) FROM (
			SELECT FROM thaw.actions AS a WHERE a.state = 'reserved' AND a.account_id BETWEEN $1 AND $2
			GROUP BY a.account_id HAVING count(*) = $3) AS full_caps`, all.first, all.last(), r.cap); err != nil {
		return nil, err
	}
	return sample{"p50": percentile(calls, 50), "p99": percentile(calls, 99), "latest": percentile(calls, 100), "race": median(races)}, nil
}

// start lets all clients call once, at the same time, and returns how long each call took, in
// milliseconds. A deadlock is an error.
func (r *racers) start(ctx context.Context, pool *pgxpool.Pool, reserve string, args func(client int) []any) ([]float64, error) {
	took := make([]float64, r.clients)
	var reserved atomic.Int64
	ready, begin := make(chan struct{}), make(chan struct{})
	clients, ctx := errgroup.WithContext(ctx)
	for client := range r.clients {
		clients.Go(func() error {
			conn, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			defer conn.Release()
			select {
			case ready <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			<-begin
			began := time.Now()
			tag, err := conn.Exec(ctx, reserve, args(client)...)
			took[client] = time.Since(began).Seconds() * 1000
			reserved.Add(tag.RowsAffected())
			return err
		})
	}
	for range r.clients {
		select {
		case <-ready:
		case <-ctx.Done():
		}
	}
	close(begin)
	if err := clients.Wait(); err != nil {
		return nil, fmt.Errorf("reserving: %w", err)
	}
	if n := reserved.Load(); n != int64(r.cap) {
		return nil, fmt.Errorf("wrong result: %d clients got a reservation, the cap is %d", n, r.cap)
	}
	return took, nil
}
