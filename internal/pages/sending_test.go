package pages_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/pages/pagestest"
	"github.com/thawline/thaw/internal/testdb"
)

// The list of actions says how to begin, has every action with its outcome, and each filter
// selects.
func TestLedger(t *testing.T) {
	t.Parallel()
	d := setup(t)
	require.Contains(t, d.get(t, "/sending").text, "No actions yet. A sender reserves an action with")
	require.Contains(t, d.get(t, "/sending?state=unknown").text, "No action is unknown.")
	d.Exec(t, pagestest.Senders)
	sent := d.Send(t, pagestest.Waits, "'sent', provider_ref => 'inv_8Z2'")
	refused := d.Send(t, pagestest.OfZoe, "'refused', error_code => 'errors/invalid_recipient'")

	page := d.get(t, "/sending").text
	for _, want := range []string{"inv_8Z2", "errors/invalid_recipient", "Jane Doe", "umbrella", fmt.Sprintf(`<a href="/sending/%d">invite</a>`, sent)} {
		require.Contains(t, page, want)
	}
	enrollment := testdb.Value[int64](t, d.DB, "SELECT enrollment_id FROM thaw.actions WHERE id = $1", sent)
	for query, want := range map[string][]int64{
		"":                                    {sent, refused},
		"state=sent":                          {sent},
		"state=unknown":                       {},
		"kind=invite":                         {sent, refused},
		"kind=message":                        {},
		"account=h_zoe":                       {refused},
		"account=h_zoe&state=sent":            {},
		"workspace=acme":                      {sent},
		fmt.Sprint("enrollment=", enrollment): {sent},
	} {
		page, exported := d.get(t, "/sending?"+query).text, d.get(t, "/sending.csv?"+query).text
		require.Equal(t, len(want), strings.Count(page, `<a href="/sending/`), "%s: %s", query, page)
		require.Equal(t, len(want)+1, strings.Count(exported, "\n"), "%s: %s", query, exported)
		for _, id := range want {
			require.Contains(t, page, fmt.Sprintf(`<a href="/sending/%d">`, id), query)
			require.Contains(t, exported, fmt.Sprintf("\n%d,", id), query)
		}
	}
	for _, query := range []string{"state=lost", "kind=visit", "account=h_nowhere", "workspace=nowhere", "enrollment=x", "enrollment=-1", "cursor=x"} {
		require.Equal(t, http.StatusBadRequest, d.get(t, "/sending?"+query).status, query)
	}

	one := d.get(t, fmt.Sprint("/sending/", refused))
	require.Contains(t, one.text, "errors/invalid_recipient")
	require.NotContains(t, one.text, "What the provider shows", "only an unknown action can be settled")
	for _, path := range []string{"/sending/999", "/sending/x", "/sending/9223372036854775807", "/sending/-1"} {
		require.Equal(t, http.StatusNotFound, d.get(t, path).status, path)
	}
}

// A person settles an unknown action, after a second question. The audit log has the reason.
func TestUnknownActionIsSettled(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, pagestest.Senders)
	require.NotContains(t, d.attention(t), "unknown")
	id := d.Send(t, pagestest.Waits, "'unknown', error_code => 'timeout'")
	path := fmt.Sprint("/sending/", id)
	require.Contains(t, d.attention(t), "1 action unknown")
	require.Contains(t, d.get(t, "/sending?state=unknown").text, path+"#settle")
	require.Contains(t, d.get(t, path).text, "It is unknown whether this action was delivered")
	state := func() string {
		return testdb.Value[string](t, d.DB, "SELECT state::text FROM thaw.actions WHERE id = $1", id)
	}

	for _, query := range []string{"", "?as=sent&reason=x", "?as=verified_sent", "?reason=x"} {
		require.Equal(t, http.StatusBadRequest, d.get(t, path+"/settle"+query).status, query)
	}
	question := d.get(t, path+"/settle?as=verified_absent&reason=not+in+their+list")
	require.Contains(t, question.text, "If it was sent after all, the prospect gets it twice. This cannot be undone. Reason: not in their list")
	require.Equal(t, "unknown", state(), "the question changes nothing")

	require.Equal(t, http.StatusBadRequest, d.post(t, path+"/settle", url.Values{"as": {"verified_absent"}}).status, "without a reason")
	require.Equal(t, http.StatusBadRequest, d.post(t, path+"/settle", url.Values{"as": {"sent"}, "reason": {"x"}}).status)
	require.Equal(t, "unknown", state())
	done := d.post(t, path+"/settle", url.Values{"as": {"verified_absent"}, "reason": {"not in their list"}})
	require.Equal(t, path+"?done=action-settled", done.header.Get("Location"), done.text)
	require.Equal(t, "released", state())
	require.Contains(t, d.get(t, path+"?done=action-settled").text, "Settled. The audit log has your reason.")
	require.Contains(t, d.get(t, "/audit").text, "not in their list")
	require.NotContains(t, d.attention(t), "unknown")

	require.Equal(t, path, d.get(t, path+"/settle?as=verified_sent&reason=x").header.Get("Location"), "it is settled")
	require.GreaterOrEqual(t, d.post(t, path+"/settle", url.Values{"as": {"verified_sent"}, "reason": {"x"}}).status, 400)
	require.Equal(t, http.StatusNotFound, d.get(t, "/sending/999/settle?as=verified_sent&reason=x").status)
}

