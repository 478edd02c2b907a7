package bench

import (
	"context"
	"fmt"
	"time"
)

// retention deletes expired history. The baseline is one statement that deletes the same rows.
type retention struct{ rows int }

func newRetention(s Scale) benchmark { return &retention{rows: s.pick(20_000, 500_000)} }

// pruneBatch is how many rows the prune job examines per transaction.
const pruneBatch = 2000

func (t *retention) about() About {
	return About{
		Name:     "retention",
		Work:     fmt.Sprintf("removal of %d of %d events, those older than settings.keep_history; the job sleeps for as long as it works", t.rows, 2*t.rows),
		Baseline: "one raw DELETE of the same rows",
		Metrics: []Metric{
			{Name: "removed", Unit: PerSecond, MoreIsBetter: true}, {Name: "longest batch", Unit: Millis}, memory,
		},
	}
}

// load creates events of a few enrollments, evenly spread over twice keep_history until now.
func (t *retention) load(ctx context.Context, _ *rig, db *database) error {
	if err := db.add(ctx, fleet{accounts: 100, rows: 100, status: "connected"}); err != nil {
		return err
	}
	return db.run(ctx, `
		INSERT INTO thaw.enrollment_events (
			enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT 1 + i % 10000, line.at, 1 + (i % 10000) / 100, 1 + (i % 10000) / 100, 0, 'paused', 'import', 'active', 'paused',
			'account_disconnected', line.at
		FROM generate_series(1, 2 * $1::bigint) AS i
		CROSS JOIN LATERAL (
			SELECT thaw.now() - s.keep_history * (2 - (i - 0.5) / $1::bigint) AS at FROM thaw.settings AS s) AS line
		ORDER BY i`, t.rows)
}

func (t *retention) variants(r *rig) []variant {
	return []variant{
		{"one DELETE", Baseline, r.own(t.checked(func(ctx context.Context, db *database) (sample, error) {
			began := time.Now()
			err := db.run(ctx, "DELETE FROM thaw.enrollment_events AS e USING thaw.settings AS s WHERE e.at < thaw.now() - s.keep_history")
			return t.rate(time.Since(began)), err
		}))},
		{"thaw.prune_batch", Thaw, r.own(t.checked(t.batches))},
		{"thaw work", Thaw, r.own(t.checked(func(ctx context.Context, db *database) (sample, error) {
			return r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) { return t.job(ctx, db) })
		}))},
	}
}

// checked counts the events that are left.
func (t *retention) checked(do func(context.Context, *database) (sample, error)) func(context.Context, *database) (sample, error) {
	return func(ctx context.Context, db *database) (sample, error) {
		got, err := do(ctx, db)
		if err != nil {
			return nil, err
		}
		return got, db.expect(ctx, t.rows, "events within keep_history", "SELECT count(*) FROM thaw.enrollment_events")
	}
}

func (t *retention) rate(took time.Duration) sample {
	return sample{"removed": float64(t.rows) / took.Seconds()}
}

// batches calls the same function as the job, without pauses.
func (t *retention) batches(ctx context.Context, db *database) (sample, error) {
	began := time.Now()
	var longest time.Duration
	for verdict := "more"; verdict == "more"; {
		batch := time.Now()
		if err := db.QueryRow(ctx, "SELECT verdict FROM thaw.prune_batch($1)", pruneBatch).Scan(&verdict); err != nil {
			return nil, err
		}
		longest = max(longest, time.Since(batch))
	}
	got := t.rate(time.Since(began))
	got["longest batch"] = longest.Seconds() * 1000
	return got, nil
}

// lookEvery is how often the state of the job is polled.
const lookEvery = 50 * time.Millisecond

// job measures the prune job in a worker process.
func (t *retention) job(ctx context.Context, db *database) (sample, error) {
	began := time.Now()
	id, err := db.number(ctx, "SELECT thaw.enqueue('prune', 'sweep', 4::smallint, '{}')")
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		left, err := db.number(ctx, "SELECT count(*) FROM thaw.river_job WHERE id = $1 AND state <> 'completed'", id)
		if err != nil {
			return nil, err
		}
		if left == 0 {
			return t.rate(time.Since(began)), nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
		}
	}
}
