package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/api"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/testdb"
)

// northern has requests for data of workspace north, by route. Only callers that may see north must
// get it.
var northern = map[string][]call{
	"GET /prospects":                 {{path: "/prospects?url=https://www.linkedin.com/in/north-1-2"}, {path: "/prospects?url=linkedin.com/in/NORTH-1-0/"}},
	"POST /prospects/explain":        {{body: `{"urls": ["https://www.linkedin.com/in/north-1-2"]}`}, {body: `{"urls": ["linkedin.com/in/north-2-1/"]}`}},
	"GET /events":                    {{path: "/events?url=linkedin.com/in/north-1-1"}},
	"GET /accounts":                  {{path: "/accounts"}, {path: "/accounts?workspace=north"}, {path: "/accounts?account=north-1"}, {path: "/accounts?limit=1&has_backlog=true"}},
	"GET /accounts/{id}":             {{path: "/accounts/1"}, {path: "/accounts/3"}},
	"GET /accounts/{id}/enrollments": {{path: "/accounts/1/enrollments"}, {path: "/accounts/1/enrollments?status=active"}},
	"GET /accounts/{id}/signals":     {{path: "/accounts/1/signals"}},
	"GET /accounts/{id}/timeline":    {{path: "/accounts/1/timeline"}, {path: "/accounts/1/timeline?part=signal"}},
	"GET /enrollments":               {{path: "/enrollments"}, {path: "/enrollments?workspace=north&campaign=north-spring&paused_for=30m"}, {path: "/enrollments?limit=1&reason=paused_by_user"}},
	"GET /actions":                   {{path: "/actions"}, {path: "/actions?workspace=north&what=heal_cap_removed&actor=ann&within=1d"}},
	"GET /actions/{id}":              {{path: "/actions/1"}},
	"GET /signals":                   {{path: "/signals"}, {path: "/signals?workspace=north&outcome=applied"}, {path: "/signals?provider=linkedin&account=north-1"}},
	"GET /signals/{id}":              {{path: "/signals/1"}},
	"GET /endpoints":                 {{path: "/endpoints"}},
	"GET /messages":                  {{path: "/messages"}, {path: "/messages?state=failed"}},
	"GET /settings":                  {{path: "/settings"}},
	"GET /campaigns":                 {{path: "/campaigns"}, {path: "/campaigns?workspace=north&status=running"}},
	"GET /workspaces":                {{path: "/workspaces"}, {path: "/workspaces?auto_resume=on"}},
	"GET /sweeps":                    {{path: "/sweeps?workspace=north"}},
	"GET /heals":                     {{path: "/heals"}, {path: "/heals?workspace=north&status=done"}},
	"GET /heals/{id}":                {{path: "/heals/1"}},
	"POST /heals": {
		{body: `{"workspace": "north", "dry_run": true}`}, {body: `{"account": "north-1", "dry_run": true}`},
		{body: `{"workspace": "north", "account": "north-3"}`},
	},
	"GET /accounts/{id}/sending": {{path: "/accounts/1/sending"}},
	"GET /sending/actions": {
		{path: "/sending/actions"}, {path: "/sending/actions?workspace=north&account=north-1&state=sent&kind=invite"}, {path: "/sending/actions?limit=1"},
	},
	"GET /sending/hours":   {{path: "/sending/hours"}, {path: "/sending/hours?within=31d"}},
	"GET /sending/limits":  {{path: "/sending/limits"}, {path: "/sending/limits?workspace=north"}},
	"GET /sending/windows": {{path: "/sending/windows"}, {path: "/sending/windows?workspace=north"}},
	"GET /fleet":           {{path: "/fleet?workspace=north"}},
	"GET /search":          {{path: "/search?q=north"}, {path: "/search?q=linkedin.com/in/north-1-1"}, {path: "/search?q=north&kind=accounts&limit=1"}, {path: "/search?q=in/north-1-1"}},
	"GET /openapi.json":    {{path: "/openapi.json"}},
}

// operatorRoutes are the routes that a tenant may not use.
var operatorRoutes = []string{"GET /endpoints", "GET /messages", "GET /settings", "GET /sending/hours"}

// actions are the routes that take an action, which succeeds only once. TestActions covers them,
// and sending_test.go those of sending.
var actions = []string{
	"POST /heals/{id}/stop", "POST /heals/{id}/resume", "POST /actions/{id}/undo", "POST /sending/actions/reserve", "POST /sending/actions/claim",
	"POST /sending/actions/{id}/start", "POST /sending/actions/{id}/settle", "POST /sending/actions/{id}/invite", "POST /sending/limits",
	"POST /sending/ceilings", "POST /sending/windows",
}

