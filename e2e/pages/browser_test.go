// Package pages tests the pages of Thaw in Chromium, and their accessibility with axe-core. .ci/run
// installs both.
package pages_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/pages/pagestest"
	"github.com/thawline/thaw/internal/testdb"
)

// update makes the tests write the screenshots in docs/screenshots.
var update = flag.Bool("update", false, "write the screenshots in docs/screenshots")

// browser returns the context of a real Chromium that runs until the test ends.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	require.NotEmpty(t, path, "Chromium is missing: .ci/run installs it")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WindowSize(1440, 1000))
	allocated, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(end)
	ctx, end := chromedp.NewContext(allocated, chromedp.WithErrorf(t.Logf))
	t.Cleanup(end)
	ctx, end = context.WithTimeout(ctx, 8*time.Minute)
	t.Cleanup(end)
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

func run(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(ctx, actions...))
}

// value runs an action that returns a value.
func value[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(ctx, action)
	require.NoError(t, err)
	return got
}

// send sends a command of the browser's protocol.
func send[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, command, params)
		return err
	})
}

// until waits until a JavaScript expression is true.
func until(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](expression)
}

// text returns the text of the first element that matches.
func text(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	return read(t, ctx, selector, "innerText")
}

// attribute returns an attribute of the first element that matches.
func attribute(t *testing.T, ctx context.Context, selector, name string) string {
	t.Helper()
	return read(t, ctx, selector, "getAttribute("+asJSON(t, name)+")")
}

// read waits for an element and reads it in the same step, because a live page may replace it in
// between.
func read(t *testing.T, ctx context.Context, selector, what string) string {
	t.Helper()
	found := value(t, ctx, chromedp.Poll[struct{ Value string }](
		fmt.Sprintf("(e => e && {value: e.%s})(document.querySelector(%s))", what, asJSON(t, selector))))
	return found.Value
}

// shown waits until the page contains a text.
func shown(t *testing.T, ctx context.Context, want string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			where, _ := chromedp.Run(ctx, chromedp.Location())
			said, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
			t.Logf("%s says: %s", where, said)
		}
	})
	said := fmt.Sprintf("document.querySelector('main')?.innerText.includes(%s) ?? false", asJSON(t, want))
	require.Eventually(t, func() bool {
		isThere, err := chromedp.Run(ctx, chromedp.Evaluate[bool](said))
		return err == nil && isThere // it fails while the browser navigates to another page
	}, 30*time.Second, 20*time.Millisecond, "waiting for: %s", want)
}

// widths are the tested viewport widths: wide and narrow.
var widths = []int64{1440, 360}

