package explain

import "time"

// A Code identifies why a prospect does not continue. It is one of the constants below.
type Code string

// The codes. The package documentation gives their precedence.
const (
	NotFound                Code = "not_found"
	Terminal                Code = "terminal"
	PausedByUser            Code = "paused_by_user"
	AccountRestricted       Code = "account_restricted"
	SubscriptionInactive    Code = "subscription_inactive"
	SiblingInOtherWorkspace Code = "sibling_in_other_workspace"
	NoAccount               Code = "no_account"
	NoConnectedSibling      Code = "no_connected_sibling"
	AccountNotConnected     Code = "account_not_connected"
	WaitingForMove          Code = "waiting_for_move"
	CampaignNotRunning      Code = "campaign_not_running"
	AccountLocked           Code = "account_locked"
	AccountParked           Code = "account_parked"
	AccountOnHold           Code = "account_on_hold"
	AccountFlapping         Code = "account_flapping"
	SafetyMode              Code = "safety_mode"
	AutoResumeOff           Code = "auto_resume_off"
	ShadowMode              Code = "shadow_mode"
	WaitingForSweep         Code = "waiting_for_sweep"
	Active                  Code = "active"
)

// Codes are all codes.
var Codes = []Code{
	NotFound,
	Terminal,
	PausedByUser,
	AccountRestricted,
	SubscriptionInactive,
	SiblingInOtherWorkspace,
	NoAccount,
	NoConnectedSibling,
	AccountNotConnected,
	WaitingForMove,
	CampaignNotRunning,
	AccountLocked,
	AccountParked,
	AccountOnHold,
	AccountFlapping,
	SafetyMode,
	AutoResumeOff,
	ShadowMode,
	WaitingForSweep,
	Active,
}

// An Actor is the party that must act before the prospect continues.
type Actor string

// The actors. A user works with campaigns and accounts in the platform; an operator runs the
// platform. None means that no action is needed.
const (
	None     Actor = "none"
	User     Actor = "user"
	Operator Actor = "operator"
	Billing  Actor = "billing"
	Provider Actor = "provider"
)

// Actors are all actors.
var Actors = []Actor{None, User, Operator, Billing, Provider}

// An Obstacle is something that must end before a prospect continues.
type Obstacle struct {
	Code Code `json:"code"`

	// Sentence says what the obstacle is and what ends it.
	Sentence string `json:"sentence"`

	WhoActs Actor `json:"who_acts"`

	// Until is when it ends without any action; nil if unknown.
	Until *time.Time `json:"until"`
}

// An Answer says why a prospect does not continue.
type Answer struct {
	Code Code `json:"code"`

	// Sentence is the answer for a customer, in a few sentences: the reason, then what happens next
	// or what to do, then what else the prospect waits for. Times are in UTC, to the minute.
	Sentence string `json:"sentence"`

	// NormalWait is true if the wait is expected and ends without action by a user, an operator or
	// billing.
	NormalWait bool `json:"normal_wait"`

	// WhoActs is the first party that must act.
	WhoActs Actor `json:"who_acts"`

	// ExpectedAt is when the prospect is expected to continue; nil if unknown.
	ExpectedAt *time.Time `json:"expected_at"`

	// Obstacles are all obstacles, in the order of the package documentation. The first one is the
	// answer. Empty if nothing keeps the prospect from continuing, or if it never will.
	Obstacles []Obstacle `json:"obstacles"`
}
