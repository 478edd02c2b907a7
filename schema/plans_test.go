package schema_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// manyRows is a fleet of accounts in 20 workspaces, with perAccount prospects per account in 20
// campaigns. Of ten prospects, six are finished, two are active, one was paused by a person, and
// one waits for its account.
const manyRows = `
SET thaw.counts_by_statement = 'on';
INSERT INTO thaw.workspaces (key) SELECT 'workspace-' || n FROM generate_series(1, 20) AS n;
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at)
SELECT 1 + n % 20, 'account-' || n, 'member-' || n / 40 || '-' || n % 20, CASE WHEN n % 10 < 7 THEN 'connected' ELSE 'disconnected' END::thaw.account_status,
	CASE WHEN n % 10 < 7 THEN now() END
FROM generate_series(1, {accounts}) AS n;
INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
SELECT 1 + n % 20, 'campaign-' || n, s.status, s.reason, CASE WHEN s.status = 'paused' THEN now() - interval '1 day' END
FROM generate_series(1, 400) AS n
CROSS JOIN LATERAL (VALUES (
	CASE WHEN n % 7 = 0 THEN 'paused' ELSE 'running' END::thaw.campaign_status,
	CASE WHEN n % 7 = 0 THEN 'account_issue' END::thaw.pause_reason)) AS s (status, reason);
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
SELECT a.workspace_id, c.ids[1 + n % 20], a.id, s.status, s.reason,
	CASE WHEN s.status = 'paused' THEN now() - n * interval '1 minute' END, format('https://example.com/in/%s-%s', a.id, n)
FROM thaw.accounts AS a
CROSS JOIN generate_series(1, {per account}) AS n
JOIN (SELECT c.workspace_id, array_agg(c.id) AS ids FROM thaw.campaigns AS c GROUP BY c.workspace_id) AS c ON c.workspace_id = a.workspace_id
CROSS JOIN LATERAL (VALUES (
	CASE WHEN n / 20 % 10 < 6 THEN 'completed' WHEN n / 20 % 10 < 8 THEN 'active' ELSE 'paused' END::thaw.enrollment_status,
	CASE n / 20 % 10 WHEN 8 THEN 'paused_by_user' WHEN 9 THEN 'account_disconnected' END::thaw.pause_reason)) AS s (status, reason);
-- Two giants, each with half as many prospects as all others: one with active, one with waiting
-- prospects.
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, connected_at)
VALUES (1, 'giant-active', 'connected', now()), (2, 'giant-waiting', 'connected', now());
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
SELECT a.workspace_id, c.id, a.id, s.status, s.reason, CASE WHEN s.status = 'paused' THEN now() - n * interval '1 second' END,
	format('https://example.com/in/%s-%s', a.provider_account_id, n)
FROM thaw.accounts AS a
JOIN (VALUES
	('giant-active', 'active'::thaw.enrollment_status, NULL::thaw.pause_reason),
	('giant-waiting', 'paused', 'account_issue')) AS s (account, status, reason) ON s.account = a.provider_account_id
CROSS JOIN LATERAL (SELECT min(c.id) AS id FROM thaw.campaigns AS c WHERE c.workspace_id = a.workspace_id) AS c
CROSS JOIN generate_series(1, {rows} / 2) AS n;
INSERT INTO thaw.enrollment_events (enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
SELECT e.id, now() - interval '1 day', e.account_id, e.account_id, 0, 'paused', 'signal', 'active', 'paused', 'account_issue',
    now() - interval '1 day'
FROM thaw.enrollments AS e;
INSERT INTO thaw.account_signals (provider, provider_account_id, account_id, delivery_key, raw_status, status, outcome)
SELECT 'linkedin', a.provider_account_id, a.id, format('%s-%s', a.id, n), 'OK', 'connected', 'applied'
FROM thaw.accounts AS a CROSS JOIN generate_series(1, {per account}) AS n;
INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com');
INSERT INTO thaw.outbox (type, data) SELECT 'test.ping', '{}' FROM generate_series(1, {rows});
INSERT INTO thaw.webhook_deliveries (outbox_id, endpoint_id, state, next_attempt_at, delivered_at)
SELECT o.id, 1, 'delivered', NULL, now() FROM thaw.outbox AS o;
`

// perAccount is the number of prospects, signals and changes per account of the fleet, and accounts
// the number of accounts without the giants.
//
// At full size, the planner has to choose the right plan. By default the tables are too small for
// that: a scan would be right. So the planner avoids scans, and a plan has one only if no index
// serves the statement.
var (
	perAccount = testdb.Size(200, 1000)
	accounts   = testdb.Size(20, 200)
)

