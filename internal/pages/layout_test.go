package pages_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/pages/pagestest"
)

// everyPage has the path of each kind of page.
func (d *dashboard) everyPage(t *testing.T) []string {
	t.Helper()
	return []string{"/", "/accounts", d.Account(t, "h_bob"), "/sweeps", "/heals", "/workspaces", "/workspaces/acme", "/safety", "/audit",
		"/signals", "/messages", "/settings", "/search?q=h_", "/prospects?url=" + pagestest.OnLost, "/accounts/99"}
}

// Every page says that no worker process is alive, that safety mode is on and why, and that a
// provider is silent.
func TestEveryPageShowsTheBanner(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, path := range d.everyPage(t) {
		require.NotContains(t, d.get(t, path).text, "<strong>Safety mode is on</strong>", path)
	}
	d.Exec(t, "SELECT thaw.safety_enter('the provider has an incident', 'ann')")
	d.Exec(t, "INSERT INTO thaw.signal_sources (provider, last_signal_at) VALUES ('linkedin', thaw.now() - interval '5 hours')")
	d.Exec(t, `INSERT INTO thaw.signal_gaps (provider, day, longest)
		SELECT 'linkedin', (thaw.now() AT TIME ZONE 'UTC')::date - n, '10 minutes' FROM generate_series(1, 10) AS n`)
	for _, path := range d.everyPage(t) {
		page := d.get(t, path).text
		require.Contains(t, page, "<strong>Safety mode is on</strong>", path)
		require.Contains(t, page, "the provider has an incident", path)
		require.Contains(t, page, "No signals from provider linkedin", path)
		require.Contains(t, page, "<strong>No worker process is alive.</strong>", path)
	}
	d.Exec(t, "INSERT INTO thaw.river_leader (elected_at, expires_at, leader_id) VALUES (now(), now() + interval '1 minute', 'here')")
	require.NotContains(t, d.get(t, "/").text, "No worker process is alive")
}

// The theme that the viewer chose comes with the page, and no other value of the cookie does.
func TestThemeOfTheCookie(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for cookie, want := range map[string]string{"dark": `<html lang="en" data-theme="dark">`, "light": `<html lang="en" data-theme="light">`,
		"": `<html lang="en">`, "x": `<html lang="en">`} {
		got := d.ask(t, http.MethodGet, "/safety", "", http.Header{"Cookie": {"thaw_theme=" + cookie}})
		require.Contains(t, got.text, want)
	}
}

// A list is exported as CSV with the filters of its page.
func TestExport(t *testing.T) {
	t.Parallel()
	d := setup(t)
	got := d.get(t, "/sweeps.csv")
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "text/csv; charset=utf-8", got.header.Get("Content-Type"))
	require.Equal(t, `attachment; filename="sweeps.csv"`, got.header.Get("Content-Disposition"))
	require.Regexp(t, `^tick_at,accounts_planned,[a-z_,]+finished_at\n$`, got.text, "a list without rows has a header")

	d.Exec(t, `INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, finished_at)
		SELECT thaw.tick() - n * interval '15 minutes', 200, 2000, thaw.now() FROM generate_series(1, 450) AS n`)
	require.Equal(t, 451, strings.Count(d.get(t, "/sweeps.csv").text, "\n"), "more rows than a page")
	require.Contains(t, d.get(t, "/sweeps").text, `<a href="/sweeps.csv">Download as CSV</a>`)
}

// A browser gets a page for an address that does not exist; a program gets plain text.
func TestMissingPage(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, path := range []string{"/nothing-here", "/favicon.ico", "/webhooks/unipile/v9", "/heals/99"} {
		got := d.ask(t, http.MethodGet, path, "", http.Header{"Accept": {"text/html,*/*;q=0.8"}})
		require.Equal(t, http.StatusNotFound, got.status, path)
		require.Contains(t, got.text, "<h1>Page not found</h1>", path)
		require.Contains(t, got.text, `role="search"`, path)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		got := d.ask(t, method, "/nothing-here", "", nil)
		require.Equal(t, http.StatusNotFound, got.status)
		require.Equal(t, "404 page not found\n", got.text)
	}
	require.Equal(t, http.StatusMethodNotAllowed, d.ask(t, http.MethodPost, "/sweeps", "", nil).status)
}

// River UI has a link back, on each of its addresses.
func TestRiverUILinksBack(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, path := range []string{"/jobs/", "/jobs/queues", "/jobs/jobs/1"} {
		got := d.ask(t, http.MethodGet, path, "", http.Header{"Accept": {"text/html"}})
		require.Equal(t, http.StatusOK, got.status, path)
		require.Contains(t, got.text, ">Back to Thaw</a></body>", path)
	}
}
