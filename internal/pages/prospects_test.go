package pages_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/pages/pagestest"
	"github.com/thawline/thaw/internal/testdb"
)

// The list of paused prospects filters, counts, links, and exports what it shows.
func TestListOfPausedProspects(t *testing.T) {
	t.Parallel()
	d := setup(t)
	require.Contains(t, d.get(t, "/prospects").text, "No prospects are paused.")
	d.Work(t)
	for account, status := range map[string]string{"h_bob": "disconnected", "h_ann": "restricted", "h_zoe": "disconnected"} {
		d.Signal(t, account, status)
	}
	d.Settle(t)
	d.Advance(t, 25*time.Hour)
	d.Exec(t, "SELECT thaw.pause_account('h_old', 'on leave', 'ann')")

	for query, want := range map[string]struct {
		matching string
		shows    string
		hides    string
	}{
		"":                           {"115 prospects", "Next page", ""},
		"?reason=account_restricted": {"20 prospects", "in/ann-1<", "in/bob-1<"},
		"?reason=account_disconnected&workspace=acme": {"30 prospects", "in/bob-1<", "in/zoe-1<"},
		"?account=h_zoe":                   {"25 prospects", "in/zoe-1<", "in/bob-1<"},
		"?age=1d&workspace=acme":           {"50 prospects", "in/bob-1<", "in/old-1<"},
		"?workspace=acme&campaign=webinar": {"20 prospects", "in/ann-1<", "in/bob-1<"},
		"?age=1w&account=h_bob":            {"0 prospects", "No matching prospects", "in/bob-1<"},
		"?order=account":                   {"115 prospects", "Next page", ""},
	} {
		got := d.get(t, "/prospects"+query)
		require.Equal(t, http.StatusOK, got.status, query)
		require.Contains(t, got.text, "<strong>"+want.matching+"</strong>", query)
		require.Contains(t, got.text, want.shows, query)
		if want.hides != "" {
			require.NotContains(t, got.text, want.hides, query)
		}
	}
	for path, says := range map[string]string{
		"/prospects?age=1d":                  "cannot be filtered by age. Choose a workspace or an account.",
		"/prospects.csv?age=1d":              "cannot be filtered by age. Choose a workspace or an account.",
		"/prospects?order=longest":           "Choose a workspace or an account.",
		"/prospects?workspace=acme&age=soon": "is not a duration",
	} {
		got := d.get(t, path)
		require.Equal(t, http.StatusBadRequest, got.status, path)
		require.Contains(t, got.text, says, path)
	}
	require.Contains(t, d.get(t, "/prospects?workspace=acme").text, `<a href="/prospects?reason=account_restricted&amp;workspace=acme">account restricted</a>`)

	exported := d.get(t, "/prospects.csv?workspace=acme&reason=account_disconnected")
	require.Equal(t, "text/csv; charset=utf-8", exported.header.Get("Content-Type"))
	require.Equal(t, 31, strings.Count(exported.text, "\n"))
	require.Equal(t, exported.text, d.get(t, "/prospects.csv?workspace=acme&reason=linkedin_account_disconnected").text, "the deprecated reason")
	require.Contains(t, exported.text, "acme,h_bob,Bob Roe,founders,Founders in Berlin,https://www.linkedin.com/in/bob-1,account_disconnected,")
	require.Equal(t, 116, strings.Count(d.get(t, "/prospects.csv").text, "\n"), "more than a page")
	accounts := d.get(t, "/accounts.csv?status=restricted")
	require.Equal(t, 2, strings.Count(accounts.text, "\n"))
	require.Contains(t, accounts.text, "acme,linkedin,h_ann,Ann Poe,restricted,")

	byPaused := d.get(t, "/accounts?order=paused").text
	require.Less(t, strings.Index(byPaused, "Jane Doe (old)"), strings.Index(byPaused, "Bob Roe"))
	require.Less(t, strings.Index(byPaused, "Bob Roe"), strings.Index(byPaused, "Ann Poe"))
}

