package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// sendAtAnyTime removes gaps and windows, and raises the caps, so that every action may be done.
const sendAtAnyTime = `
	UPDATE thaw.settings SET action_gap_from = '0', action_gap_to = '0';
	UPDATE thaw.action_ceilings SET gap_from = '0', per_day = 1000, per_week = NULL;
	UPDATE thaw.action_limits SET gap_from = '0', gap_to = '0', per_day = 1000, per_week = NULL;
	UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '00:00:01';
	INSERT INTO thaw.sending_windows (weekdays, opens, closes) VALUES ('{1,2,3,4,5,6,7}', '00:00:01', '00:00');
	SET session_replication_role = replica;
	UPDATE thaw.accounts SET timezone = 'UTC';
	UPDATE thaw.enrollments SET next_kind = 'message';
	RESET session_replication_role;
	SELECT thaw.ensure_senders(ARRAY(SELECT a.id FROM thaw.accounts AS a))`

// sending reserves, starts and settles actions. The baseline writes the same rows without any gate.
type sending struct{ accounts, each, clients int }

func newSending(s Scale) benchmark {
	return &sending{accounts: s.pick(100, 1000), each: s.pick(5, 10), clients: 16}
}

func (s *sending) about() About {
	return About{
		Name: "sending",
		Work: fmt.Sprintf("%d clients reserve, start and settle %d actions of each of %d accounts, in three transactions each",
			s.clients, s.each, s.accounts),
		Baseline: "the bare inserts and updates of the same rows, in as many transactions",
		Metrics:  []Metric{{Name: "actions", Unit: PerSecond, MoreIsBetter: true, Ratio: 0.7}},
	}
}

func (s *sending) load(ctx context.Context, r *rig, db *database) error {
	for range s.variants(r) {
		if err := db.add(ctx, fleet{accounts: s.accounts, rows: s.each, status: "connected"}); err != nil {
			return err
		}
	}
	return db.script(ctx, sendAtAnyTime)
}

func (s *sending) variants(*rig) []variant {
	return []variant{
		{"bare rows", Baseline, func(ctx context.Context, db *database, place int) (sample, error) {
			return s.send(ctx, db, place, bareReserve, bareStart, bareSettle)
		}},
		{"thaw", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return s.send(ctx, db, place, "SELECT id FROM thaw.reserve($1)", "SELECT id FROM thaw.start($1)",
				"SELECT thaw.settle($1, 'sent', 'ref')")
		}},
	}
}

// The baseline writes the rows of the ledger, the sender and the enrollment.
const (
	bareReserve = `
		WITH sender AS (
			UPDATE thaw.senders AS s SET next_allowed_at = thaw.now(), day = current_date, day_began_at = thaw.now(), day_timezone = 'UTC'
			FROM thaw.enrollments AS e JOIN thaw.sending_accounts AS a ON a.account_id = e.account_id
			WHERE e.id = $1 AND s.id = a.sender_id
			RETURNING s.id, s.provider
		)
		INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor,
			lease_until, local_day, timezone, gap, next_of_kind_at)
		SELECT e.workspace_id, e.account_id, sender.id, e.campaign_id, e.id, sender.provider, e.prospect_url, e.step, 'message', 'bench',
			thaw.now() + interval '10 minutes', current_date, 'UTC', '0', thaw.now()
		FROM thaw.enrollments AS e, sender WHERE e.id = $1
		RETURNING id`
	bareStart = `
		WITH action AS (
			UPDATE thaw.actions SET state = 'started', started_at = thaw.now(), used_at = thaw.now() WHERE id = $1 RETURNING id, sender_id
		), sender AS (
			UPDATE thaw.senders AS s SET last_started_at = thaw.now() FROM action WHERE s.id = action.sender_id
		)
		SELECT id FROM action`
	bareSettle = `
		WITH action AS (
			UPDATE thaw.actions SET state = 'sent', outcome = 'sent', lease_until = NULL, settled_at = thaw.now(), provider_ref = 'ref' WHERE id = $1
			RETURNING sender_id, enrollment_id
		), sender AS (
			UPDATE thaw.senders AS s SET last_sent_at = thaw.now() FROM action WHERE s.id = action.sender_id
		), enrollment AS (
			UPDATE thaw.enrollments AS e SET step = e.step + 1, next_kind = NULL, next_action_at = NULL FROM action WHERE e.id = action.enrollment_id
		)
		SELECT 'sent' FROM action`
)

