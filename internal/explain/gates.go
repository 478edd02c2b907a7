package explain

import (
	"fmt"
	"strings"
	"time"
)

// A GateCode identifies a closed gate: why an action may not be done now. The order of the gates is
// that of the constants; the SQL function thaw.action_gates applies them.
type GateCode string

// The gates.
const (
	GateNoAccount           GateCode = "no_account"
	GateNotActive           GateCode = "not_active"
	GateAccountNotConnected GateCode = "account_not_connected"
	GateAccountLocked       GateCode = "account_locked"
	GateAccountParked       GateCode = "account_parked"
	GateAccountOnHold       GateCode = "account_on_hold"
	GateSafetyMode          GateCode = "safety_mode"
	GateAccountFlapping     GateCode = "account_flapping"
	GateCampaignNotRunning  GateCode = "campaign_not_running"
	GateNoSuchStep          GateCode = "no_such_step"
	GateAlreadyReserved     GateCode = "already_reserved"
	GateAlreadyStarted      GateCode = "already_started"
	GateAlreadySent         GateCode = "already_sent"
	GateAlreadyUnknown      GateCode = "already_unknown"
	// GateShadowMode keeps Thaw from giving the action out. thaw.reserve does not have it.
	GateShadowMode       GateCode = "shadow_mode"
	GateNotDue           GateCode = "not_due"
	GateLimitsMissing    GateCode = "limits_missing"
	GateKindOnHold       GateCode = "kind_on_hold"
	GateWindowHasNoZone  GateCode = "window_has_no_zone"
	GateWindowClosed     GateCode = "window_closed"
	GateCooldown         GateCode = "cooldown"
	GateDailyCap         GateCode = "daily_cap"
	GateWeeklyCap        GateCode = "weekly_cap"
	GateCampaignCap      GateCode = "campaign_cap"
	GatePendingInvites   GateCode = "pending_invites"
	GateAlreadyInvited   GateCode = "already_invited"
	GateAlreadyConnected GateCode = "already_connected"
	GateInviteWithdrawn  GateCode = "invite_withdrawn"
)

// GateCodes are all gates, in their order.
var GateCodes = []GateCode{
	GateNoAccount, GateNotActive, GateAccountNotConnected, GateAccountLocked, GateAccountParked, GateAccountOnHold, GateSafetyMode,
	GateAccountFlapping, GateCampaignNotRunning, GateNoSuchStep, GateAlreadyReserved, GateAlreadyStarted, GateAlreadySent, GateAlreadyUnknown,
	GateShadowMode, GateNotDue, GateLimitsMissing, GateKindOnHold, GateWindowHasNoZone, GateWindowClosed, GateCooldown, GateDailyCap, GateWeeklyCap,
	GateCampaignCap, GatePendingInvites, GateAlreadyInvited, GateAlreadyConnected, GateInviteWithdrawn,
}

// GateFacts are the input of the answer about a gate.
type GateFacts struct {
	Code GateCode // empty: all gates are open
	Kind string   // of the action
	// Account is the account with its noun, such as "mailbox ada@example.com".
	Account  string
	Campaign string
	// OpensAt is when the gate opens. Nil: not at a known time.
	OpensAt *time.Time
	// Used and Cap are of a cap.
	Used, Cap int
	// ActionID is the action of the step, if it was given out before. 0: none, or it is not shown.
	ActionID int64
	// IsHeldElsewhere is true if the hold of the kind is that of an account of another workspace.
	IsHeldElsewhere bool
}

// HeldElsewhere stands for the cause of a hold that an account of another workspace has.
const HeldElsewhere = "held_elsewhere"

// NextFacts are the input of the answer about the next action of an active prospect.
type NextFacts struct {
	GateFacts
	// ExpectedAt is the earliest time at which the action can be done. Nil: not known.
	ExpectedAt *time.Time
	// Ahead is how many actions of the same account and kind are due before it; [MaxAhead] or more
	// are counted as MaxAhead.
	Ahead int
	// Days are the days on which it is expected. Nil: not known.
	Days *Days
}

// Days are one day, or a range of days, in ISO 8601 and by the clock of a sender.
type Days struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// String completes a sentence: "on 2026-03-04", "between 2026-03-04 and 2026-03-05".
func (d Days) String() string {
	if d.From == d.To {
		return "on " + d.From
	}
	return "between " + d.From + " and " + d.To
}

