package bench

import (
	"context"
	"fmt"
	"time"
)

// heal wakes all paused prospects of one account. The floor is one statement that leaves the same rows behind.
type heal struct{ rows int }

func newHeal(s Scale) benchmark { return &heal{rows: s.pick(10_000, 102_000)} }

// warmUpRows are woken before a measurement, through an account of their own: enough batches for every plan to be settled.
const warmUpRows = 13_000

func (h *heal) about() About {
	return About{
		Name:    "heal",
		Work:    fmt.Sprintf("heal of %d paused enrollments on one account, from the call of thaw.heal to its end", h.rows),
		Floor:   "one raw statement: the same update and the same insert of events",
		Metrics: []Metric{{Name: "time", Unit: Seconds, Ratio: 1.2}, walPerRow, memory},
	}
}

// walPerRow is what the work writes to the log, full pages included.
var walPerRow = Metric{Name: "log", Unit: BytesPerRow}

// load makes an account for each contender and one for its warm-up, by turns.
func (h *heal) load(ctx context.Context, r *rig, db *database) error {
	for range h.contenders(r) {
		for _, rows := range []int{h.rows, warmUpRows} {
			if err := db.add(ctx, fleet{accounts: 1, rows: rows, status: "connected", paused: true, history: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *heal) contenders(r *rig) []contender {
	return []contender{
		{"one statement", Floor, h.statement},
		{"thaw heal", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) { return h.heal(ctx, db, place) })
		}},
	}
}

// accounts of a contender: of the work, and of the warm-up.
func (h *heal) accounts(place int) (work, warmUp int64) {
	return int64(2*place + 1), int64(2*place + 2)
}

// healStatement is what a heal does to the rows of an account, if nothing had to be decided.
const healStatement = `
WITH woken AS (
    UPDATE thaw.enrollments AS e SET
        status = 'active', paused_reason = NULL, paused_at = NULL, account_id = $1,
        next_action_at = greatest(e.next_action_at, thaw.now() + thaw.spread(before.i, before.n, '15 minutes'))
    FROM (
        SELECT p.id, p.account_id, p.paused_reason, p.paused_at,
            row_number() OVER (ORDER BY p.paused_at, p.id) AS i, count(*) OVER () AS n
        FROM thaw.enrollments AS p
        WHERE p.status = 'paused' AND p.waits_for_account AND p.account_id = $1) AS before
    WHERE e.id = before.id
    RETURNING e.id, e.step, before.account_id AS from_account_id, before.paused_reason, before.paused_at
)
INSERT INTO thaw.enrollment_events (
    enrollment_id, at, heal_id, job_id, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason,
    paused_at)
SELECT w.id, thaw.now(), 0, 0, w.from_account_id, $1, w.step, 'resumed', 'heal', 'paused', 'active', w.paused_reason, w.paused_at
FROM woken AS w`

func (h *heal) statement(ctx context.Context, db *database, place int) (sample, error) {
	account, warmUp := h.accounts(place)
	conn, err := db.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, healStatement, warmUp); err != nil {
		return nil, err
	}
	return h.measured(ctx, db, account, func() (took time.Duration, err error) {
		began := time.Now()
		_, err = conn.Exec(ctx, healStatement, account)
		return time.Since(began), err
	})
}

func (h *heal) heal(ctx context.Context, db *database, place int) (sample, error) {
	bell, err := db.bell(ctx)
	if err != nil {
		return nil, err
	}
	defer bell.close()
	account, warmUp := h.accounts(place)
	once := func(account int64) (time.Duration, error) {
		began := time.Now()
		id, err := db.number(ctx, `
			SELECT thaw.heal(w.key, a.provider_account_id, $2)
			FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id
			WHERE a.id = $1`, account, h.rows+warmUpRows)
		if err != nil {
			return 0, err
		}
		ended, err := bell.waitAll(ctx, "heal", share{id, 1})
		return ended[0].Sub(began), err
	}
	if _, err := once(warmUp); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	return h.measured(ctx, db, account, func() (time.Duration, error) { return once(account) })
}

// measured settles the database, does the work, and checks it.
func (h *heal) measured(ctx context.Context, db *database, account int64, do func() (time.Duration, error)) (sample, error) {
	if err := db.settle(ctx, "VACUUM"); err != nil {
		return nil, err
	}
	var took time.Duration
	bytes, err := db.wal(ctx, func() (err error) { took, err = do(); return err })
	if err != nil {
		return nil, err
	}
	if err := db.expectWoken(ctx, account, h.rows); err != nil {
		return nil, err
	}
	return sample{"time": took.Seconds(), walPerRow.Name: float64(bytes) / float64(h.rows)}, nil
}

// expectWoken checks that all rows of an account were woken, each with one event.
func (db *database) expectWoken(ctx context.Context, account int64, rows int) error {
	return db.expect(ctx, rows, fmt.Sprintf("rows of account %d, active and with one event of it", account), `
		SELECT count(*) FROM thaw.enrollments AS e
		WHERE e.account_id = $1 AND e.status = 'active' AND e.next_action_at >= thaw.tick() AND e.step = (
			SELECT min(event.step) FROM thaw.enrollment_events AS event
			WHERE event.enrollment_id = e.id AND event.kind = 'resumed' HAVING count(*) = 1)`, account)
}
