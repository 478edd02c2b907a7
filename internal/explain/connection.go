package explain

import "fmt"

// A remedy is what connects an account again that has some other status.
type remedy struct {
	is     string // what to say about the account
	advice string
	who    Actor
	normal bool // it is being connected at this moment
}

// remedies has an entry for every status of an account but connected.
var remedies = map[string]remedy{
	"connecting": {
		is: "is still being connected", advice: "Nothing has to be done unless it stays so.", who: Provider, normal: true,
	},
	"needs_verification": {is: "needs verification", advice: "Finish the sign-in that the provider asks for.", who: User},
	"disconnected":       {is: "is disconnected", advice: "Connect it again.", who: User},
	"restricted":         {is: "is restricted by the provider", advice: "Its owner has to settle that with the provider.", who: User},
	"error": {
		is: "has a connection error", advice: "It may come back by itself; if it does not, connect it again.", who: Provider,
	},
	"removed": {is: "was removed", advice: "Connect it again.", who: User},
}

// unconfirmed is of an account whose login went through: it works only when the provider says so.
func unconfirmed(f Facts) remedy {
	r := remedy{
		is:     fmt.Sprintf("was reconnected at %s, not confirmed: the provider has not said since that it works", minute(*f.ReconnectedAt)),
		advice: "That usually takes a minute; nothing has to be done.", who: Provider, normal: true,
	}
	if f.IsOverdue {
		r.advice, r.who, r.normal = "That takes too long: look at the account at the provider, and connect it again.", User, false
	}
	return r
}

func unconnected(f Facts) (Answer, bool) {
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
			Sentence: fmt.Sprintf("Account %s %s. The same person is connected in another workspace, but prospects never move "+
				"from one workspace to another: connect the person in this one.", f.Account, own.is),
			WhoActs: User,
		}, true
	case f.Siblings > 0:
		return Answer{
			Code: NoConnectedSibling,
			Sentence: fmt.Sprintf("Account %s %s, and so far no other account of the same person in this workspace is connected. "+
				"This prospect resumes by itself as soon as one of them is.", f.Account, own.is),
			WhoActs: User,
		}, true
	default:
		return Answer{
			Code: AccountNotConnected,
			Sentence: fmt.Sprintf("Account %s %s. %s This prospect resumes by itself as soon as the account is connected.",
				f.Account, own.is, own.advice),
			NormalWait: own.normal,
			WhoActs:    own.who,
		}, true
	}
}
