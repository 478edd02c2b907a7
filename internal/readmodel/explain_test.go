package readmodel

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/testdb"
)

const ada = "https://linkedin.com/in/ada"

// oneProspect is a fleet of one prospect: ada waits on a connected account, without obstacles.
const oneProspect = `
INSERT INTO thaw.workspaces (key) VALUES ('north');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at)
	SELECT id, 'acc_1', 'member_1', 'connected', thaw.now() FROM thaw.workspaces;
INSERT INTO thaw.campaigns (workspace_id, key, status)
	SELECT id, 'spring', 'running' FROM thaw.workspaces;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, step, status, paused_reason, paused_at, prospect_url)
	SELECT w.id, c.id, a.id, 2, 'paused', 'account_disconnected', thaw.now() - interval '1 hour', 'https://linkedin.com/in/ada'
	FROM thaw.workspaces AS w, thaw.campaigns AS c, thaw.accounts AS a;
`

// Changes to that fleet.
const (
	disconnect = "UPDATE thaw.accounts SET status = 'disconnected';"
	activate   = "UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL;"
	pend       = "UPDATE thaw.enrollments SET status = 'pending', paused_reason = NULL, paused_at = NULL;"
	// A second account of the same person in the same workspace.
	sibling = `INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name, member_id, status, connected_at)
		SELECT workspace_id, 'acc_2', 'Grace H.', member_id, 'connected', thaw.now() FROM thaw.accounts;`
	// An account of the same person in another workspace.
	stranger = `INSERT INTO thaw.workspaces (key) VALUES ('south');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status)
		SELECT id, 'acc_3', 'member_1', 'connected' FROM thaw.workspaces WHERE key = 'south';`
	hold         = "UPDATE thaw.accounts SET hold_until = thaw.tick() + interval '1 day', hold_reason = 'new device';"
	optOut       = "UPDATE thaw.workspaces SET auto_resume = false, auto_resume_reason = 'asked by phone';"
	safetyOn     = "SELECT thaw.enter_safety_mode('provider incident', 'ann', false);"
	sweptAlready = "INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, finished_at) VALUES (thaw.tick(), 200, 2000, thaw.now());"
	never        = "NULL::timestamptz"
)

func pauseCampaign(reason string) string {
	return "UPDATE thaw.campaigns SET status = 'paused', paused_at = thaw.now() - interval '1 hour', paused_reason = '" + reason + "';"
}

func pauseProspect(reason string) string {
	return "UPDATE thaw.enrollments SET paused_reason = '" + reason + "';"
}