// The page of an account says what is used and what binds, without naming other workspaces.
func TestAccountShowsItsSending(t *testing.T) {
	t.Parallel()
	d := setup(t)
	section := func() string {
		_, rest, found := strings.Cut(d.get(t, d.Account(t, "h_EKCy2lRLef5NzHp0iw4A")).text, `<div id="account-sending" data-live>`)
		require.True(t, found)
		section, _, _ := strings.Cut(rest, "</div>\n<h2>")
		section, _, _ = strings.Cut(section, `<h2>`)
		return section
	}
	require.Contains(t, section(), "Thaw has nothing to send through this account.")
	require.Contains(t, section(), "none: the time zone of the account is not known")

	d.Exec(t, pagestest.Senders)
	require.Contains(t, section(), "nothing was sent through Thaw yet")
	require.Contains(t, section(), "can be sent")
	require.Regexp(t, `open until <time.* \d\d:\d\d \(Europe/Berlin\)`, section())
	d.Send(t, pagestest.Waits, "'sent', provider_ref => 'inv_1'")
	d.Send(t, pagestest.OfZoe, "'sent', provider_ref => 'inv_2'")
	require.Regexp(t, ` 2 of 5 <span class="quiet">\(1 used elsewhere\)</span>`, section())
	require.Contains(t, section(), "<dt>Open invites</dt><dd>2 of 500 ")
	require.NotContains(t, section(), "Unknown actions")
	require.NotContains(t, section(), "umbrella")
	require.NotContains(t, section(), "h_zoe")

	d.Exec(t, "UPDATE thaw.action_limits SET per_day = 2 WHERE kind = 'invite'")
	require.Regexp(t, `The daily cap of invites is used up \(2 of 2\)\. It opens at <time .* 00:00 \(Europe/Berlin\)`, section())
	d.Exec(t, "SELECT thaw.hold_action_kind('h_EKCy2lRLef5NzHp0iw4A', 'message', thaw.now() + interval '2 days', 'asked by phone', 'ann')")
	require.Contains(t, section(), "are on hold; other kinds go on.")
	require.Contains(t, section(), "Reason: asked by phone.")
	d.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE provider_account_id = 'h_EKCy2lRLef5NzHp0iw4A'")
	require.Regexp(t, `<p class="answer">.*is not connected. Reconnect it.`, section())
}

// Of a hold that the same person has in another workspace, the pages show only until when it lasts.
func TestHoldOfAnotherWorkspaceIsHeldElsewhere(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, pagestest.Senders)
	const jane, hold = "h_EKCy2lRLef5NzHp0iw4A", "SELECT thaw.hold_kind(a.id, 'invite', thaw.now() + interval '2 days', 'insufficient_credits', 'told by Zoe', 'zoe') FROM thaw.accounts AS a WHERE a.provider_account_id = $1"
	account, prospect := d.Account(t, jane), "/prospects?url="+url.QueryEscape(pagestest.Waits)
	d.Exec(t, "SELECT thaw.ensure_senders(array_agg(id)) FROM thaw.accounts")
	require.Contains(t, d.get(t, account).text, "can be sent")

	d.Exec(t, hold, "h_zoe")
	for path, want := range map[string]string{account: "are held elsewhere, for the same person; other kinds go on. The hold ends at", prospect: "held by <strong>hold elsewhere</strong>"} {
		shown := d.get(t, path).text
		require.Contains(t, shown, want)
		require.NotContains(t, shown, "told by Zoe")
		require.NotContains(t, shown, "insufficient")
	}
	require.Contains(t, d.get(t, account).text, "Held elsewhere.")
	require.NotContains(t, d.get(t, account).text, `id="correct-kind-hold"`)

	d.Exec(t, hold, jane)
	d.Exec(t, "UPDATE thaw.action_holds SET until = thaw.now() + interval '3 days', reason = 'asked by phone' WHERE account_id = (SELECT id FROM thaw.accounts WHERE provider_account_id = $1)", jane)
	require.Contains(t, d.get(t, account).text, "Reason: asked by phone.")
	require.NotContains(t, d.get(t, account).text, "Held elsewhere.")
}

