package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/api"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/token"
)

// setupSending is setup with prospects 2 and 3 of account 1 (north), and one of account 4 (south),
// active and due. It is a moment at which all windows are open.
func setupSending(t *testing.T) *site {
	t.Helper()
	s := setup(t)
	s.Exec(t, `
		UPDATE thaw.accounts SET timezone = 'UTC', tier = 'premium';
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind, delay) SELECT c.id, 0, 'invite', '0' FROM thaw.campaigns AS c;
		UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL, next_kind = 'invite', next_action_at = thaw.now() - interval '1 hour',
			external_id = 'lead-' || id
		WHERE id IN (SELECT unnest(ARRAY[(array_agg(e.id ORDER BY e.id))[2], (array_agg(e.id ORDER BY e.id))[3]]) FROM thaw.enrollments AS e WHERE e.account_id IN (1, 4) GROUP BY e.account_id);
		UPDATE thaw.actions SET used_at = thaw.now() - interval '2 days', started_at = thaw.now() - interval '2 days', next_of_kind_at = thaw.now() - interval '1 day';
		SELECT thaw.take_nudges();`)
	return s
}

// sender makes a token that may only send.
func (s *site) sender(t *testing.T, workspace string) string {
	t.Helper()
	made := token.New()
	s.Exec(t, "INSERT INTO thaw.api_tokens (workspace_id, name, hash, created_by, can_only_send) VALUES ("+workspace+", 'a sender', $1, 'test', true)", made.Hash())
	return string(made)
}

// due returns the enrollments of an account that are due.
func (s *site) due(t *testing.T, account int) []int64 {
	t.Helper()
	return testdb.Column[int64](t, s.DB, "SELECT id FROM thaw.enrollments WHERE account_id = $1 AND status = 'active' ORDER BY id", account)
}

func TestSenderOverHTTP(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	sender := s.sender(t, "1")
	post := func(path, body string) answer {
		return s.send(t, call{method: "POST", path: path, body: body, token: sender})
	}
	due := s.due(t, 1)
	reserved := post("/sending/actions/reserve", fmt.Sprintf(`{"enrollment_id": %d, "lease_seconds": 60}`, due[0])).json(t, http.StatusOK)
	require.Equal(t, []any{nil, nil, "invite", 0.0}, []any{reserved["code"], reserved["opens_at"], reserved["kind"], reserved["step"]}, reserved)
	action := fmt.Sprintf("/sending/actions/%v", reserved["id"])
	refused := post("/sending/actions/reserve", fmt.Sprintf(`{"enrollment_external_id": "lead-%d"}`, due[1])).json(t, http.StatusOK)
	require.Equal(t, []any{nil, "cooldown", nil}, []any{refused["id"], refused["code"], refused["kind"]})
	require.NotNil(t, refused["opens_at"])

	list := s.send(t, call{path: "/sending/actions?state=reserved&account=north-1", token: sender}).json(t, http.StatusOK)
	require.Equal(t, reserved["id"], list["items"].([]any)[0].(map[string]any)["id"])
	require.Contains(t, post(action+"/settle", `{"outcome": "sent"}`).json(t, http.StatusConflict)["detail"], "cannot be settled as")
	started := post(action+"/start", "").json(t, http.StatusOK)
	require.Equal(t, []any{reserved["id"], nil}, []any{started["id"], started["code"]})
	require.Equal(t, "already_started", post(action+"/start", "").json(t, http.StatusOK)["code"])
	for range 2 { // a repeated report is harmless
		require.Equal(t, "sent", post(action+"/settle", `{"outcome": "sent", "provider_ref": "inv_1"}`).json(t, http.StatusOK)["state"])
	}
	require.Equal(t, http.StatusConflict, post(action+"/settle", `{"outcome": "unknown"}`).status)
	for _, isChanged := range []bool{true, false} {
		require.Equal(t, isChanged, post(action+"/invite", `{"closed_as": "accepted"}`).json(t, http.StatusOK)["is_changed"])
	}

	sending := s.send(t, call{path: "/accounts/1/sending", token: sender}).json(t, http.StatusOK)
	require.Equal(t, []any{"premium", "UTC", 1.0}, []any{sending["tier"], sending["timezone"], sending["ramp_week"]})
	invites := kind(t, sending, "invite")
	require.Equal(t, []any{1.0, 5.0, "cooldown", "none"}, []any{invites["used_today"], invites["per_day"], invites["code"], invites["who_acts"]})
	require.Contains(t, invites["sentence"], "waits between two actions. It goes on at")
	require.Equal(t, "token:4 a sender", testdb.Value[string](t, s.DB, "SELECT actor FROM thaw.actions ORDER BY id DESC LIMIT 1"))
}