// TestExplain changes the fleet of one prospect, explains it, and then runs the current tick: ada
// must resume in it if and only if the answer said so.
func TestExplain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		change   string
		code     explain.Code
		who      explain.Actor
		sentence string // a part of the sentence
		expected string // an SQL expression
	}{
		{"in the queue", "", explain.WaitingForSweep, explain.None, "Account acc_1 is connected. This prospect is number 1 in the queue.", "thaw.tick()"},
		{"in the queue, in a tick that was already swept", sweptAlready, explain.WaitingForSweep, explain.None, "number 1 in the queue", "thaw.tick() + interval '15 minutes'"},
		{"in a sibling's queue", disconnect + sibling, explain.WaitingForSweep, explain.None, "account Grace H. (acc_2) of the same person is", "thaw.tick()"},
		{"in the queue, and the campaign starts with it", pauseCampaign("account_issue"), explain.WaitingForSweep, explain.None, "number 1", "thaw.tick()"},
		{"paused for a transient error", pauseProspect("account_issue"), explain.WaitingForSweep, explain.None, "number 1", "thaw.tick()"},
		{"expired hold", "UPDATE thaw.accounts SET hold_until = thaw.now(), hold_reason = 'new device';", explain.WaitingForSweep, explain.None, "number 1", "thaw.tick()"},

		{"disconnected account", disconnect, explain.AccountNotConnected, explain.User, "Account acc_1 is disconnected", never},
		{"disconnected account of an unknown person", disconnect + sibling + "UPDATE thaw.accounts SET member_id = NULL;", explain.AccountNotConnected, explain.User, "Account acc_1 is disconnected", never},
		{"disconnected sibling", sibling + disconnect, explain.NoConnectedSibling, explain.User, "no other account of the same person", never},
		{"connected in another workspace", disconnect + stranger, explain.SiblingInOtherWorkspace, explain.User, "connected account in another workspace", never},
		{"disconnected sibling, connected in another workspace", sibling + disconnect + stranger, explain.SiblingInOtherWorkspace, explain.User, "connected account in another workspace", never},
		{"disconnected in another workspace too", stranger + disconnect, explain.AccountNotConnected, explain.User, "is disconnected", never},

		{"on hold", hold, explain.AccountOnHold, explain.None, "(new device)", "thaw.tick() + interval '1 day'"},
		{"sibling on hold", disconnect + sibling + hold, explain.AccountOnHold, explain.None, "Account Grace H. (acc_2) is on hold", "thaw.tick() + interval '1 day'"},
		{"safety mode", safetyOn, explain.SafetyMode, explain.Provider, "(provider incident)", never},
		{"safety mode that does not exit automatically", "SELECT thaw.enter_safety_mode('an audit', 'ann', true);", explain.SafetyMode, explain.Operator, "until an operator turns it off", never},
		{"auto-resume off", optOut, explain.AutoResumeOff, explain.Operator, "(asked by phone)", never},
		{"auto-resume off and on hold", optOut + hold, explain.AutoResumeOff, explain.Operator, "(asked by phone)", never},

		{"draft campaign", "UPDATE thaw.campaigns SET status = 'draft';", explain.CampaignNotRunning, explain.User, "Campaign spring is a draft", never},
		{"campaign paused manually", pauseCampaign("paused_by_user"), explain.CampaignNotRunning, explain.User, "Campaign spring was paused manually", never},
		{"campaign with many failures", pauseCampaign("high_failure_rate"), explain.CampaignNotRunning, explain.User, "too many", never},
		{"inactive subscription", pauseCampaign("subscription_inactive"), explain.SubscriptionInactive, explain.Billing, "subscription", never},
		{"campaign paused by a restriction", pauseCampaign("account_restricted"), explain.AccountRestricted, explain.User, "Campaign spring", never},
		{"prospect paused by a restriction", pauseProspect("account_restricted"), explain.AccountRestricted, explain.Operator, "The account is connected again", never},
		{"account restricted", "UPDATE thaw.accounts SET status = 'restricted';", explain.AccountRestricted, explain.User, "Its owner must resolve the restriction", never},
		{"disconnected in safety mode", disconnect + safetyOn, explain.SafetyMode, explain.Provider, "also waits for account acc_1 to be connected", never},
		{"prospect paused manually, on hold on a disconnected account", pauseProspect("paused_by_user") + disconnect + hold, explain.PausedByUser, explain.User,
			"also waits for account acc_1 to be connected and for the hold of account acc_1 to end", never},
		{"prospect paused manually", pauseProspect("paused_by_user"), explain.PausedByUser, explain.User, "This prospect was paused manually", never},

		{"replied", activate + "UPDATE thaw.enrollments SET status = 'replied';", explain.Terminal, explain.None, "has replied", never},
		{"pending", pend, explain.Active, explain.None, "Its first step", never},
		{"active", activate + "UPDATE thaw.enrollments SET next_action_at = thaw.tick() + interval '7 minutes';", explain.Active, explain.None, "active in campaign spring", "thaw.tick() + interval '7 minutes'"},
		{"active on a disconnected account", activate + disconnect, explain.AccountNotConnected, explain.User, "nothing is sent", never},
		{"active on a disconnected account with a sibling", activate + disconnect + sibling, explain.WaitingForMove, explain.None, "pauses this prospect", never},
		{"active on an account with an error, with a sibling", activate + "UPDATE thaw.accounts SET status = 'error';" + sibling, explain.AccountNotConnected, explain.Provider, "nothing is sent", never},
		{"pending on a disconnected account with a sibling", pend + disconnect + sibling, explain.WaitingForMove, explain.None, "moves this prospect to account Grace H. (acc_2)", "thaw.tick()"},
		{"pending on a disconnected account with a sibling, in a campaign that waits", pend + disconnect + sibling + pauseCampaign("account_disconnected"), explain.WaitingForMove, explain.None, "moves this prospect to account Grace H. (acc_2)", "thaw.tick()"},
		{"pending on a disconnected account with a sibling on hold", pend + disconnect + sibling + hold, explain.WaitingForMove, explain.None, "once nothing blocks that account. This prospect also waits for the hold of account Grace H. (acc_2) to end", never},
		{"pending on a disconnected account with a sibling and auto-resume off", pend + disconnect + sibling + optOut, explain.WaitingForMove, explain.Operator, "also waits for auto-resume to be turned on", never},
		{"pending on a restricted account with a sibling", pend + "UPDATE thaw.accounts SET status = 'restricted';" + sibling, explain.AccountNotConnected, explain.User, "nothing is sent", never},
		{"pending in a campaign that the sweep starts", pend + pauseCampaign("account_disconnected"), explain.CampaignNotRunning, explain.None, "starts the campaign", "thaw.tick()"},
		{"active on hold", activate + hold, explain.AccountOnHold, explain.None, "(new device)", "thaw.tick() + interval '1 day'"},
		{"active with auto-resume off", activate + optOut, explain.Active, explain.None, "is active", never},
		{"active in a campaign paused manually", activate + pauseCampaign("paused_by_user"), explain.CampaignNotRunning, explain.User, "Campaign spring was paused manually", never},
		{"active in a campaign that the sweep starts", activate + pauseCampaign("account_disconnected"), explain.CampaignNotRunning, explain.None, "starts the campaign", "thaw.tick()"},
		{"active in a campaign that waits for another account", activate + pauseCampaign("account_disconnected") + "UPDATE thaw.accounts SET connected_at = thaw.now() - interval '1 day';", explain.CampaignNotRunning, explain.User, "start the campaign manually", never},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			f.Exec(t, oneProspect)
			f.Exec(t, tt.change)
			status := testdb.Value[string](t, f.DB, "SELECT status::text FROM thaw.enrollments")

			got := f.explainOne(t, ada)
			require.Equal(t, "north/spring/acc_1", got.Workspace+"/"+got.Campaign+"/"+got.Account)
			require.Equal(t, ada, got.ProspectURL)
			require.Equal(t, status, got.Status)
			require.Equal(t, 2, got.Step)
			for _, event := range got.History {
				require.Equal(t, "platform", event.Source, "the change made by this test")
			}
			require.Equal(t, tt.code, got.Code, got.Sentence)
			require.Equal(t, tt.who, got.WhoActs)
			// The rule that the engine applies is the first of the blocks that explanations list.
			require.True(t, testdb.Value[bool](t, f.DB, "SELECT thaw.blocked_by(a) IS NOT DISTINCT FROM (thaw.blocks(a))[1] FROM thaw.accounts AS a LIMIT 1"))
			require.Contains(t, got.Sentence, tt.sentence)
			require.Equal(t, utc(testdb.Value[*time.Time](t, f.DB, "SELECT "+tt.expected)), got.ExpectedAt)

			if tt.change == sweptAlready {
				f.nextTick(t)
			}
			moves := got.ExpectedAt != nil && got.ExpectedAt.Equal(f.tick(t))
			resumed := f.run(t, f.plan(t))
			require.Equal(t, moves && got.Code == explain.WaitingForSweep, resumed == 1, "the sweep must do what the answer said")
			moved := testdb.Value[bool](t, f.DB, "SELECT a.provider_account_id <> 'acc_1' FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id")
			require.Equal(t, moves && strings.Contains(got.Sentence, "Grace H."), moved, "the sweep must move the prospect if the answer said so")
			running := testdb.Value[bool](t, f.DB, "SELECT status = 'running' FROM thaw.campaigns")
			if got.Code == explain.CampaignNotRunning {
				require.Equal(t, moves, running, "the sweep must start the campaign if the answer said so")
			}
		})
	}
}

