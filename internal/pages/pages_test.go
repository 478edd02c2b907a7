package pages_test

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/pages"
	"github.com/thawline/thaw/internal/pages/pagestest"
	"github.com/thawline/thaw/internal/testdb"
)

func TestPagesAreCompleteAndSelfContained(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, path := range []string{"/", "/accounts", d.Account(t, "h_bob"), "/sweeps", "/heals", "/workspaces", "/workspaces/acme", "/safety",
		"/search?q=h_", "/prospects", "/prospects/check", "/prospects?url=" + url.QueryEscape(pagestest.OnLost)} {
		got := d.get(t, path)
		require.Equal(t, http.StatusOK, got.status, path)
		require.Contains(t, got.text, "</html>", path)
		policy := got.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", path)
		require.NotContains(t, policy, "unsafe", path)
		require.NotContains(t, policy, "http", path)
		require.NotContains(t, got.text, "style=", path)
		require.NotContains(t, got.text, "onclick", path)
		require.Equal(t, 1, strings.Count(got.text, "<script"), path)
		require.Equal(t, "no-store", got.header.Get("Cache-Control"), path)
	}
	require.Contains(t, d.get(t, "/accounts").text, "Bob Roe")
	for _, path := range []string{"/accounts/99", "/accounts/x", "/heals/99", "/workspaces/nowhere"} {
		got := d.get(t, path)
		require.Equal(t, http.StatusNotFound, got.status, path)
		require.Contains(t, got.text, "Page not found", path)
	}
	for _, path := range []string{"/accounts?cursor=x", "/accounts?workspace=nowhere", "/prospects?url=%00", "/prospects?reason=x", "/prospects?age=x", "/prospects?order=x", "/prospects?account=unknown",
		"/prospects?campaign=founders", "/prospects?workspace=acme&campaign=x", "/prospects.csv?reason=x", "/accounts?status=x", "/accounts?blocked=x", "/search?q=%00", "/search?q=%ff",
		"/heals/new?workspace=acme&cap=-1", "/workspaces/%00", "/workspaces?auto_resume=x", "/workspaces.csv?auto_resume=x"} {
		got := d.get(t, path)
		require.Equal(t, http.StatusBadRequest, got.status, "%s: %s", path, got.text)
	}
}

// The fleet page warns if the last sweep covered only some of the accounts.
func TestFleetPageWarnsOfPartialSweep(t *testing.T) {
	t.Parallel()
	d := setup(t)
	const says = "The last sweep covered only some of the accounts"
	d.Exec(t, "INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, finished_at) VALUES (thaw.tick(), 1, 1, thaw.now())")
	require.NotContains(t, d.get(t, "/").text, says)
	d.Exec(t, "UPDATE thaw.sweeps SET is_partial = true")
	require.Contains(t, d.get(t, "/").text, says)
}

// The account page shows a lock and the statuses of products.
func TestAccountPageShowsTheLockAndTheProducts(t *testing.T) {
	t.Parallel()
	d := setup(t)
	bob := d.Account(t, "h_bob")
	before := d.get(t, bob).text
	require.NotContains(t, before, "Account locked")
	require.NotContains(t, before, "<h2>Products</h2>")
	d.Exec(t, "SELECT thaw.signal('linkedin', 'h_bob', 'locked', '2026-01-31T09:00:00Z')")
	d.Exec(t, `SELECT thaw.receive_signal('linkedin', 'h_bob', s.raw, s.status, s.at::timestamptz, NULL, NULL, false, NULL, s.product)
		FROM (VALUES (1, 'disconnected', 'account.status.disconnected', '2026-01-31T10:00:00Z', 'recruiter'),
			(2, 'connected', 'account.status.running', '2026-01-31T11:00:00Z', 'classic')) AS s (n, status, raw, at, product) ORDER BY s.n`)
	page := d.get(t, bob).text
	require.Regexp(t, `Account locked</strong> since <time datetime="2026-01-31T09:00:00Z">[^<]+</time>: .*locked`, page)
	require.Regexp(t, `<tr><td data-label="Product">recruiter</td><td.*\(account.status.disconnected\).*</td><td data-label="Down since"><time class="ago" datetime="2026-01-31T10:00:00Z">`, page)
	require.Regexp(t, `<tr><td data-label="Product">classic</td><td.*\(account.status.running\)</span></td><td data-label="Down since">–</td><td data-label="Last update"><time class="ago" datetime="2026-01-31T11:00:00Z">`, page)
}