// atSize fills the numbers of the fleet into statements. A batch is half of the waiting prospects
// of an account.
func atSize(statements string) string {
	return strings.NewReplacer(
		"{per account}", strconv.Itoa(perAccount), "{accounts}", strconv.Itoa(accounts), "{rows}", strconv.Itoa(accounts*perAccount),
		"{ticks}", strconv.Itoa(accounts*perAccount/10), "{batch}", strconv.Itoa(perAccount/20),
	).Replace(statements)
}

// planCacheModes are how statements are planned: with their parameters, which is tested at full
// size only, and without.
func planCacheModes() []string {
	if testdb.Full() {
		return []string{"force_custom_plan", "force_generic_plan"}
	}
	return []string{"force_generic_plan"}
}

// planning sets how statements are planned, in addition to a plan cache mode.
func planning(mode string) string {
	sql := "SET plan_cache_mode = " + mode + ";"
	if !testdb.Full() {
		sql += "SET enable_seqscan = off;"
	}
	return sql
}

// withoutAutovacuum disables autovacuum, because the test runs VACUUM itself. Autovacuum would read
// all tables a second time, and while it runs, VACUUM cannot mark pages of other tables as
// all-visible and has to be repeated.
const withoutAutovacuum = `
DO $$
DECLARE
	v_table regclass;
BEGIN
	FOR v_table IN SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'thaw'::regnamespace AND c.relkind = 'r' LOOP
		EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', v_table);
	END LOOP;
END $$`

// growing are the tables that no statement of the running system may scan sequentially.
var growing = []string{"enrollments", "enrollment_events", "account_signals", "outbox", "webhook_deliveries"}

// A node of a plan in the JSON format of EXPLAIN and auto_explain.
type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	Plans    []node `json:"Plans"`
}

// indexes returns the index scans of a plan, with their type.
func (n node) indexes() []string {
	var found []string
	if n.Index != "" {
		found = append(found, n.Type+" of "+n.Index)
	}
	for _, below := range n.Plans {
		found = append(found, below.indexes()...)
	}
	return found
}

// scans returns those of the tables that a plan scans sequentially.
func (n node) scans(tables []string) []string {
	var found []string
	if n.Type == "Seq Scan" && slices.Contains(tables, n.Relation) {
		found = append(found, n.Relation)
	}
	for _, below := range n.Plans {
		found = append(found, below.scans(tables)...)
	}
	return found
}

// An explainer is a connection that records the plan of every statement that it runs, including
// statements inside functions.
type explainer struct {
	*pgx.Conn
	t     *testing.T
	plans []string
}

// explaining makes a connection send the plan of every statement as a notice, including statements
// inside functions.
const explaining = `
LOAD 'auto_explain';
SET client_min_messages = notice;
SET auto_explain.log_level = notice;
SET auto_explain.log_format = json;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_min_duration = 0;
`

// shownPlan returns the plan in a notice of such a connection.
func shownPlan(notice *pgconn.Notice) (plan string, ok bool) {
	_, plan, ok = strings.Cut(notice.Message, "plan:\n")
	return plan, ok
}

func newExplainer(t *testing.T, db *testdb.DB) *explainer {
	t.Helper()
	e := &explainer{t: t}
	config, err := pgx.ParseConfig(db.Direct)
	require.NoError(t, err)
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if plan, ok := shownPlan(notice); ok {
			e.plans = append(e.plans, plan)
		}
	}
	e.Conn, err = pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close(context.WithoutCancel(t.Context())) })
	_, err = e.Exec(t.Context(), explaining)
	require.NoError(t, err)
	return e
}

// scansOf runs a statement and returns the scans of growing and other tables, each with the text of
// its query.
func (e *explainer) scansOf(sql string, others ...string) []string {
	e.t.Helper()
	e.plans = nil
	_, err := e.Exec(e.t.Context(), sql)
	require.NoError(e.t, err, sql)
	require.NotEmpty(e.t, e.plans, "auto_explain shows no plan of %s", sql)
	var found []string
	for _, text := range e.plans {
		var plan struct {
			Query string `json:"Query Text"`
			Plan  node
		}
		require.NoError(e.t, json.Unmarshal([]byte(text), &plan))
		for _, table := range plan.Plan.scans(slices.Concat(growing, others)) {
			found = append(found, table+" in: "+plan.Query)
		}
	}
	return found
}

