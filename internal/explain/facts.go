package explain

import (
	"slices"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/enum"
)

// Facts are the input of an answer: one enrollment and its surroundings at one moment. Names are
// display names. The zero Facts describe an unknown prospect.
type Facts struct {
	// Status is the enrollment's status. Empty if the prospect is unknown.
	Status enum.EnrollmentStatus
	// Spellings is how many spellings of the prospect's URL were looked up.
	Spellings int
	// PausedReason is the enrollment's paused reason. Empty unless Status is "paused".
	PausedReason enum.PauseReason
	// OwnReason is why the platform paused the prospect, in its own words. Empty if unknown.
	OwnReason string
	// NextActionAt is when the next step is due; nil if unknown.
	NextActionAt *time.Time
	// Next is the next action of an active prospect, if Thaw schedules it or has given it out; nil for
	// all others.
	Next *NextFacts

	Campaign       string
	CampaignStatus enum.CampaignStatus
	// CampaignReason is the campaign's paused reason. Empty unless CampaignStatus is "paused".
	CampaignReason enum.PauseReason
	// CampaignStartsAt is the sweep that starts the campaign again although it has no waiting
	// prospects: the campaign waits for an account, and the enrollment's account has connected
	// since. Nil if no sweep starts it.
	CampaignStartsAt *time.Time

	// Account is empty if no account is assigned to the enrollment yet.
	Account       string
	AccountStatus enum.AccountStatus
	// Words are the words of the account's provider, which its siblings share.
	Words Words
	// ReconnectedAt is when the account's login succeeded, if the provider has not confirmed the
	// connection since. IsOverdue is true if the grace period for the confirmation is over.
	ReconnectedAt *time.Time
	IsOverdue     bool
	// DownProducts are the products of the account that the provider reports as not working.
	DownProducts []DownProduct
	// Siblings is how many other accounts the same person has in the workspace.
	Siblings int
	// ConnectedElsewhere is true if the same person has a connected account in another workspace.
	ConnectedElsewhere bool

	// Target is the account that the enrollment resumes through: its own account if connected,
	// otherwise a connected sibling. Empty if there is none.
	Target string
	// MovesAt is the sweep that moves the enrollment, which is not paused, to the target because its
	// own account is gone (thaw.is_gone). Nil if it stays on its own account.
	MovesAt *time.Time
	// Blocks are all that keeps prospects from resuming through the target, or through the account if
	// there is no target: the result of thaw.blocks.
	Blocks []string
	// LockedAt, LockedReason, ParkedReason, HoldUntil, HoldReason and ResumeAfter describe the blocks
	// of that account: its lock, why it is parked, its hold, and until when it must stay connected
	// because it is flapping.
	LockedAt     *time.Time
	LockedReason string
	ParkedReason string
	HoldUntil    *time.Time
	HoldReason   string
	ResumeAfter  *time.Time
	// SafetyReason is why safety mode is on. Empty if it is off.
	SafetyReason string
	// SafetyManualExit is true if safety mode does not exit automatically.
	SafetyManualExit bool
	// AutoResumeReason is why auto-resume of the workspace is off.
	AutoResumeReason string

	// Pace is how many prospects a tick resumes.
	Pace Pace
	// Position is the position in the target's queue; 1 is next. It is set if the enrollment waits,
	// its campaign allows it to resume, and the target is not blocked.
	Position int
	// IsFurtherBack is true if counting stopped at Position: at least that many prospects are
	// ahead.
	IsFurtherBack bool
	// ExpectedAt is the tick that reaches the position; nil if it is beyond the horizon of the
	// forecast.
	ExpectedAt *time.Time
	// NotBefore is a lower bound for that tick if ExpectedAt is nil; nil if it is unknown too.
	NotBefore *time.Time
}

// isPaused distinguishes a paused prospect from an active one.
func (f Facts) isPaused() bool { return f.Status == enum.EnrollmentPaused }

// Words say how to speak of an account: a row of thaw.words_for.
type Words struct {
	// Noun is what an account of the provider is called: "account", "mailbox".
	Noun string
	// Says completes a sentence about an account with this status: "is disconnected". Advice is what
	// gets it connected again. Both are empty if it is connected.
	Says, Advice string
}

// named returns an account with its noun: "mailbox ada@example.com".
func (f Facts) named(account string) string { return f.Words.Noun + " " + account }

// begin puts a text at the beginning of a sentence.
func begin(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// moves reports whether the prospect is not paused and moves to its target.
func (f Facts) moves() bool { return f.MovesAt != nil }

// through is the account whose blocks matter: a prospect that is not paused stays on its account,
// unless that is gone.
func (f Facts) through() string {
	if (f.isPaused() || f.moves()) && f.Target != "" {
		return f.Target
	}
	return f.Account
}

// hasNoAccount reports whether no account is assigned to the prospect yet.
func (f Facts) hasNoAccount() bool { return f.Status != "" && f.Account == "" }

// has reports whether something blocks the account.
func (f Facts) has(block Code) bool { return slices.Contains(f.Blocks, string(block)) }

// A Pace is the limits of a tick, which are the reason that there is a queue.
type Pace struct {
	AccountCap, FleetCap int
	Tick                 time.Duration
}

// A DownProduct is a part of an account, such as sales_navigator, that does not work.
type DownProduct struct {
	Name   string
	Status enum.AccountStatus
	Since  time.Time
}
