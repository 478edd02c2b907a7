package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// backlogTicks is how many ticks are shown.
const backlogTicks = 3

// A drain is the part of the team's backlog that one tick resumed.
type drain struct {
	tick       time.Time
	resumed    int64 // on all accounts, by signals and sweep together
	most       int64 // on one account
	accountCap int64
	swept      bool // the sweep is done
}

// backlog: all accounts of a team with thousands of paused prospects log in again at about the same
// time.
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
	s.say("%d prospects are paused on the %d accounts of %s. The whole team logs in again:", total, len(team), teamWorkspace)
	for _, account := range team {
		if err := s.post(ctx, account, "OK"); err != nil {
			return err
		}
	}
	err = s.await(ctx, int64(len(team)), "signals processed", `
		SELECT count(*) FROM thaw.account_signals AS g
		WHERE g.provider_account_id = ANY ($1) AND g.status = 'connected' AND g.finished_at IS NOT NULL`, team)
	if err != nil {
		return err
	}

	s.say("Each signal resumes prospects up to the cap. The sweeps resume the rest.")
	remaining := total
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
				return false, fmt.Errorf("expected at most %d prospects per account in tick %s, got %d", d.accountCap, clock(d.tick), d.most)
			}
		}
		if sum != total {
			return false, fmt.Errorf("expected %d prospects, resumed or paused, got %d", total, sum)
		}
		for ; shown < len(drains) && drains[shown].swept; shown++ {
			d := drains[shown]
			remaining -= d.resumed
			s.say("tick %s  %4d resumed (up to %d per account, cap %d), %4d remaining", clock(d.tick), d.resumed, d.most, d.accountCap, remaining)
		}
		if shown < backlogTicks && time.Now().After(deadline) {
			return false, fmt.Errorf("expected %d ticks with resumed prospects after %[3]s, got %[2]d", backlogTicks, shown, patience)
		}
		return shown >= backlogTicks, nil
	})
}

// freshTick waits for a tick that has just begun and is swept, so that the following steps fit into
// one tick.
func (s *story) freshTick(ctx context.Context) error {
	return s.await(ctx, 1, "swept tick in its first half", `
		SELECT count(*) FROM thaw.sweeps AS s
		WHERE s.tick_at = thaw.tick() AND s.finished_at IS NOT NULL AND thaw.now() < s.tick_at + $1::interval`, tick/2)
}

const teamWaiting = `SELECT coalesce(sum(b.paused), 0)::bigint FROM thaw.backlog AS b WHERE b.workspace = $1`

// drains returns what each tick resumed from the team's backlog, and how many prospects are still
// paused, in one snapshot.
func (s *story) drains(ctx context.Context, from time.Time) (drains []drain, waiting int64, err error) {
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.db.Pool(), snapshot, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT b.tick_at, sum(b.used), max(b.used), max(b.cap), coalesce(bool_and(s.finished_at IS NOT NULL), false)
			FROM thaw.account_quotas AS b
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
		return nil, 0, fmt.Errorf("reading the quotas: %w", err)
	}
	return drains, waiting, nil
}
