package adopt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// withFixture returns a database with the tables of testdata/NAME.sql beside Thaw's.
func withFixture(t *testing.T, name string) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	sql, err := os.ReadFile(filepath.Join("testdata", name+".sql"))
	require.NoError(t, err)
	db.Exec(t, string(sql))
	return db
}

// catalogOf reads the catalog of the test's database.
func catalogOf(t *testing.T, db *testdb.DB) *Catalog {
	t.Helper()
	catalog, err := ReadCatalog(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	return catalog
}

// planned returns a mapping that fits the test's database, and its plan.
func planned(t *testing.T, db *testdb.DB, source string) (*Mapping, *Plan) {
	t.Helper()
	m, err := Parse(source)
	require.NoError(t, err)
	catalog := catalogOf(t, db)
	_, err = m.Check(catalog)
	require.NoError(t, err)
	return m, m.Generate(catalog, testdb.Value[string](t, db, "SELECT current_user"))
}

// recording replaces the functions that the triggers call by ones that keep what they get, so that
// tests see the rows that the triggers send.
const recording = `
CREATE TABLE public.taken (id serial, kind text, row jsonb);
CREATE OR REPLACE FUNCTION thaw.take_workspaces(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE sql AS
$$ INSERT INTO public.taken (kind, row) SELECT 'workspaces', r FROM jsonb_array_elements(rows) AS r; SELECT 0 $$;
CREATE OR REPLACE FUNCTION thaw.take_accounts(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE sql AS
$$ INSERT INTO public.taken (kind, row) SELECT 'accounts', r FROM jsonb_array_elements(rows) AS r; SELECT 0 $$;
CREATE OR REPLACE FUNCTION thaw.take_campaigns(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE sql AS
$$ INSERT INTO public.taken (kind, row) SELECT 'campaigns', r FROM jsonb_array_elements(rows) AS r; SELECT 0 $$;
CREATE OR REPLACE FUNCTION thaw.take_enrollments(rows jsonb, is_backfill boolean DEFAULT false) RETURNS integer LANGUAGE sql AS
$$ INSERT INTO public.taken (kind, row) SELECT 'enrollments', r FROM jsonb_array_elements(rows) AS r; SELECT 0 $$;
`

// taken returns what the triggers sent since the last call, as JSON without spaces.
func taken(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	rows := testdb.Column[string](t, db, "WITH gone AS (DELETE FROM public.taken RETURNING *) SELECT row::text FROM gone ORDER BY id")
	for i, row := range rows {
		var value any
		require.NoError(t, json.Unmarshal([]byte(row), &value))
		text, err := json.Marshal(value)
		require.NoError(t, err)
		rows[i] = string(text)
	}
	return rows
}

func TestTriggersSendWhatChanged(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	_, plan := planned(t, db, mapping)
	db.Exec(t, recording)
	db.Exec(t, plan.SQL())
	db.Exec(t, plan.SQL()) // again, as a migration that is repeated
	require.Empty(t, taken(t, db))

	for _, c := range []struct {
		name, sql string
		want      []string
	}{
		{"a step of a running lead", "UPDATE app.campaign_leads SET current_step = 3, next_run_at = '2026-02-01 10:00Z', opens = 5 WHERE id = 'cl_1'", nil},
		{"a column that is not mapped", "UPDATE app.campaign_leads SET opens = opens + 1", nil},
		{"equal values", "UPDATE app.campaign_leads SET state = state, pause_cause = pause_cause", nil},
		{"a pause", "UPDATE app.campaign_leads SET state = 'paused', pause_cause = 'account_lost' WHERE id = 'cl_1'", []string{
			`{"campaign":"cmp_spring","id":"cl_1","next_action_at":"2026-02-01T10:00:00+00:00","own_reason":null,"reason":"account_disconnected","status":"paused","step":3}`,
		}},
		{"a step of a paused lead", "UPDATE app.campaign_leads SET current_step = 4 WHERE id = 'cl_1'", []string{
			`{"campaign":"cmp_spring","id":"cl_1","step":4}`,
		}},
		{"another cause", "UPDATE app.campaign_leads SET pause_cause = 'holiday' WHERE id = 'cl_1'", []string{
			`{"campaign":"cmp_spring","id":"cl_1","next_action_at":"2026-02-01T10:00:00+00:00","own_reason":"holiday","reason":"paused_by_user","step":4}`,
		}},
		{"no cause", "UPDATE app.campaign_leads SET pause_cause = NULL WHERE id = 'cl_1'", []string{
			`{"campaign":"cmp_spring","id":"cl_1","next_action_at":"2026-02-01T10:00:00+00:00","own_reason":null,"reason":"paused_by_user","step":4}`,
		}},
		{"an unknown word", "UPDATE app.campaign_leads SET state = 'on_vacation' WHERE id = 'cl_1'", []string{
			`{"campaign":"cmp_spring","id":"cl_1","next_action_at":"2026-02-01T10:00:00+00:00","step":4,"unknown":"on_vacation"}`,
		}},
		{"a cause of a row that is not paused", "UPDATE app.campaign_leads SET pause_cause = 'x' WHERE id = 'cl_2'; UPDATE app.campaign_leads SET pause_cause = NULL WHERE id = 'cl_2'", nil},
		{"another account", "UPDATE app.campaign_leads SET sender_account_id = NULL WHERE id = 'cl_2'", []string{
			`{"account":null,"campaign":"cmp_spring","id":"cl_2","next_action_at":null,"step":0}`,
		}},
		{"another partition", "UPDATE app.campaign_leads SET added_on = '2026-02-10', state = 'running' WHERE id = 'cl_2'", []string{
			`{"campaign":"cmp_spring","id":"cl_2","next_action_at":null,"status":"active","step":0}`,
		}},
		{"a statement on a partition", "UPDATE app.campaign_leads_2026_02 SET state = 'finished' WHERE id = 'cl_2'", []string{
			`{"campaign":"cmp_spring","id":"cl_2","next_action_at":null,"status":"completed","step":0}`,
		}},
		{"the URL in another table", "UPDATE app.leads SET linkedin_url = 'https://www.linkedin.com/in/new', full_name = 'New' WHERE id = 'lead_2'", []string{
			`{"campaign":"cmp_spring","id":"cl_2","prospect_url":"https://www.linkedin.com/in/new"}`,
		}},
		{"another value in that table", "UPDATE app.leads SET full_name = 'Newer'", nil},
		{"several rows, in the order of their ids", "UPDATE app.campaign_leads SET state = 'bounced' WHERE id IN ('cl_7', 'cl_5')", []string{
			`{"campaign":"cmp_spring","id":"cl_5","next_action_at":null,"status":"failed","step":0}`,
			`{"campaign":"cmp_fall","id":"cl_7","next_action_at":"2026-01-31T11:00:00+00:00","status":"failed","step":1}`,
		}},
		{"an insert", "INSERT INTO app.campaign_leads (id, campaign_id, lead_id) VALUES ('cl_9', 'cmp_spring', 'lead_3')", []string{
			`{"account":null,"campaign":"cmp_spring","id":"cl_9","next_action_at":null,"own_reason":null,"prospect_url":"https://www.linkedin.com/in/lead-3","reason":null,"status":"pending","step":0}`,
		}},
		{"an upsert", "INSERT INTO app.campaign_leads (id, campaign_id, lead_id) VALUES ('cl_9', 'cmp_spring', 'lead_3') ON CONFLICT (id, added_on) DO UPDATE SET state = 'answered'", []string{
			`{"campaign":"cmp_spring","id":"cl_9","next_action_at":null,"status":"replied","step":0}`,
		}},
		{"a delete", "DELETE FROM app.campaign_leads WHERE id = 'cl_9'", []string{`{"campaign":"cmp_spring","deleted":true,"id":"cl_9"}`}},
		{"another id", "UPDATE app.campaign_leads SET id = 'cl_2b' WHERE id = 'cl_2'", []string{
			`{"campaign":"cmp_spring","deleted":true,"id":"cl_2"}`,
			`{"account":null,"campaign":"cmp_spring","id":"cl_2b","next_action_at":null,"prospect_url":"https://www.linkedin.com/in/new","status":"completed","step":0}`,
		}},
		{"an account", "UPDATE app.linkedin_accounts SET state = 'checkpoint', settings = '{}' WHERE id = 'acc_ann'", []string{
			`{"id":"acc_ann","status":"needs_verification","workspace":"ws_acme"}`,
		}},
		{"a name", "UPDATE app.linkedin_accounts SET full_name = 'Ann O''Lee' WHERE id = 'acc_ann'", []string{
			`{"id":"acc_ann","name":"Ann O'Lee","workspace":"ws_acme"}`,
		}},
		{"a campaign", "UPDATE app.campaigns SET state = 'halted', halt_cause = 'account_lost' WHERE id = 'cmp_fall'", []string{
			`{"id":"cmp_fall","reason":"account_disconnected","status":"paused","workspace":"ws_globex"}`,
		}},
		{"a workspace", "INSERT INTO app.workspaces VALUES ('ws_new', 'New'); UPDATE app.workspaces SET title = 'Newer' WHERE id = 'ws_new'; DELETE FROM app.workspaces WHERE id = 'ws_new'", []string{
			`{"id":"ws_new","name":"New"}`, `{"id":"ws_new","name":"Newer"}`,
		}},
		{"what Thaw writes", "SET LOCAL thaw.applying = 'on'; UPDATE app.campaign_leads SET state = 'running'", nil},
	} {
		before := len(c.want)
		db.Exec(t, c.sql)
		got := taken(t, db)
		if before == 0 {
			require.Empty(t, got, c.name)
		} else {
			require.Equal(t, c.want, got, c.name)
		}
	}
}

func TestLargeStatementsAreSentInParts(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	_, plan := planned(t, db, mapping)
	db.Exec(t, recording+plan.SQL())
	db.Exec(t, "UPDATE app.campaign_leads SET state = 'finished' WHERE id = 'cl_1'") // caches plans for one row
	db.Exec(t, `
		INSERT INTO app.leads SELECT 'more_' || i, 'ws_acme', 'https://www.linkedin.com/in/more-' || i FROM generate_series(1, 5000) AS i;
		INSERT INTO app.campaign_leads (id, campaign_id, lead_id) SELECT 'more_' || i, 'cmp_spring', 'more_' || i FROM generate_series(1, 5000) AS i`)
	require.Len(t, taken(t, db), 5001)
	db.Exec(t, "UPDATE app.campaign_leads SET state = 'paused' WHERE id LIKE 'more_%'")
	require.Len(t, taken(t, db), 5000)
}

// The platform's statements succeed whatever happens to Thaw and to the mapped tables.
func TestTriggersNeverFailTheStatement(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	_, plan := planned(t, db, mapping)
	db.Exec(t, recording+plan.SQL())
	for _, change := range []string{
		"ALTER TABLE app.campaign_leads RENAME current_step TO step_number",
		"ALTER TABLE app.campaign_leads RENAME step_number TO current_step; ALTER TABLE app.campaign_leads ALTER current_step TYPE text",
		"ALTER TABLE app.campaign_leads DROP pause_cause",
		"ALTER TABLE app.leads RENAME TO people",
		"DROP FUNCTION thaw.take_enrollments",
	} {
		db.Exec(t, change)
		db.Exec(t, "UPDATE app.campaign_leads SET state = 'finished' WHERE id = 'cl_2'; UPDATE app.campaign_leads SET state = 'running' WHERE id = 'cl_2'")
		db.Exec(t, "INSERT INTO app.campaign_leads (id, campaign_id, lead_id) VALUES ('cl_x', 'cmp_spring', 'lead_3'); DELETE FROM app.campaign_leads WHERE id = 'cl_x'")
	}
	db.Exec(t, "DROP TABLE app.campaign_leads CASCADE")
}

func TestPlanIsDeterministic(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	_, first := planned(t, db, mapping)
	_, second := planned(t, db, mapping)
	require.Equal(t, first.SQL(), second.SQL())
	require.Contains(t, first.SQL(), `AFTER UPDATE ON "app"."campaign_leads_2026_01"`)
	require.NotContains(t, first.SQL(), "GRANT", "the owner of both needs no grant")
	for _, line := range strings.Split(first.SQL(), "\n") {
		require.Equal(t, strings.TrimRight(line, " \t"), line)
	}
}

func TestCheckRefusesWithAReason(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	db.Exec(t, "CREATE MATERIALIZED VIEW app.totals AS SELECT id FROM app.campaigns; CREATE TABLE app.unkeyed (id text, state text)")
	catalog := catalogOf(t, db)
	for _, c := range []struct{ name, from, to, want string }{
		{"view", "table: app.campaign_leads", "table: app.running_leads", "app.running_leads is a view: a trigger on a view does not see changes of the tables behind it. Map the table that has the state"},
		{"materialized view", "table: app.campaigns", "table: app.totals", "app.totals is a materialized view"},
		{"partition", "table: app.campaign_leads", "table: app.campaign_leads_2026_01", "is a partition, so that rows of the other partitions would be missing. Map the partitioned table."},
		{"no table", "table: app.linkedin_accounts", "table: app.LinkedinAccount", "there is no table app.LinkedinAccount, or this role may not see its schema. Did you mean app.linkedin_accounts?"},
		{"no column", "member: urn", "member: urm", `line 8: accounts.member: app.linkedin_accounts has no column "urm". Its columns: id, workspace_id, unipile_account_id,`},
		{"type", "step: current_step", "step: pause_cause", "enrollments.step: pause_cause of app.campaign_leads is text, and not an integer"},
		{"time", "next_action_at: next_run_at", "next_action_at: added_on", "added_on of app.campaign_leads is date, and not a timestamp"},
		{"json", "member: urn", "member: settings", "settings of app.linkedin_accounts is jsonb, which has more than one value"},
		{"id", "  id: id\n  workspace: workspace_id\n  provider", "  id: full_name\n  workspace: workspace_id\n  provider", "no unique index is on full_name of app.linkedin_accounts alone"},
		{"key", "column: linkedin_url}", "key: full_name, column: linkedin_url}", "no unique index is on full_name of app.leads alone"},
		{"word", "ok: connected", "okay: connected", `accounts.status.map: state of app.linkedin_accounts is never "okay". Its words: connecting, ok, credentials,`},
		{"word of a CHECK", "live: running", "lively: running", `state of app.campaigns is never "lively". Its words: draft, live, halted, done.`},
	} {
		require.Contains(t, mapping, c.from, c.name)
		m, err := Parse(strings.Replace(mapping, c.from, c.to, 1))
		require.NoError(t, err, c.name)
		_, err = m.Check(catalog)
		require.ErrorContains(t, err, c.want, c.name)
	}

	m, err := Parse(mapping)
	require.NoError(t, err)
	notices, err := m.Check(catalog)
	require.NoError(t, err)
	var all []string
	for _, n := range notices {
		all = append(all, n.Path+": "+n.Message)
	}
	require.Equal(t, []string{
		"accounts.status: the platform has no word for restricted. Such an account keeps the word that it has in app.linkedin_accounts.",
		"enrollments.table: app.campaign_leads has 2 partitions or children. Each of them gets the triggers too, because a statement can name it. After you create a partition, run thaw adopt plan again. Until then, Thaw sees only statements on app.campaign_leads itself.",
		"enrollments.status.map: the words on_vacation are not in the map. A row with one of them is parked: Thaw does not resume it, and does not write it.",
	}, all)
}

func TestPreviewCountsRows(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	db.Exec(t, `
		UPDATE app.leads SET linkedin_url = NULL WHERE id = 'lead_2';
		UPDATE app.campaign_leads SET current_step = -1 WHERE id = 'cl_3';
		ALTER TABLE app.linkedin_accounts DROP CONSTRAINT linkedin_accounts_unipile_account_id_key;
		UPDATE app.linkedin_accounts SET unipile_account_id = 'up_ann', tz = 'Mars/Base' WHERE id = 'acc_bob';
		INSERT INTO app.campaign_leads (id, added_on, campaign_id, lead_id) VALUES ('cl_1', '2026-02-20', 'cmp_spring', 'lead_1')`)
	m, _ := planned(t, db, mapping)
	p, err := m.Preview(t.Context(), db.Pool, catalogOf(t, db))
	require.NoError(t, err)
	require.Len(t, p.Tables, 4)
	leads := p.Tables[3]
	require.EqualValues(t, 9, leads.Rows)
	require.Equal(t, []WordCount{
		{"queued", "pending", 3, "cl_1", false}, {"paused", "paused", 2, "cl_3", false}, {"running", "active", 2, "cl_1", false},
		{"answered", "replied", 1, "cl_6", false}, {"on_vacation", "", 1, "cl_8", false},
	}, leads.Statuses)
	require.Equal(t, []WordCount{
		{"account_lost", "account_disconnected", 1, "cl_3", false}, {"holiday", "paused_by_user", 1, "cl_4", true},
	}, leads.Reasons)
	unused, _ := leads.Misspelled()
	require.Empty(t, unused)
	rules := map[string]Violation{}
	for _, table := range p.Tables {
		for _, v := range table.Violations {
			rules[v.Rule] = v
		}
	}
	for rule, example := range map[string]string{
		"the prospect has no URL": "cl_2", "the step is null or not between 0 and 2147483647": "cl_3",
		"the time zone is unknown to Postgres": "acc_bob", "another account has the same ID at the provider": "acc_bob",
		"the id is also that of a row in another partition": "cl_1",
	} {
		require.Equal(t, example, rules[rule].Example, rule)
		require.EqualValues(t, 1, rules[rule].Rows, rule)
	}
	require.Len(t, rules, 5)
}

// A typo in the map of the reason is seen: the word has no row, and the right one falls to "else".
func TestPreviewShowsMisspelledReasons(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	m, _ := planned(t, db, strings.ReplaceAll(mapping, "account_lost: account_disconnected", "acount_lost: account_disconnected"))
	p, err := m.Preview(t.Context(), db.Pool, catalogOf(t, db))
	require.NoError(t, err)
	leads := p.Tables[3]
	require.Equal(t, []WordCount{
		{"account_lost", "paused_by_user", 1, "cl_3", true}, {"holiday", "paused_by_user", 1, "cl_4", true},
		{"acount_lost", "account_disconnected", 0, "", false},
	}, leads.Reasons)
	unused, elseRows := leads.Misspelled()
	require.Equal(t, []string{"acount_lost"}, unused)
	require.EqualValues(t, 2, elseRows)
}