// kind returns the part about a kind.
func kind(t *testing.T, sending map[string]any, name string) map[string]any {
	t.Helper()
	for _, one := range sending["kinds"].([]any) {
		if found := one.(map[string]any); found["kind"] == name {
			return found
		}
	}
	require.Fail(t, "no such kind", name)
	return nil
}

// One person has accounts in both workspaces. What holds it in the other one is not told. Shadow
// mode is a gate of what Thaw gives out.
func TestSendingTellsNothingOfOtherWorkspaces(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	s.Exec(t, `
		UPDATE thaw.accounts SET member_id = 'north-nora' WHERE id = 4;
		SELECT thaw.ensure_senders('{1,2,3,4}');
		SELECT thaw.hold_kind(4, 'invite', thaw.now() + interval '2 days', 'insufficient_credits', 'asked by the south', 'sam of south')`)
	read := func() map[string]any {
		answer := s.send(t, call{path: "/accounts/1/sending", token: s.sender(t, "1")})
		require.NotContains(t, answer.body, "south")
		return kind(t, answer.json(t, http.StatusOK), "invite")
	}
	invites := read()
	require.Equal(t, []any{"kind_on_hold", "held_elsewhere", nil}, []any{invites["code"], invites["held_code"], invites["held_reason"]})
	require.NotNil(t, invites["held_until"])
	require.Equal(t, invites["held_until"], invites["opens_at"])
	require.Contains(t, invites["sentence"], "held elsewhere")

	s.Exec(t, "SELECT thaw.hold_kind(2, 'invite', thaw.now() + interval '3 days', 'refusals', 'asked by the north', 'nora')")
	invites = read()
	require.Equal(t, []any{"refusals", "asked by the north"}, []any{invites["held_code"], invites["held_reason"]}, "of the same workspace")
	s.Exec(t, "UPDATE thaw.workspaces SET shadow = true WHERE id = 1")
	invites = read()
	require.Equal(t, []any{"shadow_mode", nil, "operator"}, []any{invites["code"], invites["opens_at"], invites["who_acts"]})
}

func TestClaimOverHTTP(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	claim := func(token, body string) []any {
		return s.send(t, call{method: "POST", path: "/sending/actions/claim", body: body, token: token}).json(t, http.StatusOK)["actions"].([]any)
	}
	south := claim(s.sender(t, "2"), `{"limit": 10, "lease_seconds": 30}`)
	require.Len(t, south, 1)
	require.Equal(t, "south", south[0].(map[string]any)["workspace"])
	require.Empty(t, claim(s.operator, `{"workspace": "south"}`))
	rest := claim(s.sender(t, "NULL"), `{}`)
	require.Len(t, rest, 1)
	require.Equal(t, []any{"north", "north-1", "invite"}, []any{rest[0].(map[string]any)["workspace"], rest[0].(map[string]any)["account"], rest[0].(map[string]any)["kind"]})
	require.Contains(t, rest[0].(map[string]any)["enrollment_external_id"], "lead-")
}

// northBody is a valid body for a route that sets something.
func northBody(path string) string {
	if path == "/sending/windows" {
		return `{"windows": []}`
	}
	return "{}"
}

