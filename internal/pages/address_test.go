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

	"github.com/thawline/thaw/internal/testdb"
)

// hostile are keys that lead elsewhere if they are put into a path, a query, an attribute or a
// script unescaped.
var hostile = []string{
	"../../../heals?workspace=victim&cap=100000", "..%2f..%2fheals", "a/b", "a?b=c", "a#b", `"><script>alert(1)</script>`, "a&workspace=victim",
	"javascript:alert(1)", "//evil.example/x", `\\evil.example\x`, "a b+c%20d", "%2e%2e", "heals",
}

var (
	links = regexp.MustCompile(` (?:href|action|src)="([^"]*)"`)
	forms = regexp.MustCompile(`(?s)<form class="stack" method="post" action="(/campaigns/[^"]*)">(.*?)</form>`)
	given = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// asBrowser resolves an address like a browser, which treats backslashes as slashes and escaped
// dots as dots.
func (d *dashboard) asBrowser(t *testing.T, page, address string) *url.URL {
	t.Helper()
	address = html.UnescapeString(address)
	path, rest, _ := strings.Cut(address, "?")
	path = regexp.MustCompile(`(?i)%2e`).ReplaceAllString(strings.ReplaceAll(path, `\`, "/"), ".")
	base, err := url.Parse(d.URL + page)
	require.NoError(t, err)
	to, err := base.Parse(path)
	require.NoError(t, err)
	to.RawQuery = rest
	return to
}

// The links and forms of a page lead to the right workspace or campaign for any key.
func TestLinksWithHostileKeys(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('victim')")
	for i, key := range hostile {
		d.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ($1)", key)
		d.Exec(t, "INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT id, $1, 'running' FROM thaw.workspaces WHERE key = $1", key)
		d.Exec(t, "INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name) SELECT id, $1, $1 FROM thaw.workspaces WHERE key = $2",
			fmt.Sprint("x", i, key), key)
	}
	reached := map[string]bool{}
	for _, page := range []string{"/workspaces", "/accounts", "/search?q=x", "/search?q=a", "/search?q=" + url.QueryEscape("../"), "/"} {
		got := d.get(t, page)
		require.Contains(t, []int{http.StatusOK, http.StatusSeeOther}, got.status, page)
		for _, match := range links.FindAllStringSubmatch(got.text, -1) {
			to := d.asBrowser(t, page, match[1])
			require.Equal(t, d.URL, "http://"+to.Host, "%s: %s", page, match[1])
			if key, ok := strings.CutPrefix(to.EscapedPath(), "/workspaces/"); ok {
				name, err := url.PathUnescape(key)
				require.NoError(t, err)
				require.Equal(t, 1, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.workspaces WHERE key = $1", name), match[1])
				reached[name] = true
			}
		}
	}
	for i, key := range hostile {
		require.True(t, reached[key], "no link leads to %q", key)
		page := "/workspaces/" + url.PathEscape(key)
		got := d.get(t, page)
		require.Equal(t, http.StatusOK, got.status, page)
		require.Contains(t, html.UnescapeString(got.text), "<title>Workspace "+key, page)
		form := forms.FindStringSubmatch(got.text)
		require.NotNil(t, form, page)
		values := url.Values{"reason": {fmt.Sprint("pause ", i)}}
		for _, input := range given.FindAllStringSubmatch(form[2], -1) {
			values.Set(html.UnescapeString(input[1]), html.UnescapeString(input[2]))
		}
		to := d.asBrowser(t, page, form[1])
		pressed := d.post(t, to.RequestURI(), values)
		require.Equal(t, http.StatusSeeOther, pressed.status, "%s: %s", key, pressed.text)
		back := d.asBrowser(t, "/", pressed.header.Get("Location"))
		require.Equal(t, d.URL, "http://"+back.Host)
		require.Equal(t, http.StatusOK, d.get(t, back.RequestURI()).status)
		require.Equal(t, "paused", testdb.Value[string](t, d.DB, "SELECT status::text FROM thaw.campaigns WHERE key = $1", key))
	}
	require.Zero(t, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.heals"))
	require.Equal(t, len(hostile), testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.manual_actions WHERE what = 'paused'"))
}

// Query parameters, which another site may have put into a link, are not part of a form.
func TestFormsIgnoreQueryParameters(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for path, status := range map[string]int{
		"/heals?workspace=acme&cap=5":                                       http.StatusBadRequest,
		"/safety/enter?reason=x":                                            http.StatusBadRequest,
		d.Account(t, "h_bob") + "/pause?reason=x":                           http.StatusBadRequest,
		d.Account(t, "h_bob") + "/hold?reason=x&until=2026-12-01T00:00":     http.StatusBadRequest,
		"/prospects/pause?url=x&workspace=acme&campaign=founders&reason=x":  http.StatusBadRequest,
		"/campaigns/pause?workspace=acme&campaign=founders&reason=x":        http.StatusBadRequest,
		"/workspaces/auto-resume?workspace=acme&enabled=off":                http.StatusBadRequest,
		"/workspaces/acme/campaigns/founders/pause?workspace=acme&reason=x": http.StatusMethodNotAllowed,
	} {
		got := d.post(t, path, url.Values{})
		if status == http.StatusMethodNotAllowed {
			require.Contains(t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, got.status, path)
			continue
		}
		require.Equal(t, status, got.status, "%s: %s", path, got.text)
	}
	require.Zero(t, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.heals"))
	require.Equal(t, 1, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.manual_actions"), "only the action of the fleet setup")
}

func TestQueryParameterLength(t *testing.T) {
	t.Parallel()
	d := setup(t)
	long := strings.Repeat("x", 3000)
	for _, path := range []string{"/search?q=", "/accounts?workspace=", "/accounts?cursor=", "/prospects?url=", "/heals/new?cap=1&account="} {
		require.Equal(t, http.StatusBadRequest, d.get(t, path+long).status, path)
	}
}