// Pending prospects that will move are shown on both accounts, with a link, and on the fleet page.
func TestPagesShowPendingProspectsThatWillMove(t *testing.T) {
	t.Parallel()
	d := setup(t)
	jane, old := d.Account(t, "h_EKCy2lRLef5NzHp0iw4A"), d.Account(t, "h_old")
	require.NotContains(t, d.get(t, jane).text, "Not started yet")
	require.NotContains(t, d.get(t, "/").text, "Moving to another account")
	d.Exec(t, "UPDATE thaw.enrollments SET status = 'pending' WHERE account_id = (SELECT id FROM thaw.accounts WHERE provider_account_id = 'h_old')")
	d.Exec(t, "UPDATE thaw.accounts SET status = 'removed' WHERE provider_account_id = 'h_old'")
	require.Regexp(t, `40 prospects will move to <a href="`+jane+`">Jane Doe</a>, another account of the same person, starting with the tick at <time`, d.get(t, old).text)
	require.Regexp(t, `40 prospects will move here from <a href="`+old+`">Jane Doe \(old\)</a>, a lost account of the same person, starting with the tick at <time`, d.get(t, jane).text)
	require.Eventually(t, func() bool {
		return strings.Contains(d.get(t, "/").text, `Moving to another account <span class="big">40</span>`)
	}, 30*time.Second, 20*time.Millisecond, "the next forecast counts them")

	d.Exec(t, "SELECT thaw.set_auto_resume('acme', false, 'asked by phone', 'cli:ann')")
	require.Regexp(t, `40 prospects will move to <a[^>]*>Jane Doe</a>, another account of the same person, when nothing blocks that account`, d.get(t, old).text)
}

