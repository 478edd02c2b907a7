package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/worker"
)

// start runs a worker on the test's database until the test ends.
func start(t *testing.T, db *testdb.DB) *worker.Worker {
	t.Helper()
	riverPool, err := pgxpool.New(t.Context(), db.URL)
	require.NoError(t, err)
	w, err := worker.New(t.Context(), worker.Config{
		Pool: db.Pool, RiverPool: riverPool, RiverSchema: schema.Name, Logger: testdb.Logger(t),
	})
	require.NoError(t, err)
	require.NoError(t, w.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, w.Stop(ctx))
		riverPool.Close()
	})
	return w
}

// fleet makes one workspace "acme" with a running campaign and one connected account with n active prospects.
func fleet(t *testing.T, db *testdb.DB, n int) {
	t.Helper()
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at)
		VALUES (1, 'a1', 'jane', 'connected', thaw.now());`)
	db.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, step)
		SELECT 1, 1, 1, 'https://www.linkedin.com/in/p' || i, 'active', i % 5 FROM generate_series(1, $1::integer) AS i`, n)
}

func TestDisconnectPausesAndConnectWakes(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	fleet(t, db, 150)
	start(t, db)

	db.Exec(t, "SELECT thaw.signal('linkedin', 'a1', 'disconnected')")
	eventually(t, db, 150, "SELECT count(*) FROM thaw.enrollments WHERE paused_reason = 'linkedin_account_disconnected'")
	eventually(t, db, 1, "SELECT count(*) FROM thaw.campaigns WHERE paused_reason = 'linkedin_account_disconnected'")

	db.Exec(t, "SELECT thaw.signal('linkedin', 'a1', 'connected')")
	eventually(t, db, 150, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'")
	eventually(t, db, 1, "SELECT count(*) FROM thaw.campaigns WHERE status = 'running'")
}

func TestSweepWakesWhatTheSignalMissed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	fleet(t, db, 450)
	db.Exec(t, "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'linkedin_account_issue', paused_at = thaw.now()")
	start(t, db)

	eventually(t, db, 200, "SELECT coalesce(sum(resumed), 0) FROM thaw.sweeps WHERE finished_at IS NOT NULL")
	db.Advance(t, 15*time.Minute)
	db.Exec(t, "SELECT thaw.sweep()")
	eventually(t, db, 400, "SELECT coalesce(sum(resumed), 0) FROM thaw.sweeps WHERE finished_at IS NOT NULL")
}

func eventually(t *testing.T, db *testdb.DB, want int, sql string) {
	t.Helper()
	require.Eventually(t, func() bool { return testdb.Value[int](t, db, sql) == want }, 20*time.Second, 5*time.Millisecond,
		"waiting for %d from: %s", want, sql)
}
