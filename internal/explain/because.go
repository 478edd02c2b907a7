package explain

import (
	"fmt"
	"strings"
	"time"
)

// reasons are tried in order, and the first that applies is the answer. The package documentation
// explains the order.
var reasons = []func(Facts) (Answer, bool){
	notFound,
	terminal,
	pausedManually,
	subscriptionInactive,
	notConnected,
	campaignNotRunning,
	blocked,
}

// Because derives the answer from the facts.
func Because(f Facts) Answer {
	answer := answerOf(f)
	isLost := answer.Code == AccountNotConnected || answer.Code == NoConnectedSibling || answer.Code == SiblingInOtherWorkspace
	if isLost && f.AccountLockedAt != nil {
		answer.Sentence += fmt.Sprintf(" The provider also locked account %s at %s (%s) and must unlock it.",
			f.Account, minute(*f.AccountLockedAt), orNoReason(f.AccountLockedReason))
	}
	if isLost || answer.Code == WaitingForSweep || answer.Code == Active {
		answer.Sentence += downProducts(f)
	}
	return answer
}

// downProducts returns the sentences about products that do not work, or an empty string if all
// work.
func downProducts(f Facts) string {
	var down []string
	for _, p := range f.DownProducts {
		down = append(down, fmt.Sprintf("%s (%s since %s)", p.Name, p.Status, minute(p.Since)))
	}
	if down == nil {
		return ""
	}
	return fmt.Sprintf(" The provider reports problems with individual products of account %s: %s. They do not change the account's status.",
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
		return waitingForSweep(f)
	case f.CampaignStatus != "running":
		return campaignStarting(f)
	default:
		return active(f)
	}
}

func notFound(f Facts) (Answer, bool) {
	sentence := "No campaign has a prospect with this URL."
	if f.Spellings > 1 {
		sentence = fmt.Sprintf("No campaign has a prospect with this URL; %d spellings were tried.", f.Spellings)
	}
	return Answer{
		Code:     NotFound,
		Sentence: sentence + " Check that the URL matches the one in the campaign.",
		WhoActs:  User,
	}, f.Status == ""
}

func terminal(f Facts) (Answer, bool) {
	sentence, isOver := map[string]string{
		"completed": "This prospect has completed all steps of campaign %s. Nothing more is sent.",
		"replied":   "This prospect has replied, which ended campaign %s for them. Nothing more is sent.",
		"failed":    "Campaign %s failed for this prospect. Nothing more is sent, and the campaign is not retried automatically.",
		"removed":   "This prospect was removed from campaign %s. Nothing more is sent.",
	}[f.Status]
	if !isOver {
		return Answer{}, false
	}
	return Answer{Code: Terminal, Sentence: fmt.Sprintf(sentence, f.Campaign), WhoActs: None}, true
}

func pausedManually(f Facts) (Answer, bool) {
	// A restriction applies to all prospects of the account, even before each of them has been
	// paused for it.
	restricted := f.PausedReason == "account_restricted" || f.AccountStatus == "restricted" && waitsForAccount(f.PausedReason)
	if !f.isPaused() || waitsForAccount(f.PausedReason) && !restricted {
		return Answer{}, false
	}
	if restricted {
		return Answer{
			Code: AccountRestricted,
			Sentence: fmt.Sprintf("This prospect is paused because the provider restricted account %s. "+
				"Prospects do not resume automatically after a restriction: review the account, then resume them manually.", f.Account),
			WhoActs: User,
		}, true
	}
	return Answer{
		Code:     PausedByUser,
		Sentence: "This prospect was paused manually. It stays paused until it is resumed manually.",
		WhoActs:  User,
	}, true
}

func subscriptionInactive(f Facts) (Answer, bool) {
	return Answer{
		Code: SubscriptionInactive,
		Sentence: fmt.Sprintf("Campaign %s is paused because the subscription is inactive. "+
			"It can run again once the subscription is active.", f.Campaign),
		WhoActs: Billing,
	}, f.CampaignReason == "subscription_inactive"
}

// campaignNotRunning does not apply to campaigns that wait for an account: they start again
// together with their prospects.
func campaignNotRunning(f Facts) (Answer, bool) {
	if f.CampaignStatus == "running" || waitsForAccount(f.CampaignReason) {
		return Answer{}, false
	}
	answer := Answer{Code: CampaignNotRunning, WhoActs: User}
	var sentence string
	switch {
	case f.CampaignReason == "account_restricted":
		answer.Code = AccountRestricted
		sentence = "Campaign %s is paused because the provider restricted an account. " +
			"Campaigns do not start automatically after a restriction: review the account, then start the campaign manually."
	case f.CampaignReason == "linkedin_high_failure_rate":
		sentence = "Campaign %s is paused because too many of its actions failed. " +
			"Find the cause, then start the campaign manually."
	case f.CampaignStatus == "draft":
		sentence = "Campaign %s is a draft. Nothing is sent until it is started."
	case f.CampaignStatus == "completed":
		sentence = "Campaign %s is completed. Nothing more is sent unless it is started again."
	default:
		sentence = "Campaign %s was paused manually. Nothing is sent until it is started again."
	}
	answer.Sentence = fmt.Sprintf(sentence, f.Campaign)
	return answer, true
}