// The action of the current step is the answer as long as the step cannot be done, and says who
// must act: whether Thaw schedules the prospect or only checks what the platform sends, and
// whatever else is closed. The sentence for the customer does not name the action.
func TestExplainOfAStepThatWasGivenOut(t *testing.T) {
	t.Parallel()
	states := []struct {
		changes  []string // of action 1
		sentence string
		code     explain.GateCode
		who      explain.Actor
	}{
		{nil, "The next invite is reserved (action 1): a sender is about to send it.", explain.GateAlreadyReserved, explain.None},
		{[]string{"SELECT thaw.start(1)"}, "The invite is under way (action 1): a sender has started it.", explain.GateAlreadyStarted, explain.None},
		{
			[]string{"SELECT thaw.start(1)", "SELECT thaw.settle(1, 'unknown')"},
			"Whether the invite of this step was delivered is unknown (action 1). Look at the provider, then settle it.", explain.GateAlreadyUnknown, explain.Operator,
		},
		{
			[]string{"SELECT thaw.start(1)", "SELECT thaw.settle(1, 'sent', provider_ref => 'inv_1')", "UPDATE thaw.enrollments SET step = 2, next_kind = NULL"},
			"The invite of this step was sent already (action 1). Move the prospect to its next step.", explain.GateAlreadySent, explain.User,
		},
	}
	// Each closes another gate.
	others := []string{
		"SELECT 1", // the gap is one, since the reservation
		"UPDATE thaw.action_limits SET per_day = 1",
		"UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '1 hour'",
		"SELECT thaw.hold_action_kind('acc_1', 'invite', thaw.now() + interval '1 day', 'a warning', 'ann')",
		"UPDATE thaw.accounts SET timezone = NULL",
	}
	for _, kind := range []string{"NULL", "'invite'"} {
		for _, state := range states {
			t.Run(fmt.Sprint(state.code, " ", kind), func(t *testing.T) {
				t.Parallel()
				f := newFleet(t)
				f.Exec(t, oneProspect+activate+"UPDATE thaw.accounts SET timezone = 'UTC'; UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '24:00'")
				f.Exec(t, "UPDATE thaw.enrollments SET next_kind = "+kind)
				require.Equal(t, int64(1), testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.reserve((SELECT id FROM thaw.enrollments), 'invite')"))
				for _, change := range state.changes {
					f.Exec(t, change)
				}
				for _, other := range others {
					f.Exec(t, other)
					got := f.explainOne(t, ada)
					require.Equal(t, explain.Active, got.Code, other)
					require.Equal(t, "This prospect is not paused. It is active in campaign spring. "+state.sentence, got.Sentence, other)
					require.Equal(t, state.who, got.WhoActs, other)
					require.Equal(t, state.who == explain.None, got.NormalWait, other)
					require.NotContains(t, got.Reply, "action 1", other)
					require.NotNil(t, got.Next, other)
					require.Equal(t, state.code, got.Next.Code, other)
					require.Equal(t, int64(1), got.Next.ActionID, other)
					require.Equal(t, "invite", got.Next.Kind, other)
				}
			})
		}
	}
}

// A prospect without an account, under a cause of the platform's own, with the platform's IDs.
func TestExplainWithoutAnAccount(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect+`
		UPDATE thaw.workspaces SET external_id = 'w-1';
		UPDATE thaw.campaigns SET external_id = 'c-1';
		UPDATE thaw.enrollments SET account_id = NULL, external_id = 'e-1'`)
	got := f.explainOne(t, ada)
	require.Equal(t, explain.NoAccount, got.Code)
	require.Equal(t, explain.User, got.WhoActs)
	require.Equal(t, ExternalIDs{ExternalID: "e-1", WorkspaceExternalID: "w-1", CampaignExternalID: "c-1"}, got.ExternalIDs)
	require.Zero(t, got.AccountID)
	require.Contains(t, got.Reply, "resumes automatically as soon as a connected account is assigned")
	require.Zero(t, f.run(t, f.plan(t)))
	found, err := Search(t.Context(), f.store, Everything(), ada, SearchFilter{})
	require.NoError(t, err)
	require.Len(t, found.Prospects, 1)

	f.Exec(t, optOut+safetyOn+`
		UPDATE thaw.enrollments SET paused_reason = 'paused_by_user', own_reason = 'budget used up'`)
	got = f.explainOne(t, ada)
	require.Equal(t, explain.PausedByUser, got.Code)
	require.Equal(t, "budget used up", got.OwnReason)
	require.Contains(t, got.Sentence, "This prospect was paused manually (budget used up).")
	var codes []explain.Code
	for _, o := range got.Obstacles {
		codes = append(codes, o.Code)
	}
	require.Equal(t, []explain.Code{explain.PausedByUser, explain.NoAccount, explain.AutoResumeOff, explain.SafetyMode}, codes)
}

