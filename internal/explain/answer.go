package explain

import "time"

// A Code names why a prospect does not move; one of the constants below.
type Code string

// The codes, in the order of the package documentation.
const (
	NotFound                Code = "not_found"
	Terminal                Code = "terminal"
	PausedByUser            Code = "paused_by_user"
	AccountRestricted       Code = "account_restricted"
	SubscriptionInactive    Code = "subscription_inactive"
	SiblingInOtherWorkspace Code = "sibling_in_other_workspace"
	NoConnectedSibling      Code = "no_connected_sibling"
	AccountNotConnected     Code = "account_not_connected"
	CampaignNotRunning      Code = "campaign_not_running"
	AccountLocked           Code = "account_locked"
	AccountOnHold           Code = "account_on_hold"
	AccountFlapping         Code = "account_flapping"
	SafetyMode              Code = "safety_mode"
	AutoResumeOff           Code = "auto_resume_off"
	WaitingForSweep         Code = "waiting_for_sweep"
	Active                  Code = "active"
)

// An Actor is who has to do something before the prospect moves.
type Actor string

// The actors. A user is whoever works with campaigns and accounts in the platform; an operator runs the platform.
const (
	Nobody   Actor = "nobody"
	User     Actor = "user"
	Operator Actor = "operator"
	Billing  Actor = "billing"
	Provider Actor = "provider"
)

// An Answer says why a prospect does not move.
type Answer struct {
	Code Code `json:"code"`

	// Sentence says the same to a customer, in one to three sentences, with what happens next or who must do what. Times
	// in it are UTC, to the minute.
	Sentence string `json:"sentence"`

	// NormalWait is true where all is in order and the prospect moves without anybody here doing something.
	NormalWait bool `json:"normal_wait"`

	WhoActs Actor `json:"who_acts"`

	// ExpectedAt is when the prospect is expected to move; nil: nobody can say.
	ExpectedAt *time.Time `json:"expected_at"`
}
