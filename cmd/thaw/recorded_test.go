package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// unrecorded are the commands that leave no entry in the audit log.
var unrecorded = map[string]string{
	"demo": "has a database of its own", "bench": "has a database of its own", "provider-sim": "has no database", "simulate": "has a database of its own",
	"migrate up": "the table of migrations records it", "migrate down": "the table of migrations records it",
	"serve": "runs until it is stopped; its flags leave settings_changed and endpoint_added", "work": "as serve", "web": "changes nothing",
	"sweep": "does what the tick does anyway", "webhooks test": "the message is the record",
	"migrate status": changesNothing, "status": changesNothing, "instance show": changesNothing, "explain": changesNothing, "adopt init": "writes a file", "adopt plan": "writes a file", "adopt status": changesNothing, "adopt run": "writes what is recorded already", "find": changesNothing, "verify": changesNothing, "audit": changesNothing, "heal list": changesNothing, "heal-cap list": changesNothing,
	"auto-resume list": changesNothing, "auto-resume history": changesNothing, "safety status": changesNothing, "safety history": changesNothing, "webhooks list": changesNothing,
	"token list": changesNothing, "actions list": changesNothing, "limits show": changesNothing, "limits list": changesNothing, "windows list": changesNothing, "licenses": changesNothing, "help": changesNothing, "version": changesNothing, "completion": changesNothing, "man": changesNothing,
}

const changesNothing = "changes nothing"

// recorded are the other commands in an order in which they succeed, each with the entry that it
// leaves, or the entries with " | " between them.
var recorded = []struct{ command, args, what string }{
	{"import", "fleet.csv --yes", "imported: file fleet.csv"},
	{"hold", "acc_bob --until 3d --reason why", "held why"},
	{"pause", "--account acc_jane --reason why", "paused why"},
	{"undo", "{last} --reason why", "undone why"},
	{"resume", "--account acc_jane --even-by-user --reason why", "resumed why"},
	{"safety enter", "--reason why", "safety_entered why"},
	{"safety exit", "--reason why", "safety_exited why"},
	{"instance adopt", "--as staging --reason why", "instance_adopted why: staging"},
	{"auto-resume off", "acme --reason why", "auto_resume_off why"},
	{"auto-resume on", "acme --reason why", "auto_resume_on why"},
	{"heal-cap set", "acme 5 --reason why", "heal_cap_set why"},
	{"heal-cap off", "acme --reason why", "heal_cap_removed why"},
	{"heal start", "--workspace acme --reason why", "heal_started why"},
	{"heal stop", "1 --reason why", "heal_stopped why"},
	{"heal resume", "1 --reason why", "heal_resumed why"},
	{"accounts link", "acc_1 acc_2 --reason why", "linked why"},
	{"signals replay", "record.jsonl --since 2020-01-01 --reason why", "signals_replayed why: file record.jsonl, since 2020-01-01T00:00:00Z"},
	{"reconcile", "--file accounts.csv --apply", "reconciled: file accounts.csv"},
	{"webhooks replay", "--since 2020-01-01 --reason why", "messages_replayed why: messages since 2020-01-01T00:00:00Z"},
	{"webhooks enable", "https://a.example.com --reason why", "endpoint_enabled why: https://a.example.com"},
	{"webhooks remove", "https://a.example.com --reason why", "endpoint_removed why: https://a.example.com"},
	{"limits set", "invite --workspace acme --per-day 5 --reason why", "limit_set why: invite: 5 per day"},
	{"limits clamp", "invite --per-day 40 --reason why", "ceiling_set why: invite: 40 per day, 200 per 7 days, gap 00:01:00"},
	{"limits ramp", "acc_jane --started-on 2025-01-31 --reason why", "ramp_set why: started on 2025-01-31"},
	{"windows set", "--workspace acme --remove --reason why", "windows_set why: no windows of its own"},
	{"actions settle", "1 --as verified_sent --reason why", "action_settled why: action 1: verified_sent"},
	{"token create", "--workspace acme --name portal", "token_created: token 1 (portal)"},
	{"token revoke", "1 --reason why", "token_revoked why: token 1 (portal)"},
	{"erase", "https://www.linkedin.com/in/p05 --reason why --yes", "prospect_erased why"},
	{"adopt apply", "--reason why", "adopted why: file adopt.yaml | safety_entered thaw adopt apply: why | safety_exited thaw adopt apply is done"},
	{"adopt check", "--fix", "adoption_fixed: all mapped rows"},
	{"adopt live", "--workspace ws_acme --reason why", "shadow_off why"},
	{"adopt shadow", "--workspace ws_acme --reason why", "shadow_on why"},
	{"adopt remove", "--yes --reason why", "adoption_removed why: all triggers"},
	{"workspace remove", "acme --reason why --yes", "workspace_removed why: acme"},
}

