package pages_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// attention returns the entries under "Needs attention", without markup.
func (d *dashboard) attention(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(d.get(t, "/").text, `<div id="fleet-attention" data-live>`)
	require.True(t, found)
	list, _, _ := strings.Cut(rest, "</div>")
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(list, " ")), " ")
}

// The fleet page says who needs help, the most urgent first, and links each entry to its list.
func TestFleetSaysWhoNeedsAttention(t *testing.T) {
	t.Parallel()
	d := setup(t)
	require.Contains(t, d.attention(t), "1 account stuck connecting")
	d.Exec(t, `
		UPDATE thaw.accounts SET status = 'disconnected' WHERE provider_account_id IN ('h_bob', 'h_old');
		UPDATE thaw.accounts SET status = 'restricted' WHERE provider_account_id = 'h_ann';
		UPDATE thaw.accounts SET locked_at = thaw.now(), locked_reason = 'locked' WHERE provider_account_id = 'h_zoe';
		UPDATE thaw.accounts SET resume_after = thaw.now() + interval '5 minutes' WHERE provider_account_id = 'h_EKCy2lRLef5NzHp0iw4A';
		SELECT thaw.hold('h_zoe', thaw.now() + interval '3 days', 'new device', 'ann');
		INSERT INTO thaw.webhook_endpoints (url, disabled_at, disabled_reason) VALUES ('https://example.com', thaw.now(), 'gone')`)
	// The accounts are counted with the forecast, which is kept for a few seconds.
	require.Eventually(t, func() bool { return strings.Contains(d.attention(t), "1 account restricted") }, 30*time.Second, 50*time.Millisecond)
	got := d.attention(t)
	last := -1
	for _, want := range []string{"1 account restricted", "2 accounts disconnected", "1 account stuck connecting", "1 account locked by the provider",
		"1 account flapping", "1 account on hold", "1 webhook endpoint disabled"} {
		at := strings.Index(got, want)
		require.Greater(t, at, last, "%s in: %s", want, got)
		last = at
	}
	for _, path := range regexp.MustCompile(`<span><a href="(/[^"]*)">`).FindAllStringSubmatch(d.get(t, "/").text, -1) {
		require.Equal(t, http.StatusOK, d.get(t, strings.ReplaceAll(path[1], "&amp;", "&")).status, path[1])
	}
}

// A kind that rests because of refusals needs a person. A limit of the provider ends by itself.
func TestFleetShowsKindsOnHoldAfterRefusals(t *testing.T) {
	t.Parallel()
	d := setup(t)
	hold := "SELECT thaw.hold_kind((SELECT id FROM thaw.accounts WHERE provider_account_id = $1), $2, thaw.now() + interval '5 hours', $3, 'why', 'sender')"
	d.Exec(t, hold, "h_bob", "invite", "limit_exceeded")
	require.NotContains(t, d.attention(t), "on hold after refusals")
	d.Exec(t, hold, "h_zoe", "invite", "refusals")
	d.Exec(t, hold, "h_zoe", "message", "refusals")
	require.Contains(t, d.attention(t), "1 account with a kind on hold after refusals")
	require.Contains(t, d.get(t, "/").text, `<a href="/accounts?blocked=refusals">`)
	list := d.get(t, "/accounts?blocked=refusals").text
	require.Contains(t, list, "<strong>1 account</strong> matches")
	require.Contains(t, list, "Zoe Low")
	d.Advance(t, 5*time.Hour)
	require.NotContains(t, d.attention(t), "on hold after refusals")
	require.NotContains(t, d.get(t, "/accounts?blocked=refusals").text, "Zoe Low")
}

// Every number of the fleet page links to the list of what it counts.
func TestFleetLinksToLists(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Story(t)
	page := d.get(t, "/").text
	links := regexp.MustCompile(`<span><a href="(/(?:prospects|accounts)\?[^"]*)">`).FindAllStringSubmatch(page, -1)
	require.GreaterOrEqual(t, len(links), 5)
	for _, link := range links {
		require.Equal(t, http.StatusOK, d.get(t, strings.ReplaceAll(link[1], "&amp;", "&")).status, link[1])
	}
	require.Contains(t, page, "There is a queue because at most 200 prospects per account and 2,000 fleet-wide are resumed per tick.")
	require.Regexp(t, `Done by <span class="big"><time class="ago" datetime="\d{4}-`, page)
	require.Contains(t, page, "process alive")
	for _, name := range []string{"day", "week", "month"} {
		chart := d.get(t, "/?range="+name)
		require.Equal(t, http.StatusOK, chart.status)
		require.Contains(t, chart.text, `<a href="/?range=`+name+`#chart" aria-current="true">`)
		require.Contains(t, chart.text, "ready to resume, ")
	}
	require.Equal(t, http.StatusBadRequest, d.get(t, "/?range=decade").status)
}