// look checks the rendered page in both widths and both color schemes: axe reports no violations,
// and nothing is wider than the viewport. With -update it takes screenshots.
func look(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	axe := axeSource(t)
	for _, width := range widths {
		for _, scheme := range []string{"light", "dark"} {
			run(t, ctx, chromedp.EmulateViewport(width, 1000),
				send(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				}))
			where := fmt.Sprintf("%s, %d wide, %s", name, width, scheme)

			tooWide := value(t, ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll("body *")].filter(e => !e.parentElement.closest(".scroll, .skip") &&
				!e.matches(".skip") && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(e => e.outerHTML.slice(0, 200))`))
			require.Empty(t, tooWide, "%s: wider than the screen", where)

			run(t, ctx, chromedp.Evaluate[chromedp.Void](axe))
			violations := value(t, ctx, chromedp.Evaluate[[]string](`axe.run().then(r => r.violations.map(v =>
				v.id + ": " + v.help + " " + v.nodes.map(n => n.html).join(" | ")))`, chromedp.EvalAwaitPromise))
			require.Empty(t, violations, where)

			if *update && name != "" {
				photograph(t, ctx, name, width, scheme)
			}
		}
	}
	run(t, ctx, chromedp.EmulateViewport(1440, 1000), send(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}))
}

// photograph saves a screenshot of the wide page in light mode and of the narrow page in dark mode.
func photograph(t *testing.T, ctx context.Context, name string, width int64, scheme string) {
	t.Helper()
	suffix := map[string]string{"1440 light": "", "360 dark": "-narrow"}[fmt.Sprint(width, " ", scheme)]
	if suffix == "" && width != 1440 || scheme == "dark" && width == 1440 {
		return
	}
	run(t, ctx, chromedp.EmulateViewport(width, 1400))
	picture := value(t, ctx, chromedp.CaptureScreenshot())
	folder := filepath.Join("..", "..", "docs", "screenshots")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, name+suffix+".png"), picture, 0o600))
}

func axeSource(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", ".bin", "node_modules", "axe-core", "axe.min.js"))
	require.NoError(t, err, "axe-core is missing: .ci/tools installs it")
	return string(source)
}

// Every page renders in a browser without accessibility violations.
func TestEveryPageInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	d := pagestest.Setup(t)
	d.Exec(t, pagestest.Senders)
	unknown := fmt.Sprint("/sending/", d.Send(t, pagestest.Waits, "'unknown', error_code => 'timeout'"))
	d.Send(t, pagestest.OfZoe, "'sent', provider_ref => 'invite_2d80f2'")
	d.Story(t)
	// Prospects that have not started, and that move to the account of the same person.
	d.Exec(t, `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
		SELECT a.workspace_id, c.id, a.id, 'pending', 'https://www.linkedin.com/in/new-' || i
		FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.key = 'founders', generate_series(1, 12) AS i
		WHERE a.provider_account_id = 'h_old'`)

	run(t, ctx, chromedp.Navigate(d.URL+"/"))
	shown(t, ctx, "Longest queues")
	run(t, ctx, until("document.getElementById('live-state').textContent === 'live'")) // the content security policy allows it
	require.Contains(t, text(t, ctx, "#fleet-queues"), "Jane Doe")
	require.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$`, attribute(t, ctx, "#fleet-queues time", "title"))
	require.NotContains(t, text(t, ctx, "#fleet-queues time"), "UTC", "the viewer's time zone")
	require.Contains(t, text(t, ctx, "[data-countdown]"), "in ")
	look(t, ctx, "fleet")

	d.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com/thaw')")
	d.Exec(t, "SELECT thaw.publish('test.ping', p_account_id => a.id) FROM thaw.accounts AS a WHERE a.display_name <> ''")
	d.Exec(t, `UPDATE thaw.webhook_deliveries SET attempts = 12, last_status = 500, last_attempt_at = thaw.now(), last_error = 'the endpoint answered 500',
		state = 'failed', next_attempt_at = NULL WHERE outbox_id % 2 = 0`)
	for path, page := range map[string]struct{ name, says string }{
		"/accounts":                            {"accounts", "Bob Roe"},
		"/accounts?status=removed":             {"", "Jane Doe (old)"},
		d.Account(t, "h_EKCy2lRLef5NzHp0iw4A"): {"account", "Resume schedule"},
		d.Account(t, "h_bob"):                  {"", "Bob Roe"},
		"/sweeps":                              {"sweeps", "Each tick has one sweep"},
		"/heals":                               {"heals", "No heals yet"},
		"/heals/new?workspace=acme&cap=50":     {"heal-new", "this heal would resume 50 of"},
		"/workspaces":                          {"workspaces", "Acme Corporation"},
		"/workspaces/acme":                     {"workspace", "Founders in Berlin"},
		"/workspaces/umbrella":                 {"", "Auto-resume is off"},
		"/safety":                              {"safety", "Safety mode is off"},
		"/audit":                               {"audit", "asked by their lawyer"},
		"/signals":                             {"signals", "Every delivery"},
		"/signals/1":                           {"", "No body was kept"},
		"/messages":                            {"messages", "test.ping"},
		"/settings":                            {"settings", "--fleet-cap"},
		"/sending":                             {"", "invite_2d80f2"},
		unknown:                                {"sending-action", "What the provider shows"},
		unknown + "/settle?as=verified_sent&reason=seen": {"", "This cannot be undone"},
		"/nothing-here":     {"", "Page not found"},
		"/search?q=j":       {"search", "Jane Doe"},
		"/prospects":        {"prospects", "account disconnected"},
		"/prospects/check":  {"check", "Check many prospects"},
		"/search?q=unknown": {"", "No results for"},
		"/prospects?url=" + url.QueryEscape(pagestest.OnLost): {"", "is disconnected"},
		"/prospects?url=https://example.com/unknown":          {"", "No campaign has a prospect with this URL"},
	} {
		run(t, ctx, chromedp.Navigate(d.URL+path))
		shown(t, ctx, page.says)
		if page.name != "" {
			look(t, ctx, page.name)
		}
	}
}

// The pages of sending, for accounts in different states.
func TestSendingInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	d := pagestest.Setup(t)
	d.Work(t)
	d.LetSend(t)
	prospect := func(account string, n int) string {
		return "/prospects?url=" + url.QueryEscape(pagestest.Prospect(account, n))
	}
	for _, page := range []struct{ path, photo, says string }{
		{d.Account(t, pagestest.FullCap) + "#sending", "account-sending", "30 of 30"},
		{d.Account(t, pagestest.NoZone), "", "so nothing is sent"},
		{d.Account(t, pagestest.KindHeld), "", "stop InMails for a week"},
		{d.Account(t, pagestest.AtNight), "", "(Asia/Tokyo)"},
		{d.Account(t, pagestest.Doubtful), "", "3 actions may have been delivered"},
		{prospect(pagestest.FullCap, 33), "prospect-sending", "held by daily cap (30 of 30). 2 other invites are due before it"},
		{prospect(pagestest.Doubtful, 1), "", "held by unknown outcome"},
		{"/sending", "sending", "invite_h_stella_5"},
		{"/sending?state=unknown", "", "timeout"},
		{"/#sending", "", "actions unknown"},
	} {
		run(t, ctx, chromedp.Navigate(d.URL+page.path))
		shown(t, ctx, page.says)
		look(t, ctx, page.photo)
	}
}

