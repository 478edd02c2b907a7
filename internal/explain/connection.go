package explain

import "fmt"

// A remedy says what gets an account connected again.
type remedy struct {
	is     string // completes "Account acc_1 …"
	advice string
	who    Actor
	normal bool // connecting is in progress
}

// remedies has an entry for every account status except connected.
var remedies = map[string]remedy{
	"connecting": {
		is: "is still connecting", advice: "No action is needed unless it stays in this state.", who: Provider, normal: true,
	},
	"needs_verification": {is: "needs verification", advice: "Complete the sign-in that the provider asks for.", who: User},
	"disconnected":       {is: "is disconnected", advice: "Reconnect it.", who: User},
	"restricted":         {is: "is restricted by the provider", advice: "The account's owner must resolve this with the provider.", who: User},
	"error": {
		is: "has a connection error", advice: "It may recover on its own. If it does not, reconnect it.", who: Provider,
	},
	"removed": {is: "was removed", advice: "Reconnect it.", who: User},
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

func notConnected(f Facts) (Answer, bool) {
	if f.AccountStatus == "connected" || f.isPaused() && f.Target != "" {
		return Answer{}, false
	}
	own := remedies[f.AccountStatus]
	if f.ReconnectedAt != nil {
		own = unconfirmed(f)
	}
	switch {
	case !f.isPaused():
		return Answer{
			Code: AccountNotConnected,
			Sentence: fmt.Sprintf("Account %s %s, so nothing is sent for this prospect although it is not paused. %s",
				f.Account, own.is, own.advice),
			NormalWait: own.normal,
			WhoActs:    own.who,
		}, true
	case f.ConnectedElsewhere:
		return Answer{
			Code: SiblingInOtherWorkspace,
			Sentence: fmt.Sprintf("Account %s %s. The same person has a connected account in another workspace, but prospects never move "+
				"between workspaces: connect an account of this person in this workspace.", f.Account, own.is),
			WhoActs: User,
		}, true
	case f.Siblings > 0:
		return Answer{
			Code: NoConnectedSibling,
			Sentence: fmt.Sprintf("Account %s %s, and no other account of the same person in this workspace is connected. "+
				"This prospect resumes automatically as soon as one of them is connected.", f.Account, own.is),
			WhoActs: User,
		}, true
	default:
		return Answer{
			Code: AccountNotConnected,
			Sentence: fmt.Sprintf("Account %s %s. %s This prospect resumes automatically as soon as the account is connected.",
				f.Account, own.is, own.advice),
			NormalWait: own.normal,
			WhoActs:    own.who,
		}, true
	}
}