// everyRoute calls do with each request of northern, as a subtest.
func everyRoute(t *testing.T, do func(t *testing.T, route string, a call)) {
	t.Helper()
	for _, r := range api.Routes() {
		route := r.Method + " " + r.Path
		if slices.Contains(actions, route) {
			continue
		}
		require.NotEmpty(t, northern[route], "no request for %s", route)
		for i, a := range northern[route] {
			t.Run(fmt.Sprintf("%s %d", route, i), func(t *testing.T) {
				a.method, a.path = r.Method, or(a.path, r.Path)
				do(t, route, a)
			})
		}
	}
}

// namesNorth reports whether an answer has data of north.
func namesNorth(a answer) bool { return strings.Contains(strings.ToLower(a.body), "north") }

func TestOperatorsSeeEverything(t *testing.T) {
	t.Parallel()
	s := setup(t)
	everyRoute(t, func(t *testing.T, route string, a call) {
		t.Helper()
		for name, who := range map[string]call{
			"token":    {token: s.operator},
			"password": {change: func(r *http.Request) { r.SetBasicAuth("admin", password) }},
		} {
			if strings.HasPrefix(a.body, `{"workspace": "north", "account"`) {
				s.Exec(t, "UPDATE thaw.heals SET status = 'done', finished_at = thaw.now(), remaining = 0 WHERE status = 'running'")
			}
			a.token, a.change = who.token, who.change
			got := s.send(t, a)
			require.Contains(t, []int{http.StatusOK, http.StatusAccepted}, got.status, "%s: %s", name, got.body)
		}
	})
}

func TestWorkspaceTokenSeesItsWorkspace(t *testing.T) {
	t.Parallel()
	s := setup(t)
	everyRoute(t, func(t *testing.T, route string, a call) {
		t.Helper()
		a.token = s.north
		got := s.send(t, a)
		if slices.Contains(operatorRoutes, route) {
			require.Contains(t, got.json(t, http.StatusForbidden)["detail"], "Only an operator may see")
			return
		}
		require.Contains(t, []int{http.StatusOK, http.StatusAccepted}, got.status, got.body)
		require.NotContains(t, got.body, "south")
		switch {
		case route == "GET /openapi.json", strings.Contains(a.body, "dry_run"), route == "GET /fleet", route == "GET /sweeps", route == "GET /accounts/{id}/signals", route == "GET /accounts/{id}/timeline":
			// Only numbers, without a name: TestNumbersOfOneWorkspace compares them.
		default:
			require.True(t, namesNorth(got), got.body)
		}
	})
}

// With the token of another workspace, names and IDs are not found, and lists have no rows.
func TestWorkspaceTokenDoesNotSeeOtherWorkspaces(t *testing.T) {
	t.Parallel()
	s := setup(t)
	before := s.send(t, call{path: "/heals", token: s.operator}).body
	everyRoute(t, func(t *testing.T, route string, a call) {
		t.Helper()
		a.token = s.south
		got := s.send(t, a)
		if slices.Contains(operatorRoutes, route) {
			require.Equal(t, http.StatusForbidden, got.status, got.body)
			return
		}
		byName := strings.Contains(a.path, "workspace=north") || strings.Contains(route, "{id}") || route == "POST /heals" || route == "GET /prospects"
		if byName {
			require.Equal(t, http.StatusNotFound, got.status, got.body)
			require.NotContains(t, got.body, `"items"`)
			return
		}
		body := got.json(t, http.StatusOK)
		delete(body, "next_cursor")
		switch route {
		case "POST /prospects/explain":
			require.Contains(t, got.body, `"code":"not_found"`)
			require.NotContains(t, got.body, `"history":[{`)
		case "GET /openapi.json":
		case "GET /search": // what was tried repeats the text of the caller
			body := got.json(t, http.StatusOK)
			for _, kind := range readmodel.SearchKinds {
				require.Empty(t, body[kind])
			}
		default:
			require.False(t, namesNorth(got), got.body)
		}
	})
	require.Equal(t, before, s.send(t, call{path: "/heals", token: s.operator}).body, "no heal was started")
	var events int
	for _, path := range []string{"/events?url=linkedin.com/in/north-1-1", "/search?q=north", "/accounts?account=north-1"} {
		events += strings.Count(s.send(t, call{path: path, token: s.south}).body, `"id"`)
	}
	require.Zero(t, events)
}