// MaxAhead is how far the actions that are due before another one are counted.
const MaxAhead = 100

// expectation says when the next action is expected.
func (n NextFacts) expectation() string {
	one, _ := KindNoun(n.Kind)
	switch {
	case n.ExpectedAt == nil, n.Code == "" && n.Ahead == 0:
		return ""
	case n.Days != nil && n.Ahead > 0:
		return " The " + one + " is expected " + n.Days.String() + ": " + AheadInWords(n.Ahead, n.Kind) + " due before it."
	case n.OpensAt != nil && minute(*n.OpensAt) == minute(*n.ExpectedAt): // the time was said
		if n.Ahead == 0 {
			return ""
		}
		return " " + begin(AheadInWords(n.Ahead, n.Kind)) + " due before it."
	case n.Ahead == 0:
		return " The " + one + " is expected at " + minute(*n.ExpectedAt) + "."
	}
	return " The " + one + " is expected at " + minute(*n.ExpectedAt) + " at the earliest: " + AheadInWords(n.Ahead, n.Kind) + " due before it."
}

// AheadInWords says how many actions are due before another one: "12 other invites are".
func AheadInWords(ahead int, kind string) string {
	one, many := KindNoun(kind)
	switch {
	case ahead >= MaxAhead:
		return fmt.Sprintf("at least %d other %s are", MaxAhead, many)
	case ahead == 1:
		return "1 other " + one + " is"
	}
	return fmt.Sprintf("%d other %s are", ahead, many)
}

// A Gate is the answer about the first closed gate of an action.
type Gate struct {
	Code GateCode `json:"code"` // empty: the action may be done now
	// Sentence says what holds the action, and what opens the gate.
	Sentence string `json:"sentence"`
	// Brief completes "held by …": "daily cap (30 of 30)". Empty if no gate is closed.
	Brief   string `json:"held_by"`
	WhoActs Actor  `json:"who_acts"`
	// OpensAt is when the gate opens without any action; nil if that is not known.
	OpensAt *time.Time `json:"opens_at"`
}

// kindNouns are the kinds in sentences, with the plural. Platforms may add kinds.
var kindNouns = map[string][2]string{
	"invite": {"invite", "invites"}, "message": {"message", "messages"}, "inmail": {"InMail", "InMails"}, "view": {"profile view", "profile views"},
	"email": {"email", "emails"},
}

// KindNoun returns the noun for actions of a kind, and its plural.
func KindNoun(kind string) (one, many string) {
	if nouns, ok := kindNouns[kind]; ok {
		return nouns[0], nouns[1]
	}
	return kind + " action", kind + " actions"
}