func qualified(tables []string) (names []string) {
	for _, table := range tables {
		names = append(names, "thaw."+table)
	}
	return names
}

func loaded(t *testing.T) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, withoutAutovacuum)
	db.Exec(t, atSize(manyRows))
	// While autovacuum processes a catalog table, VACUUM cannot mark all pages as all-visible, and
	// the planner would not choose an index-only scan.
	require.Eventually(t, func() bool {
		db.Exec(t, "VACUUM (ANALYZE)")
		return testdb.Value[bool](t, db, "SELECT bool_and(c.relallvisible = c.relpages) FROM pg_class AS c WHERE c.oid = ANY ($1::text[]::regclass[])", qualified(growing))
	}, time.Minute, 100*time.Millisecond, "not all pages are all-visible")
	for _, table := range growing {
		require.GreaterOrEqual(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw."+table), accounts*perAccount)
	}
	return db
}

// The tests below would detect a scan in a nested function.
func TestExplainerSeesScansInFunctions(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `
		CREATE FUNCTION inner_one() RETURNS bigint LANGUAGE sql STABLE SET jit = off
		RETURN (SELECT count(*) FROM thaw.enrollments AS e WHERE e.step = 7);
		CREATE FUNCTION outer_one() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN inner_one(); END'`)
	scans := newExplainer(t, db).scansOf("SELECT outer_one()")
	require.Len(t, scans, 1)
	require.Contains(t, scans[0], "enrollments in: ")
}

func TestNoStatementScansGrowingTables(t *testing.T) {
	t.Parallel()
	db := loaded(t)
	requireIndexForWhoWaits(t, db)
	requireNoScansInFunctions(t, db)
	requireNoScansInQueries(t, db)
	if testdb.Full() {
		requireNoScansOnPages(t, db)
	}
}

// requireIndexForWhoWaits checks that the next prospects of a line are read in order by an
// index-only scan.
func requireIndexForWhoWaits(t *testing.T, db *testdb.DB) {
	t.Helper()
	// With ANALYZE, because the reads of a recursion are not in the plan before it runs.
	indexes := func(sql string) []string {
		var plans []struct{ Plan node }
		require.NoError(t, json.Unmarshal([]byte(testdb.Value[string](t, db, "EXPLAIN (ANALYZE, FORMAT JSON) "+sql)), &plans))
		return plans[0].Plan.indexes()
	}
	const line = `
		SELECT e.id FROM thaw.enrollments AS e
		WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id = %d AND e.campaign_id = %d
		ORDER BY e.paused_at, e.id LIMIT 200`
	for _, account := range []int{9, accounts + 2} { // one of many, and the giant with waiting prospects
		campaign := testdb.Value[int](t, db, "SELECT min(e.campaign_id) FROM thaw.enrollments AS e WHERE e.waits_for_account AND e.account_id = $1", account)
		require.Equal(t, []string{"Index Only Scan of enrollments_paused_idx"}, indexes(fmt.Sprintf(line, account, campaign)))
	}
}