// A token that may only send may do nothing else, and no other token of a workspace may send.
func TestSendersMayOnlySend(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	sender, fleet := s.sender(t, "1"), s.sender(t, "NULL")
	action := fmt.Sprintf("/sending/actions/%d", testdb.Value[int64](t, s.DB, "SELECT id FROM thaw.actions WHERE workspace_id = 2"))
	for _, r := range api.Routes() {
		path := strings.NewReplacer("/sending/actions/{id}", action, "{id}", "1").Replace(r.Path)
		body := ""
		if r.Method == http.MethodPost {
			body = "{}"
		}
		allowed := strings.HasPrefix(r.Path, "/sending/actions") || r.Path == "/openapi.json" || r.Path == "/accounts/{id}/sending"
		for _, token := range []string{sender, fleet} {
			got := s.send(t, call{method: r.Method, path: path, body: body, token: token})
			require.Equal(t, allowed, got.status != http.StatusForbidden, "%s %s: %d", r.Method, path, got.status)
		}
		if r.Method == http.MethodPost && strings.HasPrefix(r.Path, "/sending") {
			require.Equal(t, http.StatusForbidden, s.send(t, call{method: r.Method, path: path, body: northBody(r.Path), token: s.north}).status, path)
		}
		if strings.HasPrefix(r.Path, "/sending/actions/{id}") { // the action is of workspace south
			require.Equal(t, http.StatusNotFound, s.send(t, call{method: r.Method, path: path, body: body, token: sender}).status, path)
		}
	}
	theirs := s.due(t, 4)[0]
	for _, body := range []string{fmt.Sprintf(`{"enrollment_id": %d}`, theirs), fmt.Sprintf(`{"enrollment_external_id": "lead-%d"}`, theirs), `{"enrollment_id": 1, "workspace": "south"}`} {
		require.Equal(t, http.StatusNotFound, s.send(t, call{method: "POST", path: "/sending/actions/reserve", body: body, token: sender}).status, body)
	}
	require.Equal(t, http.StatusNotFound, s.send(t, call{method: "POST", path: "/sending/actions/claim", body: `{"workspace": "south"}`, token: sender}).status)
	require.Equal(t, http.StatusNotFound, s.send(t, call{path: "/accounts/4/sending", token: sender}).status)
}

// An unknown action is settled by a person, with a reason. A sender could send again what was
// delivered already.
func TestSendersDoNotSettleUnknownActions(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	sender, fleet := s.sender(t, "1"), s.sender(t, "NULL")
	id := testdb.Value[int64](t, s.DB, "SELECT id FROM thaw.reserve($1, 'invite')", s.due(t, 1)[0])
	s.Exec(t, "SELECT thaw.start($1)", id)
	s.Exec(t, "SELECT thaw.settle($1, 'unknown')", id)
	settle := func(token, body string) answer {
		return s.send(t, call{method: "POST", path: fmt.Sprintf("/sending/actions/%d/settle", id), body: body, token: token})
	}
	for _, outcome := range []string{"verified_sent", "verified_absent"} {
		for _, token := range []string{sender, fleet} {
			for _, body := range []string{`{"outcome": "%s"}`, `{"outcome": "%s", "reason": "it is not in the list"}`} {
				detail := settle(token, fmt.Sprintf(body, outcome)).json(t, http.StatusForbidden)["detail"]
				require.Contains(t, detail, fmt.Sprintf("thaw actions settle %d --as %s --reason", id, outcome))
				require.Contains(t, detail, fmt.Sprintf("/sending/%d", id))
			}
		}
		for _, reason := range []string{"", " "} {
			detail := settle(s.operator, fmt.Sprintf(`{"outcome": %q, "reason": %q}`, outcome, reason)).json(t, http.StatusBadRequest)["detail"]
			require.Contains(t, detail, "The outcome "+outcome+" needs a reason")
		}
	}
	require.Contains(t, settle(s.operator, `{"outcome": "verified_sent", "reason": "why", "if_refused": "skip"}`).json(t, http.StatusBadRequest)["detail"], "Leave them out.")
	require.Contains(t, settle(sender, `{"outcome": "sent", "reason": "why"}`).json(t, http.StatusBadRequest)["detail"], "Leave it out.")
	require.Equal(t, "unknown", testdb.Value[string](t, s.DB, "SELECT state::text FROM thaw.actions WHERE id = $1", id), "nothing was changed")

	settled := settle(s.operator, `{"outcome": "verified_sent", "reason": "it is in the list", "provider_ref": "inv_7"}`).json(t, http.StatusOK)
	require.Equal(t, "sent", settled["state"])
	require.Equal(t, "inv_7", testdb.Value[string](t, s.DB, "SELECT provider_ref FROM thaw.actions WHERE id = $1", id))
	require.Equal(t, "it is in the list", testdb.Value[string](t, s.DB, "SELECT reason FROM thaw.manual_actions WHERE what = 'action_settled'"))
}

