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

// waiting is a prospect that nothing keeps from resuming: third in line at its own account.
func waiting() Facts {
	return Facts{
		Status: "paused", PausedReason: "linkedin_account_disconnected",
		Campaign: "spring", CampaignStatus: "running",
		Account: "acc_1", AccountStatus: "connected", Target: "acc_1",
		Position: 3, ExpectedAt: &tick,
	}
}

// underway is a prospect that nothing keeps from going on.
func underway() Facts {
	return Facts{
		Status:   "active",
		Campaign: "spring", CampaignStatus: "running",
		Account: "acc_1", AccountStatus: "connected", Target: "acc_1",
	}
}

func TestBecause(t *testing.T) {
	t.Parallel()

	// with changes one of the two prospects above.
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
			"nobody knows it", Facts{},
			Answer{NotFound, "No campaign has a prospect with this URL. Check that it is written as in the campaign.", false, User, nil},
		},
		{
			"nobody knows the prospect in any spelling", Facts{Spellings: 12},
			Answer{NotFound, "No campaign has a prospect with this URL, in none of the 12 spellings that were looked for. Check that it is written as in the campaign.", false, User, nil},
		},
		{
			"replied, although the account is lost and the campaign stopped",
			Facts{Status: "replied", Campaign: "spring", CampaignStatus: "paused", CampaignReason: "paused_by_user", AccountStatus: "removed"},
			Answer{Terminal, "This prospect has replied, so campaign spring is over for them; nothing more is sent.", false, Nobody, nil},
		},
		{
			"next in line", waiting(),
			Answer{WaitingForSweep, "Account acc_1 is connected, and this prospect is number 3 in line. The sweep of 2026-05-01T09:30Z is expected to resume it.", true, Nobody, &tick},
		},
		{
			"in line at a sibling", with(waiting(), func(f *Facts) { f.AccountStatus, f.Target = "removed", "acc_2" }),
			Answer{WaitingForSweep, "Account acc_1 is not connected, but account acc_2 of the same person is, and this prospect is number 3 in line there. The sweep of 2026-05-01T09:30Z is expected to resume it.", true, Nobody, &tick},
		},
		{
			"in line beyond the horizon", with(waiting(), func(f *Facts) { f.ExpectedAt = nil }),
			Answer{WaitingForSweep, "Account acc_1 is connected, and this prospect is number 3 in line. It is resumed automatically, but the forecast does not reach that far; an operator can start a heal to speed it up.", true, Nobody, nil},
		},
		{
			"further back in line than is counted",
			with(waiting(), func(f *Facts) { f.ExpectedAt, f.NotBefore, f.Position, f.IsFurtherBack = nil, &tick, 100_000, true }),
			Answer{WaitingForSweep, "Account acc_1 is connected, and this prospect has at least 100000 in line before it. It is resumed automatically, but not before the sweep of 2026-05-01T09:30Z; an operator can start a heal to speed it up.", true, Nobody, nil},
		},
		{
			"in line beyond the horizon, with a bound", with(waiting(), func(f *Facts) { f.ExpectedAt, f.NotBefore = nil, &tick }),
			Answer{WaitingForSweep, "Account acc_1 is connected, and this prospect is number 3 in line. It is resumed automatically, but not before the sweep of 2026-05-01T09:30Z; an operator can start a heal to speed it up.", true, Nobody, nil},
		},
		{
			"in line in a campaign that starts again with it",
			with(waiting(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "linkedin_account_issue" }),
			Answer{WaitingForSweep, "Account acc_1 is connected, and this prospect is number 3 in line. The sweep of 2026-05-01T09:30Z is expected to resume it.", true, Nobody, &tick},
		},
		{
			"a person paused it, and the account is lost too",
			with(waiting(), func(f *Facts) { disconnected(f); f.PausedReason = "paused_by_user" }),
			Answer{PausedByUser, "A person paused this prospect. It stays paused until a person resumes it.", false, User, nil},
		},
		{
			"restricted before the pause has reached the prospect", with(waiting(), func(f *Facts) { f.AccountStatus = "restricted" }),
			Answer{AccountRestricted, "This prospect is paused because the provider restricted account acc_1. After a restriction nothing resumes by itself: a person has to decide, and resume it by hand.", false, User, nil},
		},
		{
			"restricted", with(waiting(), func(f *Facts) { f.PausedReason = "account_restricted" }),
			Answer{AccountRestricted, "This prospect is paused because the provider restricted account acc_1. After a restriction nothing resumes by itself: a person has to decide, and resume it by hand.", false, User, nil},
		},
		{
			"a subscription that is not paid, before a lost account",
			with(waiting(), func(f *Facts) {
				disconnected(f)
				f.CampaignStatus, f.CampaignReason = "paused", "subscription_inactive"
			}),
			Answer{SubscriptionInactive, "Campaign spring is paused because the subscription is not active. It can go on when the subscription is active again.", false, Billing, nil},
		},
		{
			"a lost account", with(waiting(), disconnected),
			Answer{AccountNotConnected, "Account acc_1 is disconnected. Connect it again. This prospect resumes by itself as soon as the account is connected.", false, User, nil},
		},
		{
			"an account that is being connected",
			with(waiting(), func(f *Facts) { disconnected(f); f.AccountStatus = "connecting" }),
			Answer{AccountNotConnected, "Account acc_1 is still being connected. Nothing has to be done unless it stays so. This prospect resumes by itself as soon as the account is connected.", true, Provider, nil},
		},
		{
			"a login that the provider has yet to confirm",
			with(waiting(), func(f *Facts) { disconnected(f); f.AccountStatus, f.ReconnectedAt = "connecting", &later }),
			Answer{AccountNotConnected, "Account acc_1 was reconnected at 2026-05-01T09:15Z, not confirmed: the provider has not said since that it works. That usually takes a minute; nothing has to be done. This prospect resumes by itself as soon as the account is connected.", true, Provider, nil},
		},
		{
			"a login that the provider has not confirmed within the grace period",
			with(waiting(), func(f *Facts) {
				disconnected(f)
				f.AccountStatus, f.ReconnectedAt, f.IsOverdue = "connecting", &later, true
			}),
			Answer{AccountNotConnected, "Account acc_1 was reconnected at 2026-05-01T09:15Z, not confirmed: the provider has not said since that it works. That takes too long: look at the account at the provider, and connect it again. This prospect resumes by itself as soon as the account is connected.", false, User, nil},
		},
		{
			"a locked account, although it is on hold too",
			with(waiting(), func(f *Facts) {
				f.BlockedBy, f.Position, f.ExpectedAt = "account_locked", 0, nil
				f.LockedAt, f.LockedReason, f.HoldUntil, f.HoldReason = &later, "account.locked", &tick, "a new device"
			}),
			Answer{AccountLocked, "The provider has locked account acc_1 since 2026-05-01T09:15Z (account.locked), so nothing is sent although it is connected. This prospect goes on when the provider unlocks the account.", false, Provider, nil},
		},
		{
			"a lost account that is locked too",
			with(waiting(), func(f *Facts) { disconnected(f); f.AccountLockedAt, f.AccountLockedReason = &later, "account.locked" }),
			Answer{AccountNotConnected, "Account acc_1 is disconnected. Connect it again. This prospect resumes by itself as soon as the account is connected. The provider has also locked account acc_1, since 2026-05-01T09:15Z (account.locked): it has to be unlocked as well.", false, User, nil},
		},
		{
			"a flapping account",
			with(waiting(), func(f *Facts) {
				f.BlockedBy, f.Position, f.ExpectedAt, f.ResumeAfter = "account_flapping", 0, nil, &later
			}),
			Answer{AccountFlapping, "Account acc_1 has lost its connection again and again within an hour. This prospect goes on when the account has stayed connected until 2026-05-01T09:15Z.", true, Nobody, &later},
		},
		{
			"one product of a connected account is lost",
			with(waiting(), func(f *Facts) {
				f.DownProducts = []DownProduct{{"classic", "error", tick}, {"sales_navigator", "disconnected", later}}
			}),
			Answer{WaitingForSweep, "Account acc_1 is connected, and this prospect is number 3 in line. The sweep of 2026-05-01T09:30Z is expected to resume it. The provider reports single products of account acc_1: classic (error since 2026-05-01T09:30Z), sales_navigator (disconnected since 2026-05-01T09:15Z). The account keeps its own status.", true, Nobody, &tick},
		},
		{
			"siblings, but none connected", with(waiting(), func(f *Facts) { disconnected(f); f.Siblings = 2 }),
			Answer{NoConnectedSibling, "Account acc_1 is disconnected, and so far no other account of the same person in this workspace is connected. This prospect resumes by itself as soon as one of them is.", false, User, nil},
		},
		{
			"siblings, but the connected one is in another workspace",
			with(waiting(), func(f *Facts) { disconnected(f); f.Siblings, f.ConnectedElsewhere = 2, true }),
			Answer{SiblingInOtherWorkspace, "Account acc_1 is disconnected. The same person is connected in another workspace, but prospects never move from one workspace to another: connect the person in this one.", false, User, nil},
		},
		{
			"a lost account, before a campaign that a person paused",
			with(waiting(), func(f *Facts) { disconnected(f); f.CampaignStatus, f.CampaignReason = "paused", "paused_by_user" }),
			Answer{AccountNotConnected, "Account acc_1 is disconnected. Connect it again. This prospect resumes by itself as soon as the account is connected.", false, User, nil},
		},
		{
			"a campaign that a person paused",
			with(waiting(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "paused_by_user" }),
			Answer{CampaignNotRunning, "A person paused campaign spring. Nothing is sent until a person starts it again.", false, User, nil},
		},
		{
			"a campaign that was paused by a restriction",
			with(waiting(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "account_restricted" }),
			Answer{AccountRestricted, "Campaign spring is paused because the provider restricted an account. After a restriction nothing resumes by itself: a person has to decide, and start the campaign again.", false, User, nil},
		},
		{
			"a campaign with many failures",
			with(waiting(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "linkedin_high_failure_rate" }),
			Answer{CampaignNotRunning, "Campaign spring is paused because too many of its actions failed. A person has to look into it, and start the campaign again.", false, User, nil},
		},
		{
			"a draft", with(waiting(), func(f *Facts) { f.CampaignStatus = "draft" }),
			Answer{CampaignNotRunning, "Campaign spring is a draft. Nothing is sent until a person starts it.", false, User, nil},
		},
		{
			"a hold", with(waiting(), func(f *Facts) {
				f.BlockedBy, f.HoldUntil, f.HoldReason = "account_on_hold", &later, "new device"
			}),
			Answer{AccountOnHold, "Account acc_1 rests until 2026-05-01T09:15Z (new device). This prospect goes on after that.", true, Nobody, &later},
		},
		{
			"a hold that will not be the last thing in the way", with(waiting(), func(f *Facts) {
				f.BlockedBy, f.HoldUntil, f.HoldReason, f.SafetyReason = "account_on_hold", &later, "new device", "provider incident"
			}),
			Answer{AccountOnHold, "Account acc_1 rests until 2026-05-01T09:15Z (new device). This prospect goes on after that, when safety mode has ended as well.", true, Nobody, nil},
		},
		{
			"safety mode", with(waiting(), func(f *Facts) { f.BlockedBy, f.SafetyReason = "safety_mode", "provider incident" }),
			Answer{SafetyMode, "Safety mode is on, so for now nothing is sent and nobody is resumed (provider incident). It ends by itself when the provider has been calm for a while, and this prospect goes on then.", true, Provider, nil},
		},
		{
			"opted out", with(waiting(), func(f *Facts) { f.BlockedBy, f.AutoResumeOff = "auto_resume_off", true }),
			Answer{AutoResumeOff, "Automatic resuming is switched off for this workspace (no reason was given). An operator has to switch it on, or to start a heal.", false, Operator, nil},
		},
		{
			"opted out, before a hold that ends by itself", with(waiting(), func(f *Facts) {
				f.BlockedBy, f.HoldUntil, f.HoldReason = "account_on_hold", &later, "new device"
				f.AutoResumeOff, f.AutoResumeReason = true, "asked by phone"
			}),
			Answer{AutoResumeOff, "Automatic resuming is switched off for this workspace (asked by phone). An operator has to switch it on, or to start a heal.", false, Operator, nil},
		},
		{
			"under way", with(underway(), func(f *Facts) { f.NextActionAt = &later }),
			Answer{Active, "This prospect is not paused: it is under way in campaign spring. Its next step is due at 2026-05-01T09:15Z, within the sending limits of account acc_1.", true, Nobody, &later},
		},
		{
			"not started yet", with(underway(), func(f *Facts) { f.Status = "pending" }),
			Answer{Active, "This prospect is not paused: it has yet to take its first step in campaign spring. Its next step comes in its turn, within the sending limits of account acc_1.", true, Nobody, nil},
		},
		{
			"under way in a workspace that opted out: nothing has to be resumed",
			with(underway(), func(f *Facts) { f.BlockedBy, f.AutoResumeOff = "auto_resume_off", true }),
			Answer{Active, "This prospect is not paused: it is under way in campaign spring. Its next step comes in its turn, within the sending limits of account acc_1.", true, Nobody, nil},
		},
		{
			"active on a lost account does not move to a sibling",
			with(underway(), func(f *Facts) { f.AccountStatus, f.Target, f.Siblings = "needs_verification", "acc_2", 1 }),
			Answer{AccountNotConnected, "Account acc_1 needs verification, so nothing is sent for this prospect although it is not paused. Finish the sign-in that the provider asks for.", false, User, nil},
		},
		{
			"active in a campaign that is paused",
			with(underway(), func(f *Facts) { f.CampaignStatus, f.CampaignReason = "paused", "paused_by_user" }),
			Answer{CampaignNotRunning, "A person paused campaign spring. Nothing is sent until a person starts it again.", false, User, nil},
		},
		{
			"active in a campaign that the next sweep starts", with(underway(), func(f *Facts) {
				f.CampaignStatus, f.CampaignReason, f.CampaignStartsAt = "paused", "linkedin_account_disconnected", &tick
			}),
			Answer{CampaignNotRunning, "Campaign spring was paused while account acc_1 was not connected. The account is back, and the sweep of 2026-05-01T09:30Z starts the campaign again.", true, Nobody, &tick},
		},
		{
			"active in a campaign that waits for another account", with(underway(), func(f *Facts) {
				f.CampaignStatus, f.CampaignReason = "paused", "linkedin_account_disconnected"
			}),
			Answer{CampaignNotRunning, "Campaign spring is paused until an account of it is connected again. Connect that account, or start the campaign by hand.", false, User, nil},
		},
		{
			"active in a campaign that waits, in a workspace that opted out", with(underway(), func(f *Facts) {
				f.CampaignStatus, f.CampaignReason, f.AutoResumeOff = "paused", "linkedin_account_disconnected", true
			}),
			Answer{AutoResumeOff, "Automatic resuming is switched off for this workspace (no reason was given). An operator has to switch it on, or to start a heal.", false, Operator, nil},
		},
		{
			"active in safety mode", with(underway(), func(f *Facts) { f.BlockedBy, f.SafetyReason = "safety_mode", "provider incident" }),
			Answer{SafetyMode, "Safety mode is on, so for now nothing is sent and nobody is resumed (provider incident). It ends by itself when the provider has been calm for a while, and this prospect goes on then.", true, Provider, nil},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, Because(tt.facts))
		})
	}
}
