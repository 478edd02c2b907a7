package explain

import (
	"fmt"
	"strings"

	"github.com/thawline/thaw/internal/enum"
)

// An obstacle is an [Obstacle] with what an answer needs in addition.
type obstacle struct {
	Obstacle
	// isNormal is true if it ends without action by a user, an operator or billing.
	isNormal bool
	// isLost is true if it is a missing connection.
	isLost bool
	// waitsFor completes "This prospect also waits for …".
	waitsFor string
	// then says what follows when this obstacle ends and there is no other. It starts with a space.
	then string
}

// obstaclesOf returns everything that has to end before the prospect continues. The package
// documentation explains the order.
func obstaclesOf(f Facts) []obstacle {
	var found []obstacle
	for _, find := range []func(Facts) (obstacle, bool){
		pausedByUser, restricted, subscriptionInactive, safetyFirst, noAccount, notConnected, moving, campaignStopped, autoResumeOff,
		locked, parked, onHold, safetyMode, flapping,
	} {
		if o, stands := find(f); stands {
			found = append(found, o)
		}
	}
	if o, stands := campaignWaits(f, len(found) > 0); stands {
		found = append(found, o)
	}
	if o, stands := shadowMode(f); stands {
		found = append(found, o)
	}
	return found
}

func pausedByUser(f Facts) (obstacle, bool) {
	why := ""
	if f.OwnReason != "" {
		why = " (" + f.OwnReason + ")"
	}
	return obstacle{
		Obstacle: Obstacle{
			Code:     PausedByUser,
			Sentence: "This prospect was paused manually" + why + ". It stays paused until a person resumes it.",
			WhoActs:  User,
		},
		waitsFor: "a person to resume it",
	}, f.PausedReason == enum.ReasonPausedByUser
}

// isRestricted reports whether a restriction keeps the prospect from resuming. It applies to all
// paused prospects of the account, even before each of them has been paused for it.
func (f Facts) isRestricted() bool {
	return f.PausedReason == enum.ReasonAccountRestricted || f.AccountStatus == enum.AccountRestricted && f.PausedReason.WaitsForAccount()
}

func restricted(f Facts) (obstacle, bool) {
	if !f.isRestricted() {
		return obstacle{}, false
	}
	o := obstacle{Obstacle: Obstacle{Code: AccountRestricted, WhoActs: Operator}, waitsFor: "an operator to release it after a restriction"}
	release := "an operator must release them on the " + f.Words.Noun + "'s page in Thaw."
	const never = " Prospects do not resume automatically after a restriction: "
	account := f.named(f.Account)
	switch f.AccountStatus {
	case enum.AccountRestricted:
		o.WhoActs = User
		o.Sentence = "The provider has restricted " + account + ". Its owner must resolve the restriction with the provider." + never +
			"once the " + f.Words.Noun + " is connected again, " + release
	case enum.AccountConnected:
		o.Sentence = "This prospect is paused because the provider had restricted " + account + ". The " + f.Words.Noun + " is connected again." +
			never + release
	default:
		o.Sentence = "This prospect is paused because the provider had restricted " + account + "." + never + release
	}
	if f.hasNoAccount() {
		o.Sentence = "This prospect is paused because the provider had restricted its former account." + never +
			"an operator must resume this one."
	}
	return o, true
}

func subscriptionInactive(f Facts) (obstacle, bool) {
	if f.CampaignReason != enum.ReasonSubscriptionInactive {
		return obstacle{}, false
	}
	return obstacle{
		Obstacle: Obstacle{
			Code:     SubscriptionInactive,
			Sentence: fmt.Sprintf("Campaign %s is paused because the subscription is inactive.", f.Campaign),
			WhoActs:  Billing,
		},
		waitsFor: "an active subscription",
		then:     " It can run again once the subscription is active.",
	}, true
}