func blocked(f Facts) (Answer, bool) {
	if f.AutoResumeOff && (f.isPaused() || f.CampaignStatus != "running") {
		return Answer{
			Code: AutoResumeOff,
			Sentence: fmt.Sprintf("Auto-resume is off for this workspace (%s). "+
				"An operator must turn it on or start a heal.", orNoReason(f.AutoResumeReason)),
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
	at := ""
	if f.LockedAt != nil {
		at = " at " + minute(*f.LockedAt)
	}
	return Answer{
		Code: AccountLocked,
		Sentence: fmt.Sprintf("The provider locked account %s%s (%s). Nothing is sent, although the account is connected. "+
			"This prospect continues when the provider unlocks the account.", f.Target, at, orNoReason(f.LockedReason)),
		WhoActs: Provider,
	}
}

func flapping(f Facts) Answer {
	answer := Answer{Code: AccountFlapping, NormalWait: true, WhoActs: None, ExpectedAt: f.ResumeAfter}
	until := "for a while"
	if f.ResumeAfter != nil {
		until = "until " + minute(*f.ResumeAfter)
	}
	answer.Sentence = fmt.Sprintf("Account %s lost its connection repeatedly within an hour. "+
		"This prospect continues once the account has stayed connected %s.", f.Target, until)
	return answer
}

func safetyMode(f Facts) Answer {
	answer := Answer{Code: SafetyMode, NormalWait: true, WhoActs: Provider}
	exit := "It turns off automatically once the provider has been stable for a while. This prospect then continues."
	if f.SafetyManualExit {
		answer.WhoActs = Operator
		exit = "It stays on until an operator turns it off. This prospect then continues."
	}
	answer.Sentence = fmt.Sprintf("Safety mode is on (%s): nothing is sent, and no prospects are resumed. %s",
		orNoReason(f.SafetyReason), exit)
	return answer
}

func onHold(f Facts) Answer {
	answer := Answer{Code: AccountOnHold, NormalWait: true, WhoActs: None, ExpectedAt: f.HoldUntil}
	until := "for now"
	if f.HoldUntil != nil {
		until = "until " + minute(*f.HoldUntil)
	}
	answer.Sentence = fmt.Sprintf("Account %s is on hold %s (%s).", f.Target, until, orNoReason(f.HoldReason))
	if f.SafetyReason == "" {
		answer.Sentence += " This prospect continues after that."
	} else {
		answer.ExpectedAt = nil
		answer.Sentence += " This prospect continues after that, once safety mode is also off."
	}
	return answer
}

// orNoReason keeps the parentheses around a reason from being empty.
func orNoReason(reason string) string {
	if reason == "" {
		return "no reason given"
	}
	return reason
}

func waitingForSweep(f Facts) Answer {
	answer := Answer{Code: WaitingForSweep, NormalWait: true, WhoActs: None, ExpectedAt: f.ExpectedAt}
	account, queue := fmt.Sprintf("Account %s is connected.", f.Target), "the queue"
	if f.Target != f.Account {
		account = fmt.Sprintf("Account %s is not connected, but account %s of the same person is.", f.Account, f.Target)
		queue = "that account's queue"
	}
	position := fmt.Sprintf("This prospect is number %d in %s.", f.Position, queue)
	if f.IsFurtherBack {
		position = fmt.Sprintf("At least %d prospects are ahead of this one in %s.", f.Position, queue)
	}
	answer.Sentence = account + " " + position
	switch {
	case f.ExpectedAt != nil:
		answer.Sentence += " The sweep at " + minute(*f.ExpectedAt) + " is expected to resume it."
	case f.NotBefore != nil:
		answer.Sentence += " It resumes automatically, but not before the sweep at " + minute(*f.NotBefore) +
			". An operator can start a heal to speed this up."
	default:
		answer.Sentence += " It resumes automatically, but later than the forecast covers. An operator can start a heal to speed this up."
	}
	return answer
}

func campaignStarting(f Facts) Answer {
	if f.CampaignStartsAt == nil {
		return Answer{
			Code: CampaignNotRunning,
			Sentence: fmt.Sprintf("Campaign %s is paused until one of its accounts is connected again. "+
				"Reconnect that account, or start the campaign manually.", f.Campaign),
			WhoActs: User,
		}
	}
	return Answer{
		Code: CampaignNotRunning,
		Sentence: fmt.Sprintf("Campaign %s was paused while account %s was not connected. "+
			"The account is connected again, and the sweep at %s starts the campaign.",
			f.Campaign, f.Account, minute(*f.CampaignStartsAt)),
		NormalWait: true,
		WhoActs:    None,
		ExpectedAt: f.CampaignStartsAt,
	}
}

func active(f Facts) Answer {
	sentence, step := "This prospect is not paused. It is active in campaign %s.", "next"
	if f.Status == "pending" {
		sentence, step = "This prospect is not paused. It has not started campaign %s yet.", "first"
	}
	answer := Answer{
		Code: Active, Sentence: fmt.Sprintf(sentence, f.Campaign), NormalWait: true, WhoActs: None, ExpectedAt: f.NextActionAt,
	}
	if f.NextActionAt != nil {
		answer.Sentence += " Its " + step + " step is due at " + minute(*f.NextActionAt) + ", within the sending limits of account " + f.Account + "."
	} else {
		answer.Sentence += " Its " + step + " step follows in turn, within the sending limits of account " + f.Account + "."
	}
	return answer
}

// minute formats a time as RFC 3339 in UTC, without seconds.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02T15:04Z") }