// An ID of the platform stands for one enrollment, wherever a prospect is looked up.
func TestExplainByThePlatformsID(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect+stranger+`
		UPDATE thaw.enrollments SET external_id = 'lead-1';
		UPDATE thaw.accounts SET external_id = 'seat-1' WHERE id = 1;
		UPDATE thaw.workspaces SET external_id = 'w-1' WHERE id = 1;
		UPDATE thaw.campaigns SET external_id = 'c-1';
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url, external_id)
		SELECT e.workspace_id, e.campaign_id, e.account_id, 'active', e.prospect_url, 'lead-2' FROM thaw.enrollments AS e`)
	require.Equal(t, explain.WaitingForSweep, f.explainOne(t, "lead-1").Code)
	require.Equal(t, explain.Active, f.explainOne(t, " lead-2 ").Code)
	got := f.explainOne(t, "lead-2")
	require.Equal(t, ExternalIDs{ExternalID: "lead-2", WorkspaceExternalID: "w-1", CampaignExternalID: "c-1", AccountExternalID: "seat-1"}, got.ExternalIDs)
	both, err := Explain(t.Context(), f.store, ada)
	require.NoError(t, err)
	require.Len(t, both, 2, "the URL stands for both rows")

	for wanted, kind := range map[string]string{"lead-1": "prospects", "seat-1": "accounts", "c-1": "campaigns", "w-1": "workspaces"} {
		found, err := Search(t.Context(), f.store, Everything(), wanted, SearchFilter{Kind: kind})
		require.NoError(t, err)
		var matches []Match
		for _, p := range found.Prospects {
			require.Equal(t, wanted, p.ExternalID)
			matches = append(matches, p.Match)
		}
		for _, a := range found.Accounts {
			matches = append(matches, a.Match)
		}
		for _, c := range found.Campaigns {
			matches = append(matches, c.Match)
		}
		for _, w := range found.Workspaces {
			matches = append(matches, w.Match)
		}
		require.Equal(t, []Match{MatchID}, matches, wanted)
	}
	scope, err := Everything().Workspace(t.Context(), f.store, "w-1")
	require.NoError(t, err)
	require.Equal(t, OfWorkspace(1), scope)
	unseen, err := NewExplainer(f.store, OfWorkspace(2)).Explain(t.Context(), []string{"lead-1"})
	require.NoError(t, err)
	require.False(t, unseen[0].IsKnown(), "another workspace's ID")
	events, err := Events(t.Context(), f.store, Everything(), "lead-1", Paging{})
	require.NoError(t, err)
	require.Empty(t, events.Items)
}