// The hours are those of the chart of the fleet page, and follow a verification.
func TestSendingHours(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	require.Nil(t, s.send(t, call{path: "/sending/hours", token: s.operator}).json(t, http.StatusOK)["counted_at"])
	id := testdb.Value[int64](t, s.DB, "SELECT id FROM thaw.reserve($1, 'invite')", s.due(t, 1)[0])
	s.Exec(t, "SELECT thaw.start($1)", id)
	s.Exec(t, "SELECT thaw.settle($1, 'unknown')", id)
	unknown := func(token, path string) any {
		return s.send(t, call{path: path, token: token}).json(t, http.StatusOK)["unknown_actions"]
	}
	require.Equal(t, []any{1.0, 1.0, 1.0, 0.0}, []any{unknown(s.operator, "/fleet"), unknown(s.north, "/fleet"), unknown(s.operator, "/fleet?workspace=north"), unknown(s.south, "/fleet")})
	total := func(within string) (sum [3]float64, hours int) {
		s.Exec(t, "UPDATE thaw.scheduler SET hours_counted_at = NULL; SELECT thaw.count_action_hours()")
		answer := s.send(t, call{path: "/sending/hours" + within, token: s.operator}).json(t, http.StatusOK)
		require.NotNil(t, answer["counted_at"])
		for _, item := range answer["items"].([]any) {
			hour := item.(map[string]any)
			sum[0], sum[1], sum[2] = sum[0]+hour["sent"].(float64), sum[1]+hour["unknown"].(float64), sum[2]+hour["undelivered"].(float64)
		}
		return sum, len(answer["items"].([]any))
	}
	before, hours := total("")
	require.Equal(t, 24, hours)
	require.InDelta(t, 1, before[1], 0)
	s.Advance(t, 3*time.Hour)
	s.Exec(t, "SELECT thaw.verify_action($1, 'verified_sent', 'it is in the list')", id)
	after, hours := total("?within=31d")
	require.Equal(t, 31*24, hours)
	require.Equal(t, [3]float64{before[0] + 1, 0, before[2]}, after)
	require.Contains(t, s.send(t, call{path: "/sending/hours?within=32d", token: s.operator}).json(t, http.StatusBadRequest)["detail"], "31 days")
	require.Equal(t, http.StatusForbidden, s.send(t, call{path: "/sending/hours", token: s.sender(t, "NULL")}).status)
}