// After a lost connect signal, an operator finds the prospect from the search box by keyboard, sees
// why it waits and until when, and then sees it resume without reloading the page.
func TestLostSignalInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	d := pagestest.Setup(t)
	d.Story(t)

	run(t, ctx, chromedp.Navigate(d.URL+"/"), chromedp.Focus(chromedp.CSS("input[name=q]")),
		chromedp.SendKeys(chromedp.CSS("input[name=q]"), "linkedin.com/in/EKCy2lRLef5NzHp0iw4A-420/?trk=x\r"))
	shown(t, ctx, "is connected. This prospect is number")
	require.Contains(t, text(t, ctx, "#answer-0"), "waiting for sweep")
	require.Contains(t, text(t, ctx, "#history-0"), "account disconnected")
	look(t, ctx, "prospect")

	job := attribute(t, ctx, "#history-0 a[href^='/jobs/jobs/']", "href")
	d.Tick(t)
	d.Tick(t)
	shown(t, ctx, "is not paused. It is active")
	run(t, ctx, chromedp.Navigate(d.URL+job), chromedp.WaitVisible("//*[contains(text(), 'pause_account')]"))
}

func TestHealInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	d := pagestest.Setup(t)
	d.Story(t)

	run(t, ctx, chromedp.Navigate(d.URL+"/heals"),
		chromedp.SendKeys(chromedp.CSS("input[name=workspace]"), "acme"),
		chromedp.SetValue(chromedp.CSS("input[name=cap]"), "100"),
		chromedp.Click(chromedp.CSS("main form button")))
	shown(t, ctx, "this heal would resume 100 of")
	require.Zero(t, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.heals"), "a preview changes nothing")
	run(t, ctx, chromedp.Click(chromedp.CSS("main form button")))
	shown(t, ctx, "Heal queued.")
	shown(t, ctx, "remaining: start another heal")
	require.Contains(t, text(t, ctx, "#heal"), "done")
	run(t, ctx, until("!document.body.innerText.includes('Stop this heal')")) // its action goes with its status
	require.Equal(t, 100, testdb.Value[int](t, d.DB, "SELECT resumed FROM thaw.heals"))
	look(t, ctx, "heal")
}

func TestSafetyModeInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	d := pagestest.Setup(t)
	d.Story(t)
	other, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	run(t, other, chromedp.Navigate(d.URL+"/"))
	shown(t, other, "Safety mode is off.")

	submit := func(reason string) {
		t.Helper()
		run(t, ctx, chromedp.SendKeys(chromedp.CSS("main input[name=reason]"), reason), chromedp.Click(chromedp.CSS("main form button")))
	}
	run(t, ctx, chromedp.Navigate(d.URL+"/safety"))
	submit("the provider has announced an incident")
	shown(t, ctx, "Safety mode is on. Entered")
	shown(t, other, "Safety mode is on. Entered") // other open pages are updated
	look(t, ctx, "safety-on")
	run(t, other, chromedp.Navigate(d.URL+"/prospects?"+url.Values{"url": {pagestest.Waits}}.Encode()))
	shown(t, other, "Safety mode is on (the provider has announced an incident): nothing is sent")

	submit("the provider says that it is over")
	shown(t, ctx, "Safety mode is off. The next sweep resumes prospects within its caps.")
	require.Equal(t, []string{"safety_entered by page", "safety_exited by page"},
		testdb.Column[string](t, d.DB, "SELECT what || ' by ' || actor FROM thaw.manual_actions WHERE what LIKE 'safety%' ORDER BY id"))
	shown(t, other, "is connected. This prospect is number")
}

// The keyboard reaches the search box and the help, the chosen theme stays, and paused updates stop
// until they are resumed.
func TestLayoutInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	d := pagestest.Setup(t)
	d.Work(t)

	run(t, ctx, chromedp.Navigate(d.URL+"/safety"), chromedp.WaitVisible(chromedp.CSS("#hold-updates")))
	run(t, ctx, chromedp.KeyEvent("?"), chromedp.WaitVisible(chromedp.CSS("#help")), chromedp.KeyEvent(kb.Escape))
	run(t, ctx, until("!document.getElementById('help').open"))
	run(t, ctx, chromedp.KeyEvent("/"), until("document.activeElement.name === 'q'"))
	run(t, ctx, chromedp.KeyEvent("a/?b"), until("document.activeElement.value.endsWith('a/?b')")) // text in a field

	run(t, ctx, chromedp.Evaluate[chromedp.Void](`(t => { t.value = "dark"; t.dispatchEvent(new Event("change")) })(document.getElementById("theme"))`))
	for _, path := range []string{"/accounts", "/safety"} {
		run(t, ctx, chromedp.Navigate(d.URL+path), until(`document.documentElement.dataset.theme === "dark"`))
	}

	run(t, ctx, until("document.getElementById('live-state').textContent === 'live'"), chromedp.Click(chromedp.CSS("#hold-updates")))
	other, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	run(t, other, chromedp.Navigate(d.URL+"/safety"))
	d.Exec(t, "SELECT thaw.safety_enter('an incident', 'ann')")
	shown(t, other, "Safety mode is on")
	require.NotContains(t, text(t, ctx, "main"), "Safety mode is on")
	require.Equal(t, "paused", text(t, ctx, "#live-state"))
	run(t, ctx, chromedp.Click(chromedp.CSS("#hold-updates")))
	shown(t, ctx, "Safety mode is on")
}

// Pages have the same content without JavaScript, with times in UTC.
func TestPagesWorkWithoutJavaScript(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	d := pagestest.Setup(t)
	d.Story(t)
	run(t, ctx, send(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(d.URL+"/"),
		chromedp.SendKeys(chromedp.CSS("input[name=q]"), "h_bob\r"), chromedp.WaitVisible(chromedp.CSS("#account-facts")))
	require.Contains(t, text(t, ctx, "#account-facts"), "disconnected")
	require.Contains(t, text(t, ctx, "#account-history .when"), " UTC")
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}
