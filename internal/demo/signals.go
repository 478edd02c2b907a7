package demo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Queries that count something on an account. $1 is the provider account ID.
const (
	activeOn = `
		SELECT count(*) FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE a.provider_account_id = $1 AND e.status = 'active'`
	waitingOn = `
		SELECT count(*) FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE a.provider_account_id = $1 AND e.waits_for_account`
	pausedByUserOn = `
		SELECT count(*) FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE a.provider_account_id = $1 AND e.paused_reason = 'paused_by_user'`
	// A checksum over the steps of all prospects. It does not change unless a step changes.
	stepsOn = `
		SELECT coalesce(sum(e.step * e.id), 0)::bigint FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE a.provider_account_id = $1`
	runningCampaign = `SELECT count(*) FROM thaw.campaigns AS c WHERE c.key = $1 AND c.status = 'running'`
	waitingCampaign = `SELECT count(*) FROM thaw.campaigns AS c WHERE c.key = $1 AND c.waits_for_account`
)

// disconnect: the provider reports that dana's credentials are invalid.
func (s *story) disconnect(ctx context.Context) error {
	before, err := s.number(ctx, activeOn, dana)
	if err != nil {
		return err
	}
	sent := time.Now()
	if err := s.post(ctx, dana, "CREDENTIALS"); err != nil {
		return err
	}
	if err := s.await(ctx, 0, "prospects still active", activeOn, dana); err != nil {
		return err
	}
	took := since(sent)
	err = errors.Join(
		s.expect(ctx, before, "prospects paused", waitingOn, dana),
		s.expect(ctx, 1, "paused campaign acme-founders", waitingCampaign, "acme-founders"),
	)
	if err != nil {
		return err
	}
	s.say("%d prospects and campaign acme-founders were paused %s after the message was sent.", before, took)
	return nil
}

// reconnect: dana has logged in again.
func (s *story) reconnect(ctx context.Context) error {
	before, err := s.number(ctx, waitingOn, dana)
	if err != nil {
		return err
	}
	byUser, err := s.number(ctx, pausedByUserOn, dana)
	if err != nil {
		return err
	}
	steps, err := s.number(ctx, stepsOn, dana)
	if err != nil {
		return err
	}
	sent := time.Now()
	if err := s.post(ctx, dana, "OK"); err != nil {
		return err
	}
	if err := s.await(ctx, before, "prospects active again", activeOn, dana); err != nil {
		return err
	}
	took := since(sent)
	err = errors.Join(
		s.expect(ctx, 1, "running campaign acme-founders", runningCampaign, "acme-founders"),
		s.expect(ctx, byUser, "prospects paused by a person", pausedByUserOn, dana),
		s.expect(ctx, steps, "as the checksum over all steps", stepsOn, dana),
	)
	if err != nil {
		return err
	}
	s.say("%d prospects and the campaign were resumed %s after the message was sent. No step changed.", before, took)
	s.say("The %d prospects that a person had paused stay paused.", byUser)
	return nil
}

// newAccount: mona connects again and gets a new account ID. The platform gets her member ID from
// the provider and stores it with the new account; the signals do not contain it.
func (s *story) newAccount(ctx context.Context) error {
	before, err := s.number(ctx, waitingOn, mona)
	if err != nil {
		return err
	}
	_, err = s.db.Pool().Exec(ctx, `
		INSERT INTO thaw.accounts (workspace_id, provider, provider_account_id, member_id, display_name)
		SELECT old.workspace_id, old.provider, $2, old.member_id, 'Mona'
		FROM thaw.accounts AS old WHERE old.provider_account_id = $1`, mona, monaAgain)
	if err != nil {
		return fmt.Errorf("inserting the new account: %w", err)
	}
	s.say("The owner of the disconnected account %s connects again and gets a new account.", mona)
	s.say("The platform inserts a row for it, with the same member.")
	if err := s.post(ctx, monaAgain, "CREATION_SUCCESS"); err != nil {
		return err
	}
	sent := time.Now()
	if err := s.post(ctx, monaAgain, "OK"); err != nil {
		return err
	}
	if err := s.await(ctx, before, "active prospects on the new account", activeOn, monaAgain); err != nil {
		return err
	}
	took := since(sent)
	err = errors.Join(
		s.expect(ctx, 0, "prospects still paused on the old account", waitingOn, mona),
		s.expect(ctx, before, "moved prospects in the history", `
			SELECT count(*) FROM thaw.history AS h
			WHERE h.kind = 'moved' AND h.from_account = $1 AND h.to_account = $2`, mona, monaAgain),
	)
	if err != nil {
		return err
	}
	s.say("%d prospects of the old account were moved to the new one and resumed %s after OK was sent.", before, took)
	return nil
}
