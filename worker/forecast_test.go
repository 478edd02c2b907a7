package worker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// manyAccounts is a fleet of accounts in 12 workspaces, most of them in the first ones. Four of
// five accounts are connected, two of three share a member with others, and some are on hold. Each
// has up to 17 paused prospects with few distinct pause times, in three campaigns, some of which
// are paused too. A tick resumes 3 per account. Its arguments are the fleet cap and the number of
// accounts.
const manyAccounts = `
UPDATE thaw.settings SET account_cap = 3, fleet_cap = %d;
INSERT INTO thaw.workspaces (key, auto_resume) SELECT 'w' || n, n <> 5 FROM generate_series(1, 12) AS n;
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at, hold_until, hold_reason)
	SELECT w.id, 'acc_' || n, CASE WHEN n %% 3 > 0 THEN 'member_' || n / 9 END, s.status, CASE WHEN s.status = 'connected' THEN thaw.now() - n %% 4 * interval '1 hour' END,
		CASE WHEN n %% 17 = 0 THEN thaw.now() + interval '30 days' END, CASE WHEN n %% 17 = 0 THEN 'new device' END
	FROM generate_series(1, %d) AS n
	JOIN thaw.workspaces AS w ON w.key = 'w' || 1 + n * n / 9 %% (1 + n / 9 %% 12)
	CROSS JOIN LATERAL (SELECT CASE WHEN n %% 5 = 0 THEN 'disconnected' ELSE 'connected' END::thaw.account_status AS status) AS s;
INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
	SELECT w.id, 'c' || n, CASE WHEN n = 1 AND w.id %% 2 = 0 THEN 'paused' ELSE 'running' END::thaw.campaign_status,
		CASE WHEN n = 1 AND w.id %% 2 = 0 THEN 'account_issue' END::thaw.pause_reason,
		CASE WHEN n = 1 AND w.id %% 2 = 0 THEN thaw.now() - interval '2 hours' END
	FROM thaw.workspaces AS w, generate_series(0, 2) AS n;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
	SELECT a.workspace_id, c.id, a.id, format('https://www.linkedin.com/in/p-%%s-%%s', a.id, n), 'paused', 'account_disconnected',
		thaw.now() - (n * 7 + a.id) %% 5 * interval '1 hour'
	FROM thaw.accounts AS a
	CROSS JOIN LATERAL generate_series(1, a.id * a.id %% 18) AS n
	JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id AND c.key = 'c' || n %% 3;
`

// Forecasts the tick of every paused prospect in a fleet of many accounts, then runs real sweeps:
// each prospect must resume in its forecast tick, and no other prospect may resume.
func TestForecastTicksAreExact(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t) // TestForecastMatchesSweeps of package readmodel has small fleets
	const accounts, fleetCap = 200, 170
	f := setup(t)
	f.Exec(t, fmt.Sprintf(manyAccounts, fleetCap, accounts))
	urls := testdb.Column[string](t, f.DB, "SELECT prospect_url FROM thaw.enrollments ORDER BY id")
	require.Equal(t, accounts, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.accounts"))

	// One statement for all of them would take longer than its timeout on a busy server.
	var prospects []readmodel.Prospect
	explainer := readmodel.NewExplainer(store.New(f.Pool), readmodel.Everything())
	for some := range slices.Chunk(urls, 500) {
		explained, err := explainer.Explain(t.Context(), some)
		require.NoError(t, err)
		prospects = append(prospects, explained...)
	}
	expected := map[string]time.Time{}
	codes := map[explain.Code]int{}
	ticks := map[time.Time]int{}
	notConnected := testdb.Column[int64](t, f.DB, "SELECT id FROM thaw.accounts WHERE status <> 'connected'")
	throughSiblings := 0
	for i, p := range prospects {
		require.Len(t, p.Explanations, 1)
		x := p.Explanations[0]
		codes[x.Code]++
		if x.Code != explain.WaitingForSweep {
			continue
		}
		require.NotNil(t, x.ExpectedAt)
		expected[urls[i]] = *x.ExpectedAt
		ticks[*x.ExpectedAt]++
		if slices.Contains(notConnected, x.AccountID) {
			throughSiblings++
		}
	}
	t.Log(codes, len(ticks), throughSiblings)
	require.Greater(t, codes[explain.WaitingForSweep], 5*accounts/2)
	for _, code := range []explain.Code{explain.AccountOnHold, explain.AutoResumeOff, explain.AccountNotConnected, explain.SiblingInOtherWorkspace} {
		require.Positive(t, codes[code], code)
	}
	require.Greater(t, len(ticks), 6)
	require.Equal(t, fleetCap, ticks[testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()").UTC()], "the fleet cap is reached")
	require.Greater(t, throughSiblings, accounts/5)

	f.start(t)
	for range ticks {
		f.sweep(t)
	}
	rows, err := f.Pool.Query(t.Context(), "SELECT prospect_url, tick_at FROM thaw.history WHERE kind = 'resumed'")
	require.NoError(t, err)
	resumed := map[string]time.Time{}
	var url string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&url, &at}, func() error {
		resumed[url] = at.UTC()
		return nil
	})
	require.NoError(t, err)
	require.Len(t, resumed, len(expected))
	require.Equal(t, expected, resumed)
}

// The watch job stores a forecast of a large fleet, for processes that have none.
func TestForecastOfALargeFleetIsStored(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, fmt.Sprintf(`
		SET thaw.counts_by_statement = on;
		INSERT INTO thaw.workspaces (key) VALUES ('large');
		INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT w.id, 'c', 'running' FROM thaw.workspaces AS w WHERE w.key = 'large';
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status)
			SELECT w.id, 'large-' || n, 'connected' FROM thaw.workspaces AS w, generate_series(1, %d) AS n WHERE w.key = 'large';
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
			SELECT a.workspace_id, c.id, a.id, 'large/' || a.id, 'paused', 'account_disconnected', thaw.now()
			FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id AND c.key = 'c';
		RESET thaw.counts_by_statement`, readmodel.LargeFleet+1))
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 1, fleet_cap = 1") // the sweep leaves the fleet large
	f.start(t)
	f.Exec(t, "SELECT thaw.request_watch()")
	f.settle(t)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.forecasts")
}
