package explain

import (
	"fmt"

	"github.com/thawline/thaw/internal/enum"
)

// A remedy says what gets an account connected again.
type remedy struct {
	is     string // completes "Account acc_1 …"
	advice string
	who    Actor
	normal bool // connecting is in progress
}

// remedyFor returns the remedy for the status of the account, in the words of its provider.
func remedyFor(f Facts) remedy {
	r := remedy{is: f.Words.Says, advice: f.Words.Advice}
	switch f.AccountStatus {
	case enum.AccountConnected: // needs none
	case enum.AccountConnecting:
		r.who, r.normal = Provider, true
	case enum.AccountError:
		r.who = Provider
	case enum.AccountNeedsVerification, enum.AccountDisconnected, enum.AccountRestricted, enum.AccountRemoved:
		r.who = User
	}
	return r
}

// unconfirmed is for an account whose login succeeded. The account works only once the provider
// confirms it.
func unconfirmed(f Facts) remedy {
	r := remedy{
		is:     fmt.Sprintf("was reconnected at %s, but the provider has not confirmed the connection yet", minute(*f.ReconnectedAt)),
		advice: "This usually takes a minute. No action is needed.", who: Provider, normal: true,
	}
	if f.IsOverdue {
		r.advice, r.who, r.normal = "This is taking too long: check the "+f.Words.Noun+" with the provider, then reconnect it.", User, false
	}
	return r
}

// remedyOf returns the remedy for the account that is not connected. While safety mode is on,
// reconnecting an account does not help.
func remedyOf(f Facts) remedy {
	r := remedyFor(f)
	if f.ReconnectedAt != nil {
		r = unconfirmed(f)
	}
	if f.has(SafetyMode) && r.who == User && f.AccountStatus != enum.AccountRestricted {
		r.who, r.advice = Provider, "Do not reconnect it while safety mode is on. If it is still not connected after that, reconnect it."
		if f.SafetyManualExit {
			r.who = Operator
		}
	}
	return r
}

// isLost reports whether no account is connected that the prospect could use. A restriction of the
// account is an obstacle of its own for a paused prospect.
func (f Facts) isLost() bool {
	if f.hasNoAccount() {
		return false
	}
	if f.isPaused() {
		return f.Target == "" && f.AccountStatus != enum.AccountConnected &&
			(f.AccountStatus != enum.AccountRestricted || !f.isRestricted())
	}
	return f.AccountStatus != enum.AccountConnected && !f.moves()
}

// moving is for a prospect that is not paused, on an account that is gone. It moves to a connected
// account of the same person. Only paused prospects continue within the caps, so an active one is
// paused first.
func moving(f Facts) (obstacle, bool) {
	if !f.moves() {
		return obstacle{}, false
	}
	o := obstacle{
		Obstacle: Obstacle{Code: WaitingForMove, WhoActs: None},
		isNormal: true,
		waitsFor: "its move to " + f.named(f.Target),
	}
	o.Sentence = fmt.Sprintf("%s %s, but %s of the same person is connected. ", begin(f.named(f.Account)), remedyFor(f).is, f.named(f.Target))
	switch {
	case f.Status == enum.EnrollmentActive:
		o.Sentence += fmt.Sprintf("The sweep at %s pauses this prospect, and a later one resumes it through %s.", minute(*f.MovesAt), f.named(f.Target))
	case len(f.Blocks) > 0:
		o.Sentence += fmt.Sprintf("This prospect moves to %s once nothing blocks that %s.", f.named(f.Target), f.Words.Noun)
	default:
		o.Until = f.MovesAt
		o.Sentence += fmt.Sprintf("The sweep at %s moves this prospect to %s.", minute(*f.MovesAt), f.named(f.Target))
	}
	return o, true
}

func noAccount(f Facts) (obstacle, bool) {
	o := obstacle{
		Obstacle: Obstacle{
			Code:     NoAccount,
			Sentence: "No account is assigned to this prospect yet, so nothing is sent. Assign an account in the platform.",
			WhoActs:  User,
		},
		waitsFor: "an account to be assigned",
	}
	if f.isPaused() {
		o.then = " This prospect resumes automatically as soon as a connected account is assigned."
	}
	return o, f.hasNoAccount()
}

func notConnected(f Facts) (obstacle, bool) {
	if !f.isLost() {
		return obstacle{}, false
	}
	own, noun := remedyOf(f), f.Words.Noun
	o := obstacle{
		Obstacle: Obstacle{Code: AccountNotConnected, WhoActs: own.who},
		isNormal: own.normal, isLost: true,
		waitsFor: f.named(f.Account) + " to be connected",
		then:     " This prospect resumes automatically as soon as the " + noun + " is connected.",
	}
	is := begin(f.named(f.Account)) + " " + own.is
	switch {
	case !f.isPaused():
		o.Sentence = fmt.Sprintf("%s, so nothing is sent for this prospect although it is not paused. %s", is, own.advice)
		o.then = ""
	case f.ConnectedElsewhere:
		o.Code = SiblingInOtherWorkspace
		o.Sentence = fmt.Sprintf("%s. %s The same person has a connected %s in another workspace, but prospects never move "+
			"between workspaces.", is, own.advice, noun)
	case f.Siblings > 0:
		o.Code = NoConnectedSibling
		o.Sentence = fmt.Sprintf("%s, and no other %s of the same person in this workspace is connected. %s", is, noun, own.advice)
		o.waitsFor = fmt.Sprintf("%s, or another %s of the same person in this workspace, to be connected", f.named(f.Account), noun)
		o.then = " This prospect resumes automatically as soon as one of them is connected."
	default:
		o.Sentence = is + ". " + own.advice
	}
	return o, true
}
