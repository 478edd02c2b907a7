package pages_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/pages/pagestest"
	"github.com/thawline/thaw/internal/testdb"
)

// choices returns the values of a filter on a page.
func choices(t *testing.T, page, name string) []string {
	t.Helper()
	_, rest, found := strings.Cut(page, `<select name="`+name+`">`)
	require.True(t, found, "the page has no filter %s", name)
	list, _, _ := strings.Cut(rest, "</select>")
	var values []string
	for _, part := range strings.Split(list, `<option value="`)[1:] {
		value, _, _ := strings.Cut(part, `"`)
		if value != "" {
			values = append(values, value)
		}
	}
	slices.Sort(values)
	return values
}

// The filters have every value of the database: package enum is generated from it.
func TestFiltersAreComplete(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for path, filter := range map[string]struct {
		name   string
		values []string
	}{
		"/audit":    {"what", enum.Names(enum.ActionKinds)},
		"/signals":  {"outcome", enum.Names(enum.SignalOutcomes)},
		"/messages": {"state", enum.Names(enum.DeliveryStates)},
		"/accounts": {"status", enum.Names(enum.AccountStatuses)},
		"/sending":  {"state", enum.Names(enum.ActionStates)},
	} {
		require.ElementsMatch(t, filter.values, choices(t, d.get(t, path).text, filter.name), path)
	}
}

// The audit log shows who did what to what and why, and each filter selects.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, `SELECT thaw.pause_account('h_bob', 'asked by phone', 'ann'), thaw.pause_campaign('acme', 'founders', 'wrong text', 'ben'),
		thaw.pause_prospect('`+pagestest.OnLost+`', 'has answered', 'ann')`)
	page := d.get(t, "/audit").text
	for _, want := range []string{"asked by phone", "wrong text", "has answered", "Bob Roe", "asked by their lawyer", `<a href="/audit?actor=ann">ann</a>`} {
		require.Contains(t, page, want)
	}
	for query, want := range map[string][]string{
		"actor=ann":                 {"asked by phone", "has answered"},
		"actor=ben":                 {"wrong text"},
		"what=paused":               {"asked by phone", "wrong text", "has answered"},
		"workspace=acme":            {"asked by phone", "wrong text"},
		"actor=ann&workspace=acme":  {"asked by phone"},
		"period=day":                {"asked by phone", "wrong text", "has answered", "asked by their lawyer"},
		"what=settings_changed":     {},
		"actor=nothing&period=year": {},
	} {
		page := d.get(t, "/audit?"+query).text
		exported := d.get(t, "/audit.csv?"+query).text
		require.Equal(t, len(want)+1, strings.Count(exported, "\n"), "%s: %s", query, exported)
		for _, reason := range []string{"asked by phone", "wrong text", "has answered", "asked by their lawyer"} {
			require.Equal(t, slices.Contains(want, reason), strings.Contains(page, reason), "%s: %s", query, reason)
			require.Equal(t, slices.Contains(want, reason), strings.Contains(exported, reason), "%s: %s", query, reason)
		}
	}
	require.Equal(t, http.StatusBadRequest, d.get(t, "/audit?period=century").status)
	require.Equal(t, http.StatusBadRequest, d.get(t, "/audit?workspace=nowhere").status)
}

// The page of signals has every delivery, also of unknown accounts, with its body; a filter that
// matches little continues with older deliveries.
func TestSignals(t *testing.T) {
	t.Parallel()
	d := setup(t)
	require.Contains(t, d.get(t, "/signals").text, "No deliveries yet")
	d.Exec(t, `SELECT thaw.receive_signal('linkedin', 'h_nowhere', 'OK', 'connected', NULL, NULL, NULL, false, '{"n": "the body"}'),
		thaw.receive_signal('linkedin', 'h_bob', 'CREDENTIALS', 'disconnected', NULL, NULL, NULL, false, NULL)`)
	page := d.get(t, "/signals").text
	require.Contains(t, page, "no such account")
	require.Contains(t, page, "Bob Roe")
	require.Contains(t, page, "CREDENTIALS")
	require.NotContains(t, d.get(t, "/signals?outcome=unknown_account").text, "Bob Roe")
	require.Contains(t, d.get(t, "/signals?account=h_bob").text, "Bob Roe")
	require.NotContains(t, d.get(t, "/signals?account=h_bob").text, "no such account")
	require.Contains(t, d.get(t, "/signals?provider=other").text, "No matching deliveries")

	first := d.get(t, fmt.Sprint("/signals/", testdb.Value[int64](t, d.DB, "SELECT min(id) FROM thaw.account_signals")))
	require.Contains(t, first.text, "the body")
	require.Contains(t, d.get(t, fmt.Sprint("/signals/", testdb.Value[int64](t, d.DB, "SELECT max(id) FROM thaw.account_signals"))).text, "No body was kept")
	require.Equal(t, http.StatusNotFound, d.get(t, "/signals/999999").status)

	d.Exec(t, `INSERT INTO thaw.account_signals (provider, provider_account_id, raw_status, outcome)
		SELECT 'linkedin', 'h_bob', 'other', 'ignored' FROM generate_series(1, 2500)`)
	page = d.get(t, "/signals?outcome=unknown_account").text
	require.Contains(t, page, "Searched back to")
	_, next, found := strings.Cut(page, `<a href="/signals?cursor=`)
	require.True(t, found)
	next, _, _ = strings.Cut(next, `"`)
	require.Contains(t, d.get(t, "/signals?cursor="+strings.ReplaceAll(next, "&amp;", "&")).text, "h_nowhere")
}