// requireNoScansInFunctions runs the functions of the schema in a meaningful order.
func requireNoScansInFunctions(t *testing.T, db *testdb.DB) {
	t.Helper()
	const newestHeal = "(SELECT max(h.id) FROM thaw.heals AS h)"
	statements := []struct{ name, sql string }{
		{"a signal of a known account", "SELECT thaw.signal('linkedin', 'account-9', 'disconnected')"},
		{"a duplicate", "SELECT thaw.receive_signal('linkedin', 'account-9', 'OK', 'connected', NULL, NULL, '9-1', false, NULL)"},
		{"a signal of an unknown account", "SELECT thaw.signal('linkedin', 'account-new', 'connected')"},
		{"the account of an early signal", "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'account-new')"},
		{"pausing", "SELECT thaw.pause_batch(a.id, 500, 1, NULL, 1) FROM thaw.accounts AS a WHERE a.provider_account_id = 'account-9'"},
		{"pausing a restricted account", `
			UPDATE thaw.accounts SET status = 'restricted', pause_after = thaw.now() WHERE provider_account_id = 'account-8';
			SELECT thaw.pause_batch(a.id, 500, 1, NULL, 1) FROM thaw.accounts AS a WHERE a.provider_account_id = 'account-8'`},
		{"pausing a giant", `
			SELECT thaw.signal('linkedin', 'giant-active', 'disconnected');
			SELECT thaw.pause_batch(a.id, 500, 1, NULL, 1) FROM thaw.accounts AS a WHERE a.provider_account_id = 'giant-active'`},
		{"a pass of a giant", `
			SELECT thaw.signal('linkedin', 'giant-waiting', 'connected');
			SELECT thaw.resume_pass('signal', a.id, 1, p_signal_id => (SELECT max(s.id) FROM thaw.account_signals AS s))
			FROM thaw.accounts AS a WHERE a.provider_account_id = 'giant-waiting'`},
		{"starting the heal of a giant", "SELECT thaw.heal('workspace-2', account => 'giant-waiting')"},
		{"its first batch", "SELECT thaw.heal_batch(" + newestHeal + ", 500, 1)"},
		{"its second batch", "SELECT thaw.heal_batch(" + newestHeal + ", 500, 1)"},
		{"a pass of the signal lane", `
			SELECT thaw.resume_pass('signal', a.id, 1, p_signal_id => (
				SELECT s.id FROM thaw.account_signals AS s
				WHERE s.provider = a.provider AND s.provider_account_id = a.provider_account_id ORDER BY s.id DESC LIMIT 1))
			FROM thaw.accounts AS a WHERE a.provider_account_id = 'account-1'`},
		{"a pass that moves pending prospects", `
			UPDATE thaw.accounts SET status = 'connected' WHERE provider_account_id = 'account-21';
			UPDATE thaw.accounts AS a SET status = 'removed', member_id = new.member_id FROM thaw.accounts AS new
			WHERE a.provider_account_id = 'account-41' AND new.provider_account_id = 'account-21';
			UPDATE thaw.enrollments AS e SET status = 'pending' FROM thaw.accounts AS a
			WHERE a.id = e.account_id AND a.provider_account_id = 'account-41' AND e.status = 'active';
			SELECT thaw.move_targets();
			SELECT thaw.movable(thaw.sources_of(a.id)) FROM thaw.accounts AS a WHERE a.provider_account_id = 'account-21';
			SELECT count(*) FROM thaw.heals AS h CROSS JOIN LATERAL thaw.heal_movable(h, 10)`},
		{"a pass of the sweep lane", `
			INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, planned) VALUES (thaw.tick(), 200, 2000, 1, 200);
			INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
			SELECT thaw.tick(), a.id, a.workspace_id, 200 FROM thaw.accounts AS a WHERE a.provider_account_id = 'account-2';
			SELECT thaw.resume_pass('sweep', g.account_id, 1, g.tick_at) FROM thaw.allocations AS g`},
		{"starting the heal of an account", "SELECT thaw.heal('workspace-4', account => 'account-3')"},
		{"its scope", "SELECT thaw.heal_scope(" + newestHeal + ")"},
		{"its first batch", "SELECT thaw.heal_batch(" + newestHeal + ", {batch}, 1)"},
		{"its second batch", "SELECT thaw.heal_batch(" + newestHeal + ", {batch}, 1)"},
		{"its last batch", "SELECT thaw.heal_batch(" + newestHeal + ", {batch}, 1)"},
		{"starting the heal of a workspace", "SELECT thaw.heal('workspace-6')"},
		{"its first batch", "SELECT thaw.heal_batch(" + newestHeal + ", 500, 1)"},
		{"its second batch", "SELECT thaw.heal_batch(" + newestHeal + ", 500, 1)"},
		{"starting the heal of a list", `
			SELECT thaw.start_heal(NULL, NULL, ARRAY(
				SELECT e.id FROM thaw.enrollments AS e
				WHERE e.status = 'paused' AND e.waits_for_account
					AND e.account_id = (SELECT a.id FROM thaw.accounts AS a WHERE a.provider_account_id = 'account-4')
				LIMIT 50), 50, false, 'support')`},
		{"its first batch", "SELECT thaw.heal_batch(" + newestHeal + ", 500, 1)"},
		{"its second batch", "SELECT thaw.heal_batch(" + newestHeal + ", 500, 1)"},
		{"folding counts", "SELECT thaw.fold_counts()"},
		{"recounting some accounts", "SELECT thaw.recount(20)"},
		{"resumable lines", "SELECT thaw.resumable_lines()"},
		{"the candidates of a tick", "SELECT thaw.candidates()"},
		{"the demand of workspaces", "SELECT thaw.plan_workspaces(thaw.tick(), 2000)"},
		{"the demand of workspaces in a part", "SELECT thaw.plan_workspaces(thaw.tick(), 2000, 10, 20)"},
		{"the candidates of a tick in two workspaces", "SELECT thaw.plan_accounts(thaw.tick(), '{1,2}', '{10,10}')"},
		{"the end of earlier ticks", "SELECT thaw.close_ticks(thaw.tick() + interval '15 minutes')"},
		{"the jobs of earlier ticks", "SELECT thaw.drop_tick_jobs(thaw.tick() + interval '15 minutes', 100)"},
		{"overdue pauses", "SELECT thaw.requeue_pauses(thaw.tick())"},
		{"the campaigns that block active prospects", "SELECT thaw.blocked_campaigns()"},
		{"the sweep", "SELECT thaw.sweep()"},
		{"the history of a prospect", "SELECT * FROM thaw.history WHERE enrollment_id = 4711"},
		{"the backlog", "SELECT * FROM thaw.backlog"},
		{"sending messages again", "SELECT thaw.replay(NULL, now() - interval '1 hour', true, NULL, 100)"},
		{"sending one message again", "SELECT thaw.replay((SELECT o.message_id FROM thaw.outbox AS o WHERE o.id = 7), NULL, false, NULL, 100)"},
		{"removing old signals", "UPDATE thaw_test.clock SET ahead = ahead + '500 days'; SELECT thaw.prune_batch(500)"},
		{"removing old history", `
			UPDATE thaw.retention SET walk_id = (SELECT max(s.id) FROM thaw.account_signals AS s), walk_began = thaw.now()
			WHERE part = 'account_signals';
			SELECT thaw.prune_batch(500) FROM generate_series(1, 12)`},
	}
	// Functions cache plans, custom and generic ones; neither may scan.
	for _, mode := range planCacheModes() {
		conn := newExplainer(t, db)
		_, err := conn.Exec(t.Context(), planning(mode)+"BEGIN")
		require.NoError(t, err)
		for _, s := range statements {
			assert.Empty(t, conn.scansOf(atSize(s.sql)), "%s, %s", s.name, mode)
		}
		var resumed int
		require.NoError(t, conn.QueryRow(t.Context(),
			"SELECT count(DISTINCT (source, heal_id)) FROM thaw.enrollment_events WHERE kind = 'resumed'").Scan(&resumed))
		require.Equal(t, 6, resumed, "signal, sweep and four heals: each pass resumed prospects")
		var pruned int
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM thaw.retention WHERE kept_since > '-infinity'").Scan(&pruned))
		require.Equal(t, 7, pruned, "all tables but the last had old rows")
		_, err = conn.Exec(t.Context(), "ROLLBACK")
		require.NoError(t, err)
	}
}