// Every command that changes something leaves an entry in the audit log: who, what and why.
func TestEveryCommandIsRecorded(t *testing.T) {
	fleet, err := os.ReadFile("testdata/fleet.csv")
	require.NoError(t, err)
	folder := t.TempDir()
	tables, err := os.ReadFile(platformTables)
	require.NoError(t, err)
	mapping, err := os.ReadFile(strings.TrimSuffix(platformTables, ".sql") + ".yaml")
	require.NoError(t, err)
	for name, content := range map[string]string{
		"adopt.yaml":   strings.NewReplacer(`"?": account_disconnected`, "account_lost: account_disconnected", `"?"`, "pending").Replace(string(mapping)),
		"fleet.csv":    string(fleet),
		"record.jsonl": `{"route":"unipile/v1","received_at":"2026-01-31T08:30:00Z","body":{"AccountStatus":{"account_id":"acc_bob","account_type":"LINKEDIN","message":"OK"}}}`,
		"accounts.csv": "account,status,at\nacc_zoe,disconnected,2026-01-31T08:45:00Z\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600))
	}
	db := testdb.New(t)
	t.Chdir(folder)
	t.Setenv("TZ", "UTC")
	t.Setenv("THAW_DATABASE_URL", db.URL)
	if db.PollOnly {
		t.Setenv("THAW_POLL_ONLY", "yes")
	}
	db.Exec(t, `WITH w AS (INSERT INTO thaw.workspaces (key) VALUES ('acme') RETURNING id)
		INSERT INTO thaw.accounts (workspace_id, provider_account_id) SELECT w.id, 'acc_' || n FROM w, generate_series(1, 2) AS n`)
	db.Exec(t, string(tables))
	db.Exec(t, `SELECT thaw.ensure_senders('{1}');
		INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor, state, started_at,
			settled_at, local_day, gap, next_of_kind_at)
		VALUES (1, 1, 1, 1, 999, 'linkedin', 'p', 0, 'invite', 'sender', 'unknown', thaw.now(), thaw.now(), '2026-01-31', '0', thaw.now())`)
	db.Exec(t, "INSERT INTO thaw.webhook_endpoints (url, disabled_at, disabled_reason) VALUES ('https://a.example.com', thaw.now(), 'answered 410')")

	known := map[string]bool{}
	for _, c := range recorded {
		known[c.command] = true
		last := testdb.Value[int64](t, db, "SELECT coalesce(max(id), 0) FROM thaw.manual_actions")
		args := append(strings.Fields(c.command), strings.Fields(strings.ReplaceAll(c.args, "{last}", strconv.FormatInt(last, 10)))...)
		var out bytes.Buffer
		require.Zero(t, run(t.Context(), args, strings.NewReader(""), &out, &out), "thaw %s: %s", args, &out)
		require.Equal(t, strings.Split(c.what, " | "), testdb.Column[string](t, db, `
			SELECT concat(what, ' ' || reason, ': ' || detail) FROM thaw.manual_actions WHERE id > $1 AND actor = $2 ORDER BY id`, last, actor()), "thaw %s", args)
	}
	for _, command := range newParser(&cli{}).Model.Leaves(true) {
		_, isExempt := unrecorded[command.Path()]
		require.True(t, known[command.Path()] || isExempt, "thaw %s: add it to one of the lists above", command.Path())
	}
	leaves := newParser(&cli{}).Model.Leaves(true)
	for command := range unrecorded {
		require.True(t, slices.ContainsFunc(leaves, func(n *kong.Node) bool { return n.Path() == command }), "thaw %s does not exist", command)
	}
}
