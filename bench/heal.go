package bench

import (
	"context"
	"fmt"
	"time"
)

// heal resumes all paused prospects of one account, of a workspace with many small accounts, or of
// a list. The baseline is one statement with the same result.
type heal struct {
	name string
	// rows in total, evenly spread over accounts.
	rows, accounts int
	// listed starts the heal with a list of prospects.
	listed bool
	// maxRounds is the maximum number of rounds. 0 means no maximum.
	maxRounds int
}

// A round of 1,000,000 rows takes long, so a few rounds are enough.
func (s Scale) healSize() (rows, maxRounds int) { return s.pick(10_000, 1_000_000), s.pick(0, 2) }

func newHeal(s Scale) benchmark {
	rows, maxRounds := s.healSize()
	return &heal{name: "heal", rows: rows, accounts: 1, maxRounds: maxRounds}
}

// newHealSmall uses 10 prospects per account, in 3 campaigns that all accounts share.
func newHealSmall(s Scale) benchmark {
	rows, maxRounds := s.healSize()
	return &heal{name: "heal-small", rows: rows, accounts: rows / 10, maxRounds: maxRounds}
}

func newHealListed(s Scale) benchmark {
	rows, maxRounds := s.healSize()
	return &heal{name: "heal-list", rows: rows, accounts: rows / 100, listed: true, maxRounds: maxRounds}
}

func (h *heal) work() string {
	switch {
	case h.listed:
		return fmt.Sprintf("heal of a list of %d paused enrollments on %d accounts, from the call of thaw.start_heal to its completion", h.rows, h.accounts)
	case h.accounts > 1:
		return fmt.Sprintf("heal of a workspace with %d paused enrollments, %d on each of %d accounts, from the call of thaw.heal to its completion", h.rows, h.rows/h.accounts, h.accounts)
	default:
		return fmt.Sprintf("heal of %d paused enrollments on one account, from the call of thaw.heal to its completion", h.rows)
	}
}

// warmUpRows are resumed before a measurement, on a separate account: enough batches for all plans
// to be cached.
const warmUpRows = 13_000

func (h *heal) about() About {
	return About{
		Name:      h.name,
		Work:      h.work(),
		Baseline:  "one raw statement: the same UPDATE and the same INSERT of events",
		Metrics:   []Metric{{Name: "time", Unit: Seconds, Ratio: 1.3}, firstBatch, walPerRow, memory},
		maxRounds: h.maxRounds,
	}
}

// firstBatch is the time from the call that starts a heal to the commit of its first batch.
var firstBatch = Metric{Name: "first batch", Unit: Millis, Limit: 1000}

// walPerRow is the WAL that the work writes per changed row, including full-page images.
var walPerRow = Metric{Name: "WAL", Unit: BytesPerRow}

// load creates, for each variant in turn, its accounts and one account for its warm-up.
func (h *heal) load(ctx context.Context, r *rig, db *database) error {
	for range h.variants(r) {
		for _, f := range []fleet{{accounts: h.accounts, rows: h.rows / h.accounts}, {accounts: 1, rows: warmUpRows}} {
			f.status, f.paused, f.history, f.oneTeam = "connected", true, true, true
			if err := db.add(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *heal) variants(r *rig) []variant {
	return []variant{
		{"one statement", Baseline, h.statement},
		{"thaw heal", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) { return h.heal(ctx, db, place) })
		}},
	}
}

// shares returns the accounts of a variant's work and of its warm-up.
func (h *heal) shares(place int) (work, warmUp share) {
	first := int64(place*(h.accounts+1) + 1)
	return share{first, h.accounts}, share{first + int64(h.accounts), 1}
}

