package webhook

import (
	"context"
	"time"

	"github.com/thawline/thaw/internal/enum"
)

// Signal is one decoded delivery. All its strings are valid UTF-8 without NUL. Identifiers have at
// most 256 bytes.
type Signal struct {
	// Source is the dialect: "unipile_v1", "unipile_v2" or "standard".
	Source string

	// DeliveryKey makes a repeated delivery a duplicate: "unipile_v2:evt_…",
	// "standard:<webhook-id>". Empty for Unipile v1, which sends no ID.
	DeliveryKey string

	// Provider is the network of the account, such as "linkedin". Unipile v1: account_type in lower
	// case. Unipile v2: account_provider in lower case, default "linkedin". Standard Webhooks:
	// data.provider; empty only for types other than "account.status".
	Provider string

	// AccountID is the provider account ID. Empty only if Status is empty too, because the delivery
	// is not about an account's status.
	AccountID string

	// MemberID is the person behind the account. Empty if unknown.
	MemberID string

	// Raw is the provider's term for the status: "CREDENTIALS", "account.status.errored".
	Raw string

	// V1AccountID is the ID that the account had in the provider's former API. Empty if unknown.
	V1AccountID string

	// Product is the product of the account that Status is about, such as "sales_navigator". Empty
	// if Status is about the whole account.
	Product string

	// Status is one of Thaw's account statuses, or "reconnected", "locked" or "unlocked", or a word
	// that may mean one of these for the provider (thaw.provider_words). It is empty for unknown
	// types and for events of a test application, which are only recorded.
	Status string

	// Fresh is set for an account that was just created: it is connecting and has nothing to pause.
	Fresh bool

	// OccurredAt is when it happened, by the provider's clock, in UTC. Zero if the provider sends
	// no time: such signals are ordered by receipt.
	OccurredAt time.Time

	// Body is the raw body: valid JSON that a jsonb column can store.
	Body []byte
}

// Apply records one signal and acts on it, in one transaction. It returns an outcome for the
// sender, such as "applied" or "duplicate".
//
// An error means that nothing was recorded and that a retry may help. Errors are logged, and never
// shown to the sender.
type Apply func(ctx context.Context, s Signal) (outcome string, err error)

// The account statuses, and what a signal may report beside them.
const (
	connecting        = string(enum.AccountConnecting)
	connected         = string(enum.AccountConnected)
	needsVerification = string(enum.AccountNeedsVerification)
	disconnected      = string(enum.AccountDisconnected)
	failing           = string(enum.AccountError)
	removed           = string(enum.AccountRemoved)

	// reconnected: the login succeeded, but the provider has not confirmed that the account works.
	reconnected = "reconnected"
	// A lock is independent of the status.
	locked   = "locked"
	unlocked = "unlocked"
)

// meaning is the account status that a provider's term maps to. The zero meaning is an unknown
// term.
type meaning struct {
	status string
	fresh  bool
}
