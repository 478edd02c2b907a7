package bench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A database is the database of a benchmark.
type database struct {
	*pgxpool.Pool
	URL string
}

// benchSchema is added to every benchmark database: triggers that send a notification when the
// transaction that ends a piece of work commits. Polling would disturb the measurement.
const benchSchema = `
CREATE EXTENSION IF NOT EXISTS pg_prewarm;
CREATE SCHEMA bench;
CREATE FUNCTION bench.notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bench', TG_ARGV[0] || ' ' || (to_jsonb(NEW) ->> TG_ARGV[1]));
    RETURN NULL;
END;
$$;
CREATE TRIGGER bench_ring AFTER UPDATE OF status ON thaw.heals
    FOR EACH ROW WHEN (NEW.status = 'done' AND OLD.status <> 'done') EXECUTE FUNCTION bench.notify('heal', 'id');
-- Its name sorts before the one above, so it fires first even if the first batch is also the last.
CREATE TRIGGER bench_batch AFTER UPDATE OF batch ON thaw.heals
    FOR EACH ROW WHEN (NEW.batch > 0 AND OLD.batch = 0) EXECUTE FUNCTION bench.notify('batch', 'id');
CREATE TRIGGER bench_ring AFTER UPDATE OF finished_at ON thaw.account_signals
    FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
    EXECUTE FUNCTION bench.notify('signal', 'account_id');
CREATE TRIGGER bench_ring AFTER UPDATE OF pause_after ON thaw.accounts
    FOR EACH ROW WHEN (NEW.pause_after IS NULL AND OLD.pause_after IS NOT NULL) EXECUTE FUNCTION bench.notify('pause', 'id');
CREATE TRIGGER bench_ring_insert AFTER INSERT ON thaw.sweeps
    FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION bench.notify('sweep', 'tick_at');
CREATE TRIGGER bench_ring_update AFTER UPDATE OF finished_at ON thaw.sweeps
    FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
    EXECUTE FUNCTION bench.notify('sweep', 'tick_at');
CREATE TRIGGER bench_ring_plan AFTER INSERT ON thaw.sweeps
    FOR EACH ROW WHEN (NEW.planned > 0) EXECUTE FUNCTION bench.notify('plan', 'tick_at');
`

// run executes one statement.
func (db *database) run(ctx context.Context, sql string, args ...any) error {
	_, err := db.Exec(ctx, sql, args...)
	return err
}

// script executes several statements in one session.
func (db *database) script(ctx context.Context, sql string) error {
	_, err := db.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

// number returns the result of a query that selects one number.
func (db *database) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = db.QueryRow(ctx, query, args...).Scan(&n)
	return n, err
}

// expect checks the result of a query that selects one number.
func (db *database) expect(ctx context.Context, want int, what, query string, args ...any) error {
	got, err := db.number(ctx, query, args...)
	if err == nil && got != int64(want) {
		err = fmt.Errorf("wrong result: expected %d %s, counted %d", want, what, got)
	}
	return err
}

// settle prepares the database for a measurement: it runs statements such as VACUUM, then a
// checkpoint.
func (db *database) settle(ctx context.Context, statements ...string) error {
	for _, sql := range append(statements, "CHECKPOINT") {
		if err := db.run(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// warm reads the whole database into the cache, as far as it fits.
func (db *database) warm(ctx context.Context) error {
	return db.run(ctx, `
		SELECT pg_prewarm(c.oid::regclass) FROM pg_class AS c
		WHERE c.relnamespace IN ('thaw'::regnamespace, 'pg_catalog'::regnamespace) AND c.relkind IN ('r', 'i', 't')`)
}

// wal returns how many bytes of WAL all sessions together wrote while do ran.
func (db *database) wal(ctx context.Context, do func() error) (int64, error) {
	const position = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
	var before, after float64
	if err := db.QueryRow(ctx, position).Scan(&before); err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	err := db.QueryRow(ctx, position).Scan(&after)
	return int64(after - before), err
}