func TestExplainUnknownProspect(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)

	got, err := Explain(t.Context(), f.store, "m.linkedin.com/in/Bob/?trk=1")
	require.NoError(t, err)
	require.Contains(t, got[0].Tried, "https://www.linkedin.com/in/bob")
	require.NotContains(t, got[0].Tried, "")
	count := len(got[0].Tried)
	got[0].Tried = got[0].Tried[:2]
	body, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`[{
		"enrollment_id": 0, "workspace": "", "campaign": "", "account_id": 0, "account": "",
		"prospect_url": "m.linkedin.com/in/Bob/?trk=1", "status": "", "step": 0, "code": "not_found",
		"sentence": "No campaign has a prospect with this URL; %d spellings were tried. Check that the URL matches the one in the campaign.",
		"normal_wait": false, "who_acts": "user", "expected_at": null, "obstacles": [], "history": [],
		"tried": ["m.linkedin.com/in/Bob/?trk=1", "https://www.linkedin.com/in/bob"]
	}]`, count), string(body))
}

// TestExplainFindsEverySpelling enrolls a prospect under spellings that a platform may use, and
// looks it up by others.
func TestExplainFindsEverySpelling(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	for _, enrolled := range []string{
		"https://www.linkedin.com/in/ada", "https://linkedin.com/in/ada/", "http://www.linkedin.com/in/ada", "linkedin.com/in/ada",
		"www.linkedin.com/in/ada/",
	} {
		f.Exec(t, "UPDATE thaw.enrollments SET prospect_url = $1", enrolled)
		for _, asked := range []string{
			"https://www.linkedin.com/in/ada", "http://linkedin.com/in/ada/", "HTTPS://WWW.LinkedIn.com/in/Ada?trk=x#about",
			"m.linkedin.com/in/ada", "https://de.linkedin.com/in/ada/", " linkedin.com/in/%61da/en ", enrolled,
		} {
			got := f.explainOne(t, asked)
			require.Equal(t, explain.WaitingForSweep, got.Code, "%s for %s", asked, enrolled)
			require.Equal(t, enrolled, got.ProspectURL)
			require.Nil(t, got.Tried)
		}
	}
}

