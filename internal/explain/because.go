package explain

import (
	"fmt"
	"strings"
	"time"
)

// reasons are asked in turn; the first that applies is the answer. The package documentation says why in this order.
var reasons = []func(Facts) (Answer, bool){
	unknown,
	over,
	stopped,
	unpaid,
	unconnected,
	campaignStopped,
	blocked,
}

// Because returns the answer that follows from the facts.
func Because(f Facts) Answer {
	answer := answerOf(f)
	isLost := answer.Code == AccountNotConnected || answer.Code == NoConnectedSibling || answer.Code == SiblingInOtherWorkspace
	if isLost && f.AccountLockedAt != nil {
		answer.Sentence += fmt.Sprintf(" The provider has also locked account %s, since %s (%s): it has to be unlocked as well.",
			f.Account, minute(*f.AccountLockedAt), because(f.AccountLockedReason))
	}
	if isLost || answer.Code == WaitingForSweep || answer.Code == Active {
		answer.Sentence += downProducts(f)
	}
	return answer
}

// downProducts is empty where all products work.
func downProducts(f Facts) string {
	var down []string
	for _, p := range f.DownProducts {
		down = append(down, fmt.Sprintf("%s (%s since %s)", p.Name, p.Status, minute(p.Since)))
	}
	if down == nil {
		return ""
	}
	return fmt.Sprintf(" The provider reports single products of account %s: %s. The account keeps its own status.",
		f.Account, strings.Join(down, ", "))
}

func answerOf(f Facts) Answer {
	for _, reason := range reasons {
		if answer, applies := reason(f); applies {
			return answer
		}
	}
	switch {
	case f.isPaused():
		return inLine(f)
	case f.CampaignStatus != "running":
		return campaignStarting(f)
	default:
		return underWay(f)
	}
}

func unknown(f Facts) (Answer, bool) {
	sentence := "No campaign has a prospect with this URL."
	if f.Spellings > 1 {
		sentence = fmt.Sprintf("No campaign has a prospect with this URL, in none of the %d spellings that were looked for.", f.Spellings)
	}
	return Answer{
		Code:     NotFound,
		Sentence: sentence + " Check that it is written as in the campaign.",
		WhoActs:  User,
	}, f.Status == ""
}

func over(f Facts) (Answer, bool) {
	sentence, isOver := map[string]string{
		"completed": "This prospect has been through all steps of campaign %s; nothing more is sent.",
		"replied":   "This prospect has replied, so campaign %s is over for them; nothing more is sent.",
		"failed":    "Campaign %s failed for this prospect; nothing more is sent, and it is not tried again by itself.",
		"removed":   "This prospect was removed from campaign %s; nothing more is sent.",
	}[f.Status]
	if !isOver {
		return Answer{}, false
	}
	return Answer{Code: Terminal, Sentence: fmt.Sprintf(sentence, f.Campaign), WhoActs: Nobody}, true
}

func stopped(f Facts) (Answer, bool) {
	// A restriction speaks for all prospects of its account, before its pause has reached each of them.
	restricted := f.PausedReason == "account_restricted" || f.AccountStatus == "restricted" && waitsForAccount(f.PausedReason)
	if !f.isPaused() || waitsForAccount(f.PausedReason) && !restricted {
		return Answer{}, false
	}
	if restricted {
		return Answer{
			Code: AccountRestricted,
			Sentence: fmt.Sprintf("This prospect is paused because the provider restricted account %s. "+
				"After a restriction nothing resumes by itself: a person has to decide, and resume it by hand.", f.Account),
			WhoActs: User,
		}, true
	}
	return Answer{
		Code:     PausedByUser,
		Sentence: "A person paused this prospect. It stays paused until a person resumes it.",
		WhoActs:  User,
	}, true
}

func unpaid(f Facts) (Answer, bool) {
	return Answer{
		Code: SubscriptionInactive,
		Sentence: fmt.Sprintf("Campaign %s is paused because the subscription is not active. "+
			"It can go on when the subscription is active again.", f.Campaign),
		WhoActs: Billing,
	}, f.CampaignReason == "subscription_inactive"
}

// campaignStopped leaves out campaigns that wait for an account: they are started again with their prospects.
func campaignStopped(f Facts) (Answer, bool) {
	if f.CampaignStatus == "running" || waitsForAccount(f.CampaignReason) {
		return Answer{}, false
	}
	answer := Answer{Code: CampaignNotRunning, WhoActs: User}
	var sentence string
	switch {
	case f.CampaignReason == "account_restricted":
		answer.Code = AccountRestricted
		sentence = "Campaign %s is paused because the provider restricted an account. " +
			"After a restriction nothing resumes by itself: a person has to decide, and start the campaign again."
	case f.CampaignReason == "linkedin_high_failure_rate":
		sentence = "Campaign %s is paused because too many of its actions failed. " +
			"A person has to look into it, and start the campaign again."
	case f.CampaignStatus == "draft":
		sentence = "Campaign %s is a draft. Nothing is sent until a person starts it."
	case f.CampaignStatus == "completed":
		sentence = "Campaign %s is completed. Nothing more is sent unless a person starts it again."
	default:
		sentence = "A person paused campaign %s. Nothing is sent until a person starts it again."
	}
	answer.Sentence = fmt.Sprintf(sentence, f.Campaign)
	return answer, true
}