// healStatement does what a heal does to the rows of accounts $1 to $2, without any checks.
const healStatement = `
WITH changed AS (
    UPDATE thaw.enrollments AS e SET
        status = 'active', paused_reason = NULL, paused_at = NULL, account_id = before.account_id,
        next_action_at = greatest(e.next_action_at, thaw.now() + thaw.spread(before.i, before.n, '15 minutes'))
    FROM (
        SELECT p.id, p.account_id, p.paused_reason, p.paused_at,
            row_number() OVER (PARTITION BY p.account_id ORDER BY p.paused_at, p.id) AS i,
            count(*) OVER (PARTITION BY p.account_id) AS n
        FROM thaw.enrollments AS p
        WHERE p.status = 'paused' AND p.waits_for_account AND p.account_id BETWEEN $1 AND $2) AS before
    WHERE e.id = before.id
    RETURNING e.id, e.step, before.account_id AS from_account_id, before.paused_reason, before.paused_at
)
INSERT INTO thaw.enrollment_events (
    enrollment_id, at, heal_id, job_id, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason,
    paused_at)
SELECT w.id, thaw.now(), 0, 0, w.from_account_id, w.from_account_id, w.step, 'resumed', 'heal', 'paused', 'active', w.paused_reason, w.paused_at
FROM changed AS w`

func (h *heal) statement(ctx context.Context, db *database, place int) (sample, error) {
	work, warmUp := h.shares(place)
	conn, err := db.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, healStatement, warmUp.first, warmUp.last()); err != nil {
		return nil, err
	}
	return h.measured(ctx, db, work, func() (sample, error) {
		began := time.Now()
		_, err := conn.Exec(ctx, healStatement, work.first, work.last())
		return sample{"time": time.Since(began).Seconds()}, err
	})
}

func (h *heal) heal(ctx context.Context, db *database, place int) (sample, error) {
	listener, err := db.listener(ctx)
	if err != nil {
		return nil, err
	}
	defer listener.close()
	work, warmUp := h.shares(place)
	once := func(s share) (sample, error) {
		began := time.Now()
		id, err := h.start(ctx, db, s)
		if err != nil {
			return nil, err
		}
		first, err := listener.waitAll(ctx, "batch", share{id, 1})
		if err != nil {
			return nil, err
		}
		ended, err := listener.waitAll(ctx, "heal", share{id, 1})
		return sample{"time": ended[0].Sub(began).Seconds(), firstBatch.Name: first[0].Sub(began).Seconds() * 1000}, err
	}
	if _, err := once(warmUp); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	return h.measured(ctx, db, work, func() (sample, error) { return once(work) })
}

// start starts the heal of a share: of its account, of its workspace, or of a list of its
// prospects.
func (h *heal) start(ctx context.Context, db *database, s share) (id int64, err error) {
	limit := h.rows + warmUpRows
	switch {
	case s.size == 1:
		return db.number(ctx, `
			SELECT thaw.heal(w.key, a.provider_account_id, $2)
			FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id
			WHERE a.id = $1`, s.first, limit)
	case h.listed:
		return db.number(ctx, `
			SELECT thaw.start_heal(NULL, NULL, ARRAY(SELECT e.id FROM thaw.enrollments AS e WHERE e.account_id BETWEEN $1 AND $2),
				$3, false, 'bench')`, s.first, s.last(), limit)
	default:
		return db.number(ctx, `
			SELECT thaw.heal(w.key, cap => $2)
			FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id
			WHERE a.id = $1`, s.first, limit)
	}
}

// measured settles the database, does the work, and checks the result.
func (h *heal) measured(ctx context.Context, db *database, s share, do func() (sample, error)) (got sample, err error) {
	if err := db.settle(ctx, "VACUUM"); err != nil {
		return nil, err
	}
	bytes, err := db.wal(ctx, func() (err error) { got, err = do(); return err })
	if err != nil {
		return nil, err
	}
	if err := db.expectResumed(ctx, s, h.rows); err != nil {
		return nil, err
	}
	got[walPerRow.Name] = float64(bytes) / float64(h.rows)
	return got, nil
}

// expectResumed checks that every row of a share was resumed, with exactly one event.
func (db *database) expectResumed(ctx context.Context, s share, rows int) error {
	return db.expect(ctx, rows, fmt.Sprintf("rows of accounts %d to %d that are active with one event", s.first, s.last()), `
		SELECT count(*) FROM thaw.enrollments AS e
		WHERE e.account_id BETWEEN $1 AND $2 AND e.status = 'active' AND e.next_action_at >= thaw.tick() AND e.step = (
			SELECT min(event.step) FROM thaw.enrollment_events AS event
			WHERE event.enrollment_id = e.id AND event.kind = 'resumed' HAVING count(*) = 1)`, s.first, s.last())
}