// campaignStopped does not apply to campaigns that wait for an account: they start again together
// with their prospects.
func campaignStopped(f Facts) (obstacle, bool) {
	o := obstacle{Obstacle: Obstacle{Code: CampaignNotRunning, WhoActs: User}, waitsFor: "campaign " + f.Campaign + " to be started"}
	var sentence string
	switch f.CampaignStatus {
	case enum.CampaignRunning:
		return o, false
	case enum.CampaignDraft:
		sentence = "Campaign %s is a draft. Nothing is sent until it is started."
	case enum.CampaignCompleted:
		sentence = "Campaign %s is completed. Nothing more is sent unless it is started again."
	case enum.CampaignPaused:
		switch f.CampaignReason {
		case enum.ReasonAccountDisconnected, enum.ReasonAccountIssue, enum.ReasonSubscriptionInactive:
			return o, false
		case enum.ReasonAccountRestricted:
			o.Code = AccountRestricted
			sentence = "Campaign %s is paused because the provider restricted an account. " +
				"Campaigns do not start automatically after a restriction: review the account, then start the campaign manually."
		case enum.ReasonHighFailureRate:
			sentence = "Campaign %s is paused because too many of its actions failed. " +
				"Find the cause, then start the campaign manually."
		case enum.ReasonPausedByUser:
			sentence = "Campaign %s was paused manually. Nothing is sent until it is started again."
		}
	}
	o.Sentence = fmt.Sprintf(sentence, f.Campaign)
	return o, true
}

// campaignWaits is for a prospect that is not paused, on a connected account, in a campaign that
// waits for an account. A prospect that moves to another account starts its campaign.
func campaignWaits(f Facts, isBlocked bool) (obstacle, bool) {
	if f.isPaused() || f.isLost() || f.moves() || !f.CampaignReason.WaitsForAccount() {
		return obstacle{}, false
	}
	o := obstacle{Obstacle: Obstacle{Code: CampaignNotRunning}, waitsFor: "campaign " + f.Campaign + " to start"}
	switch {
	case f.CampaignStartsAt == nil:
		o.WhoActs = User
		o.Sentence = "Campaign %s is paused until one of its accounts that are not connected is connected again. "
		if f.has(SafetyMode) {
			o.Sentence += "After safety mode has ended, reconnect one of them, or start the campaign manually."
		} else {
			o.Sentence += "Reconnect one of them, or start the campaign manually."
		}
		o.Sentence = fmt.Sprintf(o.Sentence, f.Campaign)
	case isBlocked:
		o.WhoActs, o.isNormal = None, true
		o.Sentence = fmt.Sprintf("Campaign %s was paused while %s was not connected. "+
			"The %[3]s is connected again, and a sweep starts the campaign once nothing blocks the %[3]s.", f.Campaign, f.named(f.Account), f.Words.Noun)
	default:
		o.WhoActs, o.isNormal, o.Until = None, true, f.CampaignStartsAt
		o.Sentence = fmt.Sprintf("Campaign %s was paused while %s was not connected. "+
			"The %s is connected again, and the sweep at %s starts the campaign.", f.Campaign, f.named(f.Account), f.Words.Noun, minute(*f.CampaignStartsAt))
	}
	return o, true
}

func autoResumeOff(f Facts) (obstacle, bool) {
	if !f.has(AutoResumeOff) || !f.isPaused() && !f.moves() && f.CampaignStatus == enum.CampaignRunning {
		return obstacle{}, false
	}
	o := obstacle{
		Obstacle: Obstacle{
			Code:     AutoResumeOff,
			Sentence: fmt.Sprintf("Auto-resume is off for this workspace (%s). An operator must turn it on", orNoReason(f.AutoResumeReason)),
			WhoActs:  Operator,
		},
		waitsFor: "auto-resume to be turned on",
	}
	// A heal resumes prospects in spite of this switch, but of no other obstacle, and starts a
	// campaign only together with them.
	if f.isPaused() && !f.isRestricted() && f.PausedReason.WaitsForAccount() && f.Target != "" && len(f.Blocks) == 1 && !f.isCampaignStopped() {
		o.Sentence += " or start a heal"
	}
	o.Sentence += "."
	return o, true
}

func (f Facts) isCampaignStopped() bool {
	return f.CampaignStatus != enum.CampaignRunning && !f.CampaignReason.WaitsForAccount()
}

func locked(f Facts) (obstacle, bool) {
	if !f.has(AccountLocked) {
		return obstacle{}, false
	}
	at := ""
	if f.LockedAt != nil {
		at = " at " + minute(*f.LockedAt)
	}
	return obstacle{
		Obstacle: Obstacle{
			Code: AccountLocked,
			Sentence: fmt.Sprintf("The provider locked %s%s (%s). Nothing is sent through it until the provider unlocks it.",
				f.named(f.through()), at, orNoReason(f.LockedReason)),
			WhoActs: Provider,
		},
		waitsFor: "the provider to unlock " + f.named(f.through()),
		then:     " This prospect then continues.",
	}, true
}

