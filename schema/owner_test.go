package schema_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The owner of the schema is an ordinary role, as on managed servers: not a superuser, not the
// owner of the database, and without CREATE on it. Migrations run up and down, and so does what
// most likely fails with restricted privileges: functions with settings, triggers, and SECURITY
// DEFINER functions.
func TestOwnerIsAnOrdinaryRole(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	role := "owner_of_" + testdb.Value[string](t, db, "SELECT current_database()")
	db.Exec(t, "CREATE ROLE "+role+" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS")
	db.Exec(t, "CREATE SCHEMA thaw AUTHORIZATION "+role)
	config, err := pgxpool.ParseConfig(db.Direct)
	require.NoError(t, err)
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET ROLE "+role)
		return err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		pool.Close()
		_, err := db.Pool.Exec(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	})

	migrator := newMigrator(t, pool, "")
	_, err = migrator.Up(t.Context())
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) VALUES (1, 'ann', 'connected');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
		VALUES (1, 1, 1, 'active', 'https://example.com/in/bob');
		SELECT thaw.signal('linkedin', 'ann', 'disconnected');
		SELECT thaw.pause_batch(1, 10, 1, NULL, 1);
		SELECT thaw.signal('linkedin', 'ann', 'connected');
		SELECT thaw.resume_pass('signal', 1, 1, p_signal_id => 2);
		SELECT thaw.hold('ann', thaw.now() + interval '1 day', 'new device');
		SELECT thaw.pause_campaign('acme', 'spring', 'as a test');
		SELECT thaw.pause_prospect('https://example.com/in/bob', 'as a test')`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE paused_reason = 'paused_by_user'"))
	_, err = migrator.DownTo(t.Context(), 0)
	require.NoError(t, err)
}
