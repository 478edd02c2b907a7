package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/access"
	"github.com/thawline/thaw/internal/api"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/token"
)

// twoTenants inserts north (workspace 1 with accounts 1 to 3, the first two of one person) and
// south (workspace 2 with account 4). All data of a tenant has its name in it. Each account has
// five prospects that wait and one that a person paused.
const twoTenants = `
INSERT INTO thaw.workspaces (key, name) VALUES ('north', 'The north'), ('south', 'The south');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name, member_id, status, connected_at)
	SELECT 1, 'north-' || n, 'Nora of the north', CASE WHEN n < 3 THEN 'north-nora' END, 'connected', thaw.now() - interval '1 day' FROM generate_series(1, 3) AS n;
INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name, status, connected_at) VALUES (2, 'south-4', 'Sam of the south', 'connected', thaw.now());
INSERT INTO thaw.campaigns (workspace_id, key, name, status) VALUES (1, 'north-spring', 'north', 'running'), (2, 'south-spring', 'south', 'running');
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
	SELECT a.workspace_id, a.workspace_id, a.id, 'paused', CASE WHEN n = 0 THEN 'paused_by_user' ELSE 'account_issue' END::thaw.pause_reason,
		thaw.now() - interval '1 hour', format('https://www.linkedin.com/in/%s-%s', a.provider_account_id, n)
	FROM thaw.accounts AS a, generate_series(0, 5) AS n;
-- History: a signal per account, a sweep that resumed one prospect per account, and a finished heal
-- per workspace.
SELECT thaw.signal('linkedin', a.provider_account_id, 'connected') FROM thaw.accounts AS a;
INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, planned) VALUES (thaw.tick(), 1, 2000, 4, 4);
INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned) SELECT thaw.tick(), a.id, a.workspace_id, 1 FROM thaw.accounts AS a;
SELECT thaw.resume_pass('sweep', a.id, 1, p_tick_at => thaw.tick()) FROM thaw.accounts AS a;
INSERT INTO thaw.heals (workspace_id, target, cap, actor, status, found, remaining, finished_at)
	SELECT w.id, 'workspace:' || w.id, 10, 'jane of ' || w.key, 'done', 0, 0, thaw.now() FROM thaw.workspaces AS w;
INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id) SELECT 'heal_cap_removed', 'ann', 'asked by the ' || w.key, w.id FROM thaw.workspaces AS w;
-- Sending: a limit, a window and a sent invite per workspace.
INSERT INTO thaw.action_overrides (workspace_id, kind, per_day, reason, actor) SELECT w.id, 'view', 5, 'asked by the ' || w.key, 'ann' FROM thaw.workspaces AS w;
INSERT INTO thaw.sending_windows (workspace_id, weekdays, opens, closes) SELECT w.id, '{1,2,3,4,5,6,7}', '00:00', '24:00' FROM thaw.workspaces AS w;
SELECT thaw.ensure_senders('{1,2,3,4}');
INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor, state, outcome,
	started_at, settled_at, local_day, gap, next_of_kind_at)
	SELECT e.workspace_id, e.account_id, s.sender_id, e.campaign_id, e.id, 'linkedin', e.prospect_url, 0, 'invite', 'sender', 'sent', 'sent', thaw.now(), thaw.now(), '2026-01-01', '0', thaw.now()
	FROM thaw.enrollments AS e JOIN thaw.sending_accounts AS s USING (account_id) WHERE e.account_id IN (1, 4) AND e.paused_reason = 'paused_by_user';
`

// password is the operators' password.
const password = "open sesame"

// A site is the API of one test, with its own database.
type site struct {
	*testdb.DB
	url string
	doc *document
	// The tokens of an operator and of the two tenants.
	operator, north, south string
}

// setup serves the two tenants until the test ends. The clock is at the start of a tick.
func setup(t *testing.T) *site {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, "UPDATE thaw_test.clock SET ahead = thaw.tick(pg_catalog.now()) + '15 minutes' - pg_catalog.now()")
	db.Exec(t, twoTenants)
	return serve(t, db, password)
}

func serve(t *testing.T, db *testdb.DB, password string) *site {
	t.Helper()
	web := httptest.NewServer(api.New(api.Config{Store: store.New(db.Pool), Reader: readmodel.NewReader(store.New(db.Pool)), Operators: access.NewOperators(password), Logger: testdb.Logger(t),
		Settings: []readmodel.ProcessSetting{{Flag: "addr", Env: "THAW_ADDR", Value: ":8080", Source: "environment", Help: "Address."}}}))
	t.Cleanup(web.Close)
	s := &site{DB: db, url: web.URL, doc: readDocument(t)}
	s.operator, s.north, s.south = s.token(t, "NULL"), s.token(t, "1"), s.token(t, "2")
	return s
}

// token makes a token for a workspace.
func (s *site) token(t *testing.T, workspace string) string {
	t.Helper()
	made := token.New()
	s.Exec(t, "INSERT INTO thaw.api_tokens (workspace_id, name, hash, created_by) VALUES ("+workspace+", 'a test', $1, 'test')", made.Hash())
	return string(made)
}

// An answer is a response.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes an answer, which must have the status.
func (a answer) json(t *testing.T, status int) map[string]any {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	var body map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &body))
	return body
}

// A call describes a request.
type call struct {
	method, path string // below /api/v1
	body         string
	token        string
	change       func(*http.Request)
	undocumented bool // a route or a method that is not in the document
}

// send sends a request and validates the response against the document.
func (s *site) send(t *testing.T, a call) answer {
	t.Helper()
	newRequest := func() *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), or(a.method, http.MethodGet), s.url+api.Prefix+a.path, strings.NewReader(a.body))
		require.NoError(t, err)
		if a.token != "" {
			r.Header.Set("Authorization", "Bearer "+a.token)
		}
		if a.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		if a.change != nil {
			a.change(r)
		}
		return r
	}
	response, err := http.DefaultClient.Do(newRequest())
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
	if response.StatusCode >= 400 {
		require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
	}
	if !a.undocumented {
		for _, name := range []string{"Date", "Content-Length", "Cache-Control", "X-Content-Type-Options", "Content-Security-Policy", "Retry-After"} {
			response.Header.Del(name) // in every response, not in the document
		}
		err := s.doc.check(newRequest(), response, string(body))
		require.NoError(t, err, "%s %s: %d %s", a.method, a.path, response.StatusCode, body)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func or(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}
