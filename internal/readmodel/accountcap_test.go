package readmodel

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/testdb"
)

// Everything that knows the cap of an account asks thaw.account_cap: if that rule depends on the
// workspace, so do the plan, the forecast, the page of the account and the preview of a heal.
func TestCapOfOneWorkspace(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, `
		CREATE OR REPLACE FUNCTION thaw.account_cap(p_workspace thaw.workspaces, p_settings thaw.settings) RETURNS integer
		LANGUAGE sql IMMUTABLE RETURN CASE p_workspace.key WHEN 'slow' THEN 10 ELSE p_settings.account_cap END;
		INSERT INTO thaw.workspaces (key) VALUES ('slow'), ('usual');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) SELECT id, key, 'connected' FROM thaw.workspaces;
		INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT id, 'spring', 'running' FROM thaw.workspaces;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
		SELECT c.workspace_id, c.id, a.id, 'paused', 'account_issue', thaw.now() - interval '1 day', format('p%s-%s', a.id, n)
		FROM thaw.accounts AS a JOIN thaw.campaigns AS c USING (workspace_id), generate_series(1, 35) AS n;
		SELECT thaw.fold_counts()`)
	ids := testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.accounts ORDER BY provider_account_id")
	slow, usual := ids[0], ids[1]

	limits, err := Limits(t.Context(), f.store, slow)
	require.NoError(t, err)
	require.Equal(t, 10, limits.Account.Cap)
	forecast, err := Forecast(t.Context(), f.store)
	require.NoError(t, err)
	drained, ok := forecast.Drained(slow)
	require.True(t, ok)
	require.Equal(t, f.tick(t).Add(3*15*time.Minute).UTC(), drained, "10, 10, 10 and 5")
	drained, ok = forecast.Drained(usual)
	require.True(t, ok)
	require.Equal(t, f.tick(t).UTC(), drained)

	workspace := testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.workspaces WHERE key = 'slow'")
	preview, err := f.store.TryHeal(t.Context(), dbsqlc.StartHealParams{WorkspaceID: &workspace, Cap: 5, Actor: "a test"})
	require.NoError(t, err)
	require.EqualValues(t, 3, preview.Ticks, "30 remain")

	require.Equal(t, 10+35, f.run(t, f.plan(t)))
}
