package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// backlogTicks is how many ticks of a draining backlog are shown.
const backlogTicks = 3

// A drain is what one tick took from the backlog of the team.
type drain struct {
	tick       time.Time
	resumed    int64 // of all accounts, through signal and sweep together
	most       int64 // of one account
	accountCap int64
	swept      bool // the tick is done
}

// backlog: a team with thousands of paused prospects logs in again, all at about the same time.
func (s *story) backlog(ctx context.Context) error {
	total, err := s.number(ctx, teamWaiting, teamWorkspace)
	if err != nil {
		return err
	}
	if err := s.freshTick(ctx); err != nil {
		return err
	}
	var began time.Time
	if err := s.db.Pool().QueryRow(ctx, "SELECT thaw.tick()").Scan(&began); err != nil {
		return fmt.Errorf("reading the tick: %w", err)
	}
	s.say("%d prospects wait on the %d accounts of %s. All of the team log in again:", total, len(team), teamWorkspace)
	for _, account := range team {
		if err := s.post(ctx, account, "OK"); err != nil {
			return err
		}
	}
	err = s.await(ctx, int64(len(team)), "signals worked off", `
		SELECT count(*) FROM thaw.account_signals AS g
		WHERE g.provider_account_id = ANY ($1) AND g.status = 'connected' AND g.finished_at IS NOT NULL`, team)
	if err != nil {
		return err
	}

	s.say("Each signal resumes as many as the cap allows at once; the sweeps go on with the rest.")
	left := total
	shown := 0
	deadline := time.Now().Add(patience)
	return s.look(ctx, func() (bool, error) {
		drains, waiting, err := s.drains(ctx, began)
		if err != nil {
			return false, err
		}
		sum := waiting
		for _, d := range drains {
			sum += d.resumed
			if d.most > d.accountCap {
				return false, fmt.Errorf("expected at most %d of an account in tick %s, saw %d", d.accountCap, clock(d.tick), d.most)
			}
		}
		if sum != total {
			return false, fmt.Errorf("expected %d prospects, resumed or waiting, saw %d", total, sum)
		}
		for ; shown < len(drains) && drains[shown].swept; shown++ {
			d := drains[shown]
			left -= d.resumed
			s.say("tick %s  %4d resumed (%d of at most %d an account), %4d left", clock(d.tick), d.resumed, d.most, d.accountCap, left)
		}
		if shown < backlogTicks && time.Now().After(deadline) {
			return false, fmt.Errorf("expected %d ticks that resume somebody, saw %d after %s", backlogTicks, shown, patience)
		}
		return shown >= backlogTicks, nil
	})
}

// freshTick waits until the current tick has just begun and is swept, so that all of what comes next falls into it.
func (s *story) freshTick(ctx context.Context) error {
	return s.await(ctx, 1, "swept tick that has just begun", `
		SELECT count(*) FROM thaw.sweeps AS s
		WHERE s.tick_at = thaw.tick() AND s.finished_at IS NOT NULL AND thaw.now() < s.tick_at + $1::interval`, tick/2)
}

const teamWaiting = `SELECT coalesce(sum(b.paused), 0)::bigint FROM thaw.backlog AS b WHERE b.workspace = $1`

// drains returns what each tick took from the team's backlog, and how many are waiting still, all at one moment.
func (s *story) drains(ctx context.Context, from time.Time) (drains []drain, waiting int64, err error) {
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.db.Pool(), snapshot, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT b.tick_at, sum(b.used), max(b.used), max(b.cap), coalesce(bool_and(s.finished_at IS NOT NULL), false)
			FROM thaw.account_budgets AS b
			JOIN thaw.accounts AS a ON a.id = b.account_id
			LEFT JOIN thaw.sweeps AS s ON s.tick_at = b.tick_at
			WHERE a.provider_account_id = ANY ($1) AND b.tick_at >= $2
			GROUP BY b.tick_at
			ORDER BY b.tick_at`, team, from)
		if err != nil {
			return err
		}
		drains, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d drain, err error) {
			err = row.Scan(&d.tick, &d.resumed, &d.most, &d.accountCap, &d.swept)
			return d, err
		})
		return errors.Join(err, tx.QueryRow(ctx, teamWaiting, teamWorkspace).Scan(&waiting))
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading the budgets: %w", err)
	}
	return drains, waiting, nil
}
