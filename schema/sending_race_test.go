package schema_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Two accounts of one person race for one quota: the row of the sender is what they queue for, not
// those of their accounts.
func TestAccountsOfOnePersonRaceForOneQuota(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		UPDATE thaw.action_limits SET per_day = 1, per_week = NULL;
		INSERT INTO thaw.workspaces (key) VALUES ('globex');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (2, 'autumn', 'running');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone) VALUES (2, 'ann-2', 'm-ann', 'connected', 'Europe/Berlin');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_kind, next_action_at, prospect_url)
		SELECT 2, 2, 4, 'active', 'invite', thaw.now(), 'https://www.linkedin.com/in/new-' || n FROM generate_series(1, 10) AS n;
		SELECT thaw.ensure_senders('{1,4}')`)
	first, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer first.Rollback(context.WithoutCancel(t.Context()))
	const reserved = "SELECT coalesce(r.code, 'reserved') FROM thaw.reserve($1) AS r"
	var code string
	require.NoError(t, first.QueryRow(t.Context(), reserved, 1).Scan(&code))
	require.Equal(t, "reserved", code)
	second := make(chan string, 1)
	go func() {
		var code string
		err := db.Pool.QueryRow(t.Context(), reserved, 31).Scan(&code)
		second <- fmt.Sprint(code, err)
	}()
	waitsForLock(t, db, reserved)
	require.NoError(t, first.Commit(t.Context()))
	require.Contains(t, []string{"daily_cap<nil>", "cooldown<nil>"}, <-second)
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions"))
	require.Equal(t, "daily_cap", reserve(t, db, 32))
}

// Accounts of different persons, which have no lock in common, race for the cap of a campaign, to
// reserve and to start.
func TestAccountsRaceForTheCapOfACampaign(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 1, 'x', 'x')")
	const reserved, started = "SELECT coalesce(r.code, 'reserved') FROM thaw.reserve($1) AS r", "SELECT coalesce(r.code, 'go') FROM thaw.start($1) AS r"
	for _, one := range []struct {
		statement     string
		first, second int
		want          []string
	}{
		{reserved, 1, 11, []string{"reserved", "campaign_cap"}},
		// Both were reserved on the day before, whose cap was 2.
		{started, 1, 2, []string{"go", "campaign_cap"}},
	} {
		if one.statement == started {
			db.Exec(t, "UPDATE thaw.action_overrides SET per_day = 2; SELECT thaw.reserve(11); UPDATE thaw.actions SET local_day = local_day - 1, used_at = used_at - interval '1 day'; UPDATE thaw.action_overrides SET per_day = 1")
			one.first, one.second = testdb.Value[int](t, db, "SELECT min(id) FROM thaw.actions"), testdb.Value[int](t, db, "SELECT max(id) FROM thaw.actions")
		}
		first, err := db.Pool.Begin(t.Context())
		require.NoError(t, err)
		defer first.Rollback(context.WithoutCancel(t.Context()))
		var code string
		require.NoError(t, first.QueryRow(t.Context(), one.statement, one.first).Scan(&code))
		require.Equal(t, one.want[0], code)
		second := make(chan string, 1)
		go func() {
			var code string
			err := db.Pool.QueryRow(t.Context(), one.statement, one.second).Scan(&code)
			second <- fmt.Sprint(code, err)
		}()
		waitsForLock(t, db, one.statement)
		require.NoError(t, first.Commit(t.Context()))
		require.Equal(t, one.want[1]+"<nil>", <-second)
	}
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE is_used"))
}

// waitsForLock returns when a statement waits for a lock of another transaction, or tries again.
func waitsForLock(t *testing.T, db *testdb.DB, statement string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return testdb.Value[bool](t, db, `SELECT EXISTS (SELECT FROM pg_stat_activity AS a
			WHERE a.datname = current_database() AND (a.wait_event_type = 'Lock' OR a.wait_event = 'PgSleep') AND a.query = $1)`, statement)
	}, 10*time.Second, 5*time.Millisecond, "%s waits for a lock", statement)
}
