package explain

import (
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/enum"
)

// prospects has every status of an enrollment that can move, with every paused reason it can have.
var prospects = func() []Facts {
	all := []Facts{{Status: enum.EnrollmentPending}, {Status: enum.EnrollmentActive}}
	for _, reason := range enum.PauseReasons {
		if !reason.IsOfCampaigns() {
			all = append(all, Facts{Status: enum.EnrollmentPaused, PausedReason: reason})
		}
	}
	return all
}()

// campaigns has every status of a campaign, with every paused reason it can have.
var campaigns = func() (all []Facts) {
	for _, status := range enum.CampaignStatuses {
		if status != enum.CampaignPaused {
			all = append(all, Facts{CampaignStatus: status})
			continue
		}
		for _, reason := range enum.PauseReasons {
			all = append(all, Facts{CampaignStatus: status, CampaignReason: reason})
		}
	}
	return all
}()

// gone are the statuses of thaw.is_gone.
var gone = []enum.AccountStatus{enum.AccountNeedsVerification, enum.AccountDisconnected, enum.AccountRemoved}

// accounts has every state of an account and its siblings that the database allows.
func accounts() (all []Facts) {
	for _, status := range enum.AccountStatuses {
		all = append(all, Facts{AccountStatus: status})
		switch status {
		case "connected":
			all[len(all)-1].Target = "acc_1"
		case "restricted": // prospects do not resume, not even through a sibling
			all = append(all, Facts{AccountStatus: status, Siblings: 1}, Facts{AccountStatus: status, ConnectedElsewhere: true})
		default:
			all = append(all, Facts{AccountStatus: status, Siblings: 1}, Facts{AccountStatus: status, ConnectedElsewhere: true},
				Facts{AccountStatus: status, Siblings: 2, Target: "acc_2"})
			if slices.Contains(gone, status) {
				all = append(all, Facts{AccountStatus: status, Siblings: 2, Target: "acc_2", MovesAt: &tick})
			}
		}
		if status == "connecting" {
			all = append(all, Facts{AccountStatus: status, ReconnectedAt: &later}, Facts{AccountStatus: status, ReconnectedAt: &later, IsOverdue: true})
		}
	}
	return append(all, Facts{}) // no account is assigned yet
}

// blocks has the results of thaw.blocks, apart from the status of the account, in its order. Each
// is set or not.
var blocks = []string{"account_locked", "account_parked", "account_on_hold", "safety_mode", "account_flapping", "auto_resume_off", "shadow_mode"}

// isOfAccount selects the blocks of an account.
const isOfAccount = 1<<0 | 1<<1 | 1<<2 | 1<<4

// isOfAdoption selects the blocks that only an adoption of the platform's tables has.
const isOfAdoption = 1<<1 | 1<<6

// everyCombination calls check with every prospect, campaign, account and set of blocks, each with
// and without a manual exit of safety mode.
func everyCombination(check func(Facts)) {
	for _, prospect := range prospects {
		for _, campaign := range campaigns {
			for _, f := range accounts() {
				if f.MovesAt != nil && prospect.Status == enum.EnrollmentPaused {
					continue
				}
				f.Campaign, f.Pace = "spring", pace
				if f.AccountStatus != "" {
					f.Account = "acc_1"
				}
				f.Status, f.PausedReason = prospect.Status, prospect.PausedReason
				f.CampaignStatus, f.CampaignReason = campaign.CampaignStatus, campaign.CampaignReason
				for set := range 1 << len(blocks) {
					// These two combine with others as the rest does. A few combinations are enough.
					if set&isOfAdoption != 0 && bits.OnesCount(uint(set)) > 2 {
						continue
					}
					f.Blocks = nil
					if f.AccountStatus == "" && set&isOfAccount != 0 {
						continue
					}
					if f.through() == f.Account && f.AccountStatus != "connected" && f.AccountStatus != "" {
						f.Blocks = []string{"account_not_connected"}
					}
					f.LockedAt, f.HoldUntil, f.ResumeAfter, f.SafetyReason, f.AutoResumeReason, f.ParkedReason = nil, nil, nil, "", "", ""
					for i, block := range blocks {
						if set&(1<<i) != 0 {
							f = withBlock(f, block)
						}
					}
					for _, manual := range []bool{false, true} {
						if f.SafetyManualExit = manual; manual && !f.has(SafetyMode) {
							continue
						}
						check(f)
					}
				}
			}
		}
	}
}

