package explain

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/thawline/thaw/internal/enum"
)

// Because derives the answer from the facts.
func Because(f Facts) Answer {
	if answer, applies := notFound(f); applies {
		return answer
	}
	if answer, applies := terminal(f); applies {
		return answer
	}
	found := obstaclesOf(f)
	if len(found) > 0 {
		return blockedBy(f, found)
	}
	if f.isPaused() {
		return waitingForSweep(f)
	}
	return active(f)
}

// blockedBy returns the answer for a prospect with obstacles: the first one, and what else the
// prospect waits for.
func blockedBy(f Facts, found []obstacle) Answer {
	first := found[0]
	answer := Answer{Code: first.Code, Sentence: first.Sentence, NormalWait: true, WhoActs: None}
	isKnown := true
	for _, o := range found {
		answer.Obstacles = append(answer.Obstacles, o.Obstacle)
		answer.NormalWait = answer.NormalWait && o.isNormal
		if answer.WhoActs == None {
			answer.WhoActs = o.WhoActs
		}
		if o.Until == nil {
			isKnown = false
		} else if answer.ExpectedAt == nil || o.Until.After(*answer.ExpectedAt) {
			answer.ExpectedAt = o.Until
		}
	}
	if !isKnown {
		answer.ExpectedAt = nil
	}
	if len(found) == 1 {
		answer.Sentence += first.then
	} else {
		answer.Sentence += " " + alsoWaitsFor(found[1:])
	}
	if first.isLost {
		answer.Sentence += downProducts(f)
	}
	return answer
}

// alsoWaitsFor returns the sentence about the obstacles after the first.
func alsoWaitsFor(others []obstacle) string {
	ends := make([]string, len(others))
	for i, o := range others {
		ends[i] = "for " + o.waitsFor
	}
	last := len(ends) - 1
	if last > 0 {
		ends[last] = "and " + ends[last]
	}
	separator := ", "
	if last == 1 {
		separator = " "
	}
	return "This prospect also waits " + strings.Join(ends, separator) + "."
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
	return fmt.Sprintf(" The provider reports problems with individual products of %s: %s. They do not change the %s's status.",
		f.named(f.Account), strings.Join(down, ", "), f.Words.Noun)
}

func notFound(f Facts) (Answer, bool) {
	sentence := "No campaign has a prospect with this URL."
	if f.Spellings > 1 {
		sentence = fmt.Sprintf("No campaign has a prospect with this URL; %d spellings were tried.", f.Spellings)
	}
	return Answer{
		Code:      NotFound,
		Sentence:  sentence + " Check that the URL matches the one in the campaign.",
		WhoActs:   User,
		Obstacles: []Obstacle{},
	}, f.Status == ""
}

func terminal(f Facts) (Answer, bool) {
	var sentence string
	switch f.Status {
	case enum.EnrollmentPending, enum.EnrollmentActive, enum.EnrollmentPaused:
		return Answer{}, false
	case enum.EnrollmentCompleted:
		sentence = "This prospect has completed all steps of campaign %s. Nothing more is sent."
	case enum.EnrollmentReplied:
		sentence = "This prospect has replied, which ended campaign %s for them. Nothing more is sent."
	case enum.EnrollmentFailed:
		sentence = "Campaign %s failed for this prospect. Nothing more is sent, and the campaign is not retried automatically."
	case enum.EnrollmentRemoved:
		sentence = "This prospect was removed from campaign %s. Nothing more is sent."
	}
	return Answer{Code: Terminal, Sentence: fmt.Sprintf(sentence, f.Campaign), WhoActs: None, Obstacles: []Obstacle{}}, true
}

func waitingForSweep(f Facts) Answer {
	answer := Answer{Code: WaitingForSweep, NormalWait: true, WhoActs: None, ExpectedAt: f.ExpectedAt, Obstacles: []Obstacle{}}
	account, queue := begin(f.named(f.Target))+" is connected.", "the queue"
	if f.Target != f.Account {
		account = fmt.Sprintf("%s is not connected, but %s of the same person is.", begin(f.named(f.Account)), f.named(f.Target))
		queue = "that " + f.Words.Noun + "'s queue"
	}
	position := english.Sprintf("This prospect is number %d in %s.", f.Position, queue)
	if f.IsFurtherBack {
		position = english.Sprintf("At least %d prospects are ahead of this one in %s.", f.Position, queue)
	}
	answer.Sentence = account + " " + position + " " + f.Pace.sentence()
	switch {
	case f.ExpectedAt != nil:
		answer.Sentence += " The sweep at " + minute(*f.ExpectedAt) + " is expected to resume it."
	case f.NotBefore != nil:
		answer.Sentence += " It resumes automatically, but not before the sweep at " + minute(*f.NotBefore) +
			". An operator can start a heal to speed this up."
	default:
		answer.Sentence += " It resumes automatically, but later than the forecast covers. An operator can start a heal to speed this up."
	}
	answer.Sentence += downProducts(f)
	return answer
}

// sentence says why there is a queue.
func (p Pace) sentence() string {
	return english.Sprintf("To avoid bursts, at most %d prospects per account and %d in total are resumed every %s.",
		p.AccountCap, p.FleetCap, length(p.Tick))
}

func active(f Facts) Answer {
	sentence, step := "This prospect is not paused. It is active in campaign %s.", "next"
	if f.Status == enum.EnrollmentPending {
		sentence, step = "This prospect is not paused. It has not started campaign %s yet.", "first"
	}
	answer := Answer{
		Code: Active, Sentence: fmt.Sprintf(sentence, f.Campaign), NormalWait: true, WhoActs: None, ExpectedAt: f.NextActionAt,
		Obstacles: []Obstacle{},
	}
	if f.Next != nil {
		gate := BecauseOfGate(f.Next.GateFacts)
		answer.WhoActs, answer.NormalWait, answer.ExpectedAt = gate.WhoActs, gate.WhoActs == None || gate.WhoActs == Provider, f.Next.ExpectedAt
		answer.Sentence += " " + gate.Sentence + f.Next.expectation() + downProducts(f)
		return answer
	}
	if f.NextActionAt != nil {
		answer.Sentence += " Its " + step + " step is due at " + minute(*f.NextActionAt) + ", within the sending limits of " + f.named(f.Account) + "."
	} else {
		answer.Sentence += " Its " + step + " step follows in turn, within the sending limits of " + f.named(f.Account) + "."
	}
	answer.Sentence += downProducts(f)
	return answer
}

// english formats numbers with separators.
var english = message.NewPrinter(language.English)

// minute formats a time as RFC 3339 in UTC, without seconds.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02T15:04Z") }

// length formats a duration in minutes, or in seconds if it is not whole minutes.
func length(d time.Duration) string {
	unit, n := "minute", int64(d/time.Minute)
	if d%time.Minute != 0 {
		unit, n = "second", int64(d/time.Second)
	}
	if n == 1 {
		return unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
