package schema_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Two accounts of one person race for one quota: the row of the sender is what they queue for, not
// those of their accounts.
func TestAccountsOfOnePersonRaceForOneQuota(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		UPDATE thaw.action_limits SET per_day = 10, per_week = NULL;
		INSERT INTO thaw.workspaces (key) VALUES ('globex');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (2, 'autumn', 'running');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone) VALUES (2, 'ann-2', 'm-ann', 'connected', 'Europe/Berlin');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_kind, next_action_at, prospect_url)
		SELECT 2, 2, 4, 'active', 'invite', thaw.now(), 'https://www.linkedin.com/in/new-' || n FROM generate_series(1, 10) AS n;
		SELECT thaw.ensure_senders('{1,4}')`)
	results := race(t, 20, func(ctx context.Context, i int) (code string, err error) {
		enrollment := i + 1
		if i >= 10 {
			enrollment = 21 + i
		}
		for code = "cooldown"; code == "cooldown" && err == nil; {
			err = db.Pool.QueryRow(ctx, "SELECT coalesce(r.code, 'reserved') FROM thaw.reserve($1) AS r", enrollment).Scan(&code)
		}
		return code, err
	})
	require.Equal(t, map[string]int{"reserved": 10, "daily_cap": 10}, occurrences(results))
	require.Equal(t, 10, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions"))
}