// In shadow mode nothing may be sent by Thaw, and no page says so.
func TestPagesSayThatShadowModeGivesNothingOut(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, pagestest.Senders)
	account, prospect := d.Account(t, "h_EKCy2lRLef5NzHp0iw4A"), "/prospects?url="+url.QueryEscape(pagestest.Waits)
	require.Contains(t, d.get(t, prospect).text, "may be sent now")
	d.Exec(t, "UPDATE thaw.workspaces SET shadow = true WHERE key = 'acme'")
	shown := d.get(t, prospect).text
	require.NotContains(t, shown, "may be sent now")
	require.Contains(t, shown, "expected at an unknown time, held by <strong>shadow mode</strong>")
	require.Contains(t, shown, "Thaw gives out no action of it")
	require.NotContains(t, d.get(t, account).text, "can be sent")
}

// The page of an account says first that it sends nothing, if a person must act, and links its
// unknown actions.
func TestAccountSaysWhyItSendsNothing(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.LetSend(t)
	page := d.get(t, d.Account(t, pagestest.NoZone)).text
	require.Contains(t, page, `None of its prospects is paused, but nothing is sent: <a href="#sending">missing time zone</a>.`)
	require.Contains(t, d.get(t, d.Account(t, pagestest.FullCap)).text, "The account works, and none of its prospects is paused.")
	page = d.get(t, d.Account(t, pagestest.Doubtful)).text
	link := regexp.MustCompile(`<a href="(/sending[^"]+)">3 actions</a>`).FindStringSubmatch(page)
	require.NotNil(t, link, page)
	require.Equal(t, 3, strings.Count(d.get(t, html.UnescapeString(link[1])).text, "#settle"))
}

// A person holds one kind, ends the hold, and lowers a cap, on the page of the account.
func TestSendingIsLimitedOnThePageOfTheAccount(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, pagestest.Senders)
	account := d.Account(t, "h_EKCy2lRLef5NzHp0iw4A")
	post := func(path string, form url.Values) answer {
		form.Set("reason", "the customer asked")
		return d.post(t, account+path, form)
	}
	gate := func(kind string) string {
		return testdb.Value[string](t, d.DB, "SELECT coalesce(g.code, '') FROM thaw.accounts AS a, thaw.kind_gates(ARRAY[a.id], ARRAY[$1::text]) AS g WHERE a.provider_account_id = 'h_EKCy2lRLef5NzHp0iw4A'", kind)
	}
	require.NotContains(t, d.get(t, account).text, "Correct or end the hold of")
	require.Equal(t, account+"?done=kind-held", post("/hold", url.Values{"kind": {"inmail"}, "for": {"7d"}}).header.Get("Location"))
	require.Equal(t, "kind_on_hold", gate("inmail"))
	require.Empty(t, gate("invite"))
	require.Contains(t, d.get(t, account).text, "Correct or end the hold of InMails")
	require.Equal(t, account+"?done=hold-corrected", post("/hold/correct", url.Values{"kind": {"inmail"}}).header.Get("Location"))
	require.Empty(t, gate("inmail"))

	require.Equal(t, account+"?done=limit-set", post("/limit", url.Values{"kind": {"invite"}, "per_day": {"0"}, "per_week": {" 20 "}}).header.Get("Location"))
	require.Equal(t, "daily_cap", gate("invite"))
	require.Equal(t, account+"?done=nothing", post("/limit", url.Values{"kind": {"invite"}, "per_day": {"0"}, "per_week": {"20"}}).header.Get("Location"))
	for _, given := range []string{"-1", "x", "1.5", "99999999999"} {
		require.Equal(t, http.StatusBadRequest, post("/limit", url.Values{"kind": {"invite"}, "per_day": {given}}).status, given)
	}
	require.Contains(t, post("/limit", url.Values{"kind": {"invite"}, "per_day": {"81"}}).text, "above the ceiling of the fleet")
	require.Equal(t, account+"?done=limit-removed", post("/limit", url.Values{"kind": {"invite"}}).header.Get("Location"))
	require.Empty(t, gate("invite"))
	require.Contains(t, d.get(t, account).text, "limit of sending set</strong></a>: invite: 0 per day, 20 per 7 days")
}

