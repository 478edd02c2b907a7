package pages

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/thawline/thaw/internal/explain"
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

// obstaclesOf returns everything that keeps prospects from resuming through the account itself,
// in the order in which thaw.blocked_by looks for them.
func obstaclesOf(a readmodel.AccountDetail, l readmodel.AccountLimits) []obstacle {
	var all []obstacle
	switch {
	case l.ReconnectedAt != nil:
		all = append(all, obstacle{Title: obstacleTitle(explain.AccountNotConnected), Text: "The login succeeded, but the provider has not confirmed that the account works. This usually takes a minute."})
	case a.Status != "connected":
		all = append(all, obstacle{Title: capital(say(statuses, a.Status)), Text: given(a.Advice)})
	}
	if a.LockedAt != nil {
		all = append(all, obstacle{Title: obstacleTitle(explain.AccountLocked), Since: a.LockedAt, Text: fmt.Sprintf("The provider has to unlock the account (reason: %s).", given(a.LockedReason))})
	}
	if l.ParkedReason != "" {
		all = append(all, obstacle{Title: "Parked", Text: fmt.Sprintf("What the platform's table says about this account could not be applied: %s. Nothing is sent or resumed through it. See thaw adopt status.", l.ParkedReason)})
	}
	if a.HoldUntil != nil && a.HoldUntil.After(l.Now) {
		all = append(all, obstacle{Title: obstacleTitle(explain.AccountOnHold), Until: a.HoldUntil, Text: sentence(given(a.HoldReason)), Link: &link{Label: "Correct or end the hold", Path: "#correct-hold"}})
	}
	if l.SafetySince != nil {
		all = append(all, obstacle{Title: obstacleTitle(explain.SafetyMode), Since: l.SafetySince, Text: sentence(l.SafetyReason) + " " + explain.SafetyEnds(l.SafetyManualExit), Link: &link{Label: "Details and exit", Path: "/safety"}})
	}
	if l.FlappingUntil != nil {
		all = append(all, obstacle{Title: obstacleTitle(explain.AccountFlapping), Until: l.FlappingUntil, Text: "The account lost its connection repeatedly within an hour. It must stay connected until then."})
	}
	if l.AutoResumeOff {
		text := "Prospects of this workspace resume only through a heal that includes it."
		if l.AutoResumeReason != "" {
			text = sentence(l.AutoResumeReason) + " " + text
		}
		all = append(all, obstacle{Title: obstacleTitle(explain.AutoResumeOff), Text: text, Link: &link{Label: "Turn it on", Path: pathTo("workspaces", a.Workspace)}})
	}
	if l.IsShadow {
		all = append(all, obstacle{Title: "Shadow mode", Text: "Thaw shows what it would do in this workspace and changes nothing. Take it live with thaw adopt live.", Link: &link{Label: "The workspace", Path: pathTo("workspaces", a.Workspace)}})
	}
	return all
}

// obstacleTitle returns the label of a code: an obstacle has one name on the pages of an account
// and of a prospect.
func obstacleTitle(code explain.Code) string { return capital(say(codes, string(code))) }

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
