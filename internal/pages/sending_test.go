package pages_test

import (
	"fmt"
	"net/http"
	"net/url"
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
	require.Contains(t, section(), "is not known, so nothing is sent. Set it, or the zone of its sending windows.")
	require.Contains(t, section(), "none: the time zone of the account is not known")

	d.Exec(t, pagestest.Senders)
	require.Contains(t, section(), "nothing was sent through Thaw yet")
	require.Contains(t, section(), "can be sent")
	require.Regexp(t, `open until <time.* \d\d:\d\d \(Europe/Berlin\)`, section())
	d.Send(t, pagestest.Waits, "'sent', provider_ref => 'inv_1'")
	d.Send(t, pagestest.OfZoe, "'sent', provider_ref => 'inv_2'")
	require.Regexp(t, `>2 of 5 <span class="quiet">\(1 used elsewhere\)</span>`, section())
	require.Contains(t, section(), "2 open invites")
	require.NotContains(t, section(), "umbrella")
	require.NotContains(t, section(), "h_zoe")

	d.Exec(t, "UPDATE thaw.action_limits SET per_day = 2 WHERE kind = 'invite'")
	require.Regexp(t, `The daily cap of invites is used up \(2 of 2\)\. It opens at <time .* 00:00 \(Europe/Berlin\)`, section())
	d.Exec(t, "SELECT thaw.hold_action_kind('h_EKCy2lRLef5NzHp0iw4A', 'message', thaw.now() + interval '2 days', 'asked by phone', 'ann')")
	require.Contains(t, section(), "are on hold; other kinds go on.")
	d.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE provider_account_id = 'h_EKCy2lRLef5NzHp0iw4A'")
	require.Regexp(t, `<p class="answer">.*is not connected. Reconnect it.`, section())
}

// The page of an active prospect says what comes next and what holds it, and lists its actions.
func TestProspectShowsItsNextAction(t *testing.T) {
	t.Parallel()
	d := setup(t)
	path := "/prospects?url=" + url.QueryEscape(pagestest.Waits)
	require.NotContains(t, d.get(t, path).text, "Next action")
	d.Exec(t, pagestest.Senders)
	require.Regexp(t, `<dt>Next action</dt><dd>invite, due <time [^>]*>[^<]*</time>, may be sent now</dd>`, d.get(t, path).text)
	id := d.Send(t, pagestest.Waits, "'limited', error_code => 'errors/limit_exceeded'")
	page := d.get(t, path).text
	require.Regexp(t, `<dt>Next action</dt><dd>invite, due <time [^>]*>[^<]*</time>, held by .*hold of invites, opens <time .* \(Europe/Berlin\)</span> `, page)
	require.Contains(t, page, fmt.Sprintf(`<a href="/sending/%d">invite</a>`, id))
	require.Contains(t, page, `<span class="quiet">limited</span> <span class="quiet">errors/limit_exceeded</span>`)
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
