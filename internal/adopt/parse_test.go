package adopt

import (
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mapping is the one of testdata/outreach.sql.
const mapping = `
workspaces: {table: app.workspaces, id: id, name: title}
accounts:
  table: app.linkedin_accounts
  id: id
  workspace: workspace_id
  provider_account_id: unipile_account_id
  member: urn
  name: full_name
  timezone: tz
  status: {column: state, map: {ok: connected, credentials: disconnected, checkpoint: needs_verification, stopped: error, connecting: connecting, deleted: removed}}
campaigns:
  table: app.campaigns
  id: id
  workspace: workspace_id
  name: title
  status: {column: state, map: {draft: draft, live: running, halted: paused, done: completed}}
  reason: {column: halt_cause, map: {account_lost: account_disconnected}, else: paused_by_user}
enrollments:
  table: app.campaign_leads
  id: id
  campaign: campaign_id
  account: sender_account_id
  prospect_url: {table: app.leads, by: lead_id, column: linkedin_url}
  status: {column: state, map: {queued: pending, running: active, paused: paused, finished: completed, answered: replied, bounced: failed, unsubscribed: removed}, unknown: park}
  reason: {column: pause_cause, map: {account_lost: account_disconnected}, else: paused_by_user}
  step: current_step
  next_action_at: next_run_at
`

func TestParse(t *testing.T) {
	t.Parallel()
	m, err := Parse(mapping)
	require.NoError(t, err)
	require.Len(t, m.Entities, 4)

	leads := m.Entity(Enrollments)
	require.Equal(t, Name{"app", "campaign_leads"}, leads.Table)
	require.Equal(t, &Join{Table: Name{"app", "leads"}, By: "lead_id", Key: "id", Column: "linkedin_url"}, leads.Values["prospect_url"].Join)
	require.Equal(t, "removed", leads.Delete)

	word, ok := leads.StatusWord("paused", "account_issue")
	require.True(t, ok)
	require.Equal(t, "paused", word)
	require.Equal(t, "account_lost", *leads.ReasonWord("account_issue"), "a reason without a word takes that of the disconnect")
	require.Nil(t, leads.ReasonWord("paused_by_user"))
	require.Nil(t, leads.ReasonWord(""))
	_, ok = m.Entity(Accounts).StatusWord("restricted", "")
	require.False(t, ok, "a status without a word is not written")
}

func TestStatusWordsCanHaveReasons(t *testing.T) {
	t.Parallel()
	m, err := Parse(strings.Replace(mapping, "paused: paused, finished",
		"on_hold: paused, stopped: paused, account_lost: {status: paused, reason: account_disconnected}, finished", 1))
	require.ErrorContains(t, err, `the words "on_hold", "stopped" all mean paused`)
	require.ErrorContains(t, err, "back: {paused: on_hold}")
	require.NotNil(t, m)

	m, err = Parse(strings.Replace(mapping, "paused: paused, finished",
		"on_hold: paused, account_lost: {status: paused, reason: account_disconnected}, finished", 1))
	require.NoError(t, err)
	for reason, want := range map[string]string{
		"account_disconnected": "account_lost", "account_restricted": "account_lost", "paused_by_user": "on_hold",
	} {
		word, ok := m.Entity(Enrollments).StatusWord("paused", reason)
		require.True(t, ok)
		require.Equal(t, want, word, reason)
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, from, to, want string }{
		{"unknown field", "  member: urn", "  memberr: urn", `line 8: accounts: "memberr" is no field here. Fields: table, id, workspace,`},
		{"unknown status", "ok: connected", "ok: linked", `line 11: accounts.status.map.ok: "linked" is not possible here. Use connecting, connected,`},
		{"undecided", "timezone: tz", `timezone: "?"`, "line 10: accounts.timezone: this is not decided: thaw adopt init could not guess it. Replace the question mark by the name of a column."},
		{"undecided word", "ok: connected", `ok: "?"`, "line 11: accounts.status.map.ok: this is not decided"},
		{"twice", "  member: urn", "  member: urn\n  member: urn", "line 9: accounts.member: the field is there twice. Remove one of them."},
		{"word twice", "{ok: connected,", "{ok: connected, ok: error,", `the word "ok" is there twice`},
		{"list", "  member: urn", "  member: [a, b]", "line 8: accounts.member: this is a list. Write the name of a column."},
		{"nothing", "  member: urn", "  member:", "line 8: accounts.member: this is nothing. Write the name of a column."},
		{"alias", "  member: urn", "  name: &a full_name\n  member: *a", "this is an alias"},
		{"half a join", "by: lead_id, ", "", "line 24: enrollments.prospect_url: a value in another table needs table, by and column"},
		{"fixed", "  member: urn", "  member: {value: x}", `accounts.member: "value" is no field here`},
		{"required", "  provider_account_id: unipile_account_id\n", "", "accounts: provider_account_id is missing: the ID of the account at the provider, as in its webhooks. Add it."},
		{"no word to write", "running: active, ", "", "enrollments.status.map: no word means active, which Thaw has to write"},
		{"campaign reason", "{account_lost: account_disconnected}, else: paused_by_user}\n  step", "{x: high_failure_rate}}\n  step", `"high_failure_rate" is not possible here`},
		{"section", "workspaces: {table: app.workspaces, id: id, name: title}", "", "workspaces: the section is missing"},
		{"unknown section", "workspaces:", "tenants:", `line 2: "tenants" is no field here. Fields: workspaces, accounts, campaigns, enrollments.`},
		{"policy", "unknown: park", "unknown: ignore", `"ignore" is not possible here. Use park.`},
		{"a word of nothing", "else: paused_by_user}\n  step", "none: }\n  step", "enrollments.reason.none: this is nothing. Write the word of a row that is not paused."},
		{"documents", "workspaces:", "---\na: b\n---\nworkspaces:", "more than one YAML document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, mapping, c.from)
			_, err := Parse(strings.Replace(mapping, c.from, c.to, 1))
			require.ErrorContains(t, err, c.want)
		})
	}
	for source, want := range map[string]string{
		"": "the mapping is empty", "a: b: c": "the mapping is not YAML: mapping values are not allowed", "- a": "this is a list", "x": "this is one value",
	} {
		_, err := Parse(source)
		require.ErrorContains(t, err, want, source)
	}
	_, err := Read(strings.NewReader(strings.Repeat("#", MaxSize+1)))
	require.ErrorContains(t, err, "larger than 256 KB")
}

func FuzzParse(f *testing.F) {
	f.Add(mapping)
	f.Add("workspaces: {table: [")
	f.Add("accounts: {status: {map: {1: true, null: ?}}}")
	f.Fuzz(func(t *testing.T, source string) {
		m, err := Parse(source)
		if err == nil && len(m.Entities) != len(Kinds) {
			t.Error("a mapping without an error lacks a section")
		}
	})
}

var update = flag.Bool("update", false, "write the expected files of testdata")
