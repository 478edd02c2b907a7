package schema_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Twelve clients of the platform write its tables while its accounts flap, Thaw pauses, resumes and
// heals, and consumers write what Thaw changed into the same tables. No statement fails, there is
// no deadlock, and at the end both sides agree on every row.
func TestPlatformWritesWhileAccountsFlap(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	config := db.Pool.Config().Copy()
	config.MaxConns = 20
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	const seats, leads = 6, 600
	exec := func(ctx context.Context, sql string, args ...any) error {
		_, err := pool.Exec(ctx, sql, args...)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		return nil
	}
	db.Exec(t, fmt.Sprintf(`
		INSERT INTO app.seats SELECT n, 'acme', 'seat-' || n, 'ok' FROM generate_series(3, %[1]d) AS n;
		INSERT INTO app.leads SELECT n, 1, 1 + n %% %[1]d, 'https://example.com/in/' || n, 'running' FROM generate_series(1, %[2]d) AS n;
		UPDATE thaw.settings SET flap_limit = 0, account_cap = 100000, fleet_cap = 100000, signal_cap = 100000, safety_percent = 100, safety_slow_percent = 100, safety_accounts = 1000000;
		DELETE FROM thaw.changes_queue`, seats, leads))

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var writes atomic.Int64
	enough := int64(testdb.Size(800, 10_000))
	var clients sync.WaitGroup
	run := func(seed uint64, once func(context.Context, *rand.Rand) error) {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, 7))
			for ctx.Err() == nil && writes.Load() < enough {
				if err := once(ctx, random); err != nil {
					t.Error(err)
					cancel()
				}
			}
		})
	}
	for client := range 12 {
		run(uint64(client), func(ctx context.Context, random *rand.Rand) error {
			writes.Add(1)
			lead, seat := 1+random.IntN(leads), 1+random.IntN(seats)
			cause := []string{"holiday", "vacation", "legal"}[random.IntN(3)]
			switch random.IntN(9) {
			case 0:
				return exec(ctx, "UPDATE app.leads SET state = 'answered', cause = NULL WHERE id = $1", lead)
			case 1:
				return exec(ctx, "UPDATE app.leads SET state = 'paused', cause = $2 WHERE id = $1 AND state IN ('running', 'paused')", lead, cause)
			case 2:
				return exec(ctx, "UPDATE app.leads SET state = 'running', cause = NULL WHERE id = $1", lead)
			case 3:
				return exec(ctx, "UPDATE app.leads SET seat_id = $2 WHERE id = $1", lead, seat)
			case 4: // many rows, in the order of their ids
				return exec(ctx, `WITH locked AS (SELECT id FROM app.leads WHERE id BETWEEN $1 AND $1 + 20 ORDER BY id FOR NO KEY UPDATE)
					UPDATE app.leads AS l SET state = CASE l.state WHEN 'answered' THEN 'running' ELSE l.state END FROM locked WHERE l.id = locked.id`, lead)
			case 5: // another cause of the same pause
				return exec(ctx, "UPDATE app.leads SET cause = $2 WHERE id = $1 AND state = 'paused' AND cause <> 'account_lost'", lead, cause)
			default:
				return exec(ctx, "UPDATE app.leads SET step = step + 1, next_run_at = now() WHERE id = $1 AND state = 'running'", lead)
			}
		})
	}
	run(100, func(ctx context.Context, random *rand.Rand) error { // the provider
		status := []string{"connected", "disconnected", "error"}[random.IntN(3)]
		return exec(ctx, "SELECT thaw.signal('linkedin', a.provider_account_id, $2) FROM thaw.accounts AS a WHERE a.id = $1", 1+random.IntN(seats), status)
	})
	run(101, func(ctx context.Context, random *rand.Rand) error { // the platform's own handler of the provider
		return exec(ctx, "UPDATE app.seats SET state = $2 WHERE id = $1", 1+random.IntN(seats), []string{"ok", "credentials"}[random.IntN(2)])
	})
	for worker := range 2 {
		run(200+uint64(worker), func(ctx context.Context, random *rand.Rand) error {
			if err := exec(ctx, "SELECT thaw.pause_batch($1, 1000, 1, NULL, 1)", 1+random.IntN(seats)); err != nil {
				return err
			}
			return exec(ctx, "SELECT thaw.resume_pass('signal', $1, 1, p_signal_id => (SELECT max(s.id) FROM thaw.account_signals AS s WHERE s.account_id = $1))", 1+random.IntN(seats))
		})
		run(300+uint64(worker), func(ctx context.Context, random *rand.Rand) error {
			return exec(ctx, "SELECT app.apply_changes($1)", 1+random.IntN(200))
		})
	}
	run(400, func(ctx context.Context, _ *rand.Rand) error {
		return exec(ctx, "SELECT thaw.retry_adoption(), pg_sleep(0.05)")
	})
	run(401, func(ctx context.Context, _ *rand.Rand) error {
		return exec(ctx, "SELECT thaw.retry_adoption(everything => true), pg_sleep(0.01)")
	})
	clients.Wait()
	require.False(t, t.Failed())
	require.GreaterOrEqual(t, writes.Load(), enough)

	// Everything settles, and then both sides are equal.
	require.Eventually(t, func() bool {
		db.Exec(t, "SELECT thaw.retry_adoption(everything => true)")
		db.Exec(t, "SELECT app.apply_changes(10000)")
		return testdb.Value[bool](t, db, "SELECT NOT EXISTS (SELECT FROM thaw.changes_queue) AND NOT EXISTS (SELECT FROM thaw.adopt_errors)")
	}, time.Minute, 10*time.Millisecond, "changes that no consumer can take")
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT concat_ws(' ', l.id, l.state, l.cause, l.seat_id, 'is', e.status, e.paused_reason, e.own_reason, a.external_id)
		FROM app.leads AS l JOIN thaw.enrollments AS e ON e.external_id = l.id::text JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE e.status::text IS DISTINCT FROM app.word(l.state) ->> 'status' OR a.external_id IS DISTINCT FROM l.seat_id::text
			OR e.waits_for_account <> coalesce(l.cause = 'account_lost', false)
			OR e.own_reason IS DISTINCT FROM CASE WHEN l.cause <> 'account_lost' THEN l.cause END`), "drift")
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT concat_ws(' ', s.id, s.state, a.status) FROM app.seats AS s JOIN thaw.accounts AS a ON a.external_id = s.id::text
		WHERE (s.state = 'ok') <> (a.status = 'connected')`), "drift of accounts")
	require.Equal(t, 0, deadlocks(t, db))
}

// deadlocks is how many deadlocks Postgres has found in the database. Sessions report them when
// they end or are idle, so the sessions of the test end first.
func deadlocks(t *testing.T, db *testdb.DB) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&n))
	return n
}
