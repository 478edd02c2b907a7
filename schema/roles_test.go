package schema_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// grants are the grants of an application role that uses Thaw through SQL.
const grants = `
GRANT USAGE ON SCHEMA thaw TO app;
GRANT EXECUTE ON FUNCTION thaw.signal, thaw.heal, thaw.sweep, thaw.set_auto_resume TO app;
GRANT EXECUTE ON FUNCTION thaw.safety_enter, thaw.safety_exit, thaw.hold, thaw.pause_account, thaw.resume_account,
	thaw.pause_campaign, thaw.resume_campaign, thaw.pause_prospect, thaw.resume_prospect, thaw.sending_held_by TO app;
GRANT SELECT ON thaw.backlog, thaw.history, thaw.sweep_log TO app;
`

// asApp returns a role that is not a superuser, owns nothing and has only grants, and a connection
// with that role. Roles belong to the whole server, which other tests may share, so the name of the
// role contains that of the database.
func asApp(t *testing.T, db *testdb.DB) (role string, conn *pgx.Conn) {
	t.Helper()
	return asRole(t, db, grants)
}

func asRole(t *testing.T, db *testdb.DB, grants string) (role string, conn *pgx.Conn) {
	t.Helper()
	role = "app_of_" + testdb.Value[string](t, db, "SELECT current_database()")
	db.Exec(t, "CREATE ROLE "+role+" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS")
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), "RESET ROLE; DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
		require.NoError(t, conn.Close(context.WithoutCancel(t.Context())))
	})
	db.Exec(t, strings.ReplaceAll(grants, "TO app", "TO "+role))
	_, err = conn.Exec(t.Context(), "SET ROLE "+role)
	require.NoError(t, err)
	return role, conn
}

func isCode(err error, code string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == code
}

// withBacklog returns a database with one prospect that waits for "ann" and has a history.
func withBacklog(t *testing.T) *testdb.DB {
	t.Helper()
	db := withAnn(t)
	receive(t, db, delivery{status: "connected"})
	db.Exec(t, `
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
		VALUES (1, 1, 1, 'active', 'https://example.com/in/bob')`)
	receive(t, db, delivery{status: "disconnected"})
	db.Exec(t, "SELECT thaw.pause_batch(1, 10, 2, NULL, 1)")
	db.Exec(t, "INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap) VALUES (thaw.tick() - interval '1 hour', 1, 1)")
	return db
}

