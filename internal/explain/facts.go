package explain

import "time"

// Facts are what the answer follows from: one enrollment and what is around it, at one moment. Statuses and reasons are the
// words of the database (thaw.enrollment_status and so on), names are as people should read them. The zero Facts are those
// of a prospect that nobody knows.
type Facts struct {
	// Status is the enrollment's; empty: nobody knows the prospect.
	Status string
	// Spellings is how many spellings of the prospect's URL were looked for.
	Spellings int
	// PausedReason is the enrollment's, empty unless Status is "paused".
	PausedReason string
	// NextActionAt is when the next step is due; nil: not known.
	NextActionAt *time.Time

	Campaign       string
	CampaignStatus string
	// CampaignReason is why the campaign is paused, empty unless CampaignStatus is "paused".
	CampaignReason string
	// CampaignStartsAt is the sweep that starts the campaign again although nobody waits in it: it waits for an account, and
	// the enrollment's own has connected since. Nil: none does.
	CampaignStartsAt *time.Time

	Account       string
	AccountStatus string
	// ReconnectedAt is when the login of the account went through, where the provider has not confirmed since that it works.
	// IsOverdue says that the grace period for that is over.
	ReconnectedAt *time.Time
	IsOverdue     bool
	// AccountLockedAt is since when the provider has locked the account; nil: it is not locked.
	AccountLockedAt     *time.Time
	AccountLockedReason string
	// DownProducts are those products of the account that the provider reports by themselves and that do not work.
	DownProducts []DownProduct
	// Siblings is how many other accounts the same person has in the workspace.
	Siblings int
	// ConnectedElsewhere says that the same person is connected in another workspace.
	ConnectedElsewhere bool

	// Target is the account that the enrollment resumes through: its own if that is connected, else a connected sibling.
	// Empty: there is none.
	Target string
	// BlockedBy is what thaw.blocked_by says about the target; empty: nothing stands against it.
	BlockedBy string
	// LockedAt and LockedReason are the target's, and so is ResumeAfter: until when it must have been connected because it
	// flaps.
	LockedAt     *time.Time
	LockedReason string
	ResumeAfter  *time.Time
	// HoldUntil and HoldReason are the target's.
	HoldUntil  *time.Time
	HoldReason string
	// SafetyReason is why safety mode is on; empty: it is off.
	SafetyReason string
	// SafetyStays says that it does not end by itself.
	SafetyStays bool
	// AutoResumeOff says that the workspace has opted out, AutoResumeReason why.
	AutoResumeOff    bool
	AutoResumeReason string

	// Position is the place in line at the target; 1 is the next one. It is set where the enrollment waits, its campaign
	// allows it to resume, and nothing stands against the target.
	Position int
	// IsFurtherBack says that it was not counted further than Position: it has at least that many before it.
	IsFurtherBack bool
	// ExpectedAt is the tick that reaches the position; nil: it is beyond the horizon of the forecast.
	ExpectedAt *time.Time
	// NotBefore is a tick before which the position is certainly not reached, where ExpectedAt is not known; nil: not known either.
	NotBefore *time.Time
}

// isPaused tells a prospect that waits to resume from one that is under way.
func (f Facts) isPaused() bool { return f.Status == "paused" }

// waitsForAccount says whether a pause with the reason ends by itself when an account is connected.
func waitsForAccount(reason string) bool {
	return reason == "linkedin_account_disconnected" || reason == "linkedin_account_issue"
}

// A DownProduct is a part of an account that does not work, such as sales_navigator.
type DownProduct struct {
	Name   string
	Status string
	Since  time.Time
}