func blocked(f Facts) (Answer, bool) {
	if f.AutoResumeOff && (f.isPaused() || f.CampaignStatus != "running") {
		return Answer{
			Code: AutoResumeOff,
			Sentence: fmt.Sprintf("Automatic resuming is switched off for this workspace (%s). "+
				"An operator has to switch it on, or to start a heal.", because(f.AutoResumeReason)),
			WhoActs: Operator,
		}, true
	}
	switch Code(f.BlockedBy) {
	case AccountLocked:
		return accountLocked(f), true
	case AccountFlapping:
		return flapping(f), true
	case AccountOnHold:
		return onHold(f), true
	case SafetyMode:
		return safetyMode(f), true
	default:
		return Answer{}, false
	}
}

func accountLocked(f Facts) Answer {
	since := "now"
	if f.LockedAt != nil {
		since = "since " + minute(*f.LockedAt)
	}
	return Answer{
		Code: AccountLocked,
		Sentence: fmt.Sprintf("The provider has locked account %s %s (%s), so nothing is sent although it is connected. "+
			"This prospect goes on when the provider unlocks the account.", f.Target, since, because(f.LockedReason)),
		WhoActs: Provider,
	}
}

func flapping(f Facts) Answer {
	answer := Answer{Code: AccountFlapping, NormalWait: true, WhoActs: Nobody, ExpectedAt: f.ResumeAfter}
	until := "for a while"
	if f.ResumeAfter != nil {
		until = "until " + minute(*f.ResumeAfter)
	}
	answer.Sentence = fmt.Sprintf("Account %s has lost its connection again and again within an hour. "+
		"This prospect goes on when the account has stayed connected %s.", f.Target, until)
	return answer
}

func safetyMode(f Facts) Answer {
	answer := Answer{Code: SafetyMode, NormalWait: true, WhoActs: Provider}
	ends := "It ends by itself when the provider has been calm for a while, and this prospect goes on then."
	if f.SafetyStays {
		answer.WhoActs = Operator
		ends = "It lasts until an operator ends it, and this prospect goes on then."
	}
	answer.Sentence = fmt.Sprintf("Safety mode is on, so for now nothing is sent and nobody is resumed (%s). %s",
		because(f.SafetyReason), ends)
	return answer
}

func onHold(f Facts) Answer {
	answer := Answer{Code: AccountOnHold, NormalWait: true, WhoActs: Nobody, ExpectedAt: f.HoldUntil}
	until := "for now"
	if f.HoldUntil != nil {
		until = "until " + minute(*f.HoldUntil)
	}
	answer.Sentence = fmt.Sprintf("Account %s rests %s (%s).", f.Target, until, because(f.HoldReason))
	if f.SafetyReason == "" {
		answer.Sentence += " This prospect goes on after that."
	} else {
		answer.ExpectedAt = nil
		answer.Sentence += " This prospect goes on after that, when safety mode has ended as well."
	}
	return answer
}

// because keeps the brackets around a reason from being empty.
func because(reason string) string {
	if reason == "" {
		return "no reason was given"
	}
	return reason
}

func inLine(f Facts) Answer {
	answer := Answer{Code: WaitingForSweep, NormalWait: true, WhoActs: Nobody, ExpectedAt: f.ExpectedAt}
	place := fmt.Sprintf("is number %d in line", f.Position)
	if f.IsFurtherBack {
		place = fmt.Sprintf("has at least %d in line before it", f.Position)
	}
	answer.Sentence = fmt.Sprintf("Account %s is connected, and this prospect %s.", f.Target, place)
	if f.Target != f.Account {
		answer.Sentence = fmt.Sprintf("Account %s is not connected, but account %s of the same person is, and this prospect "+
			"%s there.", f.Account, f.Target, place)
	}
	switch {
	case f.ExpectedAt != nil:
		answer.Sentence += " The sweep of " + minute(*f.ExpectedAt) + " is expected to resume it."
	case f.NotBefore != nil:
		answer.Sentence += " It is resumed automatically, but not before the sweep of " + minute(*f.NotBefore) +
			"; an operator can start a heal to speed it up."
	default:
		answer.Sentence += " It is resumed automatically, but the forecast does not reach that far; an operator can start a heal to speed it up."
	}
	return answer
}

func campaignStarting(f Facts) Answer {
	if f.CampaignStartsAt == nil {
		return Answer{
			Code: CampaignNotRunning,
			Sentence: fmt.Sprintf("Campaign %s is paused until an account of it is connected again. "+
				"Connect that account, or start the campaign by hand.", f.Campaign),
			WhoActs: User,
		}
	}
	return Answer{
		Code: CampaignNotRunning,
		Sentence: fmt.Sprintf("Campaign %s was paused while account %s was not connected. "+
			"The account is back, and the sweep of %s starts the campaign again.",
			f.Campaign, f.Account, minute(*f.CampaignStartsAt)),
		NormalWait: true,
		WhoActs:    Nobody,
		ExpectedAt: f.CampaignStartsAt,
	}
}

func underWay(f Facts) Answer {
	sentence := "This prospect is not paused: it is under way in campaign %s."
	if f.Status == "pending" {
		sentence = "This prospect is not paused: it has yet to take its first step in campaign %s."
	}
	answer := Answer{
		Code: Active, Sentence: fmt.Sprintf(sentence, f.Campaign), NormalWait: true, WhoActs: Nobody, ExpectedAt: f.NextActionAt,
	}
	if f.NextActionAt != nil {
		answer.Sentence += " Its next step is due at " + minute(*f.NextActionAt) + ", within the sending limits of account " + f.Account + "."
	} else {
		answer.Sentence += " Its next step comes in its turn, within the sending limits of account " + f.Account + "."
	}
	return answer
}

// minute writes a time as in RFC 3339, UTC, without seconds.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02T15:04Z") }