// A cursor made by an operator, or forged, does not extend what a tenant can see.
func TestCursorDoesNotExtendScope(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, path := range []string{"/accounts", "/campaigns", "/workspaces", "/heals", "/sweeps", "/accounts/1/enrollments", "/accounts/1/signals", "/accounts/1/timeline", "/enrollments", "/actions", "/signals", "/sending/actions", "/sending/limits", "/sending/windows"} {
		page := s.send(t, call{path: path + "?limit=1", token: s.operator}).json(t, http.StatusOK)
		if next, ok := page["next_cursor"].(string); ok {
			got := s.send(t, call{path: path + "?cursor=" + next, token: s.south})
			// A list in another order has other cursors.
			require.Contains(t, []int{http.StatusOK, http.StatusNotFound, http.StatusBadRequest}, got.status)
			require.False(t, namesNorth(got), got.body)
		}
	}
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"list":"accounts","last":{"workspace":-5,"id":0}}`))
	require.False(t, namesNorth(s.send(t, call{path: "/accounts?cursor=" + forged, token: s.south})))
}

// A tenant sees the counts of its own workspace. An operator sees the sum.
func TestNumbersOfOneWorkspace(t *testing.T) {
	t.Parallel()
	s := setup(t)
	fleet := func(token string) (resumable, resumed float64) {
		body := s.send(t, call{path: "/fleet", token: token}).json(t, http.StatusOK)
		return body["backlog"].(map[string]any)["resumable"].(float64), body["last_sweep"].(map[string]any)["resumed"].(float64)
	}
	north, northResumed := fleet(s.north)
	south, southResumed := fleet(s.south)
	all, allResumed := fleet(s.operator)
	require.Equal(t, []float64{12, 3, 4, 1, 16, 4}, []float64{north, northResumed, south, southResumed, all, allResumed})

	signals := s.send(t, call{path: "/accounts/1/signals", token: s.north}).json(t, http.StatusOK)["items"].([]any)
	require.Len(t, signals, 1)
	tried := s.send(t, call{method: "POST", path: "/heals", body: `{"workspace": "north", "dry_run": true}`, token: s.north}).json(t, http.StatusOK)
	require.Equal(t, map[string]any{"would_resume": 12.0, "would_move": 0.0, "resumable": 12.0, "accounts": 3.0, "cap": 2000.0, "remaining": 0.0, "ticks": 0.0, "blocked": 0.0}, tried)
}

func TestAuthenticationIsRequired(t *testing.T) {
	t.Parallel()
	s := setup(t)
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	expired, revoked, fresh := s.token(t, "1"), s.token(t, "1"), s.token(t, "1")
	s.Exec(t, "UPDATE thaw.api_tokens SET created_at = thaw.now() - interval '2 days', expires_at = thaw.now() WHERE id = 4")
	s.Exec(t, "UPDATE thaw.api_tokens SET revoked_at = thaw.now() WHERE id = 5")
	s.Exec(t, "UPDATE thaw.api_tokens SET expires_at = thaw.now() + interval '1 minute' WHERE id = 6")
	for name, who := range map[string]call{
		"no credentials":  {},
		"unknown token":   {token: "thaw_" + strings.Repeat("0", 48)},
		"truncated token": {token: s.operator[:40]},
		"empty token":     {change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }},
		"expired token":   {token: expired},
		"revoked token":   {token: revoked},
		"another scheme":  {change: func(r *http.Request) { r.Header.Set("Authorization", "Token "+s.operator) }},
	} {
		everyRoute(t, func(t *testing.T, _ string, a call) {
			t.Helper()
			a.token, a.change = who.token, who.change
			got := s.send(t, a)
			require.Equal(t, http.StatusUnauthorized, got.status, name)
			require.False(t, strings.Contains(got.body, "items"))
			require.Len(t, got.header.Values("WWW-Authenticate"), 2)
		})
	}
	// Only two, because wrong passwords are rate-limited: see package access.
	for _, wrong := range []call{
		{path: "/fleet", change: basic("admin", "open barley")}, {path: "/fleet", change: basic("root", password)},
	} {
		require.Equal(t, http.StatusUnauthorized, s.send(t, wrong).status)
	}
	require.Equal(t, http.StatusOK, s.send(t, call{path: "/workspaces", token: fresh}).status)
}

// If no password is set, only requests to a loopback name are from an operator.
func TestLoopbackIsOperatorWithoutPassword(t *testing.T) {
	t.Parallel()
	with := setup(t)
	s := serve(t, with.DB, "")
	require.True(t, namesNorth(s.send(t, call{path: "/workspaces"})))
	from := func(r *http.Request) { r.Host = "thaw.example.com" }
	require.Equal(t, http.StatusUnauthorized, s.send(t, call{path: "/workspaces", change: from}).status)
	require.Equal(t, http.StatusOK, s.send(t, call{path: "/workspaces", change: from, token: s.south}).status)
	require.False(t, namesNorth(s.send(t, call{path: "/workspaces", token: s.south})), "a token keeps its scope on loopback")
}

func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	s := setup(t)
	many := `{"urls": ["a.b"` + strings.Repeat(`, "a.b"`, 200) + `]}`
	for _, test := range []struct {
		method, path, body string
		status             int
		detail             string
	}{
		{"GET", "/accounts?limt=3", "", 400, `Unknown query parameter "limt": this route has account, blocked, cursor, has_backlog, limit, order, status, workspace`},
		{"GET", "/accounts/1?limit=3", "", 400, `Unknown query parameter "limit": this route has none`},
		{"GET", "/accounts?limit=3&limit=4", "", 400, `"limit" occurs 2 times`},
		{"GET", "/accounts?limit=0", "", 400, "limit=0: must be a number from 1 to 200"},
		{"GET", "/accounts?limit=201", "", 400, "from 1 to 200"},
		{"GET", "/accounts?limit=ten", "", 400, "limit=ten"},
		{"GET", "/accounts?cursor=abc", "", 400, "not a cursor of this list"},
		{"GET", "/accounts?status=lost", "", 400, "status=lost: must be one of connected, connecting, disconnected"},
		{"GET", "/workspaces?auto_resume=true", "", 400, "must be one of off, on"},
		{"GET", "/accounts?has_backlog=1", "", 400, "must be one of false, true"},
		{"GET", "/accounts?account=a%00b", "", 400, "without control characters"},
		{"GET", "/accounts?account=%ff", "", 400, "UTF-8"},
		{"GET", "/accounts?account=%zz", "", 400, "malformed"},
		{"GET", "/accounts/1/enrollments?status=replied", "", 400, "must be one of active, paused"},
		{"GET", "/accounts?order=age", "", 400, "must be one of paused, workspace"},
		{"GET", "/accounts/1/timeline?part=x", "", 400, "must be one of action, heal, signal, status, sweep"},
		{"GET", "/enrollments?paused_for=3", "", 400, "paused_for=3: must be a duration such as 12h, 3d or 1w"},
		{"GET", "/enrollments?paused_for=3d", "", 400, "The prospects of the whole fleet cannot be filtered by age. Send workspace or account too."},
		{"GET", "/enrollments?campaign=north-spring", "", 400, "A campaign needs its workspace."},
		{"GET", "/enrollments?reason=subscription_inactive", "", 400, "must be one of account_disconnected"},
		{"GET", "/enrollments?account=unknown", "", 404, "There is no such account."},
		{"GET", "/enrollments?workspace=north&campaign=unknown", "", 404, ""},
		{"GET", "/actions?what=thought", "", 400, "must be one of action_settled, adopted"},
		{"GET", "/actions?within=0d", "", 400, "must be a duration"},
		{"GET", "/actions/99", "", 404, ""},
		{"GET", "/signals?account=north-1", "", 400, "An account needs its provider."},
		{"GET", "/signals?outcome=lost", "", 400, "must be one of applied"},
		{"GET", "/signals/99", "", 404, ""},
		{"GET", "/messages?state=lost", "", 400, "must be one of delivered, failed, waiting"},
		{"GET", "/prospects", "", 400, `"url" is missing`},
		{"GET", "/prospects?url=" + strings.Repeat("a", 2001), "", 400, "at most 2000"},
		{"GET", "/search", "", 400, `"q" is missing`},
		{"GET", "/search?q=a&kind=people", "", 400, "must be one of accounts, campaigns, prospects, workspaces"},
		{"GET", "/search?q=a&cursor=abc", "", 400, "A cursor needs a kind"},
		{"GET", "/search?q=a&cursor=abc&kind=accounts", "", 400, "not a cursor of this list"},
		{"GET", "/events", "", 400, `"url" is missing`},
		{"GET", "/prospects?url=linkedin.com/in/unknown", "", 404, "12 spellings were tried"},
		{"GET", "/accounts/north-1", "", 404, ""},
		{"GET", "/accounts/99", "", 404, ""},
		{"GET", "/accounts/99999999999999999999", "", 404, ""},
		{"GET", "/accounts/99/signals", "", 404, ""},
		{"GET", "/heals/99", "", 404, ""},
		{"GET", "/sweeps?workspace=unknown", "", 404, ""},
		{"POST", "/prospects/explain", `{"urls": []}`, 400, "urls has 0 URLs: must have from 1 to 200"},
		{"POST", "/prospects/explain", many, 400, "urls has 201 URLs"},
		{"POST", "/prospects/explain", `{"urls": ["a.b", " "]}`, 400, "urls[1]: the URL of a prospect is empty"},
		{"POST", "/prospects/explain", `{"url": ["a.b"]}`, 400, `unknown field \"url\"`},
		{"POST", "/prospects/explain", `{"urls": ["a.b"]} {}`, 400, "data after the JSON object"},
		{"POST", "/prospects/explain", `{"urls": "a.b"}`, 400, "The body is not valid: urls must not be a JSON string"},
		{"POST", "/prospects/explain", " ", 400, "The body is empty. Send a JSON object"},
		{"POST", "/prospects/explain", `{"urls": ["` + strings.Repeat("a", 1<<20) + `"]}`, 413, ""},
		{"POST", "/heals", `{}`, 400, "The heal has no target"},
		{"POST", "/heals", `{"workspace": "north", "cap": 0}`, 400, "cap=0: must be from 1 to 2147483647"},
		{"POST", "/heals", `{"workspace": "unknown"}`, 404, ""},
		{"POST", "/heals", `{"workspace": "south", "account": "north-1"}`, 400, `Account "north-1" is in workspace "north", not in "south".`},
		{"POST", "/heals", `{"account": "a\u0000"}`, 404, ""},
	} {
		got := s.send(t, call{method: test.method, path: test.path, body: test.body, token: s.operator})
		require.Equal(t, test.status, got.status, "%s: %s", test.path, got.body)
		require.Contains(t, strings.ReplaceAll(got.body, `\"`, `"`), strings.ReplaceAll(test.detail, `\"`, `"`), test.path)
	}

	plain := func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
	require.Equal(t, 415, s.send(t, call{method: "POST", path: "/heals", body: `{}`, token: s.operator, change: plain}).status)
	unknown := s.send(t, call{path: "/nothing", token: s.operator, undocumented: true})
	require.Equal(t, "urn:thaw:problem:not_found", unknown.json(t, 404)["type"])
	wrong := s.send(t, call{method: "DELETE", path: "/heals/1", token: s.operator, undocumented: true})
	require.Equal(t, "urn:thaw:problem:method_not_allowed", wrong.json(t, 405)["type"])
	require.Equal(t, "GET", wrong.header.Get("Allow"))
}

