package explain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// prospects has every status of an enrollment, with every paused reason it can have.
var prospects = []Facts{
	{Status: "pending"},
	{Status: "active"},
	{Status: "paused", PausedReason: "linkedin_account_disconnected"},
	{Status: "paused", PausedReason: "linkedin_account_issue"},
	{Status: "paused", PausedReason: "account_restricted"},
	{Status: "paused", PausedReason: "paused_by_user"},
	{Status: "completed"},
	{Status: "replied"},
	{Status: "failed"},
	{Status: "removed"},
}

// campaigns has every status of a campaign, with every paused reason it can have.
var campaigns = []Facts{
	{CampaignStatus: "draft"},
	{CampaignStatus: "running"},
	{CampaignStatus: "completed"},
	{CampaignStatus: "paused", CampaignReason: "linkedin_account_disconnected"},
	{CampaignStatus: "paused", CampaignReason: "linkedin_account_issue"},
	{CampaignStatus: "paused", CampaignReason: "account_restricted"},
	{CampaignStatus: "paused", CampaignReason: "linkedin_high_failure_rate"},
	{CampaignStatus: "paused", CampaignReason: "subscription_inactive"},
	{CampaignStatus: "paused", CampaignReason: "paused_by_user"},
}

// drawAccount draws a state of an account and its siblings that the database allows.
func drawAccount(t *rapid.T) Facts {
	flag := func(label string) bool { return rapid.Bool().Draw(t, label) }
	f := Facts{
		Campaign: "spring",
		Account:  "acc_1",
		AccountStatus: rapid.SampledFrom([]string{
			"connecting", "connected", "needs_verification", "disconnected", "restricted", "error", "removed",
		}).Draw(t, "account"),
		Siblings:           rapid.IntRange(0, 2).Draw(t, "siblings"),
		ConnectedElsewhere: flag("connected elsewhere"),
		AutoResumeOff:      flag("auto-resume off"),
	}
	if f.AutoResumeOff && flag("with a reason") {
		f.AutoResumeReason = "asked by phone"
	}
	if flag("safety mode") {
		f.SafetyReason = "provider incident"
	}
	if f.AccountStatus == "connecting" && flag("reconnected") {
		f.ReconnectedAt, f.IsOverdue = &later, flag("overdue")
	}
	if flag("a product is lost") {
		f.DownProducts = []DownProduct{{"sales_navigator", "disconnected", later}}
	}
	if flag("the account is locked") {
		f.AccountLockedAt, f.AccountLockedReason = &later, "account.locked"
	}
	switch {
	case f.AccountStatus == "connected":
		f.Target = f.Account
	case f.AccountStatus == "restricted": // prospects do not resume, not even through a sibling
		return f
	case f.Siblings > 0 && flag("a sibling is connected"):
		f.Target = "acc_2"
	default:
		return f
	}
	if flag("on hold") {
		f.HoldUntil, f.HoldReason = &later, "new device"
	}
	if flag("locked") {
		f.LockedAt, f.LockedReason = &later, "account.locked"
	}
	if flag("flapping") {
		f.ResumeAfter = &tick
	}
	switch {
	case f.LockedAt != nil:
		f.BlockedBy = "account_locked"
	case f.HoldUntil != nil:
		f.BlockedBy = "account_on_hold"
	case f.SafetyReason != "":
		f.BlockedBy = "safety_mode"
	case f.ResumeAfter != nil:
		f.BlockedBy = "account_flapping"
	case f.AutoResumeOff:
		f.BlockedBy = "auto_resume_off"
	}
	return f
}

// TestEveryAnswerIsConsistent checks every prospect in every campaign on drawn accounts. There is
// always a reason, and it is consistent with the actor and the wait.
func TestEveryAnswerIsConsistent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		account := drawAccount(t)
		moment := func(label string) *time.Time {
			return rapid.SampledFrom([]*time.Time{nil, &later, &tick}).Draw(t, label)
		}
		next, starts, expected := moment("next action"), moment("campaign starts"), moment("expected")
		for _, prospect := range prospects {
			for _, campaign := range campaigns {
				f := account
				f.Status, f.PausedReason, f.NextActionAt = prospect.Status, prospect.PausedReason, next
				f.CampaignStatus, f.CampaignReason = campaign.CampaignStatus, campaign.CampaignReason
				if waitsForAccount(f.CampaignReason) {
					f.CampaignStartsAt = starts
				}
				mayResume := f.CampaignStatus == "running" || waitsForAccount(f.CampaignReason)
				if waitsForAccount(f.PausedReason) && mayResume && f.Target != "" && f.BlockedBy == "" {
					f.Position, f.ExpectedAt = 3, expected
				}
				check(t, f, Because(f))
			}
		}
	})
}

func check(t *rapid.T, f Facts, a Answer) {
	codes := []Code{
		NotFound, Terminal, PausedByUser, AccountRestricted, SubscriptionInactive, SiblingInOtherWorkspace, NoConnectedSibling,
		AccountNotConnected, CampaignNotRunning, AccountLocked, AccountOnHold, AccountFlapping, SafetyMode, AutoResumeOff, WaitingForSweep, Active,
	}
	require.Contains(t, codes, a.Code)
	require.Contains(t, []Actor{None, User, Operator, Billing, Provider}, a.WhoActs)
	require.Regexp(t, `^[A-Z].{20,}\.$`, a.Sentence)
	for _, hole := range []string{"%!", "()", "  ", " ."} {
		require.NotContains(t, a.Sentence, hole, "a word is missing")
	}

	if a.NormalWait {
		require.Contains(t, []Actor{None, Provider}, a.WhoActs, "a normal wait needs no action by a user, an operator or billing")
	}
	if a.ExpectedAt != nil {
		require.True(t, a.NormalWait, "the time of a manual action cannot be expected: %s", a.Code)
	}

	// In the queue if and only if there is no obstacle, and then with the forecast for the
	// position.
	require.Equal(t, f.Position > 0, a.Code == WaitingForSweep, "%+v", f)
	if a.Code == WaitingForSweep {
		require.Equal(t, f.ExpectedAt, a.ExpectedAt)
	}
	// Only a prospect that is actually moving is called active.
	if a.Code == Active {
		require.Contains(t, []string{"pending", "active"}, f.Status)
		require.Equal(t, "connected", f.AccountStatus)
		require.Equal(t, "running", f.CampaignStatus)
		require.Contains(t, []string{"", "auto_resume_off"}, f.BlockedBy)
	}
}
