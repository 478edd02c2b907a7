package pages_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/pages/pagestest"
	"github.com/thawline/thaw/internal/testdb"
)

// broken is text that only a fault of a template or of its data produces: an address instead of a
// value, a failed format, a missing value, the zero time.
var broken = regexp.MustCompile(`0x[0-9a-f]{4,}|%!|(&lt;|<)nil(&gt;|>)|(&lt;|<)no value(&gt;|>)|0001-01-01|ZgotmplZ|\b(map|list|struct)\[|\{\{|\}\}`)

// shapes are states of the fleet, each on top of the previous ones. Together they reach all
// branches of the pages.
var shapes = []struct{ name, sql string }{
	{"calm", "SELECT 1"},
	{"sending", pagestest.Senders},
	{"a reservation", "SELECT thaw.reserve(e.id, 'invite') FROM thaw.enrollments AS e WHERE e.prospect_url = '" + pagestest.Waits + "'"},
	{"an unknown action", "SELECT thaw.start(1); SELECT thaw.settle(1, 'unknown'); SELECT thaw.count_action_hours()"},
	{"lost", `SELECT thaw.signal('linkedin', s.account, s.status) FROM (VALUES ('h_EKCy2lRLef5NzHp0iw4A', 'disconnected'),
		('h_old', 'removed'), ('h_bob', 'disconnected'), ('h_ann', 'restricted'), ('h_zoe', 'error')) AS s (account, status)`},
	{"reconnected", "SELECT thaw.signal('linkedin', 'h_EKCy2lRLef5NzHp0iw4A', 'connected')"},
	{"login without confirmation", "SELECT thaw.signal('linkedin', 'h_bob', 'reconnected')"},
	{"verification", "SELECT thaw.signal('linkedin', 'h_zoe', 'needs_verification')"},
	{"on hold", "SELECT thaw.hold('h_EKCy2lRLef5NzHp0iw4A', thaw.now() + interval '3 days', 'a new device', 'ann')"},
	{"locked", "SELECT thaw.signal('linkedin', 'h_EKCy2lRLef5NzHp0iw4A', 'locked')"},
	{"safety mode by an operator", "SELECT thaw.safety_enter('the provider has an incident', 'ann', true)"},
	{"auto-resume off without a reason", "UPDATE thaw.workspaces SET auto_resume = false WHERE key = 'acme'"},
	{"unlocked, hold ended", `SELECT thaw.correct_hold('h_EKCy2lRLef5NzHp0iw4A', NULL, 'it works', 'ann');
		SELECT thaw.signal('linkedin', 'h_EKCy2lRLef5NzHp0iw4A', 'unlocked')`},
	{"safety mode off", "SELECT thaw.safety_exit('it is over', 'ann')"},
	{"auto-resume on", "SELECT thaw.set_auto_resume('acme', true, 'agreed', 'ann')"},
	{"flapping", `UPDATE thaw.accounts SET resume_after = thaw.now() + interval '9 minutes' WHERE provider_account_id = 'h_EKCy2lRLef5NzHp0iw4A'`},
	{"manual actions", `SELECT thaw.pause_account('h_EKCy2lRLef5NzHp0iw4A', 'on leave', 'ann'), thaw.pause_campaign('acme', 'founders', 'a wrong text', 'ann');
		SELECT thaw.resume_account('h_EKCy2lRLef5NzHp0iw4A', 'back', 'ann', true), thaw.resume_campaign('acme', 'founders', 'fixed', 'ann')`},
	{"products", `SELECT thaw.receive_signal('linkedin', 'h_bob', 'account.status.disconnected', 'disconnected', thaw.now(), NULL, NULL, false, NULL, 'recruiter')`},
	{"other signals", `SELECT thaw.signal('linkedin', 'h_bob', 'nonsense'), thaw.signal('linkedin', 'h_bob', 'connected', thaw.now() - interval '3 days')`},
	{"heals", `SELECT thaw.heal(workspace_key => 'acme', cap => 10)`},
	{"statuses of prospects", `UPDATE thaw.enrollments AS e SET status = x.status::thaw.enrollment_status, paused_reason = NULL, paused_at = NULL
		FROM (VALUES ('bob-1', 'completed'), ('bob-2', 'replied'), ('bob-3', 'failed'), ('bob-4', 'removed'), ('bob-5', 'pending')) AS x (slug, status)
		WHERE e.prospect_url = 'https://www.linkedin.com/in/' || x.slug`},
	{"other campaigns", `INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
		SELECT 1, 'c' || n, s.status::thaw.campaign_status, s.reason::thaw.pause_reason, CASE WHEN s.reason IS NOT NULL THEN thaw.now() END
		FROM (VALUES (1, 'draft', NULL), (2, 'completed', NULL), (3, 'paused', 'subscription_inactive'), (4, 'paused', 'high_failure_rate'),
			(5, 'paused', 'account_restricted'), (6, 'paused', 'account_issue')) AS s (n, status, reason);
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
		SELECT c.workspace_id, c.id, (SELECT id FROM thaw.accounts WHERE provider_account_id = 'h_bob'), 'active', 'https://www.linkedin.com/in/bob-7'
		FROM thaw.campaigns AS c WHERE c.key ~ '^c[0-9]'`},
}