func TestStartHeal(t *testing.T) {
	t.Parallel()
	s := setup(t)
	start := call{method: "POST", path: "/heals", body: `{"workspace": "south", "cap": 3}`, token: s.south}
	got := s.send(t, start)
	heal := got.json(t, http.StatusAccepted)
	require.Equal(t, "/api/v1/heals/3", got.header.Get("Location"))
	require.Equal(t, []any{"running", 3.0, "south", "token:3 a test"}, []any{heal["status"], heal["cap"], heal["workspace"], heal["actor"]})
	require.Equal(t, "running", s.send(t, call{path: "/heals/3", token: s.south}).json(t, 200)["status"])

	twice := s.send(t, start)
	require.Equal(t, "Heal 3 is running on the same target. Wait until it is done, then start another heal for the remaining prospects, or stop it: thaw heal stop 3.", twice.json(t, http.StatusConflict)["detail"])
	evenIfOff := s.send(t, call{method: "POST", path: "/heals", body: `{"workspace": "south", "even_if_off": true}`, token: s.south})
	require.Equal(t, http.StatusForbidden, evenIfOff.status)

	// The heals of a tenant together keep the caps of a tick. Those of operators do not.
	for _, dry := range []string{"true", "false"} {
		tooMany := s.send(t, call{method: "POST", path: "/heals", body: `{"account": "north-1", "cap": 201, "dry_run": ` + dry + `}`, token: s.north})
		detail := tooMany.json(t, http.StatusForbidden)["detail"]
		require.Contains(t, detail, `Heals started by workspace "north" may resume 200 more prospects in this tick, not 201`)
		require.Contains(t, detail, "ask an operator to raise the limit: thaw heal-cap set north N")
	}
	all := s.send(t, call{method: "POST", path: "/heals", body: `{"account": "north-1", "dry_run": true}`, token: s.north})
	require.Equal(t, 200.0, all.json(t, http.StatusOK)["cap"])
	operators := s.send(t, call{method: "POST", path: "/heals", body: `{"account": "north-1", "cap": 201, "dry_run": true}`, token: s.operator})
	require.Equal(t, 201.0, operators.json(t, http.StatusOK)["cap"])

	// A page of another site must not be able to use the password that a browser remembers.
	elsewhere := func(r *http.Request) {
		r.SetBasicAuth("admin", password)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	require.Equal(t, http.StatusForbidden, s.send(t, call{method: "POST", path: "/heals", body: `{"workspace": "north"}`, change: elsewhere}).status)
	here := func(r *http.Request) {
		r.SetBasicAuth("admin", password)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	got = s.send(t, call{method: "POST", path: "/heals", body: `{"account": "north-1"}`, change: here})
	require.Equal(t, "api:admin", got.json(t, http.StatusAccepted)["actor"])
}

// Database errors are logged and not shown to the client.
func TestDatabaseErrorsAreHidden(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, "ALTER TABLE thaw.sweeps RENAME TO swept")
	got := s.send(t, call{path: "/sweeps", token: s.operator})
	require.Equal(t, map[string]any{
		"type": "urn:thaw:problem:internal_error", "title": "Internal error; see the server log", "status": 500.0,
	}, got.json(t, 500))
}

// The last use of a token is recorded, at most once in five minutes.
func TestTokenUseIsRecorded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	used := func() string {
		s.send(t, call{path: "/workspaces", token: s.south})
		var at string
		require.NoError(t, s.Pool.QueryRow(t.Context(), "SELECT last_used_at::text || ' ' || xmin::text FROM thaw.api_tokens WHERE id = 3").Scan(&at))
		return at
	}
	first := used()
	require.Equal(t, first, used())
	s.Exec(t, "UPDATE thaw_test.clock SET ahead = ahead + '6 minutes'")
	require.NotEqual(t, first, used())
}