// The page of webhooks shows endpoints without their secrets, and each delivery with its last
// error. A failed message can be sent again, and a disabled endpoint enabled.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	d := setup(t)
	require.Contains(t, d.get(t, "/messages").text, "No endpoint is registered")
	d.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com/thaw?key=s3cret')")
	d.Exec(t, "SELECT thaw.publish('test.ping', p_account_id => (SELECT id FROM thaw.accounts WHERE provider_account_id = 'h_bob'))")
	d.Exec(t, "UPDATE thaw.webhook_deliveries SET state = 'failed', next_attempt_at = NULL, attempts = 12, last_status = 500, last_error = 'the endpoint answered 500'")
	d.Exec(t, "UPDATE thaw.webhook_endpoints SET disabled_at = thaw.now(), disabled_reason = 'it answered 410 Gone'")
	page := d.get(t, "/messages").text
	for _, want := range []string{"https://platform.example.com/thaw?…", "it answered 410 Gone", "test.ping", "12 attempts, status 500: the endpoint answered 500", "h_bob"} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "s3cret")
	require.Contains(t, d.get(t, "/messages?state=failed").text, "test.ping")
	require.NotContains(t, d.get(t, "/messages?state=delivered").text, "test.ping")
	require.Equal(t, http.StatusBadRequest, d.get(t, "/messages?state=lost").status)

	state := func() string { return testdb.Value[string](t, d.DB, "SELECT state::text FROM thaw.webhook_deliveries") }
	id := testdb.Value[string](t, d.DB, "SELECT message_id FROM thaw.outbox")
	reason := url.Values{"reason": {"it is back"}}
	replay := url.Values{"message": {id}, "reason": {"it is back"}}
	require.Equal(t, "/messages?done=nothing", d.post(t, "/messages/replay", replay).header.Get("Location"), "no endpoint is enabled")
	endpoint := fmt.Sprintf("/messages/endpoints/%d/enable", testdb.Value[int64](t, d.DB, "SELECT id FROM thaw.webhook_endpoints"))
	require.Equal(t, "/messages?done=endpoint-enabled", d.post(t, endpoint, reason).header.Get("Location"))
	require.Equal(t, "/messages?done=replayed", d.post(t, "/messages/replay", replay).header.Get("Location"))
	require.Equal(t, "waiting", state())
	d.Exec(t, "UPDATE thaw.webhook_deliveries SET state = 'failed', next_attempt_at = NULL")
	require.Equal(t, "/messages?done=replayed", d.post(t, "/messages/replay", url.Values{"since": {"24h"}, "reason": {"it is back"}}).header.Get("Location"))
	require.Equal(t, "waiting", state())

	for _, since := range []string{"", "x", "7"} {
		require.Equal(t, http.StatusBadRequest, d.post(t, "/messages/replay", url.Values{"since": {since}, "reason": {"x"}}).status, since)
	}
	require.Equal(t, http.StatusNotFound, d.post(t, "/messages/replay", url.Values{"message": {"msg_unknown"}, "reason": {"x"}}).status)
	require.Equal(t, http.StatusNotFound, d.post(t, "/messages/endpoints/99/enable", reason).status)
	require.Contains(t, d.post(t, "/messages/replay", url.Values{"message": {id}}).text, "No reason was given")
	require.Equal(t, []string{"messages_replayed by page: message " + id, "endpoint_enabled by page: https://platform.example.com/thaw?…"},
		testdb.Column[string](t, d.DB, "SELECT format('%s by %s: %s', what, actor, detail) FROM thaw.manual_actions WHERE detail IS NOT NULL ORDER BY id LIMIT 2"))
}

// The page of settings says what each setting is, what it would be by default, and who changed it.
func TestSettings(t *testing.T) {
	t.Parallel()
	d := setup(t)
	require.NotContains(t, d.get(t, "/settings").text, ">database<")
	d.Exec(t, "UPDATE thaw.settings SET fleet_cap = 3000, keep_history = '500 days', changed_at = thaw.now(), changed_by = 'flags:ann@host'")
	page := d.get(t, "/settings").text
	require.Regexp(t, `<code class="nowrap">--fleet-cap</code></td>.*<strong>3,000</strong></td>.*>2,000</td>.*>database</td>.* by flags:ann@host, from 2000</td>`, page)
	require.Regexp(t, `<code class="nowrap">--keep-history</code></td>.*<strong>500 days</strong></td>.*>400 days</td>.*>database</td>`, page)
	require.Regexp(t, `<code class="nowrap">--tick</code></td>.*<strong>15 minutes</strong></td>.*>15 minutes</td>.*>default</td>.*>–</td>`, page)
	require.Regexp(t, `<code class="nowrap">--push-actions</code></td>.*<strong>off</strong></td>.*>off</td>.*>default</td>`, page)
	require.Equal(t, testdb.Value[int](t, d.DB, "SELECT count(*) - 3 FROM information_schema.columns WHERE table_schema = 'thaw' AND table_name = 'settings'"),
		strings.Count(page, `<code class="nowrap">--`), "all settings, and none of a process without flags")
}
