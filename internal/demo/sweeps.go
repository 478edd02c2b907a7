package demo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// An existingBacklog has the number of resumable prospects before the first tick, and how many of
// them are on an old account of a person with a new one.
type existingBacklog struct{ resumable, onOldAccounts int64 }

func (s *story) findBacklog(ctx context.Context) (found existingBacklog, err error) {
	err = s.db.Pool().QueryRow(ctx, `
		SELECT coalesce(sum(b.resumable), 0)::bigint,
			coalesce(sum(b.resumable) FILTER (WHERE b.target_id <> b.account_id), 0)::bigint
		FROM thaw.backlog AS b`).Scan(&found.resumable, &found.onOldAccounts)
	if err != nil {
		return found, fmt.Errorf("reading the backlog: %w", err)
	}
	return found, nil
}

// firstTick: yuki and omar connected before Thaw was installed, and their prospects are still
// paused.
func (s *story) firstTick(ctx context.Context) error {
	err := s.await(ctx, 0, "resumable prospects", `SELECT coalesce(sum(b.resumable), 0)::bigint FROM thaw.backlog AS b`)
	if err != nil {
		return err
	}
	const resumed = `SELECT count(*) FROM thaw.history AS h WHERE h.source = 'sweep' AND h.kind::text = $1`
	err = errors.Join(
		s.expect(ctx, s.existing.resumable, "prospects resumed by the sweep", resumed, "resumed"),
		s.expect(ctx, s.existing.onOldAccounts, "prospects moved by the sweep", resumed, "moved"),
	)
	if err != nil {
		return err
	}
	s.say("%d prospects were paused although the owner of their account is connected, %d of them on an account", s.existing.resumable, s.existing.onOldAccounts)
	s.say("that was replaced with a new one. The first sweep resumed all of them and moved the %d.", s.existing.onOldAccounts)
	return nil
}

// lostSignal: ravi has logged in again and the platform knows it, but the signal never arrived.
func (s *story) lostSignal(ctx context.Context) error {
	before, err := s.number(ctx, waitingOn, ravi)
	if err != nil {
		return err
	}
	began := time.Now()
	_, err = s.db.Pool().Exec(ctx, `
		UPDATE thaw.accounts AS a SET status = 'connected', connected_at = now() WHERE a.provider_account_id = $1`, ravi)
	if err != nil {
		return fmt.Errorf("updating the account's status: %w", err)
	}
	s.say("The platform sets account %s to connected in its own table. No signal is sent.", ravi)
	if err := s.await(ctx, before, "prospects active again", activeOn, ravi); err != nil {
		return err
	}
	took := since(began)
	if err := s.expect(ctx, 1, "running campaign northwind-logistics", runningCampaign, "northwind-logistics"); err != nil {
		return err
	}
	var tick time.Time
	var resumed int64
	err = s.db.Pool().QueryRow(ctx, `
		SELECT max(h.tick_at), count(*) FROM thaw.history AS h
		WHERE h.to_account = $1 AND h.kind = 'resumed' AND h.source = 'sweep'`, ravi).Scan(&tick, &resumed)
	switch {
	case err != nil:
		return fmt.Errorf("reading the history: %w", err)
	case resumed != before:
		return fmt.Errorf("expected %d prospects resumed by the sweep, got %d", before, resumed)
	}
	s.say("The sweep of tick %s resumed %d prospects and their campaign %s later.", clock(tick), resumed, took)
	return nil
}