// An account shows its lock and its products, but not to another tenant.
func TestAccountShowsLockAndProducts(t *testing.T) {
	t.Parallel()
	s := setup(t)
	plain := s.send(t, call{path: "/accounts/1", token: s.north}).json(t, http.StatusOK)
	require.Nil(t, plain["locked_at"])
	require.Empty(t, plain["products"])
	s.Exec(t, "SELECT thaw.signal('linkedin', 'north-1', 'locked', '2026-01-31T09:00:00Z')")
	s.Exec(t, `SELECT thaw.receive_signal('linkedin', 'north-1', 'account.status.disconnected', 'disconnected', '2026-01-31T10:00:00Z', NULL, NULL, false, NULL, 'recruiter')`)

	body := s.send(t, call{path: "/accounts/1", token: s.north}).json(t, http.StatusOK)
	require.Equal(t, "2026-01-31T09:00:00Z", body["locked_at"])
	require.Equal(t, "locked", body["locked_reason"])
	products := []any{map[string]any{
		"product": "recruiter", "status": "disconnected", "raw_status": "account.status.disconnected",
		"status_at": "2026-01-31T10:00:00Z", "down_since": "2026-01-31T10:00:00Z",
	}}
	require.Equal(t, products, body["products"])
	s.send(t, call{path: "/accounts/1", token: s.south}).json(t, http.StatusNotFound)

	asked := s.send(t, call{path: "/prospects?url=https://www.linkedin.com/in/north-1-5", token: s.north}).json(t, http.StatusOK)
	explanation := asked["explanations"].([]any)[0].(map[string]any)
	require.Equal(t, "2026-01-31T09:00:00Z", explanation["locked_at"])
	require.Equal(t, products, explanation["products"])
}

