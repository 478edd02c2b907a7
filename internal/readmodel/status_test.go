package readmodel

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Status returns the requested number of accounts, those with the most paused prospects, and counts
// all of them.
func TestStatusLimitsAccounts(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants)
	all, err := Status(t.Context(), f.store, 0)
	require.NoError(t, err)
	require.Greater(t, len(all.Accounts), 1)
	require.Len(t, all.Accounts, all.AccountsTotal)
	most := all.Accounts[0]
	for _, a := range all.Accounts {
		if a.Paused > most.Paused || a.Paused == most.Paused && a.AccountID < most.AccountID {
			most = a
		}
	}
	one, err := Status(t.Context(), f.store, 1)
	require.NoError(t, err)
	require.Equal(t, []AccountStatus{most}, one.Accounts)
	require.Equal(t, all.AccountsTotal, one.AccountsTotal)
	require.Equal(t, all.Backlog, one.Backlog)
}

// requireStatus compares the whole report with JSON, formatted with the arguments.
func requireStatus(t *testing.T, f fleet, want string, args ...any) {
	t.Helper()
	status, err := Status(t.Context(), f.store, 0)
	require.NoError(t, err)
	got, err := json.Marshal(status)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(want, args...), string(got))
}

func TestStatusOfAnEmptyFleet(t *testing.T) {
	t.Parallel()
	requireStatus(t, newFleet(t), `{
		"safety": {"on": false, "since": null, "reason": null, "ends_at": null},
		"workers_alive": 0, "silent_providers": [],
		"stuck_accounts": [],
		"backlog": {"paused": 0, "resumable": 0, "accounts": 0},
		"moves": {"prospects": 0, "accounts": 0},
		"last_sweep": null,
		"accounts": [],
		"accounts_total": 0
	}`)
}

// TestStatus has three accounts: one with more prospects than a tick can resume, its removed
// sibling, and one whose prospects may not resume.
func TestStatus(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect+sibling+stranger+`
		UPDATE thaw.settings SET account_cap = 2;
		UPDATE thaw.accounts SET status = 'removed' WHERE provider_account_id = 'acc_2';
		INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
			SELECT id, 'summer', 'paused', 'paused_by_user', thaw.now() FROM thaw.workspaces WHERE key = 'south';
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
			SELECT a.workspace_id, c.id, a.id, 'paused', backlog.reason::thaw.pause_reason, thaw.now(), 'p' || n
			FROM (VALUES ('acc_1', 2, 'account_issue'), ('acc_1', 1, 'paused_by_user'), ('acc_2', 1, 'account_issue'),
				('acc_3', 4, 'account_issue')) AS backlog (account, rows, reason)
			JOIN thaw.accounts AS a ON a.provider_account_id = backlog.account
			JOIN thaw.campaigns AS c USING (workspace_id),
			LATERAL (SELECT row_number() OVER () + backlog.rows * 10 + length(backlog.reason) * 100 + a.id * 10000 AS n FROM generate_series(1, backlog.rows)) AS numbers`)
	at := func(tick int) string {
		return f.tick(t).UTC().Add(time.Duration(tick) * 15 * time.Minute).Format(time.RFC3339)
	}

	// Four prospects wait for acc_1; its cap is two per tick.
	requireStatus(t, f, `{
		"safety": {"on": false, "since": null, "reason": null, "ends_at": null},
		"workers_alive": 0, "silent_providers": [],
		"stuck_accounts": [],
		"backlog": {"paused": 9, "resumable": 4, "accounts": 1},
		"moves": {"prospects": 0, "accounts": 0},
		"last_sweep": null,
		"accounts": [
			{"account_id": 1, "workspace": "north", "account": "acc_1", "status": "connected", "paused": 4, "resumable": 3, "eta": %q},
			{"account_id": 2, "workspace": "north", "account": "acc_2", "status": "removed", "paused": 1, "resumable": 1, "eta": %[1]q},
			{"account_id": 3, "workspace": "south", "account": "acc_3", "status": "connected", "paused": 4, "resumable": 0, "eta": null}
		],
		"accounts_total": 3
	}`, at(1))

	// A sweep that is still running.
	accounts := f.plan(t)
	planned := `{
		"safety": {"on": false, "since": null, "reason": null, "ends_at": null},
		"workers_alive": 0, "silent_providers": [],
		"stuck_accounts": [],
		"backlog": {"paused": 9, "resumable": 4, "accounts": 1},
		"moves": {"prospects": 0, "accounts": 0},
		"last_sweep": {"tick_at": %q, "accounts_planned": 1, "accounts_processed": 0, "resumed": 0, "moved": 0, "campaigns_resumed": 0,
			"remaining": 4, "seconds": null, "finished_at": null, "is_partial": false},
		"accounts": [
			{"account_id": 1, "workspace": "north", "account": "acc_1", "status": "connected", "paused": 4, "resumable": 3, "eta": %q},
			{"account_id": 2, "workspace": "north", "account": "acc_2", "status": "removed", "paused": 1, "resumable": 1, "eta": %[2]q},
			{"account_id": 3, "workspace": "south", "account": "acc_3", "status": "connected", "paused": 4, "resumable": 0, "eta": null}
		],
		"accounts_total": 3
	}`
	requireStatus(t, f, planned, at(0), at(1))

	// The same sweep after it finished, and safety mode, during which nothing is expected to
	// resume.
	require.Equal(t, 2, f.run(t, accounts))
	f.Exec(t, safetyOn)
	f.Exec(t, "UPDATE thaw.sweeps SET started_at = thaw.tick(), finished_at = thaw.tick() + interval '1.5 seconds'")
	since := testdb.Value[time.Time](t, f.DB, "SELECT since FROM thaw.safety").UTC().Format(time.RFC3339Nano)
	requireStatus(t, f, `{
		"safety": {"on": true, "since": %q, "reason": "provider incident", "entered_by": "ann", "ends_at": %q},
		"workers_alive": 0, "silent_providers": [],
		"stuck_accounts": [],
		"backlog": {"paused": 7, "resumable": 0, "accounts": 0},
		"moves": {"prospects": 0, "accounts": 0},
		"last_sweep": {"tick_at": %q, "accounts_planned": 1, "accounts_processed": 1, "resumed": 2, "moved": 0, "campaigns_resumed": 0,
			"remaining": 2, "seconds": 1.5, "finished_at": %q, "is_partial": false},
		"accounts": [
			{"account_id": 3, "workspace": "south", "account": "acc_3", "status": "connected", "paused": 4, "resumable": 0, "eta": null},
			{"account_id": 1, "workspace": "north", "account": "acc_1", "status": "connected", "paused": 2, "resumable": 0, "eta": null},
			{"account_id": 2, "workspace": "north", "account": "acc_2", "status": "removed", "paused": 1, "resumable": 0, "eta": null}
		],
		"accounts_total": 3
	}`, since, testdb.Value[time.Time](t, f.DB, "SELECT since + interval '30 minutes' FROM thaw.safety").UTC().Format(time.RFC3339Nano),
		at(0), f.tick(t).UTC().Add(1500*time.Millisecond).Format(time.RFC3339Nano))
}