// No page shows a pointer, a missing value or a failed format, whatever the state of the fleet. The
// small size asks for each page in every eighth state.
func TestNoPageShowsABrokenValue(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Work(t)
	accounts := testdb.Column[string](t, d.DB, "SELECT '/accounts/' || id FROM thaw.accounts ORDER BY id")
	prospects := []string{pagestest.Waits, pagestest.OnLost, "https://www.linkedin.com/in/ann-3", "https://www.linkedin.com/in/zoe-9", "https://www.linkedin.com/in/unknown"}
	for _, slug := range []string{"bob-1", "bob-2", "bob-3", "bob-4", "bob-5"} {
		prospects = append(prospects, "https://www.linkedin.com/in/"+slug)
	}
	for n, shape := range shapes {
		d.Exec(t, shape.sql)
		d.Settle(t)
		pages := append([]string{"/", "/accounts", "/accounts?order=paused", "/prospects", "/prospects?order=account", "/prospects?workspace=acme&age=1w", "/prospects/check",
			"/sweeps", "/heals", "/heals/new?workspace=acme&cap=5", "/workspaces", "/workspaces/acme", "/workspaces/umbrella", "/safety", "/sending", "/sending?state=unknown",
			"/search?q=h", "/search?q=unknown"}, accounts...)
		for _, prospect := range prospects {
			pages = append(pages, "/prospects?url="+url.QueryEscape(prospect))
		}
		pages = append(pages, testdb.Column[string](t, d.DB, "SELECT '/heals/' || id FROM thaw.heals UNION ALL SELECT '/sending/' || id FROM thaw.actions")...)
		for i, path := range pages {
			if (n+i)%testdb.Size(8, 1) != 0 {
				continue
			}
			got := d.get(t, path)
			// A heal cannot start in safety mode.
			require.Contains(t, []int{http.StatusOK, http.StatusConflict}, got.status, "%s: %s", shape.name, path)
			require.Empty(t, broken.FindAllString(got.text, -1), "%s: %s\n%s", shape.name, path, got.text)
		}
		checked := d.post(t, "/prospects/check", url.Values{"prospects": {pagestest.Waits + "\n\nnot a prospect\n" + pagestest.OnLost + "\n" + "https://www.linkedin.com/in/zoe-9"}})
		require.Equal(t, http.StatusOK, checked.status, shape.name)
		require.Empty(t, broken.FindAllString(checked.text, -1), "%s: check\n%s", shape.name, checked.text)
	}
}