func TestRoleCanUseWhatItWasGranted(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	role, app := asApp(t, db)
	value := func(sql string, target any) {
		t.Helper()
		require.NoError(t, app.QueryRow(t.Context(), sql).Scan(target), sql)
	}

	var text string
	var number int
	value("SELECT thaw.signal('linkedin', 'ann', 'connected', member_id => 'm1', delivery_key => 'k1')", &text)
	require.Equal(t, "applied", text)
	value("SELECT thaw.signal('linkedin', 'unknown', 'connected')", &text)
	require.Equal(t, "unknown_account", text)
	value("SELECT resumable FROM thaw.backlog WHERE account = 'ann'", &number)
	require.Equal(t, 1, number)
	value("SELECT count(*) FROM thaw.history WHERE prospect_url = 'https://example.com/in/bob'", &number)
	require.Equal(t, 1, number)
	value("SELECT count(*) FROM thaw.sweep_log", &number)
	require.Equal(t, 1, number)
	value("SELECT thaw.heal('acme', account => 'ann', cap => 10)", &number)
	require.Equal(t, role, testdb.Value[string](t, db, "SELECT actor FROM thaw.heals"), "a heal records who started it")
	value("SELECT thaw.heal('acme', even_if_off => true)", &number)
	var tick time.Time
	value("SELECT thaw.sweep()", &tick)
	require.Equal(t, tick, testdb.Value[time.Time](t, db, "SELECT thaw.tick()"))
	_, err := app.Exec(t.Context(), "SELECT thaw.set_auto_resume('acme', false, 'asked by mail')")
	require.NoError(t, err)
	require.False(t, testdb.Value[bool](t, db, "SELECT auto_resume FROM thaw.workspaces"))
	for _, sql := range []string{
		"SELECT thaw.safety_enter('an incident')", "SELECT thaw.safety_exit('it is over')",
		"SELECT thaw.hold('ann', thaw.now() + '1 hour', 'new device')",
		"SELECT thaw.pause_prospect('https://example.com/in/bob', 'asked')", "SELECT thaw.resume_prospect('https://example.com/in/bob', 'asked')",
		"SELECT thaw.pause_account('ann', 'asked')", "SELECT thaw.resume_account('ann', 'asked', even_by_user => true)",
		"SELECT thaw.pause_campaign('acme', 'spring', 'asked')", "SELECT thaw.resume_campaign('acme', 'spring', 'asked')",
	} {
		_, err := app.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	value("SELECT thaw.sending_held_by('ann')", &text)
	require.Equal(t, "account_on_hold", text)
	require.Equal(t, []string{role}, testdb.Column[string](t, db, "SELECT DISTINCT actor FROM thaw.manual_actions"), "an action records its actor")

	require.Equal(t, []string{"resume_account", "pause_account", "resume_account", "heal", "heal", "sweep"},
		testdb.Column[string](t, db, "SELECT kind FROM thaw.river_job ORDER BY id"))
}

func TestRoleCanUseNothingElse(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	role, app := asApp(t, db)

	denied := func(sql string) {
		t.Helper()
		_, err := app.Exec(t.Context(), sql)
		require.True(t, isCode(err, "42501"), "%s: %v", sql, err)
	}
	granted := []string{"backlog", "history", "sweep_log"}
	for _, relation := range testdb.Column[string](t, db, `
		SELECT c.relname::text FROM pg_class AS c
		WHERE c.relnamespace = 'thaw'::regnamespace AND c.relkind IN ('r', 'v') AND c.relname <> ALL ($1)`, granted) {
		denied("SELECT FROM thaw." + relation)
	}
	denied("INSERT INTO thaw.workspaces (key) VALUES ('mine')")
	denied("UPDATE thaw.accounts SET status = 'connected'")
	denied("CREATE TABLE thaw.mine ()")

	// The functions that it may call according to the catalog, and that calling others fails.
	require.Equal(t, []string{
		"current_reason", "heal", "hold", "is_of_campaigns", "is_trusted_writer", "is_visible", "now", "pause_account", "pause_campaign", "pause_prospect", "resumable_lines", "resume_account",
		"resume_campaign", "resume_prospect", "safety_enter", "safety_exit", "search_key", "search_words", "sending_held_by", "set_auto_resume", "signal", "sweep", "tick", "waits_for_account",
		"waits_for_person",
	}, testdb.Column[string](t, db, `
		SELECT DISTINCT p.proname::text FROM pg_proc AS p
		WHERE p.pronamespace = 'thaw'::regnamespace AND p.proname NOT LIKE 'river%' AND has_function_privilege($1, p.oid, 'EXECUTE')
		ORDER BY 1`, role))
	denied("SELECT thaw.resume_pass('signal', 1, 1, p_signal_id => 1)")
	denied("SELECT thaw.receive_signal('linkedin', 'ann', 'OK', 'connected', NULL, NULL, NULL, false, NULL)")
	denied("SELECT thaw.pause_batch(1, 10, NULL, NULL, 1)")
	denied("SELECT thaw.enqueue('sweep', 'sweep', 2::smallint, '{}')")
	denied("SELECT thaw.enter_safety_mode('why', 'another_role else', true)")
	denied("SELECT thaw.start_action('paused', 'ann', 'linkedin', 'why', 'another_role else')")
	denied("SELECT thaw.publish('test.ping')")
	denied("SELECT thaw.start_heal(1, NULL, NULL, 1, false, 'me')")
}

// A SECURITY DEFINER function must not find objects that its caller created.
func TestSecurityDefinerFunctionsFixTheirSearchPath(t *testing.T) {
	t.Parallel()
	require.Empty(t, testdb.Column[string](t, testdb.New(t), `
		SELECT p.oid::regprocedure::text FROM pg_proc AS p
		WHERE p.pronamespace = 'thaw'::regnamespace AND p.prosecdef
			AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'))`))
}

// A role can insert accounts with rights on that table only: the triggers run with the rights of
// their owner.
func TestRoleThatWritesAccounts(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	require.Equal(t, "unknown_account", receive(t, db, delivery{account: "bob", status: "connected"}))
	role, app := asApp(t, db)
	db.Exec(t, "GRANT INSERT ON thaw.accounts TO "+role)
	_, err := app.Exec(t.Context(), "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'bob')")
	require.NoError(t, err)
	require.Equal(t, "connected", statusOf(t, db, "bob"))
}

// senderGrants are those of docs/sql.md for a role that only sends.
const senderGrants = `
GRANT USAGE ON SCHEMA thaw TO app;
GRANT EXECUTE ON FUNCTION thaw.reserve, thaw.claim_actions, thaw.start, thaw.close_invite,
	thaw.settle TO app;
`

func TestSenderRoleNeedsFiveFunctions(t *testing.T) {
	t.Parallel()
	documented, err := os.ReadFile("../docs/sql.md")
	require.NoError(t, err)
	require.Contains(t, strings.Join(strings.Fields(string(documented)), " "), strings.ReplaceAll(strings.Join(strings.Fields(senderGrants), " "), "TO app", "TO sender"))
	db := withSenders(t)
	db.Exec(t, "SELECT thaw.take_nudges()")
	role, sender := asRole(t, db, senderGrants)
	value := func(sql string) (text string) {
		t.Helper()
		require.NoError(t, sender.QueryRow(t.Context(), sql).Scan(&text), sql)
		return text
	}
	require.Equal(t, "1", value("SELECT r.id::text FROM thaw.reserve(1) AS r"))
	require.Equal(t, "go", value("SELECT coalesce(r.code, 'go') FROM thaw.start(1) AS r"))
	require.Equal(t, "sent", value("SELECT thaw.settle(1, 'sent', provider_ref => 'inv_1')"))
	require.Equal(t, "true", value("SELECT thaw.close_invite(1, 'accepted')::text"))
	require.Equal(t, "2", value("SELECT count(*)::text FROM thaw.claim_actions(10)"))
	require.Equal(t, []string{role}, testdb.Column[string](t, db, "SELECT DISTINCT actor FROM thaw.actions"), "the ledger records who")
	for _, sql := range []string{
		"SELECT FROM thaw.actions", "SELECT FROM thaw.enrollments", "UPDATE thaw.senders SET next_allowed_at = NULL", "DELETE FROM thaw.action_holds",
		"SELECT thaw.reserve_rows('{1}', NULL, '1 hour', 'x')", "SELECT thaw.schedule_batch(1, '1 hour', 'x')", "SELECT thaw.expire_actions()", "SELECT thaw.take_nudges()", "SELECT thaw.look_at('{1}')",
		"SELECT thaw.settle_action(2, 'verified_absent', NULL, NULL, NULL, NULL, NULL, 'fail', 'x', 'x')", "SELECT thaw.verify_action(2, 'verified_absent', 'x')",
		"SELECT thaw.hold_kind(1, 'invite', now(), 'x', 'x', 'x')", "SELECT thaw.kind_gates('{1}')", "SELECT thaw.complete_step(1, 1)",
	} {
		_, err := sender.Exec(t.Context(), sql)
		require.True(t, isCode(err, "42501"), "%s: %v", sql, err)
	}
}

// A sender cannot free what may have been delivered: neither in SQL nor over HTTP
// (TestSendersDoNotSettleUnknownActions). A program that reads the provider's own list has a right
// of its own, and the audit log has its role and its reason.
func TestSenderRoleDoesNotVerify(t *testing.T) {
	t.Parallel()
	documented, err := os.ReadFile("../docs/sql.md")
	require.NoError(t, err)
	require.Contains(t, string(documented), "GRANT EXECUTE ON FUNCTION thaw.verify_action TO checker;")
	db := withSenders(t)
	role, sender := asRole(t, db, senderGrants)
	for _, sql := range []string{"SELECT id FROM thaw.reserve(1)", "SELECT thaw.start(1)", "SELECT thaw.settle(1, 'unknown')"} {
		_, err := sender.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	for _, outcome := range []string{"verified_sent", "verified_absent"} {
		_, err := sender.Exec(t.Context(), "SELECT thaw.settle(1, $1)", outcome)
		require.ErrorContains(t, err, outcome+" is not an outcome that a sender reports")
		_, err = sender.Exec(t.Context(), "SELECT thaw.verify_action(1, $1, 'it is not in the list')", outcome)
		require.True(t, isCode(err, "42501"), "%v", err)
	}
	require.Equal(t, "unknown unknown", state(t, db, "1"))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.manual_actions"))

	db.Exec(t, "GRANT EXECUTE ON FUNCTION thaw.verify_action TO "+role)
	_, err = sender.Exec(t.Context(), "SELECT thaw.verify_action(1, 'verified_sent', 'it is in the list', provider_ref => 'inv_1')")
	require.NoError(t, err)
	require.Equal(t, "sent verified_sent", state(t, db, "1"))
	require.Equal(t, "inv_1", testdb.Value[string](t, db, "SELECT provider_ref FROM thaw.actions"))
	require.Equal(t, role+": it is in the list (action 1: verified_sent)", testdb.Value[string](t, db, "SELECT format('%s: %s (%s)', actor, reason, detail) FROM thaw.manual_actions"))
}
