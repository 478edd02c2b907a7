package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// pause pauses all active prospects of an account that disconnects, and measures how long another
// transaction waits for the account's lock meanwhile. The baseline is one statement with the same
// result.
type pause struct{ rows int }

func newPause(s Scale) benchmark { return &pause{rows: s.pick(10_000, 102_000)} }

func (p *pause) about() About {
	return About{
		Name:     "pause",
		Work:     fmt.Sprintf("pause of %d active enrollments on one account, from the disconnect signal to the end", p.rows),
		Baseline: "one raw statement: the same UPDATE and the same INSERT of events",
		Metrics: []Metric{
			{Name: "time", Unit: Seconds, Ratio: 1.5}, {Name: "longest wait", Unit: Millis, Limit: 100}, walPerRow, memory,
		},
	}
}

// load creates, for each variant in turn, its account and one account for its warm-up.
func (p *pause) load(ctx context.Context, r *rig, db *database) error {
	for range p.variants(r) {
		for _, rows := range []int{p.rows, warmUpRows} {
			if err := db.add(ctx, fleet{accounts: 1, rows: rows, status: "connected"}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pause) variants(r *rig) []variant {
	return []variant{
		{"one statement", Baseline, p.statement},
		{"thaw pause", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) { return p.pause(ctx, db, place) })
		}},
	}
}

// accounts returns the accounts of a variant's work and of its warm-up.
func (p *pause) accounts(place int) (work, warmUp int64) {
	return int64(2*place + 1), int64(2*place + 2)
}

const pauseStatement = `
WITH changed AS (
    UPDATE thaw.enrollments AS e SET
        status = 'paused', paused_reason = 'account_disconnected', paused_at = thaw.now()
    WHERE e.account_id = $1 AND e.status = 'active'
    RETURNING e.id, e.step, e.account_id, e.paused_at
)
INSERT INTO thaw.enrollment_events (
    enrollment_id, at, signal_id, job_id, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason,
    paused_at)
SELECT f.id, thaw.now(), 0, 0, f.account_id, f.account_id, f.step, 'paused', 'signal', 'active', 'paused',
    'account_disconnected', f.paused_at
FROM changed AS f`

func (p *pause) statement(ctx context.Context, db *database, place int) (sample, error) {
	account, warmUp := p.accounts(place)
	conn, err := db.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, pauseStatement, warmUp); err != nil {
		return nil, err
	}
	return p.measured(ctx, db, account, func() (time.Duration, error) {
		began := time.Now()
		_, err := conn.Exec(ctx, pauseStatement, account)
		return time.Since(began), err
	})
}

func (p *pause) pause(ctx context.Context, db *database, place int) (sample, error) {
	listener, err := db.listener(ctx)
	if err != nil {
		return nil, err
	}
	defer listener.close()
	account, warmUp := p.accounts(place)
	once := func(account int64) (time.Duration, error) {
		began := time.Now()
		if err := db.run(ctx, "SELECT thaw.signal('linkedin', $1, 'disconnected')", accountName(account)); err != nil {
			return 0, err
		}
		ended, err := listener.waitAll(ctx, "pause", share{account, 1})
		return ended[0].Sub(began), err
	}
	if _, err := once(warmUp); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	var longest time.Duration
	got, err := p.measured(ctx, db, account, func() (took time.Duration, err error) {
		probing, stop := context.WithCancel(ctx)
		probed := make(chan error, 1)
		go func() {
			var err error
			longest, err = probe(probing, db, account)
			probed <- err
		}()
		took, err = once(account)
		stop()
		return took, errors.Join(err, <-probed)
	})
	if err != nil {
		return nil, err
	}
	got["longest wait"] = longest.Seconds() * 1000
	return got, nil
}

// probeEvery is the interval between two probes of the account's lock.
const probeEvery = 5 * time.Millisecond

// probe locks the account repeatedly, as a webhook does, and returns the longest wait.
func probe(ctx context.Context, db *database, account int64) (longest time.Duration, err error) {
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return longest, nil
		case <-again.C:
		}
		// Not cancelled midway: the last wait counts too.
		err := pgx.BeginFunc(context.WithoutCancel(ctx), db.Pool, func(tx pgx.Tx) error {
			began := time.Now()
			_, err := tx.Exec(context.WithoutCancel(ctx), "SELECT FROM thaw.accounts AS a WHERE a.id = $1 FOR NO KEY UPDATE", account)
			longest = max(longest, time.Since(began))
			return err
		})
		if err != nil {
			return longest, fmt.Errorf("locking the account: %w", err)
		}
	}
}

// measured settles the database, does the work, and checks the result.
func (p *pause) measured(ctx context.Context, db *database, account int64, do func() (time.Duration, error)) (sample, error) {
	if err := db.settle(ctx, "VACUUM"); err != nil {
		return nil, err
	}
	var took time.Duration
	bytes, err := db.wal(ctx, func() (err error) { took, err = do(); return err })
	if err != nil {
		return nil, err
	}
	return sample{"time": took.Seconds(), walPerRow.Name: float64(bytes) / float64(p.rows)},
		db.expect(ctx, p.rows, fmt.Sprintf("rows of account %d, paused and with one event", account), `
			SELECT count(*) FROM thaw.enrollments AS e
			WHERE e.account_id = $1 AND e.status = 'paused' AND e.waits_for_account AND 1 = (
				SELECT count(*) FROM thaw.enrollment_events AS event
				WHERE event.enrollment_id = e.id AND event.kind = 'paused' AND event.paused_at = e.paused_at)`, account)
}
