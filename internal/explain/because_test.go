package explain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/enum"
)

var (
	later = time.Date(2026, 5, 1, 9, 15, 40, 0, time.UTC)
	tick  = time.Date(2026, 5, 1, 9, 30, 0, 0, time.UTC)
)

// pace is the default limits of a tick.
var pace = Pace{AccountCap: 200, FleetCap: 2000, Tick: 15 * time.Minute}

// waiting is a prospect without obstacles: third in the queue of its own account.
func waiting() Facts {
	return Facts{
		Status: "paused", PausedReason: "account_disconnected",
		Campaign: "spring", CampaignStatus: "running",
		Account: "acc_1", AccountStatus: "connected", Target: "acc_1",
		Position: 3, ExpectedAt: &tick, Pace: pace,
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

// An answerOf is the expected answer, with its obstacles as codes.
type answerOf struct {
	code      Code
	sentence  string
	isNormal  bool
	who       Actor
	expected  *time.Time
	obstacles []Code // nil: only the code of the answer
}

func TestBecause(t *testing.T) {
	t.Parallel()

	// with returns one of the two prospects above with changes.
	with := func(f Facts, changes ...func(*Facts)) Facts {
		for _, change := range changes {
			change(&f)
		}
		return f
	}
	disconnected := func(f *Facts) {
		f.AccountStatus, f.Target, f.Blocks = "disconnected", "", append([]string{"account_not_connected"}, f.Blocks...)
	}
	blocked := func(block string) func(*Facts) {
		return func(f *Facts) { *f = withBlock(*f, block) }
	}
	campaign := func(status enum.CampaignStatus, reason enum.PauseReason) func(*Facts) {
		return func(f *Facts) { f.CampaignStatus, f.CampaignReason = status, reason }
	}
	paused := func(reason enum.PauseReason) func(*Facts) { return func(f *Facts) { f.PausedReason = reason } }
	account := func(status enum.AccountStatus) func(*Facts) { return func(f *Facts) { f.AccountStatus = status } }
	none := []Code{}

	const (
		queue      = "To avoid bursts, at most 200 prospects per account and 2,000 in total are resumed every 15 minutes."
		isLost     = "Account acc_1 is disconnected. Reconnect it."
		isSafe     = "Safety mode is on (provider incident): nothing is sent, and no prospects are resumed. It turns off automatically once the provider has been stable for a while."
		byUser     = "This prospect was paused manually. It stays paused until a person resumes it."
		isHeld     = "Account acc_1 is on hold until 2026-05-01T09:15Z (new device)."
		isLocked   = "The provider locked account acc_1 at 2026-05-01T09:15Z (account.locked). Nothing is sent through it until the provider unlocks it."
		isFlapping = "Account acc_1 lost its connection repeatedly within an hour. Nothing is sent or resumed through it before it has stayed connected until 2026-05-01T09:30Z."
		resumes    = " This prospect resumes automatically as soon as the account is connected."
		release    = " Prospects do not resume automatically after a restriction: an operator must release them on the account's page in Thaw."
	)
	tests := []struct {
		name  string
		facts Facts
		want  answerOf
	}{
		{
			"unknown", Facts{},
			answerOf{NotFound, "No campaign has a prospect with this URL. Check that the URL matches the one in the campaign.", false, User, nil, none},
		},
		{
			"unknown in every spelling", Facts{Spellings: 12},
			answerOf{NotFound, "No campaign has a prospect with this URL; 12 spellings were tried. Check that the URL matches the one in the campaign.", false, User, nil, none},
		},
		{
			"replied, with a removed account and a paused campaign",
			Facts{Status: "replied", Campaign: "spring", CampaignStatus: "paused", CampaignReason: "paused_by_user", AccountStatus: "removed"},
			answerOf{Terminal, "This prospect has replied, which ended campaign spring for them. Nothing more is sent.", false, None, nil, none},
		},
		{
			"in the queue", waiting(),
			answerOf{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. " + queue + " The sweep at 2026-05-01T09:30Z is expected to resume it.", true, None, &tick, none},
		},
		{
			"in a sibling's queue", with(waiting(), func(f *Facts) { f.AccountStatus, f.Target = "removed", "acc_2" }),
			answerOf{WaitingForSweep, "Account acc_1 is not connected, but account acc_2 of the same person is. This prospect is number 3 in that account's queue. " + queue + " The sweep at 2026-05-01T09:30Z is expected to resume it.", true, None, &tick, none},
		},
		{
			"not started, on an account that is gone", with(activeProspect(), func(f *Facts) { f.Status, f.AccountStatus, f.Target, f.MovesAt = "pending", "removed", "acc_2", &tick }),
			answerOf{WaitingForMove, "Account acc_1 was removed, but account acc_2 of the same person is connected. The sweep at 2026-05-01T09:30Z moves this prospect to account acc_2.", true, None, &tick, nil},
		},
		{
			"not started, on an account that is gone, with a sibling on hold",
			with(activeProspect(), func(f *Facts) {
				f.Status, f.AccountStatus, f.Target, f.MovesAt = "pending", "disconnected", "acc_2", &tick
				f.Blocks, f.HoldUntil, f.HoldReason = []string{"account_on_hold"}, &later, "new device"
			}),
			answerOf{WaitingForMove, "Account acc_1 is disconnected, but account acc_2 of the same person is connected. This prospect moves to account acc_2 once nothing blocks that account. This prospect also waits for the hold of account acc_2 to end.", true, None, nil, []Code{WaitingForMove, AccountOnHold}},
		},
		{
			"active on an account that is gone", with(activeProspect(), func(f *Facts) { f.AccountStatus, f.Target, f.MovesAt = "removed", "acc_2", &tick }),
			answerOf{WaitingForMove, "Account acc_1 was removed, but account acc_2 of the same person is connected. The sweep at 2026-05-01T09:30Z pauses this prospect, and a later one resumes it through account acc_2.", true, None, nil, nil},
		},
		{
			"beyond the horizon", with(waiting(), func(f *Facts) { f.ExpectedAt = nil }),
			answerOf{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. " + queue + " It resumes automatically, but later than the forecast covers. An operator can start a heal to speed this up.", true, None, nil, none},
		},
		{
			"further back than is counted, with ticks of a minute",
			with(waiting(), func(f *Facts) {
				f.ExpectedAt, f.NotBefore, f.Position, f.IsFurtherBack, f.Pace.Tick = nil, &tick, 100_000, true, time.Minute
			}),
			answerOf{WaitingForSweep, "Account acc_1 is connected. At least 100,000 prospects are ahead of this one in the queue. To avoid bursts, at most 200 prospects per account and 2,000 in total are resumed every minute. It resumes automatically, but not before the sweep at 2026-05-01T09:30Z. An operator can start a heal to speed this up.", true, None, nil, none},
		},
		{
			"in a campaign that starts again with it", with(waiting(), campaign("paused", "account_issue")),
			answerOf{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. " + queue + " The sweep at 2026-05-01T09:30Z is expected to resume it.", true, None, &tick, none},
		},
		{
			"paused manually", with(waiting(), paused("paused_by_user")),
			answerOf{PausedByUser, byUser, false, User, nil, nil},
		},
		{
			"paused manually, with a disconnected account", with(waiting(), disconnected, paused("paused_by_user")),
			answerOf{PausedByUser, byUser + " This prospect also waits for account acc_1 to be connected.", false, User, nil, []Code{PausedByUser, AccountNotConnected}},
		},
		{
			"account restricted before the prospect was paused for it",
			with(waiting(), disconnected, account("restricted")),
			answerOf{AccountRestricted, "The provider has restricted account acc_1. Its owner must resolve the restriction with the provider. Prospects do not resume automatically after a restriction: once the account is connected again, an operator must release them on the account's page in Thaw.", false, User, nil, nil},
		},
		{
			"paused by a restriction, and connected again", with(waiting(), paused("account_restricted")),
			answerOf{AccountRestricted, "This prospect is paused because the provider had restricted account acc_1. The account is connected again." + release, false, Operator, nil, nil},
		},
		{
			"paused by a restriction, and disconnected since", with(waiting(), paused("account_restricted"), disconnected),
			answerOf{AccountRestricted, "This prospect is paused because the provider had restricted account acc_1." + release + " This prospect also waits for account acc_1 to be connected.", false, Operator, nil, []Code{AccountRestricted, AccountNotConnected}},
		},
		{
			"inactive subscription", with(waiting(), campaign("paused", "subscription_inactive")),
			answerOf{SubscriptionInactive, "Campaign spring is paused because the subscription is inactive. It can run again once the subscription is active.", false, Billing, nil, nil},
		},
		{
			"inactive subscription takes precedence over a disconnected account",
			with(waiting(), disconnected, campaign("paused", "subscription_inactive")),
			answerOf{SubscriptionInactive, "Campaign spring is paused because the subscription is inactive. This prospect also waits for account acc_1 to be connected.", false, Billing, nil, []Code{SubscriptionInactive, AccountNotConnected}},
		},
		{
			"disconnected account", with(waiting(), disconnected),
			answerOf{AccountNotConnected, isLost + resumes, false, User, nil, nil},
		},
		{
			"disconnected account in safety mode: reconnecting does not help", with(waiting(), disconnected, blocked("safety_mode")),
			answerOf{SafetyMode, isSafe + " This prospect also waits for account acc_1 to be connected.", false, Provider, nil, []Code{SafetyMode, AccountNotConnected}},
		},
		{
			"connecting account", with(waiting(), disconnected, account("connecting")),
			answerOf{AccountNotConnected, "Account acc_1 is still connecting. No action is needed unless it stays in this state." + resumes, true, Provider, nil, nil},
		},
		{
			"reconnected, not confirmed yet",
			with(waiting(), disconnected, account("connecting"), func(f *Facts) { f.ReconnectedAt = &later }),
			answerOf{AccountNotConnected, "Account acc_1 was reconnected at 2026-05-01T09:15Z, but the provider has not confirmed the connection yet. This usually takes a minute. No action is needed." + resumes, true, Provider, nil, nil},
		},
		{
			"reconnected, not confirmed within the grace period",
			with(waiting(), disconnected, account("connecting"), func(f *Facts) { f.ReconnectedAt, f.IsOverdue = &later, true }),
			answerOf{AccountNotConnected, "Account acc_1 was reconnected at 2026-05-01T09:15Z, but the provider has not confirmed the connection yet. This is taking too long: check the account with the provider, then reconnect it." + resumes, false, User, nil, nil},
		},
		{
			"locked account on hold", with(waiting(), blocked("account_locked"), blocked("account_on_hold")),
			answerOf{AccountLocked, isLocked + " This prospect also waits for the hold of account acc_1 to end.", false, Provider, nil, []Code{AccountLocked, AccountOnHold}},
		},
		{
			"disconnected account that is also locked", with(waiting(), disconnected, blocked("account_locked")),
			answerOf{AccountNotConnected, isLost + " This prospect also waits for the provider to unlock account acc_1.", false, User, nil, []Code{AccountNotConnected, AccountLocked}},
		},
		{
			"flapping account", with(waiting(), blocked("account_flapping")),
			answerOf{AccountFlapping, isFlapping + " This prospect then continues.", true, None, &tick, nil},
		},
		{
			"flapping account on hold", with(waiting(), blocked("account_on_hold"), blocked("account_flapping")),
			answerOf{AccountOnHold, isHeld + " This prospect also waits for account acc_1 to stay connected until 2026-05-01T09:30Z.", true, None, &tick, []Code{AccountOnHold, AccountFlapping}},
		},
		{
			"connected account with products that do not work",
			with(waiting(), func(f *Facts) {
				f.DownProducts = []DownProduct{{"classic", "error", tick}, {"sales_navigator", "disconnected", later}}
			}),
			answerOf{WaitingForSweep, "Account acc_1 is connected. This prospect is number 3 in the queue. " + queue + " The sweep at 2026-05-01T09:30Z is expected to resume it. The provider reports problems with individual products of account acc_1: classic (error since 2026-05-01T09:30Z), sales_navigator (disconnected since 2026-05-01T09:15Z). They do not change the account's status.", true, None, &tick, none},
		},
		{
			"siblings, none connected", with(waiting(), disconnected, func(f *Facts) { f.Siblings = 2 }),
			answerOf{NoConnectedSibling, "Account acc_1 is disconnected, and no other account of the same person in this workspace is connected. Reconnect it. This prospect resumes automatically as soon as one of them is connected.", false, User, nil, nil},
		},
		{
			"sibling connected in another workspace",
			with(waiting(), disconnected, func(f *Facts) { f.Siblings, f.ConnectedElsewhere = 2, true }),
			answerOf{SiblingInOtherWorkspace, isLost + " The same person has a connected account in another workspace, but prospects never move between workspaces." + resumes, false, User, nil, nil},
		},
		{
			"disconnected account, hold, and a campaign paused manually",
			with(waiting(), disconnected, campaign("paused", "paused_by_user"), blocked("account_on_hold")),
			answerOf{AccountNotConnected, isLost + " This prospect also waits for campaign spring to be started and for the hold of account acc_1 to end.", false, User, nil, []Code{AccountNotConnected, CampaignNotRunning, AccountOnHold}},
		},
		{
			"campaign paused manually", with(waiting(), campaign("paused", "paused_by_user")),
			answerOf{CampaignNotRunning, "Campaign spring was paused manually. Nothing is sent until it is started again.", false, User, nil, nil},
		},
		{
			"campaign paused by a restriction", with(waiting(), campaign("paused", "account_restricted")),
			answerOf{AccountRestricted, "Campaign spring is paused because the provider restricted an account. Campaigns do not start automatically after a restriction: review the account, then start the campaign manually.", false, User, nil, nil},
		},
		{
			"campaign with many failures", with(waiting(), campaign("paused", "high_failure_rate")),
			answerOf{CampaignNotRunning, "Campaign spring is paused because too many of its actions failed. Find the cause, then start the campaign manually.", false, User, nil, nil},
		},
		{
			"draft campaign", with(waiting(), campaign("draft", "")),
			answerOf{CampaignNotRunning, "Campaign spring is a draft. Nothing is sent until it is started.", false, User, nil, nil},
		},
		{
			"hold", with(waiting(), blocked("account_on_hold")),
			answerOf{AccountOnHold, isHeld + " This prospect continues after that.", true, None, &later, nil},
		},
		{
			"hold during safety mode", with(waiting(), blocked("account_on_hold"), blocked("safety_mode")),
			answerOf{AccountOnHold, isHeld + " This prospect also waits for safety mode to end.", true, Provider, nil, []Code{AccountOnHold, SafetyMode}},
		},
		{
			"hold during safety mode that an operator must end",
			with(waiting(), blocked("account_on_hold"), blocked("safety_mode"), func(f *Facts) { f.SafetyManualExit = true }),
			answerOf{AccountOnHold, isHeld + " This prospect also waits for safety mode to end.", false, Operator, nil, []Code{AccountOnHold, SafetyMode}},
		},
		{
			"safety mode", with(waiting(), blocked("safety_mode")),
			answerOf{SafetyMode, isSafe + " This prospect then continues.", true, Provider, nil, nil},
		},
		{
			"auto-resume off", with(waiting(), blocked("auto_resume_off"), func(f *Facts) { f.AutoResumeReason = "" }),
			answerOf{AutoResumeOff, "Auto-resume is off for this workspace (no reason given). An operator must turn it on or start a heal.", false, Operator, nil, nil},
		},
		{
			"auto-resume off during a hold, when a heal does not help", with(waiting(), blocked("account_on_hold"), blocked("auto_resume_off")),
			answerOf{AutoResumeOff, "Auto-resume is off for this workspace (asked by phone). An operator must turn it on. This prospect also waits for the hold of account acc_1 to end.", false, Operator, nil, []Code{AutoResumeOff, AccountOnHold}},
		},
		{
			"active", with(activeProspect(), func(f *Facts) { f.NextActionAt = &later }),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. Its next step is due at 2026-05-01T09:15Z, within the sending limits of account acc_1.", true, None, &later, none},
		},
		{
			"active, held by a cap", with(activeProspect(), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Code: GateDailyCap, Kind: "invite", Used: 30, Cap: 30, OpensAt: &later}, ExpectedAt: &tick, Ahead: 2}
			}),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. The daily cap of invites is used up (30 of 30). It opens at 2026-05-01T09:15Z. The invite is expected at 2026-05-01T09:30Z at the earliest: 2 other invites are due before it.", true, None, &tick, none},
		},
		{
			"active in shadow mode: Thaw does not give it out", with(activeProspect(), blocked("shadow_mode"), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Code: GateShadowMode, Kind: "invite"}}
			}),
			answerOf{ShadowMode, "This workspace is in shadow mode: Thaw gives out no action of it, and expects none, until an operator takes the workspace live. The platform's own sender may still reserve actions.", false, Operator, nil, []Code{ShadowMode}},
		},
		{
			"active in shadow mode, on hold", with(activeProspect(), blocked("account_on_hold"), blocked("shadow_mode"), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Code: GateAccountOnHold, Kind: "invite", OpensAt: &later}}
			}),
			answerOf{AccountOnHold, "Account acc_1 is on hold until 2026-05-01T09:15Z (new device). This prospect also waits for an operator to take the workspace live.", false, Operator, nil, []Code{AccountOnHold, ShadowMode}},
		},
		{
			"active in shadow mode, given out", with(activeProspect(), blocked("shadow_mode"), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Code: GateAlreadyReserved, Kind: "invite", ActionID: 7}}
			}),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. The next invite is reserved (action 7): a sender is about to send it.", true, None, nil, none},
		},
		{
			"active in shadow mode: the platform schedules it", with(activeProspect(), blocked("shadow_mode")),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. Its next step follows in turn, within the sending limits of account acc_1.", true, None, nil, none},
		},
		{
			"active, on a day", with(activeProspect(), func(f *Facts) {
				f.Next = &NextFacts{
					GateFacts: GateFacts{Code: GateWindowClosed, Kind: "invite", OpensAt: &later}, ExpectedAt: &tick, Ahead: 12, Days: &Days{"2026-05-02", "2026-05-02"},
				}
			}),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. The sending window of the account is closed. It opens at 2026-05-01T09:15Z. The invite is expected on 2026-05-02: 12 other invites are due before it.", true, None, &tick, none},
		},
		{
			"active, on one of two days", with(activeProspect(), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Kind: "invite"}, ExpectedAt: &tick, Ahead: 12, Days: &Days{"2026-05-02", "2026-05-03"}}
			}),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. Nothing holds the next invite. The invite is expected between 2026-05-02 and 2026-05-03: 12 other invites are due before it.", true, None, &tick, none},
		},
		{
			"active, expected when the gate opens", with(activeProspect(), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Code: GateNotDue, Kind: "view", OpensAt: &later}, ExpectedAt: &later}
			}),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. The next profile view is not due yet. It is due at 2026-05-01T09:15Z.", true, None, &later, none},
		},
		{
			"active, behind one other", with(activeProspect(), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Code: GateWindowClosed, Kind: "message", OpensAt: &later}, ExpectedAt: &later, Ahead: 1}
			}),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. The sending window of the account is closed. It opens at 2026-05-01T09:15Z. 1 other message is due before it.", true, None, &later, none},
		},
		{
			"active, unknown", with(activeProspect(), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Code: GateAlreadyUnknown, Kind: "invite"}, Ahead: 100}
			}),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. Whether the invite of this step was delivered is unknown. Look at the provider, then settle it.", false, Operator, nil, none},
		},
		{
			"active, next", with(activeProspect(), func(f *Facts) { f.Next = &NextFacts{GateFacts: GateFacts{Kind: "invite"}, ExpectedAt: &later} }),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. Nothing holds the next invite.", true, None, &later, none},
		},
		{
			"active, after many", with(activeProspect(), func(f *Facts) {
				f.Next = &NextFacts{GateFacts: GateFacts{Kind: "invite"}, ExpectedAt: &later, Ahead: 100}
			}),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. Nothing holds the next invite. The invite is expected at 2026-05-01T09:15Z at the earliest: at least 100 other invites are due before it.", true, None, &later, none},
		},
		{
			"pending", with(activeProspect(), func(f *Facts) { f.Status = "pending" }),
			answerOf{Active, "This prospect is not paused. It has not started campaign spring yet. Its first step follows in turn, within the sending limits of account acc_1.", true, None, nil, none},
		},
		{
			"active with auto-resume off: there is nothing to resume", with(activeProspect(), blocked("auto_resume_off")),
			answerOf{Active, "This prospect is not paused. It is active in campaign spring. Its next step follows in turn, within the sending limits of account acc_1.", true, None, nil, none},
		},
		{
			"active on an account that is not connected does not move to a sibling",
			with(activeProspect(), func(f *Facts) { f.AccountStatus, f.Target, f.Siblings = "needs_verification", "acc_2", 1 }),
			answerOf{AccountNotConnected, "Account acc_1 needs verification, so nothing is sent for this prospect although it is not paused. Complete the sign-in that the provider asks for.", false, User, nil, nil},
		},
		{
			"active in a campaign paused manually", with(activeProspect(), campaign("paused", "paused_by_user")),
			answerOf{CampaignNotRunning, "Campaign spring was paused manually. Nothing is sent until it is started again.", false, User, nil, nil},
		},
		{
			"active in a campaign that the next sweep starts",
			with(activeProspect(), campaign("paused", "account_disconnected"), func(f *Facts) { f.CampaignStartsAt = &tick }),
			answerOf{CampaignNotRunning, "Campaign spring was paused while account acc_1 was not connected. The account is connected again, and the sweep at 2026-05-01T09:30Z starts the campaign.", true, None, &tick, nil},
		},
		{
			"active in a campaign that a sweep starts after a hold",
			with(activeProspect(), campaign("paused", "account_disconnected"), blocked("account_on_hold"), func(f *Facts) { f.CampaignStartsAt = &tick }),
			answerOf{AccountOnHold, isHeld + " This prospect also waits for campaign spring to start.", true, None, nil, []Code{AccountOnHold, CampaignNotRunning}},
		},
		{
			"active in a campaign that waits for another account", with(activeProspect(), campaign("paused", "account_disconnected")),
			answerOf{CampaignNotRunning, "Campaign spring is paused until one of its accounts that are not connected is connected again. Reconnect one of them, or start the campaign manually.", false, User, nil, nil},
		},
		{
			"active in a campaign that waits, with auto-resume off",
			with(activeProspect(), campaign("paused", "account_disconnected"), blocked("auto_resume_off")),
			answerOf{AutoResumeOff, "Auto-resume is off for this workspace (asked by phone). An operator must turn it on. This prospect also waits for campaign spring to start.", false, Operator, nil, []Code{AutoResumeOff, CampaignNotRunning}},
		},
		{
			"active during safety mode", with(activeProspect(), blocked("safety_mode")),
			answerOf{SafetyMode, isSafe + " This prospect then continues.", true, Provider, nil, nil},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := because(tt.facts)
			codes := []Code{}
			for _, o := range got.Obstacles {
				codes = append(codes, o.Code)
			}
			if tt.want.obstacles == nil {
				tt.want.obstacles = []Code{tt.want.code}
			}
			require.Equal(t, tt.want, answerOf{got.Code, got.Sentence, got.NormalWait, got.WhoActs, got.ExpectedAt, codes})
		})
	}
}