// A heal is stopped and continued, and a pause is undone, by those who may.
func TestActions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	act := func(path, token, reason string) answer {
		return s.send(t, call{method: "POST", path: path, body: `{"reason": "` + reason + `"}`, token: token})
	}
	s.send(t, call{method: "POST", path: "/heals", body: `{"workspace": "south", "reason": "their backlog"}`, token: s.operator}).json(t, http.StatusAccepted)
	require.Equal(t, http.StatusNotFound, act("/heals/3/stop", s.north, "x").status)
	require.Equal(t, http.StatusNotFound, act("/heals/99/stop", s.operator, "x").status)
	require.Contains(t, act("/heals/1/stop", s.operator, "x").json(t, http.StatusConflict)["detail"], "Heal 1 is done.")
	require.Contains(t, act("/heals/3/stop", s.south, " ").json(t, http.StatusBadRequest)["detail"], "No reason was given.")
	stopped := act("/heals/3/stop", s.south, "a mistake").json(t, http.StatusOK)
	require.Equal(t, []any{"stopped", "token:3 a test: a mistake", "their backlog"}, []any{stopped["status"], stopped["stopped_reason"], stopped["reason"]})
	s.Exec(t, "SELECT thaw.safety_enter('an incident')")
	require.Contains(t, act("/heals/3/resume", s.south, "again").json(t, http.StatusConflict)["detail"], "Safety mode has been on since")
	s.Exec(t, "SELECT thaw.safety_exit('over')")
	require.Equal(t, "running", act("/heals/3/resume", s.south, "again").json(t, http.StatusOK)["status"])

	fleet := s.send(t, call{method: "POST", path: "/heals", body: `{"fleet": true}`, token: s.operator})
	require.Contains(t, fleet.json(t, http.StatusBadRequest)["detail"], "A heal of the whole fleet has no rate.")
	require.Equal(t, http.StatusForbidden, s.send(t, call{method: "POST", path: "/heals", body: `{"fleet": true, "rate": 60}`, token: s.south}).status)
	heal := s.send(t, call{method: "POST", path: "/heals", body: `{"fleet": true, "rate": 60}`, token: s.operator}).json(t, http.StatusAccepted)
	require.Equal(t, []any{true, 60.0}, []any{heal["fleet"], heal["rate"]})

	s.Exec(t, "SELECT thaw.pause_campaign('north', key, 'the wrong one') FROM thaw.campaigns WHERE workspace_id = 1 AND status = 'running'")
	action := testdb.Value[int64](t, s.DB, "SELECT max(id) FROM thaw.manual_actions")
	path := fmt.Sprintf("/actions/%d/undo", action)
	require.Equal(t, http.StatusForbidden, act(path, s.north, "x").status)
	require.Equal(t, map[string]any{"action_id": float64(action + 1), "restored": 0.0}, act(path, s.operator, "a mistake").json(t, http.StatusOK))
	require.Contains(t, act(path, s.operator, "again").json(t, http.StatusConflict)["detail"], "the campaign has changed since")
	require.Equal(t, http.StatusNotFound, act("/actions/999/undo", s.operator, "x").status)
}