// withBlock returns the facts with a result of thaw.blocks.
func withBlock(f Facts, block string) Facts {
	f.Blocks = append(f.Blocks[:len(f.Blocks):len(f.Blocks)], block)
	switch Code(block) {
	case AccountLocked:
		f.LockedAt, f.LockedReason = &later, "account.locked"
	case AccountParked:
		f.ParkedReason = "unknown word"
	case ShadowMode:
	case AccountOnHold:
		f.HoldUntil, f.HoldReason = &later, "new device"
	case AccountFlapping:
		f.ResumeAfter = &tick
	case SafetyMode:
		f.SafetyReason = "provider incident"
	case AutoResumeOff:
		f.AutoResumeReason = "asked by phone"
	default:
		panic("not a block: " + block)
	}
	return f
}

// because answers with the words of the default provider, unless the facts have words.
func because(f Facts) Answer {
	if f.Words.Noun == "" {
		f.Words = wordsOf(f.AccountStatus)
	}
	return Because(f)
}

// wordsOf has the words of the default provider, as in thaw.provider_words.
func wordsOf(status enum.AccountStatus) Words {
	says := map[enum.AccountStatus][2]string{
		enum.AccountConnecting:        {"is still connecting", "No action is needed unless it stays in this state."},
		enum.AccountNeedsVerification: {"needs verification", "Complete the sign-in that the provider asks for."},
		enum.AccountDisconnected:      {"is disconnected", "Reconnect it."},
		enum.AccountRestricted:        {"is restricted by the provider", "Its owner must resolve this with the provider."},
		enum.AccountError:             {"has a connection error", "It may recover on its own. If it does not, reconnect it."},
		enum.AccountRemoved:           {"was removed", "Reconnect it."},
	}[status]
	return Words{Noun: "account", Says: says[0], Advice: says[1]}
}

// An answer about a mailbox does not call it an account. Sentences about campaigns do, because a
// campaign may have accounts of several providers, and so does the cap per account.
func TestAnswersUseTheNoun(t *testing.T) {
	t.Parallel()
	everyCombination(func(f Facts) {
		if len(f.Blocks) > 2 || f.hasNoAccount() {
			return
		}
		f.Words = wordsOf(f.AccountStatus)
		f.Words.Noun, f.DownProducts = "mailbox", []DownProduct{{Name: "imap", Status: "error", Since: later}}
		a := because(f)
		for _, sentence := range sentencesOf(a) {
			sentence = strings.NewReplacer("at most 200 prospects per account", "", "(account.locked)", "").Replace(sentence)
			sentence, _, _ = strings.Cut(sentence, "Campaign spring is paused")
			must(t, !strings.Contains(sentence, "ccount"), f, a, "the sentence calls the mailbox an account")
		}
	})
}

// TestEveryAnswer checks every combination of facts.
func TestEveryAnswer(t *testing.T) {
	t.Parallel()
	everyCombination(func(f Facts) {
		a := because(f)
		checkForm(t, f, a)
		checkAdvice(t, f, a)
	})
}

// TestActingOnEveryObstacleMovesTheProspect ends the obstacles of every answer one by one, as their
// sentences say. Each must go, no other may appear, and the prospect must move at the end.
func TestActingOnEveryObstacleMovesTheProspect(t *testing.T) {
	t.Parallel()
	everyCombination(func(f Facts) {
		a := because(f)
		for len(a.Obstacles) > 0 {
			after := end(f, a.Obstacles[0])
			next := because(after)
			must(t, len(next.Obstacles) < len(a.Obstacles), f, a, "the first obstacle does not go away")
			f, a = after, next
		}
		must(t, a.Code == WaitingForSweep || a.Code == Active, f, a, "the prospect does not continue")
	})
}

