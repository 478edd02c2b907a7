package demo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What is left lying when the demo begins: prospects that wait although an account that could resume them is connected, and
// how many of them are on another account of the same person.
type leftLying struct{ waiting, onOldAccounts int64 }

func (s *story) findLeftLying(ctx context.Context) (found leftLying, err error) {
	err = s.db.Pool().QueryRow(ctx, `
		SELECT coalesce(sum(b.resumable), 0)::bigint,
			coalesce(sum(b.resumable) FILTER (WHERE b.target_id <> b.account_id), 0)::bigint
		FROM thaw.backlog AS b`).Scan(&found.waiting, &found.onOldAccounts)
	if err != nil {
		return found, fmt.Errorf("reading the backlog: %w", err)
	}
	return found, nil
}

// firstTick: yuki and omar were connected before Thaw was there, and nobody told their prospects.
func (s *story) firstTick(ctx context.Context) error {
	err := s.await(ctx, 0, "prospects waiting behind a connected account", `SELECT coalesce(sum(b.resumable), 0)::bigint FROM thaw.backlog AS b`)
	if err != nil {
		return err
	}
	const resumed = `SELECT count(*) FROM thaw.history AS h WHERE h.source = 'sweep' AND h.kind::text = $1`
	err = errors.Join(
		s.expect(ctx, s.leftLying.waiting, "prospects resumed by the sweep", resumed, "resumed"),
		s.expect(ctx, s.leftLying.onOldAccounts, "prospects re-pointed by the sweep", resumed, "moved"),
	)
	if err != nil {
		return err
	}
	s.say("%d prospects waited although their senders are connected, %d of them on an account that its owner has", s.leftLying.waiting, s.leftLying.onOldAccounts)
	s.say("replaced by a new one. The sweep that a process begins with resumed them all and re-pointed the %d.", s.leftLying.onOldAccounts)
	return nil
}

// lostSignal: ravi has logged in again, and the platform knows, but the message never reached us.
func (s *story) lostSignal(ctx context.Context) error {
	before, err := s.number(ctx, waitingOn, ravi)
	if err != nil {
		return err
	}
	began := time.Now()
	_, err = s.db.Pool().Exec(ctx, `
		UPDATE thaw.accounts AS a SET status = 'connected', connected_at = now() WHERE a.provider_account_id = $1`, ravi)
	if err != nil {
		return fmt.Errorf("writing the account's status: %w", err)
	}
	s.say("The platform marks account %s as connected in its own table. No message is sent.", ravi)
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
		return fmt.Errorf("expected %d prospects resumed by the sweep, saw %d", before, resumed)
	}
	s.say("The sweep of tick %s resumed %d prospects and started their campaign, %s after that.", clock(tick), resumed, took)
	return nil
}