// The body of a signal is for operators. Secrets in the URL of an endpoint are never shown.
func TestRecordsKeepSecrets(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, `SELECT thaw.receive_signal('linkedin', 'north-1', 'CREDENTIALS', 'disconnected', NULL, NULL, NULL, false, '{"from": "the provider"}')`)
	path := fmt.Sprint("/signals/", testdb.Value[int64](t, s.DB, "SELECT max(id) FROM thaw.account_signals"))
	require.Equal(t, map[string]any{"from": "the provider"}, s.send(t, call{path: path, token: s.operator}).json(t, http.StatusOK)["body"])
	hidden := s.send(t, call{path: path, token: s.north}).json(t, http.StatusOK)
	require.Nil(t, hidden["body"])
	require.Equal(t, true, hidden["has_body"])

	s.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://me:s3cret@platform.example.com/thaw?key=s3cret')")
	s.Exec(t, "SELECT thaw.publish('test.ping', p_account_id => 1)")
	endpoints, messages := s.send(t, call{path: "/endpoints", token: s.operator}), s.send(t, call{path: "/messages?state=waiting", token: s.operator})
	require.NotContains(t, endpoints.body+messages.body, "s3cret")
	require.Equal(t, 1.0, endpoints.json(t, http.StatusOK)["items"].([]any)[0].(map[string]any)["waiting"])
	message := messages.json(t, http.StatusOK)["items"].([]any)[0].(map[string]any)
	require.Equal(t, "north", message["data"].(map[string]any)["workspace"])
	require.Equal(t, "https://platform.example.com/thaw?…", message["deliveries"].([]any)[0].(map[string]any)["url"])
}