// BecauseOfGate derives the answer about a gate from the facts.
func BecauseOfGate(f GateFacts) Gate {
	one, many := KindNoun(f.Kind)
	if f.Account = strings.TrimSpace(f.Account); f.Account == "" {
		f.Account = "the account"
	}
	// at is the sentence that ends with the time at which the gate opens, or otherwise what opens it.
	at := func(opens, otherwise string) string {
		if f.OpensAt != nil {
			return " " + opens + " " + minute(*f.OpensAt) + "."
		}
		return " " + otherwise
	}
	until := func(otherwise string) string { return at("It opens at", otherwise) }
	answer := func(who Actor, brief, sentence string) Gate {
		return Gate{Code: f.Code, Sentence: sentence, Brief: brief, WhoActs: who, OpensAt: f.OpensAt}
	}
	// numbered names the action, which a person finds and settles by this number.
	numbered := ""
	if f.ActionID != 0 {
		numbered = fmt.Sprintf(" (action %d)", f.ActionID)
	}
	full := func(name string) string { return fmt.Sprintf("%s (%d of %d)", name, f.Used, f.Cap) }
	account := begin(f.Account)
	switch f.Code {
	case "":
		return answer(None, "", "Nothing holds the next "+one+".")
	case GateNoAccount:
		return answer(User, "no account", "The prospect has no account yet. Assign one.")
	case GateNotActive:
		return answer(None, "status", "The prospect is not active, so nothing is sent to it.")
	case GateAccountNotConnected:
		return answer(User, "account not connected", account+" is not connected. Reconnect it.")
	case GateAccountLocked:
		return answer(Provider, "locked account", "The provider has locked "+f.Account+". Nothing is sent through it until the provider unlocks it.")
	case GateAccountParked:
		return answer(Operator, "parked account", "What the platform's table says about "+f.Account+" could not be applied. An operator must correct this.")
	case GateAccountOnHold:
		return answer(None, "hold of the account", account+" is on hold."+at("The hold ends at", "An operator can end the hold."))
	case GateSafetyMode:
		return answer(Provider, "safety mode", "Safety mode is on: nothing is sent in the whole fleet until it ends.")
	case GateAccountFlapping:
		return answer(None, "flapping account", account+" lost its connection repeatedly. It must stay connected for a while."+at("It sends again at", "It then sends again."))
	case GateCampaignNotRunning:
		return answer(User, "campaign not running", "Campaign "+f.Campaign+" is not running. Start it.")
	case GateNoSuchStep:
		return answer(User, "missing step", "The next step of campaign "+f.Campaign+" is of another kind, or there is none. Check the steps of the campaign.")
	case GateShadowMode:
		return answer(Operator, "shadow mode", shadowSentence)
	case GateNotDue:
		return answer(None, "due time", "The next "+one+" is not due yet."+at("It is due at", "The platform sets its time."))
	case GateLimitsMissing:
		return answer(Operator, "missing limits", "There are no limits for "+many+", so none are sent. An operator must set them.")
	case GateKindOnHold:
		if f.IsHeldElsewhere {
			return answer(None, "hold elsewhere", begin(many)+" of "+f.Account+" are held elsewhere, for the same person; other kinds go on."+
				at("The hold ends at", "An operator can end the hold."))
		}
		return answer(None, "hold of "+many, begin(many)+" of "+f.Account+" are on hold; other kinds go on."+at("The hold ends at", "An operator can end the hold."))
	case GateWindowHasNoZone:
		return answer(User, "missing time zone", "The time zone of "+f.Account+" is not known, so nothing is sent. Set it, or the zone of its sending windows.")
	case GateWindowClosed:
		return answer(None, "sending window", "The sending window of "+f.Account+" is closed."+until("It has no further opening."))
	case GateCooldown:
		return answer(None, "cooldown", account+" waits between two actions."+at("It goes on at", "It then goes on."))
	case GateDailyCap:
		return answer(None, full("daily cap"), "The daily cap of "+many+" is used up"+of(f)+"."+until("Its limit is zero: raise the limit, or change the subscription of the account."))
	case GateWeeklyCap:
		return answer(None, full("weekly cap"), "The cap of "+many+" in 7 days is used up"+of(f)+"."+until("Its limit is zero: raise the limit."))
	case GateCampaignCap:
		return answer(None, full("cap of the campaign"), "The daily cap of campaign "+f.Campaign+" for "+many+" is used up"+of(f)+"."+until("Its limit is zero: raise the limit."))
	case GatePendingInvites:
		return answer(User, "pending invites", account+" has too many open invites"+of(f)+". Withdraw old ones at the provider.")
	case GateAlreadyReserved:
		return answer(None, "reservation", "The next "+one+" is reserved"+numbered+": a sender is about to send it.")
	case GateAlreadyStarted:
		return answer(None, "action under way", "The "+one+" is under way"+numbered+": a sender has started it.")
	case GateAlreadySent:
		return answer(User, "sent already", "The "+one+" of this step was sent already"+numbered+". Move the prospect to its next step.")
	case GateAlreadyUnknown:
		return answer(Operator, "unknown outcome", "Whether the "+one+" of this step was delivered is unknown"+numbered+". Look at the provider, then settle it.")
	case GateAlreadyInvited:
		return answer(None, "open invite", "The person behind "+f.Account+" has invited this prospect already, perhaps in another campaign. There is no second invite.")
	case GateAlreadyConnected:
		return answer(User, "connected already", "The person behind "+f.Account+" is connected with this prospect already. Move the prospect to its next step.")
	case GateInviteWithdrawn:
		return answer(None, "withdrawn invite", "An invite to this prospect was withdrawn. The provider allows a new one after three weeks."+at("It is possible at", "It is then possible."))
	}
	// A code of a newer schema.
	return answer(None, string(f.Code), "The next "+one+" is held: "+string(f.Code)+"."+at("The gate opens at", "See the documentation of this code."))
}

// of says how much of a cap is used.
func of(f GateFacts) string {
	if f.Cap == 0 && f.Used == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d of %d)", f.Used, f.Cap)
}