// The page of an active prospect says what comes next and what holds it, and lists its actions.
func TestProspectShowsItsNextAction(t *testing.T) {
	t.Parallel()
	d := setup(t)
	path := "/prospects?url=" + url.QueryEscape(pagestest.Waits)
	require.NotContains(t, d.get(t, path).text, "Next action")
	d.Exec(t, pagestest.Senders)
	require.Contains(t, d.get(t, path).text, `<dt>Next action</dt><dd>invite, may be sent now</dd>`)
	id := d.Send(t, pagestest.Waits, "'limited', error_code => 'errors/limit_exceeded'")
	page := d.get(t, path).text
	require.Regexp(t, `<dt>Next action</dt><dd>invite, expected <time [^>]*>[^<]*</time> <span class="quiet">... 00:00 \(Europe/Berlin\)</span>, held by <strong>hold of invites</strong></dd>`, page)
	require.Contains(t, page, fmt.Sprintf(`<a href="/sending/%d">invite</a>`, id))
	require.Contains(t, page, `<span class="quiet">limited</span> <span class="quiet">errors/limit_exceeded</span>`)
}

// A step of which the outcome is unknown is shown with its action, also if the platform schedules
// the prospect itself.
func TestProspectShowsAnUnknownAction(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, pagestest.Senders)
	d.Exec(t, "UPDATE thaw.enrollments SET next_kind = NULL")
	id := d.Send(t, pagestest.Waits, "'unknown'")
	page := d.get(t, "/prospects?url="+url.QueryEscape(pagestest.Waits)).text
	require.Contains(t, page, fmt.Sprintf(`held by <strong><a href="/sending/%d">unknown outcome</a></strong>`, id))
	require.Contains(t, page, fmt.Sprintf("Whether the invite of this step was delivered is unknown (action %d)", id))
	require.Contains(t, page, "<dt>Action needed</dt><dd>by an operator")
	require.NotContains(t, page, "Its next step")
}

// An action with others before it has the day on which it is expected.
func TestProspectShowsTheDayOfItsNextAction(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.LetSend(t)
	page := d.get(t, "/prospects?url="+url.QueryEscape(pagestest.Prospect(pagestest.FullCap, 33))).text
	require.Regexp(t, `<dt>Next action</dt><dd>invite, expected on \d{4}-\d\d-\d\d, held by <strong>daily cap \(30 of 30\)</strong>\. 2 other invites are due before it</dd>`, page)
}

// The chart of the fleet counts what was settled per hour, also when it is counted again.
func TestFleetChartOfActions(t *testing.T) {
	t.Parallel()
	d := setup(t)
	require.Contains(t, d.get(t, "/").text, "No action was settled in this time.")
	d.Exec(t, pagestest.Senders)
	d.Send(t, pagestest.Waits, "'sent', provider_ref => 'inv_1'")
	require.True(t, testdb.Value[bool](t, d.DB, "SELECT thaw.count_action_hours()"))
	require.False(t, testdb.Value[bool](t, d.DB, "SELECT thaw.count_action_hours()"), "counted a moment ago")
	d.Send(t, pagestest.OfZoe, "'refused'")
	d.Exec(t, "UPDATE thaw.scheduler SET hours_counted_at = hours_counted_at - interval '5 minutes'")
	require.True(t, testdb.Value[bool](t, d.DB, "SELECT thaw.count_action_hours()"))
	for _, name := range []string{"day", "week", "month"} {
		page := d.get(t, "/?range="+name).text
		require.Contains(t, page, `<rect class="bar sent"`, name)
		require.Contains(t, page, ": 1 sent, 0 unknown, 1 not delivered", name)
	}
}
