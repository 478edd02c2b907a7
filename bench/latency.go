package bench

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// latency sends connect signals at random times, each for a different account, and measures when
// its prospects become active. The baseline runs the resume pass inline, in the transaction that
// receives the signal.
type latency struct {
	warmUp, signals, rows int // warm-up signals, measured signals, enrollments per account
	limit                 time.Duration
}

func newLatency(s Scale) benchmark {
	return &latency{
		warmUp: s.pick(80, 100), signals: s.pick(100, 2000), rows: 20, limit: time.Duration(s.pick(12, 60)) * time.Second,
	}
}

// signalsPerSecond is the mean arrival rate. Interarrival times are exponentially distributed.
const signalsPerSecond = 100

func (l *latency) about() About {
	return About{
		Name: "latency",
		Work: fmt.Sprintf("%d signals by webhook at %d/s, random arrivals: from the 2xx response until the %d enrollments of the account are active; sent: from the request",
			l.signals, signalsPerSecond, l.rows),
		Baseline: "the same resume pass inline, in the transaction of the signal, at the same arrival times: from the start of the pass to the commit; sent: including the signal; " +
			"the other queues receive the signal by SQL, without the webhook",
		Metrics: []Metric{
			{Name: "p50", Unit: Millis, Ratio: 3}, {Name: "p99", Unit: Millis, Ratio: 10}, {Name: "latest", Unit: Millis, Limit: 100},
			{Name: "sent p50", Unit: Millis}, {Name: "sent p99", Unit: Millis}, memory,
		},
		withPeers: true,
	}
}

func (l *latency) load(ctx context.Context, r *rig, db *database) error {
	return db.add(ctx, fleet{
		accounts: len(l.variants(r)) * (l.warmUp + l.signals), rows: l.rows, status: "disconnected", paused: true, history: true,
	})
}

// accounts returns the accounts of a variant, those of the warm-up first.
func (l *latency) accounts(place int) share {
	size := l.warmUp + l.signals
	return share{int64(place*size + 1), size}
}

func (l *latency) variants(r *rig) []variant {
	list := []variant{
		{"inline", Baseline, l.inline},
		{"thaw serve", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return l.serve(ctx, r, db, place)
		}},
	}
	if !r.options.Peers || r.peers.missing != "" {
		return list
	}
	for _, q := range []queue{
		{"graphile-worker", "graphile-worker.mjs", nil},
		{"graphile-worker tuned", "graphile-worker.mjs", map[string]any{"concurrentJobs": jobClients, "maxPoolSize": jobClients + 4}},
		{"pg-boss", "pg-boss.mjs", map[string]any{}},
		{"pg-boss tuned", "pg-boss.mjs", map[string]any{
			"localConcurrency": jobClients, "batchSize": 2, "burstWhenBatchFull": true, "pollingIntervalSeconds": 0.5, "notifyPollingIntervalSeconds": 0.5,
		}},
	} {
		list = append(list, variant{q.name, Peer, func(ctx context.Context, db *database, place int) (sample, error) {
			return r.duringPeer(ctx, db, q, func(p *peer) (sample, error) { return l.queue(ctx, db, q, p, place) })
		}})
	}
	return list
}

// A passage holds the times at which a signal was sent, accepted and acted upon.
type passage struct{ sent, accepted, active time.Time }

// inline receives the signal and runs the pass in one transaction, on as many connections as the
// worker has.
func (l *latency) inline(ctx context.Context, db *database, place int) (sample, error) {
	config := db.Config()
	config.MaxConns = jobClients
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	restore, err := db.replaceEnqueue(ctx, enqueueNothing)
	if err != nil {
		return nil, err
	}
	defer restore()
	return l.measured(ctx, db, l.accounts(place), func(ctx context.Context, account int64) (p passage, err error) {
		p.sent = time.Now()
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			name := accountName(account)
			var outcome string
			if err := tx.QueryRow(ctx, signalByCall, name).Scan(&outcome); err != nil {
				return err
			}
			p.accepted = time.Now()
			_, err := tx.Exec(ctx, `
				SELECT thaw.resume_pass('signal', $1, 0, p_signal_id => (
					SELECT max(s.id) FROM thaw.account_signals AS s WHERE s.provider = 'linkedin' AND s.provider_account_id = $2))`,
				account, name)
			return err
		})
		p.active = time.Now()
		return p, err
	}, nil)
}

func accountName(id int64) string { return fmt.Sprintf("account-%d", id) }

// serve sends the signals to a thaw process and is notified when their passes are committed.
func (l *latency) serve(ctx context.Context, r *rig, db *database, place int) (sample, error) {
	accounts := l.accounts(place)
	sender := newSender()
	return r.during(ctx, db, sender.env(), []string{"serve", "--addr", "127.0.0.1:0"}, func(p *program) (sample, error) {
		sender.url = p.url
		listener, err := db.listener(ctx)
		if err != nil {
			return nil, err
		}
		defer listener.close()
		return l.measured(ctx, db, accounts, func(ctx context.Context, account int64) (p passage, err error) {
			p.sent = time.Now()
			err = sender.send(ctx, accountName(account), "connected")
			p.accepted = time.Now()
			return p, err
		}, listener)
	})
}

