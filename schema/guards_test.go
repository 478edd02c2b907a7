package schema_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// fleetAllocations are the grants of a platform role that writes the fleet tables.
const fleetAllocations = "GRANT SELECT, INSERT, UPDATE ON thaw.workspaces, thaw.accounts, thaw.campaigns, thaw.enrollments TO "

// asPlatform returns a connection with a role that writes the fleet tables. The fleet has account
// "ann", whose prospect bob is waiting.
func asPlatform(t *testing.T) (*testdb.DB, string, *pgx.Conn) {
	t.Helper()
	db := withBacklog(t)
	role, app := asApp(t, db)
	db.Exec(t, fleetAllocations+role)
	return db, role, app
}

// A function that resolves names at run time must not find objects that its caller put into a
// schema of the search path. Bodies of standard SQL are resolved when they are created.
func TestFunctionsFixTheirSearchPath(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const without = `
		SELECT p.oid::regprocedure::text FROM pg_proc AS p
		WHERE p.pronamespace = 'thaw'::regnamespace AND p.proname NOT LIKE 'river\_%' AND p.prosqlbody IS NULL
			AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'))`
	require.Empty(t, testdb.Column[string](t, db, without))
	require.Greater(t, testdb.Value[int](t, db, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'thaw'::regnamespace AND prosqlbody IS NULL"), 40)
	db.Exec(t, "CREATE FUNCTION thaw.forgotten() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'")
	require.Equal(t, []string{"thaw.forgotten()"}, testdb.Column[string](t, db, without), "the query finds functions without a fixed path")
}

// The owner of a database may create objects in schema public. Thaw uses none of them: neither a
// function that matches better than the catalog's, nor an operator, nor a table in the temporary
// schema.
func TestNothingInPublicRunsAsThaw(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	db.Exec(t, `
		CREATE TABLE public.stolen (what text);
		CREATE FUNCTION public.date_bin(interval, timestamptz, text) RETURNS timestamptz LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.stolen VALUES ('date_bin'); RETURN now(); END $$;
		CREATE FUNCTION public.format(text, integer, integer, numeric) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.stolen VALUES ('format'); RETURN 'x'; END $$;
		CREATE FUNCTION public.jsonb_build_object(text, bigint, text, bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.stolen VALUES ('jsonb_build_object'); RETURN '{}'; END $$;
		CREATE FUNCTION public.lesser(thaw.account_status, text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.stolen VALUES ('='); RETURN true; END $$;
		CREATE OPERATOR public.= (LEFTARG = thaw.account_status, RIGHTARG = text, FUNCTION = public.lesser);
		CREATE OPERATOR public.<> (LEFTARG = thaw.account_status, RIGHTARG = text, FUNCTION = public.lesser);
		CREATE FUNCTION public.greatest_of(timestamptz, date) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO public.stolen VALUES ('<'); RETURN true; END $$;
		CREATE OPERATOR public.< (LEFTARG = timestamptz, RIGHTARG = date, FUNCTION = public.greatest_of);`)
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	for _, path := range []string{`"$user", public`, "public, pg_catalog", "pg_temp, public, pg_catalog"} {
		for _, sql := range []string{
			"SET search_path = " + path,
			`CREATE TEMPORARY TABLE IF NOT EXISTS settings (only_row boolean, tick interval); DELETE FROM settings`,
			"SELECT thaw.tick()", "SELECT thaw.sweep()",
			"SELECT thaw.signal('linkedin', 'ann', 'connected')", "SELECT thaw.signal('linkedin', 'ann', 'disconnected')",
			"SELECT thaw.pause_batch(1, 10, 2, NULL, 1)", "SELECT thaw.check_losses()", "SELECT thaw.request_watch()", "SELECT thaw.watch()",
			"SELECT thaw.heal('acme', cap => 3)", "SELECT thaw.heal_batch((SELECT max(id) FROM thaw.heals), 10, 1)",
			"SELECT thaw.hold('ann', thaw.now() + '1 hour', 'x')", "SELECT thaw.pause_account('ann', 'x')",
			"SELECT thaw.resume_account('ann', 'x', even_by_user => true)", "SELECT thaw.safety_enter('x')", "SELECT thaw.safety_exit('x')",
			"SELECT thaw.resume_pass('signal', 1, 1, p_signal_id => 1)",
			"UPDATE thaw.accounts SET status = 'error', last_error = 'x'; UPDATE thaw.accounts SET status = 'connected', last_error = NULL",
			"DELETE FROM thaw.heals; SELECT thaw.correct_hold('ann', NULL, 'x')",
		} {
			_, err := conn.Exec(t.Context(), sql)
			require.NoError(t, err, sql)
		}
	}
	require.Empty(t, testdb.Column[string](t, db, "SELECT DISTINCT what FROM public.stolen"))
}

// A role that writes the fleet tables cannot change the identity of a row, which would evade holds
// and caps.
func TestPlatformCannotChangeIdentities(t *testing.T) {
	t.Parallel()
	db, _, app := asPlatform(t)
	db.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('victim'); SELECT thaw.hold('ann', thaw.now() + '1 hour', 'risky')")
	for _, sql := range []string{
		"UPDATE thaw.accounts SET provider_account_id = 'ann-old'",
		"UPDATE thaw.accounts SET provider = 'mail'",
		"UPDATE thaw.accounts SET workspace_id = 2",
		"UPDATE thaw.accounts SET id = DEFAULT",
		"UPDATE thaw.campaigns SET workspace_id = 2",
		"UPDATE thaw.campaigns SET id = DEFAULT",
		"UPDATE thaw.enrollments SET workspace_id = 2, campaign_id = 2, account_id = 2",
		"UPDATE thaw.enrollments SET id = DEFAULT",
		"UPDATE thaw.enrollments SET campaign_id = 7",
		"UPDATE thaw.workspaces SET id = DEFAULT",
		"INSERT INTO thaw.workspaces (id, key) OVERRIDING SYSTEM VALUE VALUES (77, 'chosen')",
		"INSERT INTO thaw.accounts (id, workspace_id, provider_account_id) OVERRIDING SYSTEM VALUE VALUES (77, 1, 'chosen')",
		"INSERT INTO thaw.campaigns (id, workspace_id, key) OVERRIDING SYSTEM VALUE VALUES (77, 1, 'chosen')",
		"INSERT INTO thaw.enrollments (id, workspace_id, campaign_id, account_id, prospect_url) OVERRIDING SYSTEM VALUE VALUES (77, 1, 1, 1, 'x')",
		"SET thaw.counts_by_statement = 'on'; UPDATE thaw.accounts SET provider_account_id = 'ann-old'",
	} {
		_, err := app.Exec(t.Context(), sql)
		require.True(t, isCode(err, "42501"), "%s: %v", sql, err)
	}
	// Ordinary writes work, including multi-row inserts and upserts.
	for _, sql := range []string{
		"INSERT INTO thaw.workspaces (key) VALUES ('new') ON CONFLICT (key) DO NOTHING",
		"INSERT INTO thaw.workspaces (key) VALUES ('new') ON CONFLICT (key) DO UPDATE SET name = 'New'",
		"INSERT INTO thaw.accounts (workspace_id, provider_account_id) SELECT 1, 'many-' || i FROM generate_series(1, 50) AS i",
		`INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name) VALUES (1, 'ann', 'Ann')
			ON CONFLICT (provider, provider_account_id) DO UPDATE SET display_name = excluded.display_name`,
		"INSERT INTO thaw.campaigns (workspace_id, key) VALUES (1, 'summer'), (1, 'autumn')",
		"INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url) SELECT 1, 1, 1, 'p' || i FROM generate_series(1, 50) AS i",
		"UPDATE thaw.enrollments SET step = step + 1",
		"UPDATE thaw.accounts SET workspace_id = workspace_id, display_name = 'x'",
	} {
		_, err := app.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	db.Exec(t, "UPDATE thaw.accounts SET provider = 'mail' WHERE provider_account_id = 'many-1'") // allowed for the owner
}

// Every pause and resume writes one event, whether by the platform or by Thaw.
func TestPlainUpdatesWriteHistory(t *testing.T) {
	t.Parallel()
	db, _, app := asPlatform(t)
	me := testdb.Value[string](t, db, "SELECT session_user::text")
	newest := func() string {
		return testdb.Value[string](t, db, `
			SELECT coalesce((SELECT concat_ws(' ', kind, from_status, to_status, reason, source) FROM thaw.enrollment_events
			ORDER BY id DESC LIMIT 1), '')`)
	}
	events := func() int { return testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events") }
	count := events()
	require.Equal(t, "paused active paused account_disconnected signal", newest())
	for _, step := range []struct{ sql, want string }{
		{"UPDATE thaw.enrollments SET paused_reason = 'paused_by_user'", "paused paused paused paused_by_user platform"},
		{"UPDATE thaw.enrollments SET paused_reason = 'account_issue'", "released paused paused paused_by_user platform"},
		{"UPDATE thaw.enrollments SET paused_reason = 'paused_by_user'", "paused paused paused paused_by_user platform"},
		{"SET thaw.counts_by_statement = 'on'; UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL", "resumed paused active paused_by_user platform"},
		{"RESET thaw.counts_by_statement; UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now()", "paused active paused paused_by_user platform"},
		{"UPDATE thaw.enrollments SET status = 'replied', paused_reason = NULL, paused_at = NULL", "changed paused replied paused_by_user platform"},
	} {
		_, err := app.Exec(t.Context(), step.sql)
		require.NoError(t, err, step.sql)
		count++
		require.Equal(t, count, events(), step.sql)
		require.Equal(t, step.want, newest(), step.sql)
		require.Equal(t, "by database role "+me, testdb.Value[string](t, db, "SELECT detail FROM thaw.enrollment_events ORDER BY id DESC LIMIT 1"))
	}
	for _, sql := range []string{
		"UPDATE thaw.enrollments SET step = step + 1, next_action_at = now()", "UPDATE thaw.enrollments SET status = 'active'",
		"UPDATE thaw.enrollments SET status = status, paused_reason = paused_reason, account_id = account_id",
	} {
		_, err := app.Exec(t.Context(), sql)
		require.NoError(t, err)
		require.Equal(t, count, events(), "a step writes no event: %s", sql)
	}
	// Plain statements of the owner write events too.
	db.Exec(t, "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'account_issue', paused_at = thaw.now()")
	count++
	require.Equal(t, "paused active paused account_issue platform", newest())
	// Thaw's functions write their own events.
	for _, sql := range []string{
		"SELECT thaw.pause_prospect('https://example.com/in/bob', 'x')", "SELECT thaw.resume_prospect('https://example.com/in/bob', 'x')",
		"SELECT thaw.pause_account('ann', 'x')", "SELECT thaw.resume_account('ann', 'x', even_by_user => true)",
	} {
		_, err := app.Exec(t.Context(), sql)
		require.NoError(t, err)
		count++
		require.Equal(t, count, events(), sql)
	}
	// Campaigns.
	campaigns := func() []string {
		return testdb.Column[string](t, db, "SELECT concat_ws(' ', kind, from_status, to_status, reason, source) FROM thaw.campaign_events ORDER BY id")
	}
	db.Exec(t, "DELETE FROM thaw.campaign_events; UPDATE thaw.campaigns SET status = 'running', paused_reason = NULL, paused_at = NULL; DELETE FROM thaw.campaign_events")
	for _, sql := range []string{
		"UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now()",
		"UPDATE thaw.campaigns SET status = 'running', paused_reason = NULL, paused_at = NULL",
		"UPDATE thaw.campaigns SET name = 'Spring'",
		"SELECT thaw.pause_campaign('acme', 'spring', 'x')",
	} {
		_, err := app.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	require.Equal(t, []string{"paused running paused paused_by_user platform", "resumed paused running paused_by_user platform",
		"paused running paused paused_by_user operator"}, campaigns())
	// A hold by a plain UPDATE is in the audit log. Every row there has the database role,
	// independent of actor.
	_, err := app.Exec(t.Context(), "UPDATE thaw.accounts SET hold_until = now() + interval '1 hour', hold_reason = 'asked'; SELECT thaw.pause_prospect('https://example.com/in/bob', 'x', 'ceo')")
	require.NoError(t, err)
	require.Equal(t, []string{"held " + me + " " + me, "paused ceo " + me}, testdb.Column[string](t, db,
		"SELECT concat_ws(' ', what, actor, session_role) FROM (SELECT * FROM thaw.manual_actions ORDER BY id DESC LIMIT 2) AS d ORDER BY id"))
}

// Times out of range are rejected with an error that says what to do.
func TestHoldTimesAreBounded(t *testing.T) {
	t.Parallel()
	db, _, app := asPlatform(t)
	for _, until := range []string{
		"infinity", "-infinity", "12000-01-01", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "4713-01-01 BC",
	} {
		got := violation(t, db.Pool, fmt.Sprintf("SELECT thaw.hold('ann', '%s', 'typo')", until))
		require.Equal(t, "22023", got.Code, until)
		_, err := app.Exec(t.Context(), fmt.Sprintf("UPDATE thaw.accounts SET hold_until = '%s', hold_reason = 'typo'", until))
		require.True(t, isCode(err, "23514"), "%s: %v", until, err)
		_, err = app.Exec(t.Context(), fmt.Sprintf("INSERT INTO thaw.accounts (workspace_id, provider_account_id, hold_until, hold_reason) VALUES (1, 'new', '%s', 'typo')", until))
		require.True(t, isCode(err, "23514"), "%s: %v", until, err)
	}
	require.Contains(t, violation(t, db.Pool, "SELECT thaw.hold('ann', thaw.now() + '400 days', 'typo')").Hint, "--correct")
	_, err := app.Exec(t.Context(), "SET thaw.counts_by_statement = 'on'; UPDATE thaw.accounts SET hold_until = now() + interval '400 days', hold_reason = 'typo'")
	require.True(t, isCode(err, "23514"), "%v", err)
	db.Exec(t, "SELECT thaw.hold('ann', thaw.now() + '365 days', 'a year is fine')")
}

// Only an operator can correct a hold, and only with a reason.
func TestOperatorCorrectsHold(t *testing.T) {
	t.Parallel()
	db, _, app := asPlatform(t)
	db.Exec(t, "SELECT thaw.hold('ann', thaw.now() + '300 days', 'typo', 'bob')")
	_, err := app.Exec(t.Context(), "SELECT thaw.correct_hold('ann', NULL, 'I want it')")
	require.True(t, isCode(err, "42501"), "%v", err)
	_, err = app.Exec(t.Context(), "INSERT INTO thaw.manual_actions (what, actor, reason, account_id) VALUES ('hold_corrected', 'me', 'x', 1)")
	require.True(t, isCode(err, "42501"), "%v", err)
	for _, sql := range []string{"UPDATE thaw.accounts SET hold_until = NULL, hold_reason = NULL", "SET thaw.counts_by_statement = 'on'; UPDATE thaw.accounts SET hold_until = NULL, hold_reason = NULL"} {
		_, err = app.Exec(t.Context(), sql)
		require.True(t, isCode(err, "23514"), "%v", err)
	}
	require.Equal(t, "22023", violation(t, db.Pool, "SELECT thaw.correct_hold('ann', NULL, ' ')").Code, "a reason is required")
	require.Equal(t, "22023", violation(t, db.Pool, "SELECT thaw.correct_hold('ann', 'infinity', 'x')").Code)

	db.Exec(t, "SELECT thaw.correct_hold('ann', thaw.now() + '2 days', 'days, not months', 'carl')")
	require.Equal(t, 2*24*time.Hour, testdb.Value[time.Duration](t, db, "SELECT hold_until - thaw.now() FROM thaw.accounts").Round(time.Hour))
	require.Equal(t, "accounts_hold_is_never_shortened", violation(t, db.Pool, "UPDATE thaw.accounts SET hold_until = NULL, hold_reason = NULL").ConstraintName)
	db.Exec(t, "SELECT thaw.correct_hold('ann', thaw.now() + '800 days', 'their wish', 'carl')")
	db.Exec(t, "SELECT thaw.correct_hold('ann', NULL, 'the wrong account', 'carl')")
	require.Empty(t, testdb.Value[string](t, db, "SELECT coalesce(hold_until::text, '') FROM thaw.accounts"))
	require.Equal(t, "55000", violation(t, db.Pool, "SELECT thaw.correct_hold('ann', NULL, 'again')").Code)
	require.Equal(t, []string{"held by bob: typo", "hold_corrected by carl: days, not months", "hold_corrected by carl: their wish",
		"hold_corrected by carl: the wrong account"}, actions(t, db))
	require.False(t, strings.Contains(testdb.Value[string](t, db, "SELECT thaw.sending_held_by('ann')"), "hold"))
}

// Any role with CONNECT may take and keep any advisory lock. That does not block pruning and
// signals of known accounts.
func TestForeignAdvisoryLocksBlockNothing(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	stranger, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer stranger.Close(t.Context())
	for _, name := range []string{"thaw.retention", "thaw.accounts", "thaw.import", "thaw.schema"} {
		_, err := stranger.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended($1, 0))", name)
		require.NoError(t, err)
	}
	for _, sql := range []string{
		"SELECT (thaw.prune_batch(100)).verdict <> 'busy'", "SELECT thaw.signal('linkedin', 'ann', 'connected') = 'applied'", "SELECT thaw.sweep() IS NOT NULL",
		"SELECT thaw.heal('acme') > 0",
	} {
		require.True(t, testdb.Value[bool](t, db, "SELECT set_config('lock_timeout', '2s', false) <> '' AND ("+strings.TrimPrefix(sql, "SELECT ")+")"), sql)
	}
	// Even so, only one process prunes at a time.
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context())
	_, err = tx.Exec(t.Context(), "SELECT thaw.prune_batch(100)")
	require.NoError(t, err)
	require.Equal(t, "busy", testdb.Value[string](t, db, "SELECT (thaw.prune_batch(100)).verdict"))
}
