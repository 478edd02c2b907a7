package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Outcome says what came of a signal.
type Outcome string

// Outcomes of a signal. Only Applied changed anything.
const (
	Applied        Outcome = "applied"         // the account has the status now, and its job is in the queue
	Duplicate      Outcome = "duplicate"       // the same delivery was here before
	Stale          Outcome = "stale"           // the account has newer word
	UnknownAccount Outcome = "unknown_account" // kept, and applied when the account's row is inserted
	Ignored        Outcome = "ignored"         // not a status that Thaw knows
)

// A Signal is one account-status message in Thaw's own words.
type Signal struct {
	// Provider defaults to "linkedin".
	Provider string
	// AccountID is the account as the provider knows it.
	AccountID string
	// Status is one of connecting, connected, needs_verification, disconnected, restricted, error, removed; or reconnected (the
	// login went through, the account is not confirmed to work), locked, unlocked.
	Status string
	// OccurredAt orders signals; zero means now.
	OccurredAt time.Time
	// MemberID is the person behind the account; empty: not known.
	MemberID string
	// V1AccountID is the ID that the account had in the provider's former API; empty: not known.
	V1AccountID string
	// DeliveryKey makes a repeated delivery a duplicate; empty: every call is a delivery of its own.
	DeliveryKey string
}

// Send applies a signal in the caller's own transaction, by the same rules as the webhooks: the status of the account and the
// job that follows from it are committed with whatever else tx does, or not at all. Nothing is notified; the workers find the
// job within 100 ms of the commit. It locks the account's row until then. It is a call of the SQL function thaw.signal, for which the role needs EXECUTE.
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
