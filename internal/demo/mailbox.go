package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/readmodel"
)

// The mailbox of the story sends in a campaign that has accounts of LinkedIn too. Its prospects are
// e-mail addresses.
const (
	mailbox         = "sales@acme.example"
	mailboxCampaign = "acme-hiring"
)

// insertMailbox inserts the mailbox and its prospects, as the platform does when a user connects
// one.
func (s *story) insertMailbox(ctx context.Context) error {
	_, err := s.db.Pool().Exec(ctx, `
		WITH mailbox AS (
			INSERT INTO thaw.accounts (workspace_id, provider, provider_account_id, display_name, status)
			SELECT w.id, 'email', $1, 'Sales', 'connected' FROM thaw.workspaces AS w WHERE w.key = 'acme'
			RETURNING id, workspace_id)
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, step)
		SELECT mailbox.workspace_id, c.id, mailbox.id, format('prospect.%s@made-up.example', i), 'active', i % 3
		FROM mailbox
		JOIN thaw.campaigns AS c ON c.workspace_id = mailbox.workspace_id AND c.key = $2
		CROSS JOIN generate_series(1, 24) AS i`, mailbox, mailboxCampaign)
	if err != nil {
		return fmt.Errorf("inserting the mailbox: %w", err)
	}
	s.say("The platform adds a mailbox with 24 prospects to campaign %s, beside its LinkedIn accounts.", mailboxCampaign)
	return nil
}

// mailboxSignsOut: the mail provider no longer accepts the sign-in of the mailbox, and its owner
// signs in again. The signals have the provider's own words.
func (s *story) mailboxSignsOut(ctx context.Context) error {
	before, err := s.number(ctx, activeOn, mailbox)
	if err != nil {
		return err
	}
	if err := s.postStandard(ctx, mailbox, "oauth_expired"); err != nil {
		return err
	}
	if err := s.await(ctx, 0, "prospects of the mailbox still active", activeOn, mailbox); err != nil {
		return err
	}
	err = errors.Join(
		s.expect(ctx, before, "prospects paused", waitingOn, mailbox),
		s.expect(ctx, 1, "running campaign "+mailboxCampaign, runningCampaign, mailboxCampaign),
	)
	if err != nil {
		return err
	}
	s.say("The %d prospects of the mailbox were paused. The campaign still runs: its LinkedIn accounts work.", before)
	explanations, err := readmodel.Explain(ctx, s.db, "prospect.1@made-up.example")
	if err != nil {
		return err
	}
	s.say("thaw explain prospect.1@made-up.example")
	s.wrap("   ", explanations[0].Sentence)
	sent := time.Now()
	if err := s.postStandard(ctx, mailbox, "ok"); err != nil {
		return err
	}
	if err := s.await(ctx, before, "prospects of the mailbox active again", activeOn, mailbox); err != nil {
		return err
	}
	s.say("%d prospects were resumed %s after the message was sent.", before, since(sent))
	return nil
}

// postStandard sends a status of a mailbox to our own webhook in the format of Standard Webhooks.
func (s *story) postStandard(ctx context.Context, account, status string) error {
	type data struct {
		Provider string `json:"provider"`
		Account  string `json:"account"`
		Status   string `json:"status"`
	}
	body, err := json.Marshal(struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      data   `json:"data"`
	}{"account.status", time.Now().UTC().Format(time.RFC3339), data{"email", account, status}})
	if err != nil {
		return err
	}
	return s.deliver(ctx, "/webhooks/standard", body, status, account)
}

// newStandardSecret returns a secret of Standard Webhooks.
func newStandardSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}