// A check answers each pasted line, says what is wrong with a line, and keeps its input if it
// refuses the list.
func TestCheckOfManyProspects(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Work(t)
	d.Signal(t, "h_bob", "disconnected")
	d.Settle(t)
	got := d.post(t, "/prospects/check", url.Values{"prospects": {"  " + pagestest.OnLost + "/?trk=x\r\n\"" + pagestest.Waits + "\",\n/in/bob-8.\nhttps://www.linkedin.com/in/unknown\n\n" + strings.Repeat("x", 2100)}})
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.text, "3 prospects of 5 lines found.")
	for _, says := range []string{"account not connected", "active", "not found", "at most 2000 are allowed"} {
		require.Contains(t, got.text, says)
	}
	require.Regexp(t, `<td data-label="Line" class="number">1</td><td data-label="Prospect" class="url"><a href="/prospects\?url=[^"]*bob-7">`, got.text)

	var many strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&many, "https://www.linkedin.com/in/p-%d\n", i)
	}
	refused := d.post(t, "/prospects/check", url.Values{"prospects": {many.String()}})
	require.Equal(t, http.StatusBadRequest, refused.status)
	require.Contains(t, refused.text, "The list has 1,001 lines. At most 1,000 can be checked at a time")
	require.Contains(t, refused.text, "https://www.linkedin.com/in/p-1000", "the form keeps its input")
	require.Equal(t, http.StatusBadRequest, d.post(t, "/prospects/check", url.Values{"prospects": {strings.Repeat("x\n", 1<<20)}}).status)
	require.Equal(t, http.StatusOK, d.post(t, "/prospects/check", url.Values{"prospects": {many.String()[:strings.Index(many.String(), "p-1000")-28]}}).status)
}

// A prospect's page has its name, an answer for the customer without IDs and in the owner's time
// zone, the history with who did what, and only actions that would change something.
func TestProspectPage(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, "UPDATE thaw.accounts SET timezone = 'Europe/Berlin' WHERE provider_account_id = 'h_bob'")
	path := "/prospects?url=" + url.QueryEscape(pagestest.OnLost)
	active := d.get(t, path).text
	require.Contains(t, active, "<h1>Bob</h1>")
	require.Contains(t, active, "Pause this prospect")
	require.NotContains(t, active, "Release this prospect")

	d.Work(t)
	d.Exec(t, "SELECT thaw.hold('h_bob', '2027-07-01T10:00:00Z', 'a new device', 'ann')")
	onHold := d.get(t, path).text
	require.Contains(t, onHold, `Account Bob Roe (h_bob) is on hold until <time datetime="2027-07-01T10:00:00Z">`)
	require.Contains(t, onHold, "Account Bob Roe is on hold until Thursday 1 July, 12:00 (Europe/Berlin)")
	d.Exec(t, "UPDATE thaw.accounts SET display_name = '' WHERE provider_account_id = 'h_bob'")
	require.Contains(t, d.get(t, path).text, "The account of this prospect is on hold until Thursday 1 July, 12:00 (Europe/Berlin)")
	d.Exec(t, "UPDATE thaw.accounts SET display_name = 'Bob Roe' WHERE provider_account_id = 'h_bob'")
	d.Signal(t, "h_bob", "disconnected")
	d.Settle(t)
	d.Exec(t, "SELECT thaw.pause_prospect($1, 'asked by phone', 'page:ann')", pagestest.OnLost)
	paused := d.get(t, path).text
	require.Contains(t, paused, "<strong>Paused</strong>: paused manually. By page:ann: asked by phone")
	action := testdb.Value[int64](t, d.DB, "SELECT max(id) FROM thaw.manual_actions")
	undo := fmt.Sprintf(`<a class="undo" href="/actions/%d#undo">Undo</a>`, action)
	require.Contains(t, paused, undo)
	require.Equal(t, 1, strings.Count(paused, ">Undo</a>"), "an event that no person caused has no undo")
	require.Contains(t, paused, "<h3>3 obstacles</h3>")
	for _, says := range []string{
		`<strong>paused manually</strong>`, `<a href="#release-`, `<strong>account not connected</strong>`,
		`<strong>account on hold</strong> until <time`, `<a href="` + d.Account(t, "h_bob") + `#hold">The hold</a>`,
	} {
		require.Contains(t, paused, says)
	}
	require.Contains(t, paused, "Release this prospect")
	require.NotContains(t, paused, "Pause this prospect")
	d.Exec(t, "UPDATE thaw.enrollments SET status = 'replied', paused_reason = NULL, paused_at = NULL WHERE prospect_url = $1", pagestest.OnLost)
	over := d.get(t, path).text
	require.NotContains(t, over, "Pause this prospect")
	require.NotContains(t, over, "Release this prospect")
}

