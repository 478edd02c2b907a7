package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Outcome is the outcome of a signal.
type Outcome string

// Outcomes of a signal. Only Applied changed anything.
const (
	Applied        Outcome = "applied"         // the account has the new status, and the job is enqueued
	Duplicate      Outcome = "duplicate"       // the delivery was received before
	Stale          Outcome = "stale"           // the account has a newer status
	UnknownAccount Outcome = "unknown_account" // stored, and applied when the account is inserted
	Ignored        Outcome = "ignored"         // the status is unknown
)

// A Signal is one account-status message.
type Signal struct {
	// Provider defaults to "linkedin".
	Provider string
	// AccountID is the provider account ID.
	AccountID string
	// Status is a value of thaw.account_status, such as connected or disconnected (docs/design.md
	// lists them). It may also be reconnected (the login succeeded, but the account is not confirmed
	// to work), locked, unlocked, or a word of the provider (thaw.provider_words).
	Status string
	// OccurredAt orders signals. If it is zero, they are ordered by receipt.
	OccurredAt time.Time
	// MemberID is the person behind the account. Empty if unknown.
	MemberID string
	// V1AccountID is the ID that the account had in the provider's former API. Empty if unknown.
	V1AccountID string
	// DeliveryKey makes a repeated delivery a duplicate. If it is empty, every call is a separate
	// delivery.
	DeliveryKey string
}

// Send applies a signal in the caller's transaction, by the same rules as the webhooks. The status
// of the account and the job that follows from it are committed with tx, or not at all. Send does
// not notify: the workers find the job within 60 ms of the commit. It locks the row of the account
// until the transaction ends. It calls the SQL function thaw.signal, so the role needs EXECUTE on
// it.
func Send(ctx context.Context, tx pgx.Tx, s Signal) (Outcome, error) {
	if s.Provider == "" {
		s.Provider = "linkedin"
	}
	var occurredAt *time.Time
	if !s.OccurredAt.IsZero() {
		occurredAt = &s.OccurredAt
	}
	var outcome Outcome
	err := tx.QueryRow(ctx, "SELECT thaw.signal($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), nullif($7, ''))",
		s.Provider, s.AccountID, s.Status, occurredAt, s.MemberID, s.DeliveryKey, s.V1AccountID).Scan(&outcome)
	if err != nil {
		return "", fmt.Errorf("sending signal %q for account %q: %w", s.Status, s.AccountID, err)
	}
	return outcome, nil
}