// requireNoScansInQueries checks the queries of the program, in queries/.
func requireNoScansInQueries(t *testing.T, db *testdb.DB) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), planning("force_generic_plan"))
	require.NoError(t, err)

	queries := programQueries(t)
	require.NotEmpty(t, queries)
	for name, sql := range queries {
		prepared, err := conn.Prepare(t.Context(), name, sql)
		require.NoError(t, err, name)
		explain := "EXPLAIN (FORMAT JSON) EXECUTE " + pgx.Identifier{name}.Sanitize()
		if n := len(prepared.ParamOIDs); n > 0 {
			explain += "(NULL" + strings.Repeat(", NULL", n-1) + ")"
		}
		var plans []struct{ Plan node }
		require.NoError(t, conn.QueryRow(t.Context(), explain).Scan(&plans), name)
		// A removal deletes every row of a workspace, so its preview may read them all too.
		if name != "WorkspaceSize" {
			assert.Empty(t, plans[0].Plan.scans(growing), name)
		}
	}
}

// programQueries returns the queries in queries/ by name, with the arguments of sqlc as parameters.
func programQueries(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("queries/*.sql")
	require.NoError(t, err)
	header := regexp.MustCompile(`(?m)^-- name: (\w+) .*$`)
	argument := regexp.MustCompile(`sqlc\.n?arg\((\w+)\)`)
	queries := map[string]string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		names := header.FindAllStringSubmatch(string(content), -1)
		for i, body := range header.Split(string(content), -1)[1:] {
			parameters := map[string]string{}
			queries[names[i][1]] = argument.ReplaceAllStringFunc(body, func(match string) string {
				name := argument.FindStringSubmatch(match)[1]
				if parameters[name] == "" {
					parameters[name] = fmt.Sprintf("$%d", len(parameters)+1)
				}
				return parameters[name]
			})
		}
	}
	return queries
}
