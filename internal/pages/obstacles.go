package pages

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
)

// An obstacle keeps prospects from resuming through an account. Text says what to do.
type obstacle struct {
	Title string
	Text  string
	Since *time.Time // nil if unknown
	Until *time.Time // when it ends by itself; nil if it does not
	Link  *link      // where to act; nil if it is not in Thaw
}

// whenLost is what ends an account's loss of connection.
func whenLost(status enum.AccountStatus) string {
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
	return "Prospects resume when the account is connected."
}

// obstaclesOf returns everything that keeps prospects from resuming through the account itself,
// in the order in which thaw.blocked_by looks for them.
func obstaclesOf(a readmodel.AccountDetail, l readmodel.AccountLimits) []obstacle {
	var all []obstacle
	switch {
	case l.ReconnectedAt != nil:
		all = append(all, obstacle{Title: "Not confirmed", Text: "The login succeeded, but the provider has not confirmed that the account works. This usually takes a minute."})
	case a.Status != "connected":
		all = append(all, obstacle{Title: capital(say(statuses, a.Status)), Text: whenLost(enum.AccountStatus(a.Status))})
	}
	if a.LockedAt != nil {
		all = append(all, obstacle{Title: "Locked by the provider", Since: a.LockedAt, Text: fmt.Sprintf("The provider has to unlock the account (reason: %s).", given(a.LockedReason))})
	}
	if a.HoldUntil != nil && a.HoldUntil.After(l.Now) {
		all = append(all, obstacle{Title: "On hold", Until: a.HoldUntil, Text: sentence(given(a.HoldReason)), Link: &link{Label: "Correct or end the hold", Path: "#correct-hold"}})
	}
	if l.SafetySince != nil {
		exit := "It turns off automatically when the provider has been stable for a while."
		if l.SafetyManualExit {
			exit = "It stays on until it is turned off manually."
		}
		all = append(all, obstacle{Title: "Safety mode", Since: l.SafetySince, Text: sentence(l.SafetyReason) + " " + exit, Link: &link{Label: "Details and exit", Path: "/safety"}})
	}
	if l.FlappingUntil != nil {
		all = append(all, obstacle{Title: "Flapping", Until: l.FlappingUntil, Text: "The account lost its connection repeatedly within an hour. It must stay connected until then."})
	}
	if l.AutoResumeOff {
		text := "Prospects of this workspace resume only through a heal that includes it."
		if l.AutoResumeReason != "" {
			text = sentence(l.AutoResumeReason) + " " + text
		}
		all = append(all, obstacle{Title: "Auto-resume is off", Text: text, Link: &link{Label: "Turn it on", Path: pathTo("workspaces", a.Workspace)}})
	}
	return all
}

// given returns a reason, or says that there is none.
func given(text *string) string {
	if text == nil || *text == "" {
		return "no reason given"
	}
	return *text
}

// capital returns the text with an upper-case first letter.
func capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