// end returns the facts after what the obstacle waits for has happened.
func end(f Facts, o Obstacle) Facts {
	drop := func(block string) {
		var kept []string
		for _, b := range f.Blocks {
			if b != block {
				kept = append(kept, b)
			}
		}
		f.Blocks = kept
	}
	connect := func() {
		f.AccountStatus, f.Target, f.ReconnectedAt, f.ConnectedElsewhere, f.MovesAt = "connected", f.Account, nil, false, nil
		drop("account_not_connected")
		if f.CampaignReason.WaitsForAccount() { // the pass of the connect signal starts it
			f.CampaignStatus, f.CampaignReason = "running", ""
		}
	}
	switch o.Code {
	case PausedByUser:
		f.PausedReason = "account_issue" // thaw.resume_prospect requeues it
	case AccountRestricted:
		switch {
		case strings.HasPrefix(o.Sentence, "Campaign"):
			f.CampaignStatus, f.CampaignReason = "running", ""
		case f.AccountStatus == "restricted":
			connect()
			f.PausedReason = "account_issue"
		default:
			f.PausedReason = "account_issue"
		}
	case SubscriptionInactive, CampaignNotRunning:
		f.CampaignStatus, f.CampaignReason = "running", ""
	case NoAccount:
		f.Account = "acc_1"
		connect()
	case AccountNotConnected, NoConnectedSibling, SiblingInOtherWorkspace:
		connect()
	case WaitingForMove:
		f.Account, f.AccountStatus, f.MovesAt = f.Target, "connected", nil
		if f.CampaignReason.WaitsForAccount() {
			f.CampaignStatus, f.CampaignReason = "running", ""
		}
	case AccountLocked, AccountParked, AccountOnHold, SafetyMode, AccountFlapping, AutoResumeOff, ShadowMode:
		drop(string(o.Code))
	case NotFound, Terminal, WaitingForSweep, Active: // never an obstacle
	}
	return f
}

// isSentence checks the form of a sentence.
func isSentence(s string) bool {
	return len(s) > 20 && s[0] >= 'A' && s[0] <= 'Z' && strings.HasSuffix(s, ".")
}

// must fails the test unless a condition holds. There are 100,000 combinations of facts, for which
// the functions of package require would take a minute.
func must(t *testing.T, holds bool, f Facts, a Answer, why string) {
	if !holds {
		t.Helper() // takes a fifth of the time of the tests if every call does it
		fail(t, f, a, why)
	}
}

// fail is separate from must, which would otherwise allocate its arguments in every call.
func fail(t *testing.T, f Facts, a Answer, why string) {
	t.Helper()
	t.Fatalf("%s\nanswer: %+v\nfacts: %+v", why, a, f)
}

// checkForm checks what holds for every answer.
func checkForm(t *testing.T, f Facts, a Answer) {
	t.Helper()
	must(t, slices.Contains(Codes, a.Code), f, a, "an unknown code")
	must(t, a.Obstacles != nil, f, a, "an empty array in JSON, not null")
	for _, sentence := range sentencesOf(a) {
		must(t, isSentence(sentence), f, a, "not a sentence")
		for _, hole := range []string{"%!", "()", "  ", " .", "..", "<nil>", "0x"} {
			must(t, !strings.Contains(sentence, hole), f, a, "a word is missing")
		}
	}
	continues := a.Code == WaitingForSweep || a.Code == Active
	must(t, a.Code != WaitingForSweep || f.PausedReason.WaitsForAccount(), f, a, "nothing resumes a prospect that is paused for this reason")
	must(t, continues == (len(a.Obstacles) == 0), f, a, "obstacles if and only if the prospect does not continue")
	if len(a.Obstacles) > 0 {
		must(t, a.Obstacles[0].Code == a.Code && strings.HasPrefix(a.Sentence, a.Obstacles[0].Sentence), f, a, "the first obstacle is the answer")
	}
	needsNoAction := func(who Actor) bool { return who == None || who == Provider }
	must(t, !a.NormalWait || needsNoAction(a.WhoActs), f, a, "a normal wait needs no action by a user, an operator or billing")
	for _, o := range a.Obstacles {
		must(t, !a.NormalWait || needsNoAction(o.WhoActs), f, a, "an obstacle needs an action")
		must(t, o.Until != nil || a.ExpectedAt == nil, f, a, "an obstacle may last longer than expected")
	}
	if continues {
		must(t, a.NormalWait && f.isPaused() == (a.Code == WaitingForSweep), f, a, "only a paused prospect is in the queue")
	}
}