// The account page shows all obstacles at once, who did what, and what an action would do.
func TestAccountPage(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Work(t)
	bob := d.Account(t, "h_bob")
	require.Contains(t, d.get(t, bob).text, "The account works, and none of its prospects is paused.")
	require.Contains(t, d.get(t, bob).text, "Pauses 30 prospects: 30 active, 0 waiting for an account")
	d.Signal(t, "h_bob", "disconnected")
	d.Settle(t)
	d.Exec(t, "SELECT thaw.hold('h_bob', thaw.now() + interval '2 days', 'a new device', 'cli:ann')")
	d.Exec(t, "SELECT thaw.safety_enter('an incident', 'ann', false)")
	got := d.get(t, bob).text
	for _, says := range []string{
		"<strong>Disconnected</strong>", "<strong>Account on hold</strong> until", "<strong>Safety mode</strong> since", "30 prospects paused.",
		"<strong>put on hold</strong>", "by cli:ann. Reason: a new device", ">Undo</a>", ", 30 prospects paused", "Signal <strong>disconnected</strong>: applied",
		`<a href="/prospects?account=h_bob&amp;reason=account_disconnected&amp;workspace=acme">account disconnected</a>`,
		"Pauses 30 prospects: 0 active, 30 waiting for an account", "No prospects of this account are paused manually",
	} {
		require.Contains(t, got, says)
	}
	actions := d.get(t, bob+"?show=actions").text
	require.Contains(t, actions, "<strong>put on hold</strong>")
	require.NotContains(t, actions, "Signal <strong>")

	old := d.Account(t, "h_old")
	d.Exec(t, "SELECT thaw.safety_exit('over', 'ann')")
	d.Signal(t, "h_old", "removed")
	d.Settle(t)
	require.Contains(t, d.get(t, old).text, "another account of the same person")
	require.Contains(t, d.get(t, old).text, "<strong>Took over:")
	require.Contains(t, d.get(t, d.Account(t, "h_EKCy2lRLef5NzHp0iw4A")).text, "Its prospects resume through this account")
}

// The page of a mailbox has the words of its provider.
func TestMailboxPage(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, "UPDATE thaw.accounts SET provider = 'email' WHERE provider_account_id = 'h_bob'")
	bob := d.Account(t, "h_bob")
	require.Contains(t, d.get(t, bob).text, "Email account <code>h_bob</code>")
	d.Exec(t, "SELECT thaw.signal('email', 'h_bob', 'oauth_expired')")
	got := d.get(t, bob).text
	require.Contains(t, got, "The sign-in of the mailbox has expired. The owner has to sign in again in the platform.")
	require.Contains(t, got, "The provider says: oauth_expired")
	require.NotContains(t, got, "reconnect the account")
	require.Contains(t, d.get(t, "/signals?account=h_bob").text, "oauth_expired", "the filter finds the provider")
}

// The buttons hold for a duration; the form takes a time in the viewer's time zone.
func TestHoldForms(t *testing.T) {
	t.Parallel()
	d := setup(t)
	bob := d.Account(t, "h_bob")
	until := func() time.Time {
		return testdb.Value[time.Time](t, d.DB, "SELECT hold_until FROM thaw.accounts WHERE provider_account_id = 'h_bob'").UTC()
	}
	now := testdb.Value[time.Time](t, d.DB, "SELECT thaw.now()").UTC()
	require.Equal(t, http.StatusSeeOther, d.post(t, bob+"/hold", url.Values{"reason": {"x"}, "for": {"3d"}}).status)
	require.WithinRange(t, until(), now.Add(72*time.Hour), now.Add(73*time.Hour))
	require.Equal(t, http.StatusSeeOther, d.post(t, bob+"/hold", url.Values{"reason": {"x"}, "for": {"1w"}}).status)
	require.WithinRange(t, until(), now.Add(168*time.Hour), now.Add(169*time.Hour))
	end := now.Add(20 * 24 * time.Hour)
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	require.Equal(t, http.StatusSeeOther, d.post(t, bob+"/hold", url.Values{
		"reason": {"x"}, "until": {end.In(berlin).Format("2006-01-02T15:04")}, "zone": {"Europe/Berlin"},
	}).status)
	require.Equal(t, end.Truncate(time.Minute), until())
	for _, form := range []url.Values{{"reason": {"x"}}, {"reason": {"x"}, "for": {"9y"}}} {
		require.Equal(t, http.StatusBadRequest, d.post(t, bob+"/hold", form).status)
	}
}

// The page of an active prospect shows the next action that Thaw schedules, and what holds it.
func TestNextActionOfAProspect(t *testing.T) {
	t.Parallel()
	d := setup(t)
	url := testdb.Value[string](t, d.DB, "SELECT prospect_url FROM thaw.enrollments WHERE status = 'active' AND account_id IS NOT NULL ORDER BY id LIMIT 1")
	page := "/prospects?url=" + url
	require.NotContains(t, d.get(t, page).text, "Next action")
	d.Exec(t, "UPDATE thaw.enrollments SET next_kind = 'invite', next_action_at = thaw.now() - interval '1 hour' WHERE prospect_url = $1", url)
	d.Exec(t, "UPDATE thaw.accounts SET timezone = NULL")
	d.Exec(t, "UPDATE thaw.campaigns SET status = 'running', paused_reason = NULL, paused_at = NULL")
	shown := d.get(t, page).text
	require.Contains(t, shown, "<dt>Next action</dt><dd>invite, expected ")
	require.Contains(t, shown, "held by <strong>missing time zone</strong>")
}
