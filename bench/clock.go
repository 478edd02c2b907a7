package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// nameTick stops the workers from sweeping on their own: a tick lasts a day, the clock is set to
// its start, and the tick is marked as swept.
func (db *database) nameTick(ctx context.Context) error {
	if err := db.run(ctx, `
		UPDATE thaw.settings SET tick = '1 day', account_cap = 1000000, fleet_cap = 10000000, signal_cap = 10000000`); err != nil {
		return err
	}
	_, err := db.nextTick(ctx, 0)
	return err
}

// ahead is how far thaw.now() must be ahead of the server's clock for a tick to have just begun.
const ahead = "thaw.tick() + s.tick + interval '1 second' - pg_catalog.now() FROM thaw.settings AS s"

// setClock moves Thaw's clock to the start of the next tick. The offset from the server's clock is
// a constant in the function, so reading the clock costs nothing, as in a real database. But each
// move invalidates the plans that use the clock.
func setClock(ctx context.Context, tx pgx.Tx) error {
	var by time.Duration
	if err := tx.QueryRow(ctx, "SELECT "+ahead).Scan(&by); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`
		CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
		RETURN pg_catalog.now() + interval '%d microseconds'`, by.Microseconds()))
	return err
}

// stopClock makes every transaction run at the same time.
func (db *database) stopClock(ctx context.Context) error {
	var now time.Time
	if err := db.QueryRow(ctx, "SELECT thaw.now()").Scan(&now); err != nil {
		return err
	}
	return db.run(ctx, fmt.Sprintf(`
		CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
		RETURN '%s'::timestamptz`, now.Format(time.RFC3339Nano)))
}

// nextTick moves Thaw's clock to the start of the next tick and inserts its plan with the given
// number of accounts, in one transaction. A tick without accounts is over immediately.
func (db *database) nextTick(ctx context.Context, accounts int) (tick time.Time, err error) {
	err = pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if err := setClock(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, finished_at)
			SELECT thaw.tick(), s.account_cap, s.fleet_cap, $1, CASE WHEN $1 = 0 THEN thaw.now() END
			FROM thaw.settings AS s
			RETURNING tick_at`, accounts).Scan(&tick)
	})
	if err != nil {
		return tick, fmt.Errorf("moving the clock: %w", err)
	}
	return tick, nil
}

// movableClock is for many consecutive ticks: moving it invalidates no plan, but reading it is a
// query. A plan for 100,000 accounts reads it 200,000 times, which takes longer than the plan
// itself.
const movableClock = `
CREATE TABLE bench.clock (ahead interval NOT NULL);
INSERT INTO bench.clock SELECT thaw.now() - pg_catalog.now();
CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.now() + (SELECT clock.ahead FROM bench.clock);
`

// liveTicks restores the default settings and installs a clock that sweepNext moves.
func (db *database) liveTicks(ctx context.Context) error {
	_, err := db.Exec(ctx, `
		UPDATE thaw.settings SET tick = DEFAULT, account_cap = DEFAULT, fleet_cap = DEFAULT, signal_cap = DEFAULT;`+movableClock,
		pgx.QueryExecModeSimpleProtocol)
	return err
}

// sweepNext moves the clock to the start of the next tick and inserts its sweep in one transaction,
// so that no worker inserts it first. It returns the tick and the time of the call.
func (db *database) sweepNext(ctx context.Context) (tick, asked time.Time, err error) {
	err = pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		var isMovable bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass('bench.clock') IS NOT NULL").Scan(&isMovable); err != nil {
			return err
		}
		if !isMovable {
			if err := setClock(ctx, tx); err != nil {
				return err
			}
		} else if _, err := tx.Exec(ctx, "UPDATE bench.clock SET ahead = (SELECT "+ahead+")"); err != nil {
			return err
		}
		asked = time.Now()
		return tx.QueryRow(ctx, "SELECT thaw.sweep()").Scan(&tick)
	})
	if err != nil {
		err = fmt.Errorf("starting the next sweep: %w", err)
	}
	return tick, asked, err
}

// A swept tick: how long after the call its plan and its last pass were committed.
type swept struct {
	tick             time.Time
	planned, resumed time.Duration
}

// sweepTick starts the sweep of the next tick and returns when its last pass is done. If nothing is
// to be resumed, only the sweep itself is measured.
func (db *database) sweepTick(ctx context.Context, listener *listener, resumes bool) (s swept, err error) {
	tick, asked, err := db.sweepNext(ctx)
	if err != nil {
		return s, err
	}
	s.tick = tick
	if resumes {
		planned, err := listener.waitTick(ctx, "plan", tick)
		if err != nil {
			return s, err
		}
		s.planned = planned.Sub(asked)
	}
	done, err := listener.waitTick(ctx, "sweep", tick)
	if err != nil {
		return s, err
	}
	s.resumed = done.Sub(asked)
	if !resumes {
		s.planned = s.resumed
	}
	return s, nil
}

// pauseOne pauses the first active prospect of each of the first accounts, with a paused_at one
// hour ago.
func (db *database) pauseOne(ctx context.Context, accounts int) error {
	return db.run(ctx, `
		UPDATE thaw.enrollments AS e SET
			status = 'paused', paused_reason = 'account_disconnected', paused_at = thaw.now() - interval '1 hour'
		WHERE e.id IN (
			SELECT (SELECT min(one.id) FROM thaw.enrollments AS one WHERE one.account_id = a.id AND one.status = 'active')
			FROM thaw.accounts AS a WHERE a.id <= $1)`, accounts)
}