// checkAdvice checks that each advice helps, and that the actor can follow it.
func checkAdvice(t *testing.T, f Facts, a Answer) {
	t.Helper()
	for _, o := range a.Obstacles {
		says := func(words string) bool { return strings.Contains(o.Sentence, words) }
		switch {
		case says("econnect it.") && f.has(SafetyMode):
			must(t, says("Do not reconnect it while safety mode is on.") || says("It may recover on its own."), f, a, "reconnecting does not help in safety mode")
		case says("econnect it."):
			must(t, f.AccountStatus != "connected" && (o.WhoActs == User || o.WhoActs == Provider), f, a, "operators cannot log in")
		}
		if f.has(SafetyMode) && f.AccountStatus != "restricted" && o.WhoActs == User {
			must(t, slices.Contains([]Code{AccountRestricted, PausedByUser, CampaignNotRunning, NoAccount}, o.Code), f, a, "a user cannot end an incident")
		}
		if says("start a heal") {
			healed := f
			healed.Blocks = nil
			must(t, because(healed).Code == WaitingForSweep, f, a, "a heal would not resume it")
		}
		if says("must release") && o.WhoActs == User {
			must(t, f.AccountStatus == "restricted", f, a, "users cannot release prospects")
		}
		if o.WhoActs == Operator {
			must(t, says("n operator") || says("safety mode"), f, a, "the sentence does not say what the operator does")
		}
	}
	for _, promise := range []string{"resumes automatically as soon as", "then continues", "continues after that"} {
		must(t, !strings.Contains(a.Sentence, promise) || len(a.Obstacles) == 1, f, a, "another obstacle is in the way")
	}
	must(t, strings.Contains(a.Sentence, "also waits for") == (len(a.Obstacles) > 1), f, a, "all obstacles are named")
}

func sentencesOf(a Answer) []string {
	all := []string{a.Sentence}
	for _, o := range a.Obstacles {
		all = append(all, o.Sentence)
	}
	return all
}

// Whatever the account and the campaign are, a prospect that has finished has no obstacles.
func TestFinished(t *testing.T) {
	t.Parallel()
	everyCombination(func(f Facts) {
		if f.Status != "active" || len(f.Blocks) > 2 {
			return
		}
		for _, status := range []enum.EnrollmentStatus{enum.EnrollmentCompleted, enum.EnrollmentReplied, enum.EnrollmentFailed, enum.EnrollmentRemoved} {
			f.Status = status
			a := because(f)
			must(t, a.Code == Terminal && a.WhoActs == None && a.Obstacles != nil && len(a.Obstacles) == 0, f, a, "a finished prospect does not wait")
			must(t, isSentence(a.Sentence), f, a, "not a sentence")
		}
	})
}

// TestTimes draws the times of answers that depend on the queue and on the next step.
func TestTimes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		moment := func(label string) *time.Time {
			return rapid.SampledFrom([]*time.Time{nil, &later, &tick}).Draw(t, label)
		}
		f := waiting()
		f.Position, f.ExpectedAt, f.NotBefore, f.IsFurtherBack = rapid.IntRange(1, 1_000_000).Draw(t, "position"), moment("expected"), moment("not before"), rapid.Bool().Draw(t, "further")
		require.Equal(t, f.ExpectedAt, because(f).ExpectedAt)
		g := activeProspect()
		g.NextActionAt = moment("next")
		require.Equal(t, g.NextActionAt, because(g).ExpectedAt)
	})
}