func TestLimitsAndWindowsOverHTTP(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	post := func(path, body string) answer {
		return s.send(t, call{method: "POST", path: path, body: body, token: s.operator})
	}
	limit := `{"account": "north-1", "kind": "invite", "per_day": 3, "gap_from_seconds": 300, "gap_to_seconds": 600, "reason": "a new device"}`
	require.Equal(t, true, post("/sending/limits", limit).json(t, http.StatusOK)["is_changed"])
	require.Equal(t, false, post("/sending/limits", limit).json(t, http.StatusOK)["is_changed"])
	invites := kind(t, s.send(t, call{path: "/accounts/1/sending", token: s.north}).json(t, http.StatusOK), "invite")
	require.Equal(t, []any{3.0, 300.0, 600.0}, []any{invites["per_day"], invites["gap_from_seconds"], invites["gap_to_seconds"]})
	limits := s.send(t, call{path: "/sending/limits?workspace=north", token: s.operator}).json(t, http.StatusOK)
	require.Len(t, limits["items"], 2)
	require.Len(t, limits["ceilings"], 5)
	require.Len(t, limits["defaults"], 120)
	require.Equal(t, true, post("/sending/ceilings", `{"kind": "invite", "per_day": 2, "reason": "an incident"}`).json(t, http.StatusOK)["is_changed"])
	invites = kind(t, s.send(t, call{path: "/accounts/1/sending", token: s.north}).json(t, http.StatusOK), "invite")
	require.Equal(t, 2.0, invites["per_day"])

	windows := `{"account": "north-1", "windows": [{"weekdays": [1, 2], "opens": "09:00", "closes": "17:00", "timezone": "Europe/Berlin"}], "reason": "asked for"}`
	require.Equal(t, 1.0, post("/sending/windows", windows).json(t, http.StatusOK)["windows"])
	list := s.send(t, call{path: "/sending/windows?workspace=north", token: s.operator}).json(t, http.StatusOK)["items"].([]any)
	require.Len(t, list, 2)
	require.Equal(t, []any{"north-1", "Europe/Berlin", "09:00"}, []any{list[1].(map[string]any)["account"], list[1].(map[string]any)["timezone"], list[1].(map[string]any)["opens"]})

	for _, test := range []struct{ path, body, detail string }{
		{"/sending/limits", `{"kind": "invite", "per_day": 3, "reason": "x"}`, "The limit has no target. Name a workspace or an account."},
		{"/sending/limits", `{"workspace": "north", "kind": "invite", "per_day": 99, "reason": "x"}`, "The limit is above the ceiling of the fleet"},
		{"/sending/limits", `{"workspace": "north", "kind": "invite", "gap_from_seconds": -1, "reason": "x"}`, "gap_from_seconds=-1: must be from 0 to 86400."},
		{"/sending/limits", `{"workspace": "north", "kind": "fax", "per_day": 1, "reason": "x"}`, "The kind \"fax\" is unknown."},
		{"/sending/ceilings", `{"kind": "invite", "per_day": 2}`, "No reason was given."},
		{"/sending/windows", `{"workspace": "north", "reason": "x"}`, "windows is missing. Send [] to remove the windows."},
		{"/sending/windows", `{"windows": [], "reason": "x"}`, "The windows of the fleet cannot be removed."},
		{"/sending/windows", `{"workspace": "north", "windows": [{"weekdays": [8], "opens": "09:00", "closes": "17:00"}], "reason": "x"}`, "Window 1 has no valid weekdays."},
		{"/sending/actions/reserve", `{}`, "Name the enrollment by enrollment_id, or by"},
		{"/sending/actions/reserve", `{"enrollment_external_id": "lead-1"}`, "needs its workspace"},
		{"/sending/actions/reserve", `{"enrollment_id": 1, "lease_seconds": 5}`, "lease_seconds=5: must be from 10 to 86400."},
		{"/sending/actions/claim", `{"limit": 0}`, "limit=0: must be from 1 to 1000."},
		{"/sending/actions/1/settle", `{"outcome": "done"}`, "The outcome \"done\" is unknown."},
		{"/sending/actions/1/settle", `{"outcome": "refused", "if_refused": "retry"}`, "if_refused is \"retry\"."},
		{"/sending/actions/1/invite", `{"closed_as": "lost"}`, "An invite does not end as \"lost\"."},
	} {
		require.Contains(t, post(test.path, test.body).json(t, http.StatusBadRequest)["detail"], test.detail, test.body)
	}
	require.Equal(t, http.StatusNotFound, post("/sending/actions/99/start", "{}").status)
	require.Equal(t, http.StatusNotFound, post("/sending/actions/reserve", `{"enrollment_id": 99999}`).status)
	require.Contains(t, s.send(t, call{path: "/sending/actions?state=lost", token: s.operator}).body, "state=lost: must be one of already")
	require.Contains(t, s.send(t, call{path: "/sending/actions?kind=visit", token: s.operator}).json(t, http.StatusBadRequest)["detail"],
		`There is no kind of action "visit". Use one of email, inmail, invite, message, view.`)
	require.Equal(t, http.StatusNotFound, s.send(t, call{path: "/sending/actions?account=unknown", token: s.operator}).status)
}

