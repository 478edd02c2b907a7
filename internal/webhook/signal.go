package webhook

import (
	"context"
	"time"
)

// Signal is one delivery in Thaw's own words. All its strings are valid UTF-8 without NUL, and those
// that identify something are at most 256 bytes long.
type Signal struct {
	// Source is the dialect it came in: "unipile_v1", "unipile_v2" or "standard".
	Source string

	// DeliveryKey makes a repeated delivery a duplicate: "unipile_v2:evt_…", "standard:<webhook-id>".
	// Empty for Unipile v1, which sends no id.
	DeliveryKey string

	// Provider is the network of the account, such as "linkedin": the lower-cased account_type in
	// Unipile v1; the lower-cased account_provider in Unipile v2, "linkedin" where it is missing;
	// data.provider in Standard Webhooks. Empty only in a Standard Webhooks delivery of a type other
	// than "account.status".
	Provider string

	// AccountID is the account as the provider knows it. Empty only where Status is empty too: the
	// delivery is of a type that is not about an account's status.
	AccountID string

	// MemberID is the person behind the account. Empty: not said.
	MemberID string

	// Raw is the provider's own word: "CREDENTIALS", "account.status.errored".
	Raw string

	// V1AccountID is the ID that the account had in the provider's former API. Empty: not said.
	V1AccountID string

	// Product is the one product of the account that Status is about, such as "sales_navigator". Empty:
	// Status is about the account.
	Product string

	// Status is one of Thaw's account statuses, or "reconnected", "locked" or "unlocked". Empty: a word
	// or a type that is not in our tables, or an event of a test application, to be recorded and ignored.
	Status string

	// Fresh is set for an account that was only just created: it is connecting, has never sent
	// anything, and there is nothing to pause.
	Fresh bool

	// OccurredAt is when it happened by the provider's clock, in UTC. Zero: the provider gives no
	// time, so signals are in the order of their receipt.
	OccurredAt time.Time

	// Body is the raw body: valid JSON that a jsonb column takes.
	Body []byte
}

// Apply records one signal and acts on it, in one transaction. The outcome it returns is a short word
// for the sender, such as "applied" or "duplicate".
//
// Every error means that nothing was recorded and that sending again may help. It is logged, never
// shown to the sender.
type Apply func(ctx context.Context, s Signal) (outcome string, err error)

// Thaw's account statuses that a signal may set.
const (
	connecting        = "connecting"
	connected         = "connected"
	needsVerification = "needs_verification"
	disconnected      = "disconnected"
	restricted        = "restricted"
	failing           = "error"
	removed           = "removed"

	// reconnected: the login went through, and the provider has yet to confirm that the account works.
	reconnected = "reconnected"
	// A lock stands beside the status.
	locked   = "locked"
	unlocked = "unlocked"
)

// meaning is what a provider's word says about an account. The zero meaning is that of a word that is
// not known.
type meaning struct {
	status string
	fresh  bool
}