// A signal of an unknown account belongs to no workspace. A page that looked at many signals of
// other workspaces has a cursor, even if it is empty.
func TestSignalsOfOneWorkspace(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, "SELECT thaw.signal('linkedin', 'nowhere', 'connected')")
	require.Contains(t, s.send(t, call{path: "/signals?outcome=unknown_account", token: s.operator}).body, `"account":"nowhere"`)
	require.NotContains(t, s.send(t, call{path: "/signals", token: s.south}).body, "nowhere")
	s.Exec(t, `INSERT INTO thaw.account_signals (provider, provider_account_id, raw_status, outcome) SELECT 'linkedin', 'north-1', 'other', 'ignored' FROM generate_series(1, 2500)`)
	page := s.send(t, call{path: "/signals", token: s.south}).json(t, http.StatusOK)
	require.Empty(t, page["items"])
	require.NotNil(t, page["searched_to"])
	page = s.send(t, call{path: "/signals?cursor=" + page["next_cursor"].(string), token: s.south}).json(t, http.StatusOK)
	require.Len(t, page["items"], 1)
	require.Nil(t, page["next_cursor"])
}

// A client may still filter by a deprecated pause reason.
func TestDeprecatedReasonInAFilter(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'account_issue', paused_at = thaw.now() WHERE id = 1")
	list := func(reason string) any {
		items := s.send(t, call{path: "/enrollments?reason=" + reason, token: s.operator}).json(t, http.StatusOK)["items"]
		require.NotEmpty(t, items)
		return items
	}
	require.Equal(t, list("account_issue"), list("linkedin_account_issue"))
}

// An action says whether it can be undone. A tenant sees the actions on its workspace, without the
// role of the database.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, "SELECT thaw.pause_account('north-1', 'a mistake', 'ben')")
	path := fmt.Sprint("/actions/", testdb.Value[int64](t, s.DB, "SELECT max(id) FROM thaw.manual_actions"))
	action := s.send(t, call{path: path, token: s.operator}).json(t, http.StatusOK)
	require.Equal(t, map[string]any{"allowed": true, "refusal": "", "fix": "", "prospects": action["enrollments"]}, action["undo"])
	require.NotEmpty(t, action["session_role"])
	s.send(t, call{method: "POST", path: path + "/undo", body: `{"reason": "undo it"}`, token: s.operator}).json(t, http.StatusOK)
	undone := s.send(t, call{path: path, token: s.operator}).json(t, http.StatusOK)
	require.Equal(t, action["id"].(float64)+1, undone["undone_by"])
	require.Contains(t, undone["undo"].(map[string]any)["refusal"], "have changed since")

	tenant := s.send(t, call{path: path, token: s.north}).json(t, http.StatusOK)
	require.Nil(t, tenant["undo"])
	require.Empty(t, tenant["session_role"])
	list := s.send(t, call{path: "/actions?within=1d", token: s.north}).json(t, http.StatusOK)["items"].([]any)
	require.Len(t, list, 3)
	require.Empty(t, list[0].(map[string]any)["session_role"])
	require.Empty(t, s.send(t, call{path: "/actions?what=settings_changed", token: s.north}).json(t, http.StatusOK)["items"])
}

// The settings say where each comes from.
func TestSettings(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, "UPDATE thaw.settings SET fleet_cap = 3000, changed_at = thaw.now(), changed_by = 'flags:ann@host'")
	settings := s.send(t, call{path: "/settings", token: s.operator}).json(t, http.StatusOK)
	for _, one := range settings["fleet"].([]any) {
		if setting := one.(map[string]any); setting["name"] == "fleet_cap" {
			require.Equal(t, []any{3000.0, 2000.0, false}, []any{setting["value"], setting["default"], setting["is_duration"]})
			require.Equal(t, "flags:ann@host", setting["changed"].(map[string]any)["actor"])
		} else if setting["name"] == "push_actions" {
			require.Equal(t, []any{0.0, 0.0, true}, []any{setting["value"], setting["default"], setting["is_switch"]})
		}
	}
	require.Equal(t, []any{map[string]any{"flag": "addr", "env": "THAW_ADDR", "value": ":8080", "source": "environment", "help": "Address."}}, settings["process"])
}