// Enrollments under the exact URL come first; those under other spellings follow.
func TestExplainPutsTheExactURLFirst(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect+`
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
		SELECT e.workspace_id, e.campaign_id, e.account_id, 'active', 'https://www.linkedin.com/in/ada/' FROM thaw.enrollments AS e`)
	for asked, first := range map[string]explain.Code{
		ada: explain.WaitingForSweep, "https://www.linkedin.com/in/ada/": explain.Active,
	} {
		both, err := Explain(t.Context(), f.store, asked)
		require.NoError(t, err)
		require.Len(t, both, 2)
		require.Equal(t, first, both[0].Code)
		require.Equal(t, asked, both[0].ProspectURL)
	}
	both, err := Explain(t.Context(), f.store, "LINKEDIN.com/in/ada")
	require.NoError(t, err)
	require.Len(t, both, 2)
}

// TestExplainWithinAScope explains ada in the scope of each of two workspaces.
func TestExplainWithinAScope(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect+stranger)
	for workspace, code := range map[int64]explain.Code{1: explain.WaitingForSweep, 2: explain.NotFound} {
		got, err := NewExplainer(f.store, OfWorkspace(workspace)).Explain(t.Context(), []string{ada})
		require.NoError(t, err)
		require.Equal(t, code, got[0].Explanations[0].Code)
		require.Equal(t, code != explain.NotFound, got[0].IsKnown())
	}
	_, err := NewExplainer(f.store, Everything()).Explain(t.Context(), []string{ada, "bad\x00"})
	require.ErrorContains(t, err, "control characters")
}

// TestExplainInEveryWorkspace has ada in three campaigns of two workspaces, each with its own
// answer and position.
func TestExplainInEveryWorkspace(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect+stranger+`
		INSERT INTO thaw.campaigns (workspace_id, key, status)
			SELECT w.id, c.key, 'running' FROM thaw.workspaces AS w, (VALUES ('north', 'autumn'), ('south', 'summer')) AS c (workspace, key)
			WHERE w.key = c.workspace;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
			SELECT c.workspace_id, c.id, a.id, 'paused', 'account_issue', thaw.now() - interval '1 day', 'https://linkedin.com/in/ada'
			FROM thaw.campaigns AS c JOIN thaw.accounts AS a USING (workspace_id) WHERE c.key IN ('autumn', 'summer');`)

	got, err := Explain(t.Context(), f.store, ada)
	require.NoError(t, err)
	var lines []string
	for _, e := range got {
		require.Equal(t, explain.WaitingForSweep, e.Code)
		lines = append(lines, e.Workspace+" "+e.Campaign+" "+e.Sentence[:67])
	}
	require.Equal(t, []string{
		"north autumn Account acc_1 is connected. This prospect is number 1 in the queue.",
		"north spring Account acc_1 is connected. This prospect is number 2 in the queue.",
		"south summer Account acc_3 is connected. This prospect is number 1 in the queue.",
	}, lines)
}

