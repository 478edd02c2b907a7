package explain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	later = time.Date(2026, 5, 1, 9, 15, 40, 0, time.UTC)
	tick  = time.Date(2026, 5, 1, 9, 30, 0, 0, time.UTC)
)

// waiting is a prospect without obstacles: third in the queue of its own account.
func waiting() Facts {
	return Facts{
		Status: "paused", PausedReason: "linkedin_account_disconnected",
		Campaign: "spring", CampaignStatus: "running",
		Account: "acc_1", AccountStatus: "connected", Target: "acc_1",
		Position: 3, ExpectedAt: &tick,
	}
}

// activeProspect is an active prospect without obstacles.
func activeProspect() Facts {
	return Facts{
		Status:   "active",
		Campaign: "spring", CampaignStatus: "running",
		Account: "acc_1", AccountStatus: "connected", Target: "acc_1",
	}
}

func TestBecause(t *testing.T) {
	t.Parallel()

	// with returns one of the two prospects above with a change.
	with := func(f Facts, change func(*Facts)) Facts {
		change(&f)
		return f
	}
	disconnected := func(f *Facts) {
		f.AccountStatus, f.Target, f.Position, f.ExpectedAt = "disconnected", "", 0, nil
	}

	tests := []struct {
		name  string
		facts Facts
		want  Answer
	}{
		{
			"unknown", Facts{},
			Answer{NotFound, "No campaign has a prospect with this URL. Check that the URL matches the one in the campaign.", false, User, nil},
		},
		{
			"unknown in every spelling", Facts{Spellings: 12},
			Answer{NotFound, "No campaign has a prospect with this URL; 12 spellings were tried. Check that the URL matches the one in the campaign.", false, User, nil},
		},
		{
			"replied, with a removed account and a paused campaign",
			Facts{Status: "replied", Campaign: "spring", CampaignStatus: "paused", CampaignReason: "paused_by_user", AccountStatus: "removed"},
			Answer{Terminal, "This prospect has replied, which ended campaign spring for them. Nothing more is sent.", false, None, nil},
		},
		{
			"in the queue", waiting(),
			Answer{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. The sweep at 2026-05-01T09:30Z is expected to resume it.", true, None, &tick},
		},
		{
			"in a sibling's queue", with(waiting(), func(f *Facts) { f.AccountStatus, f.Target = "removed", "acc_2" }),
			Answer{WaitingForSweep, "Account acc_1 is not connected, but account acc_2 of the same person is. This prospect is number 3 in that account's queue. The sweep at 2026-05-01T09:30Z is expected to resume it.", true, None, &tick},
		},
		{
			"beyond the horizon", with(waiting(), func(f *Facts) { f.ExpectedAt = nil }),
			Answer{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. It resumes automatically, but later than the forecast covers. An operator can start a heal to speed this up.", true, None, nil},
		},
		{
			"further back than is counted",
			with(waiting(), func(f *Facts) { f.ExpectedAt, f.NotBefore, f.Position, f.IsFurtherBack = nil, &tick, 100_000, true }),
			Answer{WaitingForSweep, "Account acc_1 is connected. At least 100000 prospects are ahead of this one in the queue. It resumes automatically, but not before the sweep at 2026-05-01T09:30Z. An operator can start a heal to speed this up.", true, None, nil},
		},
		{
			"beyond the horizon, with a lower bound", with(waiting(), func(f *Facts) { f.ExpectedAt, f.NotBefore = nil, &tick }),
			Answer{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. It resumes automatically, but not before the sweep at 2026-05-01T09:30Z. An operator can start a heal to speed this up.", true, None, nil},
		},
		{
			"in a campaign that starts again with it",
			with(waiting(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "linkedin_account_issue" }),
			Answer{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. The sweep at 2026-05-01T09:30Z is expected to resume it.", true, None, &tick},
		},
		{
			"paused manually, with a disconnected account",
			with(waiting(), func(f *Facts) { disconnected(f); f.PausedReason = "paused_by_user" }),
			Answer{PausedByUser, "This prospect was paused manually. It stays paused until it is resumed manually.", false, User, nil},
		},
		{
			"account restricted before the prospect was paused for it", with(waiting(), func(f *Facts) { f.AccountStatus = "restricted" }),
			Answer{AccountRestricted, "This prospect is paused because the provider restricted account acc_1. Prospects do not resume automatically after a restriction: review the account, then resume them manually.", false, User, nil},
		},
		{
			"paused by a restriction", with(waiting(), func(f *Facts) { f.PausedReason = "account_restricted" }),
			Answer{AccountRestricted, "This prospect is paused because the provider restricted account acc_1. Prospects do not resume automatically after a restriction: review the account, then resume them manually.", false, User, nil},
		},
		{
			"inactive subscription takes precedence over a disconnected account",
			with(waiting(), func(f *Facts) {
				disconnected(f)
				f.CampaignStatus, f.CampaignReason = "paused", "subscription_inactive"
			}),
			Answer{SubscriptionInactive, "Campaign spring is paused because the subscription is inactive. It can run again once the subscription is active.", false, Billing, nil},
		},
		{
			"disconnected account", with(waiting(), disconnected),
			Answer{AccountNotConnected, "Account acc_1 is disconnected. Reconnect it. This prospect resumes automatically as soon as the account is connected.", false, User, nil},
		},
		{
			"connecting account",
			with(waiting(), func(f *Facts) { disconnected(f); f.AccountStatus = "connecting" }),
			Answer{AccountNotConnected, "Account acc_1 is still connecting. No action is needed unless it stays in this state. This prospect resumes automatically as soon as the account is connected.", true, Provider, nil},
		},
		{
			"reconnected, not confirmed yet",
			with(waiting(), func(f *Facts) { disconnected(f); f.AccountStatus, f.ReconnectedAt = "connecting", &later }),
			Answer{AccountNotConnected, "Account acc_1 was reconnected at 2026-05-01T09:15Z, but the provider has not confirmed the connection yet. This usually takes a minute. No action is needed. This prospect resumes automatically as soon as the account is connected.", true, Provider, nil},
		},
		{
			"reconnected, not confirmed within the grace period",
			with(waiting(), func(f *Facts) {
				disconnected(f)
				f.AccountStatus, f.ReconnectedAt, f.IsOverdue = "connecting", &later, true
			}),
			Answer{AccountNotConnected, "Account acc_1 was reconnected at 2026-05-01T09:15Z, but the provider has not confirmed the connection yet. This is taking too long: check the account with the provider, then reconnect it. This prospect resumes automatically as soon as the account is connected.", false, User, nil},
		},
		{
			"locked account takes precedence over a hold",
			with(waiting(), func(f *Facts) {
				f.BlockedBy, f.Position, f.ExpectedAt = "account_locked", 0, nil
				f.LockedAt, f.LockedReason, f.HoldUntil, f.HoldReason = &later, "account.locked", &tick, "a new device"
			}),
			Answer{AccountLocked, "The provider locked account acc_1 at 2026-05-01T09:15Z (account.locked). Nothing is sent, although the account is connected. This prospect continues when the provider unlocks the account.", false, Provider, nil},
		},
		{
			"disconnected account that is also locked",
			with(waiting(), func(f *Facts) { disconnected(f); f.AccountLockedAt, f.AccountLockedReason = &later, "account.locked" }),
			Answer{AccountNotConnected, "Account acc_1 is disconnected. Reconnect it. This prospect resumes automatically as soon as the account is connected. The provider also locked account acc_1 at 2026-05-01T09:15Z (account.locked) and must unlock it.", false, User, nil},
		},
		{
			"flapping account",
			with(waiting(), func(f *Facts) {
				f.BlockedBy, f.Position, f.ExpectedAt, f.ResumeAfter = "account_flapping", 0, nil, &later
			}),
			Answer{AccountFlapping, "Account acc_1 lost its connection repeatedly within an hour. This prospect continues once the account has stayed connected until 2026-05-01T09:15Z.", true, None, &later},
		},
		{
			"connected account with products that do not work",
			with(waiting(), func(f *Facts) {
				f.DownProducts = []DownProduct{{"classic", "error", tick}, {"sales_navigator", "disconnected", later}}
			}),
			Answer{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. The sweep at 2026-05-01T09:30Z is expected to resume it. The provider reports problems with individual products of account acc_1: classic (error since 2026-05-01T09:30Z), sales_navigator (disconnected since 2026-05-01T09:15Z). They do not change the account's status.", true, None, &tick},
		},
		{
			"siblings, none connected", with(waiting(), func(f *Facts) { disconnected(f); f.Siblings = 2 }),
			Answer{NoConnectedSibling, "Account acc_1 is disconnected, and no other account of the same person in this workspace is connected. This prospect resumes automatically as soon as one of them is connected.", false, User, nil},
		},
		{
			"sibling connected in another workspace",
			with(waiting(), func(f *Facts) { disconnected(f); f.Siblings, f.ConnectedElsewhere = 2, true }),
			Answer{SiblingInOtherWorkspace, "Account acc_1 is disconnected. The same person has a connected account in another workspace, but prospects never move between workspaces: connect an account of this person in this workspace.", false, User, nil},
		},
		{
			"disconnected account takes precedence over a campaign paused manually",
			with(waiting(), func(f *Facts) { disconnected(f); f.CampaignStatus, f.CampaignReason = "paused", "paused_by_user" }),
			Answer{AccountNotConnected, "Account acc_1 is disconnected. Reconnect it. This prospect resumes automatically as soon as the account is connected.", false, User, nil},
		},
		{
			"campaign paused manually",
			with(waiting(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "paused_by_user" }),
			Answer{CampaignNotRunning, "Campaign spring was paused manually. Nothing is sent until it is started again.", false, User, nil},
		},
		{
			"campaign paused by a restriction",
			with(waiting(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "account_restricted" }),
			Answer{AccountRestricted, "Campaign spring is paused because the provider restricted an account. Campaigns do not start automatically after a restriction: review the account, then start the campaign manually.", false, User, nil},
		},
		{
			"campaign with many failures",
			with(waiting(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "linkedin_high_failure_rate" }),
			Answer{CampaignNotRunning, "Campaign spring is paused because too many of its actions failed. Find the cause, then start the campaign manually.", false, User, nil},
		},
		{
			"draft campaign", with(waiting(), func(f *Facts) { f.CampaignStatus = "draft" }),
			Answer{CampaignNotRunning, "Campaign spring is a draft. Nothing is sent until it is started.", false, User, nil},
		},
		{
			"hold", with(waiting(), func(f *Facts) {
				f.BlockedBy, f.HoldUntil, f.HoldReason = "account_on_hold", &later, "new device"
			}),
			Answer{AccountOnHold, "Account acc_1 is on hold until 2026-05-01T09:15Z (new device). This prospect continues after that.", true, None, &later},
		},
		{
			"hold during safety mode", with(waiting(), func(f *Facts) {
				f.BlockedBy, f.HoldUntil, f.HoldReason, f.SafetyReason = "account_on_hold", &later, "new device", "provider incident"
			}),
			Answer{AccountOnHold, "Account acc_1 is on hold until 2026-05-01T09:15Z (new device). This prospect continues after that, once safety mode is also off.", true, None, nil},
		},
		{
			"safety mode", with(waiting(), func(f *Facts) { f.BlockedBy, f.SafetyReason = "safety_mode", "provider incident" }),
			Answer{SafetyMode, "Safety mode is on (provider incident): nothing is sent, and no prospects are resumed. It turns off automatically once the provider has been stable for a while. This prospect then continues.", true, Provider, nil},
		},
		{
			"auto-resume off", with(waiting(), func(f *Facts) { f.BlockedBy, f.AutoResumeOff = "auto_resume_off", true }),
			Answer{AutoResumeOff, "Auto-resume is off for this workspace (no reason given). An operator must turn it on or start a heal.", false, Operator, nil},
		},
		{
			"auto-resume off takes precedence over a hold", with(waiting(), func(f *Facts) {
				f.BlockedBy, f.HoldUntil, f.HoldReason = "account_on_hold", &later, "new device"
				f.AutoResumeOff, f.AutoResumeReason = true, "asked by phone"
			}),
			Answer{AutoResumeOff, "Auto-resume is off for this workspace (asked by phone). An operator must turn it on or start a heal.", false, Operator, nil},
		},
		{
			"active", with(activeProspect(), func(f *Facts) { f.NextActionAt = &later }),
			Answer{Active, "This prospect is not paused. It is active in campaign spring. Its next step is due at 2026-05-01T09:15Z, within the sending limits of account acc_1.", true, None, &later},
		},
		{
			"pending", with(activeProspect(), func(f *Facts) { f.Status = "pending" }),
			Answer{Active, "This prospect is not paused. It has not started campaign spring yet. Its first step follows in turn, within the sending limits of account acc_1.", true, None, nil},
		},
		{
			"active with auto-resume off: there is nothing to resume",
			with(activeProspect(), func(f *Facts) { f.BlockedBy, f.AutoResumeOff = "auto_resume_off", true }),
			Answer{Active, "This prospect is not paused. It is active in campaign spring. Its next step follows in turn, within the sending limits of account acc_1.", true, None, nil},
		},
		{
			"active on an account that is not connected does not move to a sibling",
			with(activeProspect(), func(f *Facts) { f.AccountStatus, f.Target, f.Siblings = "needs_verification", "acc_2", 1 }),
			Answer{AccountNotConnected, "Account acc_1 needs verification, so nothing is sent for this prospect although it is not paused. Complete the sign-in that the provider asks for.", false, User, nil},
		},
		{
			"active in a campaign paused manually",
			with(activeProspect(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "paused_by_user" }),
			Answer{CampaignNotRunning, "Campaign spring was paused manually. Nothing is sent until it is started again.", false, User, nil},
		},
		{
			"active in a campaign that the next sweep starts", with(activeProspect(), func(f *Facts) {
				f.CampaignStatus, f.CampaignReason, f.CampaignStartsAt = "paused", "linkedin_account_disconnected", &tick
			}),
			Answer{CampaignNotRunning, "Campaign spring was paused while account acc_1 was not connected. The account is connected again, and the sweep at 2026-05-01T09:30Z starts the campaign.", true, None, &tick},
		},
		{
			"active in a campaign that waits for another account", with(activeProspect(), func(f *Facts) {
				f.CampaignStatus, f.CampaignReason = "paused", "linkedin_account_disconnected"
			}),
			Answer{CampaignNotRunning, "Campaign spring is paused until one of its accounts is connected again. Reconnect that account, or start the campaign manually.", false, User, nil},
		},
		{
			"active in a campaign that waits, with auto-resume off", with(activeProspect(), func(f *Facts) {
				f.CampaignStatus, f.CampaignReason, f.AutoResumeOff = "paused", "linkedin_account_disconnected", true
			}),
			Answer{AutoResumeOff, "Auto-resume is off for this workspace (no reason given). An operator must turn it on or start a heal.", false, Operator, nil},
		},
		{
			"active during safety mode", with(activeProspect(), func(f *Facts) { f.BlockedBy, f.SafetyReason = "safety_mode", "provider incident" }),
			Answer{SafetyMode, "Safety mode is on (provider incident): nothing is sent, and no prospects are resumed. It turns off automatically once the provider has been stable for a while. This prospect then continues.", true, Provider, nil},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, Because(tt.facts))
		})
	}
}
