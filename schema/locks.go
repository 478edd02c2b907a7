package schema

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Migrations run beside a fleet, whose transactions lock tables in other orders. So a migration
// that changes existing tables locks all of them before anything else:
//
//	LOCK TABLE ... IN SHARE UPDATE EXCLUSIVE MODE;
//	SET LOCAL lock_timeout = '100ms';
//	LOCK TABLE ... IN ACCESS EXCLUSIVE MODE;
//
// The first line makes Postgres cancel an autovacuum, which could hold its lock for minutes, and is
// in the way of no reader or writer. The others give up long before Postgres looks for deadlocks
// (deadlock_timeout, 1 s). So no transaction of the fleet fails because of a migration, or waits
// behind one that waits for a long query. The migration is tried again.

// lockAttempts is how often a migration is tried, for about a minute and a half.
const lockAttempts = 100

// locking calls do until it gets all locks. What do applied before the failure must stay applied,
// or be reverted.
func (m *Migrator) locking(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		switch {
		case err == nil || !isLockConflict(err):
			return err
		case attempt == lockAttempts:
			return fmt.Errorf("schema: other transactions hold locks of the tables to change: end long queries and transactions on Thaw's tables, then run this again: %w", err)
		}
		m.logger.DebugContext(ctx, "a table to change is locked: trying again", "attempt", attempt, "error", err)
		select {
		case <-time.After(min(time.Duration(attempt)*100*time.Millisecond, time.Second)):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// isLockConflict also tells of deadlocks, for migrations of v0.1.0.
func isLockConflict(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (failed.Code == pgerrcode.LockNotAvailable || failed.Code == pgerrcode.DeadlockDetected)
}

// lockAll locks all tables of Thaw, for a transaction that reverts migrations.
func lockAll(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		DO $$
		DECLARE
			tables text := (
				SELECT string_agg(t.oid::regclass::text, ', ' ORDER BY t.oid) FROM pg_catalog.pg_class AS t
				WHERE t.relnamespace = 'thaw'::regnamespace AND t.relkind IN ('r', 'p'));
		BEGIN
			EXECUTE 'LOCK TABLE ' || tables || ' IN SHARE UPDATE EXCLUSIVE MODE';
			EXECUTE 'LOCK TABLE ' || tables || ' IN ACCESS EXCLUSIVE MODE NOWAIT';
		END;
		$$`)
	return err
}