// TestExplainHistory disconnects an account and resumes its prospect through a sibling.
func TestExplainHistory(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	f.run(t, f.plan(t))
	f.nextTick(t)
	f.Exec(t, disconnect+"UPDATE thaw.accounts SET pause_after = thaw.now();")
	f.Exec(t, "SELECT thaw.pause_batch(a.id, 100, 7, NULL, 8) FROM thaw.accounts AS a")
	f.Exec(t, sibling)
	f.run(t, f.plan(t))

	history := f.explainOne(t, ada).History
	for i := range history {
		require.WithinDuration(t, f.Now(t), history[i].At, 20*time.Minute)
		history[i].At = time.Time{}
	}
	tick, before, id := f.tick(t).UTC(), f.tick(t).UTC().Add(-15*time.Minute), func(id int64) *int64 { return &id }
	lost := "account_disconnected"
	require.Equal(t, []Event{
		{Kind: "resumed", FromStatus: "paused", ToStatus: "active", Reason: lost, Source: "sweep", TickAt: &before, JobID: id(1), FromAccount: "acc_1", ToAccount: "acc_1", Step: 2},
		{Kind: "paused", FromStatus: "active", ToStatus: "paused", Reason: lost, Source: "signal", SignalID: id(7), JobID: id(8), FromAccount: "acc_1", ToAccount: "acc_1", Step: 2},
		{Kind: "resumed", FromStatus: "paused", ToStatus: "active", Reason: lost, Source: "sweep", TickAt: &tick, JobID: id(1), FromAccount: "acc_1", ToAccount: "acc_2", ToName: "Grace H.", Step: 2},
		{Kind: "moved", FromStatus: "active", ToStatus: "active", Reason: lost, Source: "sweep", TickAt: &tick, JobID: id(1), FromAccount: "acc_1", ToAccount: "acc_2", ToName: "Grace H.", Step: 2},
	}, history)

	body, err := json.Marshal(history[1])
	require.NoError(t, err)
	require.JSONEq(t, `{"at": "0001-01-01T00:00:00Z", "kind": "paused", "from_status": "active", "to_status": "paused",
		"reason": "account_disconnected", "source": "signal", "signal_id": 7, "job_id": 8,
		"from_account": "acc_1", "to_account": "acc_1", "step": 2}`, string(body))
}

// Positions in a very long queue are counted up to a limit; beyond it, the answer has a lower bound
// for the tick.
func TestQueuePositionIsBounded(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	f.Exec(t, fmt.Sprintf(`
		SET thaw.counts_by_statement = on;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
		SELECT e.workspace_id, e.campaign_id, e.account_id, 'paused', 'account_issue', e.paused_at + n * interval '1 ms', 'p' || n
		FROM thaw.enrollments AS e, generate_series(2, %d) AS n;
		RESET thaw.counts_by_statement`, countedPositions+3))
	f.Exec(t, "ANALYZE thaw.enrollments")

	last := f.explainOne(t, fmt.Sprint("p", countedPositions))
	require.Contains(t, last.Sentence, "is number 20,000 in the queue")
	require.Equal(t, f.tick(t).Add((countedPositions/200-1)*15*time.Minute).UTC(), *last.ExpectedAt)

	asked, err := NewExplainer(f.store, Everything()).Explain(t.Context(), []string{ada, fmt.Sprint("p", countedPositions+2), "p2"})
	require.NoError(t, err)
	require.Contains(t, asked[0].Explanations[0].Sentence, "is number 1 in the queue")
	beyond := asked[1].Explanations[0]
	require.Contains(t, beyond.Sentence, "At least 20,000 prospects are ahead of this one in the queue")
	require.Nil(t, beyond.ExpectedAt)
	require.Equal(t, *last.ExpectedAt, *beyond.NotBefore)
	require.Contains(t, asked[2].Explanations[0].Sentence, "is number 2 in the queue")
}