// Invalid forms change nothing and get an explanation.
func TestBadFormsChangeNothing(t *testing.T) {
	t.Parallel()
	d := setup(t)
	bob := d.Account(t, "h_bob")
	for _, c := range []struct {
		path   string
		form   url.Values
		status int
		says   string
	}{
		{"/safety/enter", url.Values{}, 400, "No reason was given."},
		{"/safety/enter", url.Values{"reason": {"  "}}, 400, "No reason was given."},
		{bob + "/hold", url.Values{"reason": {"x"}, "until": {"some day"}}, 400, "is not a time"},
		{bob + "/hold", url.Values{"reason": {"x"}, "until": {"2001-01-01T00:00"}}, 400, "A hold must end in the future"},
		{bob + "/pause", url.Values{}, 400, "No reason was given."},
		{"/accounts/99/pause", url.Values{"reason": {"x"}}, 404, "not found"},
		{"/prospects/pause", url.Values{"url": {pagestest.OnLost}, "reason": {"x"}}, 400, "The workspace or the campaign is missing."},
		{"/prospects/pause", url.Values{"url": {"unknown"}, "workspace": {"acme"}, "campaign": {"founders"}, "reason": {"x"}}, 404, "No campaign has the prospect unknown."},
		{"/campaigns/pause", url.Values{"workspace": {"acme"}, "campaign": {"nothing"}, "reason": {"x"}}, 404, "has no campaign"},
		{"/workspaces/auto-resume", url.Values{"workspace": {"acme"}, "enabled": {"maybe"}}, 400, "on or off"},
		{"/workspaces/auto-resume", url.Values{"workspace": {"nowhere"}, "enabled": {"on"}, "reason": {"x"}}, 404, "There is no workspace"},
		{"/workspaces/auto-resume", url.Values{"workspace": {"acme"}, "enabled": {"off"}, "reason": {" "}}, 400, "No reason was given."},
		{"/heals", url.Values{"workspace": {"acme"}, "cap": {"0"}}, 400, "must be a number from 1"},
		{"/heals", url.Values{"cap": {"5"}}, 400, "The heal has no target."},
		{"/heals", url.Values{"workspace": {"nowhere"}, "cap": {"5"}}, 404, "There is no workspace"},
		{"/heals", url.Values{"account": {"unknown"}, "cap": {"5"}}, 404, "There is no account"},
		{"/heals", url.Values{"workspace": {"umbrella"}, "account": {"h_bob"}, "cap": {"5"}}, 400, "is in workspace &#34;acme&#34;, not in &#34;umbrella&#34;"},
		{"/safety/enter", url.Values{"reason": {strings.Repeat("x", 70_000)}}, 400, "could not be read"},
	} {
		got := d.post(t, c.path, c.form)
		require.Equal(t, c.status, got.status, "%s %v: %s", c.path, c.form, got.text)
		require.Contains(t, got.text, c.says, c.path)
	}
	require.Equal(t, 1, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.manual_actions"), "only the action of the fleet setup")
	require.Zero(t, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.heals"))
}

// Each form does what it says and redirects to the page that shows the result.
func TestForms(t *testing.T) {
	t.Parallel()
	d := setup(t)
	bob := d.Account(t, "h_bob")
	holdEnd := testdb.Value[time.Time](t, d.DB, "SELECT date_trunc('minute', thaw.now() + interval '90 days')").UTC().Format("2006-01-02T15:04")
	prospect := url.Values{"url": {pagestest.OnLost}, "workspace": {"acme"}, "campaign": {"founders"}, "reason": {"asked"}}
	for _, c := range []struct {
		path  string
		form  url.Values
		to    string
		check string // SQL that must be true afterwards
	}{
		{bob + "/pause", url.Values{"reason": {"on leave"}}, bob + "?done=paused", "SELECT bool_and(paused_reason = 'paused_by_user') FROM thaw.enrollments WHERE account_id = (SELECT id FROM thaw.accounts WHERE provider_account_id = 'h_bob')"},
		{bob + "/resume", url.Values{"reason": {"back"}}, bob + "?done=nothing", "SELECT true"},
		{bob + "/resume", url.Values{"reason": {"back"}, "even_by_user": {"yes"}}, bob + "?done=resumed", "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE paused_reason = 'paused_by_user')"},
		{bob + "/hold", url.Values{"reason": {"new device"}, "until": {holdEnd}}, bob + "?done=held", "SELECT hold_until = '" + holdEnd + "Z' FROM thaw.accounts WHERE provider_account_id = 'h_bob'"},
		{bob + "/hold/correct", url.Values{"reason": {"a wrong month"}}, bob + "?done=hold-corrected", "SELECT hold_until IS NULL FROM thaw.accounts WHERE provider_account_id = 'h_bob'"},
		{"/prospects/pause", prospect, "/prospects?done=paused&url=" + url.QueryEscape(pagestest.OnLost), "SELECT paused_reason = 'paused_by_user' FROM thaw.enrollments WHERE prospect_url = '" + pagestest.OnLost + "'"},
		{"/prospects/resume", prospect, "/prospects?done=resumed&url=" + url.QueryEscape(pagestest.OnLost), "SELECT waits_for_account FROM thaw.enrollments WHERE prospect_url = '" + pagestest.OnLost + "'"},
		{"/campaigns/pause", url.Values{"workspace": {"acme"}, "campaign": {"founders"}, "reason": {"a wrong text"}}, "/workspaces/acme?done=campaign-paused", "SELECT paused_reason = 'paused_by_user' FROM thaw.campaigns WHERE key = 'founders'"},
		{"/campaigns/resume", url.Values{"workspace": {"acme"}, "campaign": {"founders"}, "reason": {"fixed"}}, "/workspaces/acme?done=campaign-started", "SELECT status = 'running' FROM thaw.campaigns WHERE key = 'founders'"},
		{"/workspaces/auto-resume", url.Values{"workspace": {"umbrella"}, "enabled": {"on"}, "reason": {"the audit is over"}}, "/workspaces/umbrella?done=auto-resume", "SELECT auto_resume FROM thaw.workspaces WHERE key = 'umbrella'"},
		{"/safety/enter", url.Values{"reason": {"an incident"}, "stay": {"yes"}}, "/safety?done=safety-entered", "SELECT manual_exit FROM thaw.safety"},
		{"/safety/exit", url.Values{"reason": {"over"}}, "/safety?done=safety-exited", "SELECT since IS NULL FROM thaw.safety"},
		{"/heals", url.Values{"account": {"h_EKCy2lRLef5NzHp0iw4A"}, "cap": {"5"}}, "/heals/1?done=heal", "SELECT cap = 5 AND actor = 'page' FROM thaw.heals"},
	} {
		got := d.post(t, c.path, c.form)
		require.Equal(t, http.StatusSeeOther, got.status, "%s: %s", c.path, got.text)
		// An action that can be undone is named in the address.
		require.Equal(t, c.to, regexp.MustCompile(`\.\d+`).ReplaceAllString(got.header.Get("Location"), ""), c.path)
		require.True(t, testdb.Value[bool](t, d.DB, c.check), c.path)
		got = d.get(t, got.header.Get("Location"))
		require.Equal(t, http.StatusOK, got.status)
		require.Contains(t, got.text, `<p class="notice" role="status">`, c.path)
	}
}

// Forms posted by a page of another site are rejected.
func TestFormsOfOtherSitesAreRejected(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, path := range []string{"/safety/enter", "/heals", d.Account(t, "h_bob") + "/pause", "/prospects/pause", "/campaigns/pause", "/workspaces/auto-resume"} {
		got := d.ask(t, http.MethodPost, path, "reason=x&enabled=on", http.Header{
			"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"},
		})
		require.Equal(t, http.StatusForbidden, got.status, path)
	}
	require.Equal(t, 1, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.manual_actions"))
}

// A form with a problem is shown again with what was entered.
func TestFormsKeepTheirInput(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for path, form := range map[string]url.Values{
		d.Account(t, "h_bob") + "/hold": {"reason": {`new "device"`}, "until": {"some day"}},
		"/prospects/pause":              {"url": {"https://x.example/<b>"}, "workspace": {"acme"}, "campaign": {"founders"}, "reason": {"asked by phone"}},
		"/workspaces/auto-resume":       {"workspace": {"nowhere"}, "enabled": {"off"}, "reason": {"an audit"}},
		"/heals":                        {"workspace": {"umbrella"}, "account": {"h_bob"}, "cap": {"77"}, "even_if_off": {"yes"}},
	} {
		got := d.post(t, path, form)
		require.GreaterOrEqual(t, got.status, 400, path)
		require.Less(t, got.status, 500, path)
		require.Contains(t, got.text, `<form class="stack" method="post" action="`+path+`">`)
		for name, values := range form {
			require.Regexp(t, `name="`+name+`" value="`+regexp.QuoteMeta(html.EscapeString(values[0]))+`"`, got.text, path)
		}
	}
	got := d.get(t, "/heals/new?workspace=umbrella&account=h_bob&cap=77&rate=10&even_if_off=yes")
	require.Equal(t, http.StatusBadRequest, got.status)
	require.Contains(t, got.text, "is in workspace &#34;acme&#34;, not in &#34;umbrella&#34;")
	for _, input := range []string{`name="workspace" value="umbrella"`, `name="account" value="h_bob"`, `name="cap" value="77"`, `name="rate" value="10"`, `name="even_if_off" value="yes" checked`} {
		require.Contains(t, got.text, input)
	}
}

// A wrong pause is undone from its notice, and the page of the action says what the undo restores.
func TestUndoFromThePages(t *testing.T) {
	t.Parallel()
	d := setup(t)
	bob := d.Account(t, "h_bob")
	paused := d.post(t, bob+"/pause", url.Values{"reason": {"the wrong one"}})
	require.Equal(t, http.StatusSeeOther, paused.status)
	link := regexp.MustCompile(`<a href="(/actions/\d+)">Undo</a>`).FindStringSubmatch(d.get(t, paused.header.Get("Location")).text)
	require.NotNil(t, link)
	page := d.get(t, link[1]).text
	require.Contains(t, page, "Restores 30 of 30 prospects")
	require.Contains(t, page, "the wrong one")
	undone := d.post(t, link[1]+"/undo", url.Values{"reason": {"a mistake"}})
	require.Equal(t, http.StatusSeeOther, undone.status, undone.text)
	require.Contains(t, d.get(t, undone.header.Get("Location")).text, "Undone. The undo is in the audit log.")
	require.Zero(t, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.enrollments WHERE paused_reason = 'paused_by_user'"))
	require.Contains(t, d.get(t, link[1]).text, "Already undone by <a")
	require.NotContains(t, d.get(t, bob).text, fmt.Sprintf(`href="%s#undo"`, link[1]), "an action that was undone")
	require.Equal(t, http.StatusConflict, d.post(t, link[1]+"/undo", url.Values{"reason": {"again"}}).status)
	require.Equal(t, http.StatusNotFound, d.get(t, "/actions/999").status)
}

// A heal is stopped and continued on its page.
func TestStopAndContinueHealOnItsPage(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, "SELECT thaw.heal('acme', reason => 'their backlog')")
	page := d.get(t, "/heals/1").text
	require.Contains(t, page, "their backlog")
	require.Regexp(t, `<a href="/jobs/jobs/\d+">`, page)
	require.Equal(t, http.StatusSeeOther, d.post(t, "/heals/1/stop", url.Values{"reason": {"a mistake"}}).status)
	page = d.get(t, "/heals/1").text
	require.Contains(t, page, "page: a mistake")
	require.Contains(t, page, "/heals/1/resume")
	require.Equal(t, http.StatusSeeOther, d.post(t, "/heals/1/resume", url.Values{"reason": {"checked"}}).status)
	require.Contains(t, d.get(t, "/heals/1").text, "/heals/1/stop")

	preview := d.get(t, "/heals/new?fleet=yes&rate=600&cap=").text
	require.Contains(t, preview, "in the whole fleet")
	started := d.post(t, "/heals", url.Values{"fleet": {"yes"}, "rate": {"600"}, "reason": {"the incident is over"}})
	require.Equal(t, http.StatusSeeOther, started.status, started.text)
	require.Contains(t, d.get(t, started.header.Get("Location")).text, "whole fleet")
}

// Every form leaves an entry in the audit log, with the reason.
func TestEveryFormIsRecorded(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, `INSERT INTO thaw.webhook_endpoints (url, disabled_at, disabled_reason) VALUES ('https://platform.example.com', thaw.now(), 'answered 410');
		INSERT INTO thaw.outbox (message_id, type, data) VALUES ('msg_1', 'test.ping', '{}')`)
	until := testdb.Value[time.Time](t, d.DB, "SELECT thaw.now() + interval '9 days'").UTC().Format("2006-01-02T15:04")
	prospect := url.Values{"url": {pagestest.OnLost}, "workspace": {"acme"}, "campaign": {"founders"}}
	campaign := url.Values{"workspace": {"acme"}, "campaign": {"founders"}}
	d.Exec(t, pagestest.Senders)
	unknown := d.Send(t, pagestest.Waits, "'unknown'")
	forms := []struct {
		pattern, path string
		form          url.Values
		what          string
	}{
		{"POST /accounts/{id}/hold", d.Account(t, "h_bob") + "/hold", url.Values{"until": {until}}, "held"},
		{"POST /accounts/{id}/hold/correct", d.Account(t, "h_bob") + "/hold/correct", url.Values{}, "hold_corrected"},
		{"POST /accounts/{id}/hold", d.Account(t, "h_bob") + "/hold", url.Values{"kind": {"inmail"}, "for": {"7d"}}, "kind_held"},
		{"POST /accounts/{id}/hold/correct", d.Account(t, "h_bob") + "/hold/correct", url.Values{"kind": {"inmail"}}, "kind_hold_corrected"},
		{"POST /accounts/{id}/limit", d.Account(t, "h_bob") + "/limit", url.Values{"kind": {"invite"}, "per_day": {"3"}}, "limit_set"},
		{"POST /accounts/{id}/limit", d.Account(t, "h_bob") + "/limit", url.Values{"kind": {"invite"}, "per_day": {""}}, "limit_set"},
		{"POST /accounts/{id}/pause", d.Account(t, "h_bob") + "/pause", url.Values{}, "paused"},
		{"POST /accounts/{id}/resume", d.Account(t, "h_bob") + "/resume", url.Values{"even_by_user": {"yes"}}, "resumed"},
		{"POST /prospects/pause", "/prospects/pause", prospect, "paused"},
		{"POST /prospects/resume", "/prospects/resume", prospect, "resumed"},
		{"POST /campaigns/pause", "/campaigns/pause", campaign, "paused"},
		{"POST /campaigns/resume", "/campaigns/resume", campaign, "resumed"},
		{"POST /actions/{id}/undo", "/actions/{last}/undo", url.Values{}, "undone"},
		{"POST /workspaces/auto-resume", "/workspaces/auto-resume", url.Values{"workspace": {"acme"}, "enabled": {"off"}}, "auto_resume_off"},
		{"POST /heals", "/heals", url.Values{"workspace": {"acme"}, "cap": {"5"}}, "heal_started"},
		{"POST /heals/{id}/stop", "/heals/1/stop", url.Values{}, "heal_stopped"},
		{"POST /heals/{id}/resume", "/heals/1/resume", url.Values{}, "heal_resumed"},
		{"POST /sending/{id}/settle", fmt.Sprintf("/sending/%d/settle", unknown), url.Values{"as": {"verified_sent"}}, "action_settled"},
		{"POST /safety/enter", "/safety/enter", url.Values{}, "safety_entered"},
		{"POST /safety/exit", "/safety/exit", url.Values{}, "safety_exited"},
		{"POST /messages/replay", "/messages/replay", url.Values{"message": {"msg_1"}}, "messages_replayed"},
		{"POST /messages/endpoints/{id}/enable", "/messages/endpoints/1/enable", url.Values{}, "endpoint_enabled"},
	}
	tested := map[string]bool{"POST /prospects/check": true} // reads only
	for _, c := range forms {
		tested[c.pattern] = true
		last := testdb.Value[int64](t, d.DB, "SELECT max(id) FROM thaw.manual_actions")
		form := url.Values{"reason": {"the reason of " + c.pattern}}
		maps.Copy(form, c.form)
		got := d.post(t, strings.ReplaceAll(c.path, "{last}", strconv.FormatInt(last, 10)), form)
		require.Equal(t, http.StatusSeeOther, got.status, "%s: %s", c.pattern, got.text)
		require.Equal(t, []string{c.what + " by page: " + form.Get("reason")}, testdb.Column[string](t, d.DB,
			"SELECT format('%s by %s: %s', what, actor, reason) FROM thaw.manual_actions WHERE id > $1 AND actor = 'page'", last), c.pattern)
	}
	for _, pattern := range pages.Patterns() {
		if strings.HasPrefix(pattern, "POST ") {
			require.True(t, tested[pattern], "add a form that tests the entry of %s in the audit log", pattern)
		}
	}
}