func (s *sending) send(ctx context.Context, db *database, place int, reserve, start, settle string) (sample, error) {
	work := share{int64(place*s.accounts + 1), s.accounts}
	config := db.Config()
	config.MaxConns = int32(s.clients)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	var prospects [][]int64
	for account := work.first; account <= work.last(); account++ {
		var ids []int64
		if err := pool.QueryRow(ctx, "SELECT array_agg(e.id ORDER BY e.id) FROM thaw.enrollments AS e WHERE e.account_id = $1", account).Scan(&ids); err != nil {
			return nil, err
		}
		prospects = append(prospects, ids)
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	clients, sending := errgroup.WithContext(ctx)
	for client := range s.clients {
		clients.Go(func() error {
			for account := client; account < len(prospects); account += s.clients {
				for _, prospect := range prospects[account] {
					var reservation, started *int64
					var state string
					if err := pool.QueryRow(sending, reserve, prospect).Scan(&reservation); err != nil {
						return fmt.Errorf("reserving: %w", err)
					}
					if err := pool.QueryRow(sending, start, reservation).Scan(&started); err != nil {
						return fmt.Errorf("starting: %w", err)
					}
					if err := pool.QueryRow(sending, settle, reservation).Scan(&state); err != nil {
						return fmt.Errorf("settling: %w", err)
					}
				}
			}
			return nil
		})
	}
	if err := clients.Wait(); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	return sample{"actions": float64(s.accounts*s.each) / took}, db.expect(ctx, s.accounts*s.each, "sent actions",
		"SELECT count(*) FROM thaw.actions AS a WHERE a.state = 'sent' AND a.account_id BETWEEN $1 AND $2", work.first, work.last())
}

// schedule reserves an action for each account that has something to do, among many that do not.
type schedule struct{ accounts, due, rows int }

func newSchedule(s Scale) benchmark {
	return &schedule{accounts: s.pick(2000, 100_000), due: s.pick(200, 10_000), rows: s.pick(3, 10)}
}

func (s *schedule) about() About {
	return About{
		Name: "schedule",
		Work: fmt.Sprintf("tick of the scheduler, with %d accounts of which %d have an action that is due and the others wait for their caps",
			s.accounts, s.due),
		Baseline: "one raw statement that reserves the same actions",
		Metrics:  []Metric{{Name: "tick", Unit: Seconds, Ratio: 1.5}},
	}
}

func (s *schedule) load(ctx context.Context, _ *rig, db *database) error {
	if err := db.add(ctx, fleet{accounts: s.accounts, rows: s.rows, status: "connected"}); err != nil {
		return err
	}
	return db.script(ctx, sendAtAnyTime+`;
		UPDATE thaw.sending_accounts SET next_at = thaw.now() + interval '1 day', code = 'daily_cap'`)
}

func (s *schedule) variants(*rig) []variant {
	return []variant{
		{"one statement", Baseline, func(ctx context.Context, db *database, place int) (sample, error) {
			return s.tick(ctx, db, place, func() (int64, error) {
				return 0, db.run(ctx, rawTick)
			})
		}},
		{"thaw", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return s.tick(ctx, db, place, func() (int64, error) {
				return db.number(ctx, "SELECT b.looked FROM thaw.schedule_batch(1000, '10 minutes', 'bench') AS b")
			})
		}},
	}
}

const rawTick = `
	WITH pick AS (
		SELECT DISTINCT ON (e.account_id) e.*, s.sender_id
		FROM thaw.sending_accounts AS s JOIN thaw.enrollments AS e ON e.account_id = s.account_id
		WHERE s.next_at <= thaw.now() AND e.due_at <= thaw.now()
		ORDER BY e.account_id, e.due_at, e.id
	), sender AS (
		UPDATE thaw.senders AS s SET next_allowed_at = thaw.now(), day = current_date, day_began_at = thaw.now(), day_timezone = 'UTC'
		FROM pick WHERE s.id = pick.sender_id
	), account AS (
		UPDATE thaw.sending_accounts AS s SET next_at = thaw.now() + interval '1 minute', served_at = thaw.now() FROM pick WHERE s.account_id = pick.account_id
	)
	INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor,
		lease_until, local_day, timezone, gap, next_of_kind_at)
	SELECT pick.workspace_id, pick.account_id, pick.sender_id, pick.campaign_id, pick.id, 'linkedin', pick.prospect_url, pick.step, 'message', 'bench',
		thaw.now() + interval '10 minutes', current_date, 'UTC', '0', thaw.now()
	FROM pick`

// tick makes the accounts of a variant due, and calls do until it finds nothing more to look at.
func (s *schedule) tick(ctx context.Context, db *database, place int, do func() (looked int64, err error)) (sample, error) {
	work := share{int64(place*s.due + 1), s.due}
	// Gaps keep an account from a second action in the same tick.
	if err := db.run(ctx, "UPDATE thaw.settings SET action_gap_from = '1 minute', action_gap_to = '1 minute'"); err != nil {
		return nil, err
	}
	if err := db.run(ctx, "UPDATE thaw.sending_accounts SET next_at = thaw.now(), code = NULL WHERE account_id BETWEEN $1 AND $2", work.first, work.last()); err != nil {
		return nil, err
	}
	if err := db.settle(ctx, "VACUUM (ANALYZE)"); err != nil {
		return nil, err
	}
	began := time.Now()
	for looked := int64(1); looked > 0; {
		var err error
		if looked, err = do(); err != nil {
			return nil, err
		}
	}
	took := time.Since(began).Seconds()
	return sample{"tick": took}, db.expect(ctx, s.due, "reserved actions",
		"SELECT count(*) FROM thaw.actions AS a WHERE a.state = 'reserved' AND a.account_id BETWEEN $1 AND $2", work.first, work.last())
}
