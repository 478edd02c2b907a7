package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// day simulates a day of ticks. In each tick some accounts disconnect and the same number
// reconnect: half of them with a signal, half without one, for the sweep to find. It has no
// baseline. It measures the bloat that such a day leaves in the tables, and the WAL that it writes.
type day struct{ accounts, rows, churn, ticks int }

func newDay(s Scale) benchmark {
	return &day{accounts: s.pick(200, 4000), rows: s.pick(10, 50), churn: s.pick(8, 80), ticks: s.pick(12, 96)}
}

// awayFor is how many ticks an account stays disconnected.
const awayFor = 4

// scaledAutovacuum scales autovacuum to the speed of the simulation: a tick takes a second instead
// of a quarter hour.
var scaledAutovacuum = map[string]string{"autovacuum_naptime": "1s", "autovacuum_vacuum_cost_delay": "0"}

// The metrics of day.
var (
	dayTick    = Metric{Name: "work of a tick", Unit: Seconds}
	hotUpdates = Metric{Name: "HOT updates", Unit: Percent}
	deadRows   = Metric{Name: "dead rows", Unit: Percent}
	tableSize  = Metric{Name: "table growth", Unit: Percent}
	indexSize  = Metric{Name: "index growth", Unit: Percent}
)

func (d *day) about() About {
	return About{
		Name: "day",
		Work: fmt.Sprintf("%d ticks of a fleet of %d enrollments on %d accounts. In each tick %d accounts disconnect and %d reconnect, half of them without a signal. "+
			"Measures the bloat of thaw.enrollments, with autovacuum_naptime 1s and no cost delay because a tick takes one second instead of a quarter hour",
			d.ticks, d.accounts*d.rows, d.accounts, d.churn, d.churn),
		Metrics:   []Metric{dayTick, walPerRow, hotUpdates, deadRows, tableSize, indexSize, memory},
		maxRounds: 1,
	}
}

func (d *day) load(ctx context.Context, _ *rig, db *database) error {
	if err := db.add(ctx, fleet{accounts: d.accounts, rows: d.rows, status: "connected"}); err != nil {
		return err
	}
	return db.liveTicks(ctx)
}

func (d *day) variants(r *rig) []variant {
	return []variant{{"thaw work", Thaw, func(ctx context.Context, db *database, _ int) (got sample, err error) {
		for name, value := range scaledAutovacuum {
			if err := r.execute(ctx, "ALTER SYSTEM SET "+name+" = '"+value+"'"); err != nil {
				return nil, err
			}
			defer func() {
				err = errors.Join(err, r.execute(context.WithoutCancel(ctx), "ALTER SYSTEM RESET "+name, "SELECT pg_reload_conf()"))
			}()
		}
		if err := r.execute(ctx, "SELECT pg_reload_conf()"); err != nil {
			return nil, err
		}
		before, err := readEnrollments(ctx, db)
		if err != nil {
			return nil, err
		}
		if got, err = r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) { return d.live(ctx, db) }); err != nil {
			return nil, err
		}
		// The process has ended, so its statistics are flushed.
		after, err := readEnrollments(ctx, db)
		if err != nil {
			return nil, err
		}
		got[hotUpdates.Name] = percent(after.hot, after.updated)
		got[deadRows.Name] = percent(after.dead, float64(d.accounts*d.rows))
		got[tableSize.Name] = percent(after.table-before.table, before.table)
		got[indexSize.Name] = percent(after.indexes-before.indexes, before.indexes)
		return got, nil
	}}}
}

func percent(part, whole float64) float64 { return 100 * part / max(1, whole) }

// enrollments holds statistics of the table thaw.enrollments.
type enrollments struct{ updated, hot, dead, table, indexes float64 }

func readEnrollments(ctx context.Context, db *database) (e enrollments, err error) {
	err = db.QueryRow(ctx, `
		SELECT s.n_tup_upd, s.n_tup_hot_upd, s.n_dead_tup, pg_table_size(s.relid), pg_indexes_size(s.relid)
		FROM pg_stat_user_tables AS s WHERE s.relid = 'thaw.enrollments'::regclass`).Scan(
		&e.updated, &e.hot, &e.dead, &e.table, &e.indexes)
	return e, err
}

// live runs the ticks one after another. It waits for all work of a tick before the next one
// begins.
func (d *day) live(ctx context.Context, db *database) (sample, error) {
	listener, err := db.listener(ctx)
	if err != nil {
		return nil, err
	}
	defer listener.close()
	var took []float64
	bytes, err := db.wal(ctx, func() error {
		for n := range d.ticks {
			began := time.Now()
			if err := d.tick(ctx, db, listener, n); err != nil {
				return fmt.Errorf("tick %d: %w", n, err)
			}
			took = append(took, time.Since(began).Seconds())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	back := max(0, d.ticks-awayFor) * d.churn * d.rows
	if err := db.expect(ctx, back, "rows resumed, half of them by sweeps", `
		SELECT CASE WHEN 2 * count(*) FILTER (WHERE e.source = 'sweep') = count(*) THEN count(*) ELSE -1 END
		FROM thaw.enrollment_events AS e WHERE e.kind = 'resumed'`); err != nil {
		return nil, err
	}
	return sample{dayTick.Name: median(took), walPerRow.Name: float64(bytes) / float64(back+d.ticks*d.churn*d.rows)}, nil
}

// tick disconnects and reconnects accounts, starts the sweep of the next tick, and returns when all
// work is done.
func (d *day) tick(ctx context.Context, db *database, listener *listener, n int) error {
	gone := d.turn(n)
	if err := db.run(ctx, `
		SELECT thaw.signal('linkedin', a.provider_account_id, 'disconnected') FROM thaw.accounts AS a WHERE a.id BETWEEN $1 AND $2 ORDER BY a.id`,
		gone.first, gone.last()); err != nil {
		return err
	}
	if _, err := listener.waitAll(ctx, "pause", gone); err != nil {
		return err
	}
	back := d.turn(n - awayFor)
	noticed, lost := share{back.first, back.size / 2}, share{back.first + int64(back.size/2), back.size - back.size/2}
	if n >= awayFor {
		if err := db.run(ctx, `
			UPDATE thaw.accounts SET status = 'connected', last_error = NULL WHERE id BETWEEN $1 AND $2`, lost.first, lost.last()); err != nil {
			return err
		}
		if err := db.run(ctx, `
			SELECT thaw.signal('linkedin', a.provider_account_id, 'connected') FROM thaw.accounts AS a WHERE a.id BETWEEN $1 AND $2 ORDER BY a.id`,
			noticed.first, noticed.last()); err != nil {
			return err
		}
		if _, err := listener.waitAll(ctx, "signal", noticed); err != nil {
			return err
		}
	}
	tick, _, err := db.sweepNext(ctx)
	if err != nil {
		return err
	}
	_, err = listener.waitTick(ctx, "sweep", tick)
	return err
}

// turn returns the accounts that disconnect in a tick.
func (d *day) turn(n int) share {
	turns := d.accounts / d.churn
	return share{int64((n%turns+turns)%turns*d.churn + 1), d.churn}
}