func parked(f Facts) (obstacle, bool) {
	if !f.has(AccountParked) {
		return obstacle{}, false
	}
	return obstacle{
		Obstacle: Obstacle{
			Code: AccountParked,
			Sentence: fmt.Sprintf("Nothing is sent or resumed through %s, because Thaw's copy of the platform's tables may be wrong: %s. "+
				"An operator must correct this.", f.named(f.through()), strings.TrimSuffix(orNoReason(f.ParkedReason), ".")),
			WhoActs: Operator,
		},
		waitsFor: "an operator to correct " + f.named(f.through()),
		then:     " This prospect then continues.",
	}, true
}

// shadowSentence is for an action that Thaw would give out.
const shadowSentence = "This workspace is in shadow mode: Thaw gives out no action of it, and expects none, until an operator takes the workspace live. " +
	"The platform's own sender may still reserve actions."

// shadowMode is last: without it, the prospect would continue. One that is active goes on if the
// platform schedules it, or if its action was given out.
func shadowMode(f Facts) (obstacle, bool) {
	isHeld := f.Next != nil && f.Next.ActionID == 0
	if !f.has(ShadowMode) || !isHeld && !f.isPaused() && !f.moves() && f.CampaignStatus == enum.CampaignRunning {
		return obstacle{}, false
	}
	o := obstacle{
		Obstacle: Obstacle{
			Code:     ShadowMode,
			Sentence: "This workspace is in shadow mode: Thaw shows what it would do, and changes nothing until an operator takes the workspace live.",
			WhoActs:  Operator,
		},
		waitsFor: "an operator to take the workspace live",
	}
	if f.isPaused() {
		o.then = " In live mode, the next sweep would resume this prospect."
	} else if isHeld {
		o.Sentence = shadowSentence
	}
	return o, true
}

func onHold(f Facts) (obstacle, bool) {
	if !f.has(AccountOnHold) {
		return obstacle{}, false
	}
	until := ""
	if f.HoldUntil != nil {
		until = " until " + minute(*f.HoldUntil)
	}
	return obstacle{
		Obstacle: Obstacle{
			Code:     AccountOnHold,
			Sentence: fmt.Sprintf("%s is on hold%s (%s).", begin(f.named(f.through())), until, orNoReason(f.HoldReason)),
			WhoActs:  None,
			Until:    f.HoldUntil,
		},
		isNormal: true,
		waitsFor: fmt.Sprintf("the hold of %s to end", f.named(f.through())),
		then:     " This prospect continues after that.",
	}, true
}

// safetyFirst puts safety mode before a missing connection. Many accounts are lost because of the
// provider: reconnecting them does not help while safety mode is on.
func safetyFirst(f Facts) (obstacle, bool) {
	o, stands := safety(f)
	return o, stands && f.isLost()
}

func safetyMode(f Facts) (obstacle, bool) {
	o, stands := safety(f)
	return o, stands && !f.isLost()
}

func safety(f Facts) (obstacle, bool) {
	if !f.has(SafetyMode) {
		return obstacle{}, false
	}
	o := obstacle{Obstacle: Obstacle{Code: SafetyMode, WhoActs: Provider}, isNormal: true, waitsFor: "safety mode to end", then: " This prospect then continues."}
	if f.SafetyManualExit {
		o.WhoActs, o.isNormal = Operator, false
	}
	o.Sentence = fmt.Sprintf("Safety mode is on (%s): nothing is sent, and no prospects are resumed. %s", orNoReason(f.SafetyReason), SafetyEnds(f.SafetyManualExit))
	return o, true
}

// SafetyEnds says what ends safety mode.
func SafetyEnds(isManual bool) string {
	if isManual {
		return "It stays on until an operator turns it off."
	}
	return "It turns off automatically once the provider has been stable for a while."
}

func flapping(f Facts) (obstacle, bool) {
	if !f.has(AccountFlapping) {
		return obstacle{}, false
	}
	until := "for a while"
	if f.ResumeAfter != nil {
		until = "until " + minute(*f.ResumeAfter)
	}
	return obstacle{
		Obstacle: Obstacle{
			Code: AccountFlapping,
			Sentence: fmt.Sprintf("%s lost its connection repeatedly within an hour. Nothing is sent or resumed through it before it has stayed connected %s.",
				begin(f.named(f.through())), until),
			WhoActs: None,
			Until:   f.ResumeAfter,
		},
		isNormal: true,
		waitsFor: fmt.Sprintf("%s to stay connected %s", f.named(f.through()), until),
		then:     " This prospect then continues.",
	}, true
}

// orNoReason keeps the parentheses around a reason from being empty.
func orNoReason(reason string) string {
	if reason == "" {
		return "no reason given"
	}
	return reason
}
