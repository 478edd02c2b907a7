package adopt

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The tables of the platform belong to one role, a second one writes them and has no grant on
// anything of Thaw's. The name of a role contains that of the database, because roles belong to the
// whole server.
func TestPlatformRolesNeedNoRights(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	base := testdb.Value[string](t, db, "SELECT current_database()")
	owner, writer := "owner_of_"+base, "writer_of_"+base
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	db.Exec(t, "CREATE ROLE "+owner+"; CREATE ROLE "+writer)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, err := conn.Exec(ctx, "RESET ROLE; DROP OWNED BY "+owner+", "+writer+" CASCADE; DROP ROLE "+owner+", "+writer)
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	db.Exec(t, `
		ALTER SCHEMA app OWNER TO `+owner+`;
		ALTER TABLE app.workspaces OWNER TO `+owner+`; ALTER TABLE app.linkedin_accounts OWNER TO `+owner+`; ALTER TABLE app.campaigns OWNER TO `+owner+`;
		ALTER TABLE app.leads OWNER TO `+owner+`; ALTER TABLE app.campaign_leads OWNER TO `+owner+`;
		ALTER TABLE app.campaign_leads_2026_01 OWNER TO `+owner+`; ALTER TABLE app.campaign_leads_2026_02 OWNER TO `+owner+`;
		GRANT USAGE ON SCHEMA app TO `+writer+`;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO `+writer)
	rights := func() []string {
		return testdb.Column[string](t, db, `
			SELECT c.relname || ' ' || coalesce(c.relacl::text, '-') || coalesce((
				SELECT string_agg(a.attname || a.attacl::text, ' ' ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL), '')
			FROM pg_class AS c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname`)
	}
	before := rights()

	m, err := Parse(mapping)
	require.NoError(t, err)
	p, err := m.Prepare(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	require.Contains(t, p.Plan.SQL(), `GRANT UPDATE ("state", "pause_cause", "sender_account_id", "next_run_at") ON "app"."campaign_leads" TO "`)
	require.NoError(t, m.Start(t.Context(), db.Pool))
	require.NoError(t, p.Plan.Install(t.Context(), db.Pool))
	_, err = p.Backfill(t.Context(), db.Pool, ignore)
	require.NoError(t, err)
	require.NoError(t, Running(t.Context(), db.Pool))

	_, err = conn.Exec(t.Context(), "SET ROLE "+writer)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT thaw.take_enrollments('[]')")
	require.ErrorContains(t, err, "permission denied")
	_, err = conn.Exec(t.Context(), `
		UPDATE app.campaign_leads SET state = 'paused', pause_cause = 'travel' WHERE id = 'cl_1';
		UPDATE app.leads SET linkedin_url = 'https://www.linkedin.com/in/new' WHERE id = 'lead_2';
		DELETE FROM app.campaign_leads WHERE id = 'cl_5'`)
	require.NoError(t, err)
	require.Contains(t, copies(t, db), "cl_1 paused paused_by_user travel 2 acc_ann")
	require.Equal(t, Comparison{Rows: 15, Waiting: 1, Examples: []Difference{}}, compared(t, db, p, false))

	// Rights that are missing later are found, each with the statement that grants it.
	thaw := testdb.Value[string](t, db, "SELECT current_user")
	require.Empty(t, fits(t, db, p))
	db.Exec(t, "REVOKE EXECUTE ON FUNCTION thaw.take_campaigns FROM "+owner)
	missing := fits(t, db, p)
	require.Len(t, missing, 1)
	require.Equal(t, SchemaProblem{
		Kind: Campaigns, Holds: true, Message: "the role " + owner + " lacks a right, so that the triggers copy nothing",
		Fix: "Run as the owner or a superuser: GRANT EXECUTE ON FUNCTION thaw.take_campaigns(jsonb, boolean) TO " + owner,
	}, missing[0])
	db.Exec(t, "GRANT EXECUTE ON FUNCTION thaw.take_campaigns TO "+owner)
	if !testdb.Value[bool](t, db, "SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user") {
		db.Exec(t, "REVOKE UPDATE (next_run_at) ON app.campaign_leads FROM "+thaw)
		require.Len(t, fits(t, db, p), 1)
	}

	// The mapping no longer fits: what is granted is read from the catalog.
	db.Exec(t, "ALTER TABLE app.campaign_leads RENAME next_run_at TO due_at")
	tables, err := Tables(t.Context(), db.Pool)
	require.NoError(t, err)
	require.NoError(t, Uninstall(t.Context(), db.Pool))
	_, err = conn.Exec(t.Context(), "RESET ROLE; GRANT USAGE ON SCHEMA thaw TO "+writer+"; GRANT SELECT ON ALL TABLES IN SCHEMA thaw TO "+writer+"; SET ROLE "+writer)
	require.NoError(t, err)
	left, err := Revoke(t.Context(), conn, tables)
	require.NoError(t, err)
	require.Contains(t, strings.Join(left, "\n"), "REVOKE UPDATE (sender_account_id, state, pause_cause, due_at) ON app.campaign_leads FROM", "another role may not")
	left, err = Revoke(t.Context(), db.Pool, tables)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Empty(t, testdb.Column[string](t, db, "SELECT f.proname FROM pg_proc AS f, aclexplode(f.proacl) AS x WHERE f.pronamespace = 'thaw'::regnamespace AND x.grantee = $1::regrole", owner))
	for _, table := range rights() {
		require.NotContains(t, table, testdb.Value[string](t, db, "SELECT current_user")+"=")
	}
	require.Len(t, rights(), len(before))
}

// A role that may not create triggers is told who can run the file.
func TestInstallSaysWhoMayRunIt(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	role := "thaw_of_" + testdb.Value[string](t, db, "SELECT current_database()")
	_, plan := planned(t, db, mapping)
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE ROLE "+role+"; SET ROLE "+role)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, err := conn.Exec(ctx, "RESET ROLE; DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	err = plan.Install(t.Context(), conn)
	require.ErrorContains(t, err, "permission denied for database")
	require.ErrorContains(t, err, "Run the file of \"thaw adopt plan\" as role")

	// With the triggers in place, nothing needs a right.
	db.Exec(t, plan.SQL())
	require.NoError(t, plan.Install(t.Context(), conn))

	db.Exec(t, "GRANT USAGE ON SCHEMA app TO "+role)
	err = Uninstall(t.Context(), conn)
	require.ErrorContains(t, err, "must be owner of relation")
	require.ErrorContains(t, err, "Run \"DROP SCHEMA thaw_adopt CASCADE\" as the owner of that schema or a superuser")
}
