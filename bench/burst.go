package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// burst sends connect signals through the webhook as fast as they are accepted, each for a
// different account with prospects to resume, and waits until all of these are active. The baseline
// is pgbench with the same two transactions per signal, one after the other.
type burst struct{ signals, rows int }

func newBurst(s Scale) benchmark { return &burst{signals: s.pick(1600, 20_000), rows: 5} }

func (b *burst) about() About {
	return About{
		Name: "burst",
		Work: fmt.Sprintf("%d signed webhooks over %d connections, each for an account with %d enrollments to resume, until the last one is active",
			b.signals, signalClients, b.rows),
		Baseline: fmt.Sprintf("pgbench with %d clients: the function that the webhook calls, then the resume pass, in one transaction each", signalClients),
		Metrics: []Metric{
			{Name: "drained", Unit: PerSecond, MoreIsBetter: true, Ratio: 0.85}, {Name: "accepted", Unit: PerSecond, MoreIsBetter: true},
			{Name: "lag", Unit: Millis}, memory,
		},
		maxRounds: 1,
	}
}

func (b *burst) load(ctx context.Context, r *rig, db *database) error {
	// Raised so that the caps do not end the burst. No notifications either: a pass that notifies
	// does not share its flush.
	for _, sql := range []string{
		"UPDATE thaw.settings SET signal_cap = 10000000, fleet_cap = 10000000", "DROP TRIGGER bench_ring ON thaw.account_signals",
	} {
		if err := db.run(ctx, sql); err != nil {
			return err
		}
	}
	return db.add(ctx, fleet{accounts: len(b.variants(r)) * b.signals, rows: b.rows, status: "disconnected", paused: true, history: true})
}

func (b *burst) share(place int) share { return share{int64(place*b.signals + 1), b.signals} }

func (b *burst) variants(r *rig) []variant {
	return []variant{
		{"pgbench", Baseline, func(ctx context.Context, db *database, place int) (sample, error) {
			return b.pgbench(ctx, r, db, place)
		}},
		{"thaw serve", Thaw, func(ctx context.Context, db *database, place int) (sample, error) { return b.serve(ctx, r, db, place) }},
	}
}

func (b *burst) pgbench(ctx context.Context, r *rig, db *database, place int) (sample, error) {
	accounts := b.share(place)
	if err := db.run(ctx, fmt.Sprintf("CREATE SEQUENCE IF NOT EXISTS public.burst START %d", accounts.first)); err != nil {
		return nil, err
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	took, err := r.tools.pgbench(ctx, db, signalClients, b.signals, 0, `SELECT nextval('public.burst') AS account \gset
SELECT thaw.receive_signal('linkedin', 'account-' || :account, 'connected', 'connected', clock_timestamp(), NULL,
    'standard:' || gen_random_uuid(), false, jsonb_build_object('type', 'account.status', 'timestamp', clock_timestamp(),
    'data', jsonb_build_object('provider', 'linkedin', 'account_id', 'account-' || :account, 'status', 'connected')));
SELECT thaw.resume_pass('signal', :account, 0, p_signal_id => (
    SELECT max(s.id) FROM thaw.account_signals AS s WHERE s.provider = 'linkedin' AND s.provider_account_id = 'account-' || :account));
`)
	if err != nil {
		return nil, err
	}
	// The signals left jobs behind.
	if err := db.run(ctx, "DELETE FROM thaw.river_job"); err != nil {
		return nil, err
	}
	rate := float64(b.signals) / took.Seconds()
	return sample{"drained": rate, "accepted": rate}, b.check(ctx, db, accounts)
}

func (b *burst) serve(ctx context.Context, r *rig, db *database, place int) (sample, error) {
	accounts := b.share(place)
	sender := newSender()
	return r.during(ctx, db, sender.env(), []string{"serve", "--addr", "127.0.0.1:0"}, func(p *program) (sample, error) {
		sender.url = p.url
		requests := make([][][]byte, signalClients)
		for i := range accounts.size {
			wire, err := sender.wire(ctx, accountName(accounts.first+int64(i)), "connected")
			if err != nil {
				return nil, err
			}
			requests[i%signalClients] = append(requests[i%signalClients], wire)
		}
		if err := db.settle(ctx); err != nil {
			return nil, err
		}
		watching, done := context.WithCancel(ctx)
		defer done()
		var lag time.Duration
		var watcher sync.WaitGroup
		watcher.Go(func() { lag = b.lag(watching, db) })
		began := time.Now()
		group, sending := errgroup.WithContext(ctx)
		for _, own := range requests {
			group.Go(func() error { return post(sending, p.url, own) })
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		accepted := time.Since(began)
		for every := time.Tick(5 * time.Millisecond); ; <-every {
			left, err := db.number(ctx, "SELECT count(*) FROM thaw.river_job WHERE queue = 'resume' AND state IN ('available', 'running', 'retryable')")
			if err != nil {
				return nil, err
			}
			if left == 0 {
				break
			}
		}
		drained := time.Since(began)
		done()
		watcher.Wait()
		n := float64(accounts.size)
		return sample{"drained": n / drained.Seconds(), "accepted": n / accepted.Seconds(), "lag": lag.Seconds() * 1000}, b.check(ctx, db, accounts)
	})
}

// lag returns the longest time that the oldest waiting signal job had waited, sampled ten times per
// second.
func (b *burst) lag(ctx context.Context, db *database) (longest time.Duration) {
	for every := time.Tick(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return longest
		case <-every:
			var waited time.Duration
			err := db.QueryRow(ctx, "SELECT coalesce(now() - min(scheduled_at), '0') FROM thaw.river_job WHERE queue = 'resume' AND state = 'available'").Scan(&waited)
			if err == nil {
				longest = max(longest, waited)
			}
		}
	}
}

func (b *burst) check(ctx context.Context, db *database, accounts share) error {
	return db.expect(ctx, accounts.size*b.rows, "active rows of the accounts that were connected",
		"SELECT count(*) FROM thaw.enrollments AS e WHERE e.account_id BETWEEN $1 AND $2 AND e.status = 'active'", accounts.first, accounts.last())
}
