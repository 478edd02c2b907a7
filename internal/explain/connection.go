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

// remedyFor returns the remedy for an account with this status.
func remedyFor(status enum.AccountStatus) (r remedy) {
	switch status {
	case enum.AccountConnected: // needs none
	case enum.AccountConnecting:
		r = remedy{is: "is still connecting", advice: "No action is needed unless it stays in this state.", who: Provider, normal: true}
	case enum.AccountNeedsVerification:
		r = remedy{is: "needs verification", advice: "Complete the sign-in that the provider asks for.", who: User}
	case enum.AccountDisconnected:
		r = remedy{is: "is disconnected", advice: "Reconnect it.", who: User}
	case enum.AccountRestricted:
		r = remedy{is: "is restricted by the provider", advice: "The account's owner must resolve this with the provider.", who: User}
	case enum.AccountError:
		r = remedy{is: "has a connection error", advice: "It may recover on its own. If it does not, reconnect it.", who: Provider}
	case enum.AccountRemoved:
		r = remedy{is: "was removed", advice: "Reconnect it.", who: User}
	}
	return r
}

// AccountAdvice says what gets an account with this status connected again, for those who look at
// the account and not at one of its prospects. Empty if it is connected.
func AccountAdvice(status enum.AccountStatus) string {
	switch status {
	case enum.AccountConnected:
		return ""
	case enum.AccountConnecting:
		return "The login is in progress. If it does not finish, the owner has to log in again."
	case enum.AccountNeedsVerification:
		return "The owner has to complete the sign-in that the provider asks for."
	case enum.AccountDisconnected:
		return "The owner has to reconnect the account in the platform."
	case enum.AccountRestricted:
		return "The owner has to resolve the restriction with the provider. Then release the prospects below: they do not resume on their own."
	case enum.AccountError:
		return "The provider reports a connection error. It may recover; otherwise the owner has to reconnect the account."
	case enum.AccountRemoved:
		return "The account was removed at the provider. The owner has to connect it again."
	}
	return ""
}

// unconfirmed is for an account whose login succeeded. The account works only once the provider
// confirms it.
func unconfirmed(f Facts) remedy {
	r := remedy{
		is:     fmt.Sprintf("was reconnected at %s, but the provider has not confirmed the connection yet", minute(*f.ReconnectedAt)),
		advice: "This usually takes a minute. No action is needed.", who: Provider, normal: true,
	}
	if f.IsOverdue {
		r.advice, r.who, r.normal = "This is taking too long: check the account with the provider, then reconnect it.", User, false
	}
	return r
}

// remedyOf returns the remedy for the account that is not connected. While safety mode is on,
// reconnecting an account does not help.
func remedyOf(f Facts) remedy {
	r := remedyFor(f.AccountStatus)
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
		waitsFor: fmt.Sprintf("its move to account %s", f.Target),
	}
	o.Sentence = fmt.Sprintf("Account %s %s, but account %s of the same person is connected. ", f.Account, remedyFor(f.AccountStatus).is, f.Target)
	switch {
	case f.Status == enum.EnrollmentActive:
		o.Sentence += fmt.Sprintf("The sweep at %s pauses this prospect, and a later one resumes it through account %s.", minute(*f.MovesAt), f.Target)
	case len(f.Blocks) > 0:
		o.Sentence += fmt.Sprintf("This prospect moves to account %s once nothing blocks that account.", f.Target)
	default:
		o.Until = f.MovesAt
		o.Sentence += fmt.Sprintf("The sweep at %s moves this prospect to account %s.", minute(*f.MovesAt), f.Target)
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
	own := remedyOf(f)
	o := obstacle{
		Obstacle: Obstacle{Code: AccountNotConnected, WhoActs: own.who},
		isNormal: own.normal, isLost: true,
		waitsFor: fmt.Sprintf("account %s to be connected", f.Account),
		then:     " This prospect resumes automatically as soon as the account is connected.",
	}
	switch {
	case !f.isPaused():
		o.Sentence = fmt.Sprintf("Account %s %s, so nothing is sent for this prospect although it is not paused. %s", f.Account, own.is, own.advice)
		o.then = ""
	case f.ConnectedElsewhere:
		o.Code = SiblingInOtherWorkspace
		o.Sentence = fmt.Sprintf("Account %s %s. %s The same person has a connected account in another workspace, but prospects never move "+
			"between workspaces.", f.Account, own.is, own.advice)
	case f.Siblings > 0:
		o.Code = NoConnectedSibling
		o.Sentence = fmt.Sprintf("Account %s %s, and no other account of the same person in this workspace is connected. %s",
			f.Account, own.is, own.advice)
		o.waitsFor = fmt.Sprintf("account %s, or another account of the same person in this workspace, to be connected", f.Account)
		o.then = " This prospect resumes automatically as soon as one of them is connected."
	default:
		o.Sentence = fmt.Sprintf("Account %s %s. %s", f.Account, own.is, own.advice)
	}
	return o, true
}