// queue measures another job queue: in the transaction that receives the signal, thaw.enqueue
// inserts a job of that queue. Other queues skip the webhook: the signal is a call of thaw.signal.
func (l *latency) queue(ctx context.Context, db *database, q queue, p *peer, place int) (sample, error) {
	listener, err := db.listener(ctx)
	if err != nil {
		return nil, err
	}
	defer listener.close()
	send := func(ctx context.Context, account int64) (time.Time, error) {
		err := db.run(ctx, signalByCall, accountName(account))
		return time.Now(), err
	}
	enqueue := enqueueToGraphile
	if q.script == "pg-boss.mjs" {
		enqueue = enqueueToCaller
		send = func(ctx context.Context, account int64) (time.Time, error) {
			return p.ask(ctx, map[string]any{"signal": accountName(account)})
		}
	}
	restore, err := db.replaceEnqueue(ctx, enqueue)
	if err != nil {
		return nil, err
	}
	defer restore()
	return l.measured(ctx, db, l.accounts(place), func(ctx context.Context, account int64) (at passage, err error) {
		at.sent = time.Now()
		at.accepted, err = send(ctx, account)
		return at, err
	}, listener)
}

const signalByCall = "SELECT thaw.signal('linkedin', $1, 'connected')"

// replaceEnqueue replaces thaw.enqueue until restore is called.
func (db *database) replaceEnqueue(ctx context.Context, sql string) (restore func(), err error) {
	var ours string
	if err := db.QueryRow(ctx, "SELECT pg_get_functiondef('thaw.enqueue'::regproc)").Scan(&ours); err != nil {
		return nil, err
	}
	// If this fails, the next variant's signals insert no jobs, which that variant reports.
	return func() { _ = db.run(context.WithoutCancel(ctx), ours) }, db.run(ctx, sql)
}

// Replacements of thaw.enqueue for the other variants. thaw.signal calls it with the job's
// arguments. They insert no River job, which would be an extra cost for these variants.
const (
	enqueueHead = `
		CREATE OR REPLACE FUNCTION thaw.enqueue(
			p_kind text, p_queue text, p_priority smallint, p_args jsonb,
			p_delay interval DEFAULT '0', p_unique_states bit(8) DEFAULT B'11110001'
		) RETURNS bigint LANGUAGE plpgsql AS $$ `
	enqueueToGraphile = enqueueHead + `BEGIN RETURN (graphile_worker.add_job('resume', p_args::json)).id; END $$`
	// pg-boss inserts its jobs itself in the caller's transaction, so the arguments are returned to
	// the caller.
	enqueueToCaller = enqueueHead + `BEGIN PERFORM set_config('bench.job', p_args::text, true); RETURN 0; END $$`
	enqueueNothing  = enqueueHead + `BEGIN RETURN 0; END $$`
)

// measured first sends the warm-up signals, all at once so that they use every connection, and then
// one signal per arrival. With a listener, the notification says when the rows became active.
func (l *latency) measured(ctx context.Context, db *database, accounts share, send func(context.Context, int64) (passage, error), listener *listener) (sample, error) {
	warmUp := share{accounts.first, l.warmUp}
	work := share{accounts.first + int64(l.warmUp), accounts.size - l.warmUp}
	if _, err := l.arrive(ctx, warmUp, 0, send, listener); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	passages, err := l.arrive(ctx, work, time.Second/signalsPerSecond, send, listener)
	if err != nil {
		return nil, err
	}
	if err := db.expect(ctx, work.size*l.rows, "active rows of the accounts that were connected", `
		SELECT count(*) FROM thaw.enrollments AS e
		JOIN thaw.accounts AS a ON a.id = e.account_id AND a.status = 'connected'
		WHERE a.id BETWEEN $1 AND $2 AND e.status = 'active'`, work.first, work.last()); err != nil {
		return nil, err
	}
	var accepted, sent []float64
	for _, p := range passages {
		accepted = append(accepted, max(0, p.active.Sub(p.accepted).Seconds()*1000))
		sent = append(sent, p.active.Sub(p.sent).Seconds()*1000)
	}
	return sample{
		"p50": percentile(accepted, 50), "p99": percentile(accepted, 99), "latest": percentile(accepted, 100),
		"sent p50": percentile(sent, 50), "sent p99": percentile(sent, 99),
	}, nil
}

// arrive sends one signal for each account of a share and returns their passages. The arrival times
// are random with the given mean distance, and the same in every call. With a listener, a signal
// counts as active when the notification arrives.
func (l *latency) arrive(ctx context.Context, s share, distance time.Duration, send func(context.Context, int64) (passage, error), listener *listener) ([]passage, error) {
	passages := make([]passage, s.size)
	var active []time.Time
	group, ctx := errgroup.WithContext(ctx)
	if listener != nil {
		group.Go(func() (err error) {
			waiting, cancel := context.WithTimeout(ctx, l.limit)
			defer cancel()
			active, err = listener.waitAll(waiting, "signal", s)
			if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				done := len(slices.DeleteFunc(active, time.Time.IsZero))
				err = &gaveUpError{fmt.Sprintf("%d of %d jobs done after %s", done, s.size, l.limit)}
			}
			return err
		})
	}
	random := mathrand.New(mathrand.NewPCG(1, 2)) //nolint:gosec // the same arrivals for every variant
	due := time.Now()
	for i := range s.size {
		due = due.Add(time.Duration(random.ExpFloat64() * float64(distance)))
		select {
		case <-ctx.Done():
			return nil, group.Wait()
		case <-time.After(time.Until(due)):
		}
		group.Go(func() (err error) {
			passages[i], err = send(ctx, s.first+int64(i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, at := range active {
		passages[i].active = at
	}
	return passages, nil
}