// The explanation of an active prospect has its next action, and what holds it.
func TestExplanationHasTheNextAction(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	id := s.due(t, 1)[0]
	s.Exec(t, "SELECT thaw.set_action_limit('north', 'invite', per_day => 0, reason => 'why')")
	asked := s.send(t, call{path: fmt.Sprintf("/prospects?url=lead-%d", id), token: s.north}).json(t, http.StatusOK)
	next := asked["explanations"].([]any)[0].(map[string]any)["next"].(map[string]any)
	require.Equal(t, []any{"invite", "daily_cap", nil, "none"}, []any{next["kind"], next["code"], next["opens_at"], next["who_acts"]})
	require.Equal(t, "The daily cap of invites is used up. Its limit is zero: raise the limit, or change the subscription of the account.", next["sentence"])
	require.NotNil(t, next["due_at"])
	require.Nil(t, asked["explanations"].([]any)[0].(map[string]any)["expected_at"], "the gate does not open at a known time")
	require.NotContains(t, next, "expected_on")
	waiting := s.send(t, call{path: "/prospects?url=linkedin.com/in/north-2-2", token: s.north}).json(t, http.StatusOK)
	require.NotContains(t, waiting["explanations"].([]any)[0], "next")

	s.Exec(t, "SELECT thaw.set_action_limit('north', 'invite', per_day => 5, reason => 'why')")
	asked = s.send(t, call{path: fmt.Sprintf("/prospects?url=lead-%d", id), token: s.north}).json(t, http.StatusOK)["explanations"].([]any)[0].(map[string]any)
	expected := asked["next"].(map[string]any)["expected_on"].(map[string]any)
	require.Equal(t, expected["from"], expected["to"])
}

// What no database takes, or what is far too long, is a client's error that says what to do.
func TestSendersGetAnswersToStrangeInput(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	sender := s.sender(t, "1")
	id := s.due(t, 1)[0]
	reserved := s.send(t, call{method: "POST", path: "/sending/actions/reserve", body: fmt.Sprintf(`{"enrollment_id": %d}`, id), token: sender}).json(t, http.StatusOK)
	action := fmt.Sprintf("/sending/actions/%v", reserved["id"])
	s.send(t, call{method: "POST", path: action + "/start", token: sender}).json(t, http.StatusOK)
	long := strings.Repeat("x", 300)
	for _, test := range []struct{ path, body string }{
		{"/sending/actions/reserve", `{"enrollment_external_id": "\u0000"}`},
		{"/sending/actions/reserve", fmt.Sprintf(`{"enrollment_id": %d, "kind": "\u0000"}`, id)},
		{"/sending/actions/reserve", `{"enrollment_id": 99999999999999999999}`},
		{"/sending/actions/reserve", `{"enrollment_id": 1.5}`},
		{"/sending/actions/reserve", `[]`},
		{"/sending/actions/claim", `{"workspace": "\u0000"}`},
		{"/sending/actions/claim", `{"limit": 9999999999}`},
		{action + "/settle", `{"outcome": "sent", "provider_ref": "a\u0000b"}`},
		{action + "/settle", `{"outcome": "sent", "provider_ref": "` + long + `"}`},
		{action + "/settle", `{"outcome": "refused", "error_code": "` + long + `"}`},
		{action + "/settle", `{"outcome": "refused", "error_code": "\u0000"}`},
		{action + "/settle", `{"outcome": "` + long + `"}`},
		{action + "/settle", `{"outcome": "limited", "until": "9999-12-31T00:00:00Z"}`},
		{action + "/settle", `{"outcome": "limited", "until": "tomorrow"}`},
		{action + "/settle", `{"outcome": "sent", "next_kind": "fax"}`},
		{action + "/settle", `{"outcome": "sent", "next_at": "9999-12-31T23:59:59Z"}`},
		{action + "/invite", `{"closed_as": "\u0000"}`},
		{"/sending/actions/9223372036854775808/start", `{}`},
		{"/sending/actions/-1/start", `{}`},
	} {
		got := s.send(t, call{method: "POST", path: test.path, body: test.body, token: sender})
		assert.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, got.status, "%s %s: %s", test.path, test.body, got.body)
		assert.NotEmpty(t, got.json(t, got.status)["title"], test.body)
	}
	for _, query := range []string{"kind=%00", "account=%00", "workspace=%00", "state=%00", "cursor=%00", "kind=" + long} {
		got := s.send(t, call{path: "/sending/actions?" + query, token: sender})
		assert.Less(t, got.status, http.StatusInternalServerError, "%s: %s", query, got.body)
	}
	for _, test := range []struct{ path, body string }{
		{"/sending/limits", `{"workspace": "north", "kind": "\u0000", "per_day": 1, "reason": "x"}`},
		{"/sending/limits", `{"workspace": "north", "kind": "invite", "per_day": 1, "reason": "\u0000"}`},
		{"/sending/limits", `{"workspace": "north", "kind": "invite", "per_day": 1, "reason": "` + strings.Repeat("x", 1001) + `"}`},
		{"/sending/limits", `{"workspace": "north", "kind": "invite", "per_day": 2147483648, "reason": "x"}`},
		{"/sending/limits", `{"workspace": "north", "kind": "invite", "gap_from_seconds": 1e300, "gap_to_seconds": 1e300, "reason": "x"}`},
		{"/sending/limits", `{"workspace": "north", "campaign": "\u0000", "kind": "invite", "per_day": 1, "reason": "x"}`},
		{"/sending/ceilings", `{"kind": "\u0000", "per_day": 1, "reason": "x"}`},
		{"/sending/windows", `{"workspace": "north", "windows": [{"weekdays": [1], "opens": "\u0000", "closes": "17:00"}], "reason": "x"}`},
		{"/sending/windows", `{"workspace": "north", "windows": [{"weekdays": [1], "opens": "09:00", "closes": "17:00", "timezone": "\u0000"}], "reason": "x"}`},
		{"/sending/windows", `{"workspace": "north", "windows": [` + strings.Repeat(`{"weekdays": [1], "opens": "09:00", "closes": "17:00"},`, 50) + `{"weekdays": [1], "opens": "09:00", "closes": "17:00"}], "reason": "x"}`},
	} {
		got := s.send(t, call{method: "POST", path: test.path, body: test.body, token: s.operator})
		assert.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, got.status, "%s %s: %s", test.path, test.body, got.body)
		assert.NotEmpty(t, got.json(t, got.status)["title"], test.body)
	}
	require.Equal(t, "started", testdb.Value[string](t, s.DB, "SELECT state FROM thaw.actions ORDER BY id DESC LIMIT 1"), "nothing was changed")
}

// A sender that lost an answer can go on: it finds its reservations, a repeated report changes
// nothing, and an action that it has started but not done is tried again.
func TestSenderLosesAnswers(t *testing.T) {
	t.Parallel()
	s := setupSending(t)
	s.Exec(t, `UPDATE thaw.settings SET action_gap_from = '0', action_gap_to = '0'; UPDATE thaw.action_ceilings SET gap_from = '0';
		UPDATE thaw.action_limits SET gap_from = '0', gap_to = '0'; UPDATE thaw.actions SET next_of_kind_at = reserved_at - interval '1 day'`)
	sender := s.sender(t, "1")
	post := func(path, body string) map[string]any {
		return s.send(t, call{method: "POST", path: path, body: body, token: sender}).json(t, http.StatusOK)
	}
	id := s.due(t, 1)[0]
	wanted := fmt.Sprintf(`{"enrollment_id": %d}`, id)
	post("/sending/actions/reserve", wanted)
	require.Equal(t, "already_reserved", post("/sending/actions/reserve", wanted)["code"])
	list := s.send(t, call{path: "/sending/actions?state=reserved", token: sender}).json(t, http.StatusOK)["items"].([]any)
	require.Len(t, list, 1)
	reserved := list[0].(map[string]any)
	require.EqualValues(t, id, reserved["enrollment_id"])
	action := fmt.Sprintf("/sending/actions/%v", reserved["id"])
	require.Nil(t, post(action+"/start", "")["code"])
	require.Equal(t, "already_started", post(action+"/start", "")["code"])
	for range 2 {
		require.Equal(t, "released", post(action+"/settle", `{"outcome": "throttled"}`)["state"])
	}
	require.Equal(t, "not_due", post("/sending/actions/reserve", wanted)["code"])
	s.Advance(t, 5*time.Minute)
	require.Nil(t, post("/sending/actions/reserve", wanted)["code"])
}
