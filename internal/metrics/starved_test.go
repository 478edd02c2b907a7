package metrics_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An account is starved if prospects have been ready for two ticks and none was resumed although
// quota remained. A drain that advances, however slowly, starves no account.
func TestStarvedAccounts(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	requireStarved := func(want float64) {
		t.Helper()
		requireValues(t, scrape(t, s.Metrics), reading{"thaw_starved_accounts": want})
	}
	requireStarved(1) // acc_1 has been connected for a day, and no tick has run

	// What makes prospects ready only now: a new connection, the end of a hold, of safety mode or of
	// an opt-out.
	for _, recent := range []string{
		"UPDATE thaw.accounts SET connected_at = thaw.now() WHERE provider_account_id = 'acc_1'",
		"UPDATE thaw.accounts SET hold_until = thaw.now(), hold_reason = 'new device' WHERE provider_account_id = 'acc_1'",
		"UPDATE thaw.safety SET ended_at = thaw.now()",
		"UPDATE thaw.workspaces SET auto_resume_changed_at = thaw.now()",
	} {
		s.Exec(t, recent)
		requireStarved(0)
		s.Exec(t, `UPDATE thaw.accounts SET connected_at = thaw.now() - interval '1 day', hold_until = NULL, hold_reason = NULL
			WHERE provider_account_id = 'acc_1'`)
		s.Exec(t, "UPDATE thaw.safety SET ended_at = NULL")
		s.Exec(t, "UPDATE thaw.workspaces SET auto_resume_changed_at = NULL")
		requireStarved(1)
	}

	// The plan of the last tick used the whole quota of the fleet for others.
	s.Exec(t, `INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, planned, finished_at)
		VALUES (thaw.tick() - interval '15 minutes', 200, 10, 10, thaw.now())`)
	requireStarved(0)
	// It gave the account a share, but nothing was resumed.
	s.Exec(t, `INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
		SELECT thaw.tick() - interval '15 minutes', id, workspace_id, 5 FROM thaw.accounts WHERE provider_account_id = 'acc_1'`)
	requireStarved(1)
	// Some were resumed.
	s.Exec(t, `INSERT INTO thaw.account_quotas (tick_at, account_id, cap, used)
		SELECT thaw.tick() - interval '15 minutes', id, 200, 5 FROM thaw.accounts WHERE provider_account_id = 'acc_1'`)
	requireStarved(0)
}

// Ten prospects at two per tick: the oldest waits for five ticks, and no account is starved.
func TestHealthyDrainStarvesNoAccount(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	s.Exec(t, "UPDATE thaw.settings SET account_cap = 2")
	s.Exec(t, "UPDATE thaw.accounts SET connected_at = thaw.now()")
	for range 4 {
		s.Exec(t, `INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, planned) VALUES (thaw.tick(), 2, 2000, 1, 2);
			INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
			SELECT thaw.tick(), id, workspace_id, 2 FROM thaw.accounts WHERE provider_account_id = 'acc_1';
			SELECT thaw.resume_pass('sweep', id, 1, p_tick_at => thaw.tick()) FROM thaw.accounts WHERE provider_account_id = 'acc_1'`)
		requireValues(t, scrape(t, s.Metrics), reading{"thaw_starved_accounts": 0})
		s.Exec(t, "UPDATE thaw_test.clock SET ahead = ahead + interval '15 minutes'")
		requireValues(t, scrape(t, s.Metrics), reading{"thaw_starved_accounts": 0})
	}
	got := scrape(t, s.Metrics)
	requireValues(t, got, reading{"thaw_resumable_enrollments": 2})
	require.Greater(t, got["thaw_oldest_resumable_age_seconds"], 3599.0)
}

// Webhooks to the platform: what waits, since when, what failed, by endpoint.
func TestWebhookDeliveries(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://one.example.com'), ('https://two.example.com')")
	s.Exec(t, "SELECT thaw.publish('test.ping') FROM generate_series(1, 3)")
	s.Exec(t, "UPDATE thaw.outbox SET at = thaw.now() - id * interval '1 hour'")
	s.Exec(t, `UPDATE thaw.webhook_deliveries SET state = 'failed', next_attempt_at = NULL WHERE endpoint_id = 1 AND outbox_id = 3`)
	s.Exec(t, `UPDATE thaw.webhook_deliveries SET state = 'delivered', next_attempt_at = NULL, delivered_at = thaw.now() WHERE endpoint_id = 2`)
	s.Exec(t, "UPDATE thaw.webhook_endpoints SET disabled_at = thaw.now(), disabled_reason = 'gone' WHERE id = 2")
	got := scrape(t, s.Metrics)
	requireValues(t, got, reading{
		"thaw_webhook_deliveries{endpoint=1,state=waiting}": 2, "thaw_webhook_deliveries{endpoint=1,state=failed}": 1,
		"thaw_webhook_deliveries{endpoint=2,state=waiting}": 0, "thaw_webhook_deliveries{endpoint=2,state=failed}": 0,
		"thaw_webhook_endpoint_enabled{endpoint=1}": 1, "thaw_webhook_endpoint_enabled{endpoint=2}": 0,
		"thaw_webhook_oldest_waiting_age_seconds{endpoint=2}": 0,
	})
	age := got["thaw_webhook_oldest_waiting_age_seconds{endpoint=1}"]
	require.GreaterOrEqual(t, age, 3600.0, "the oldest message that waits is the first")
	require.Less(t, age, 7200.0)
}

// A heal whose job was cancelled is stopped.
func TestStoppedHeals(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_heals{state=running}": 0, "thaw_heals{state=stopped}": 0})
	s.Exec(t, "SELECT thaw.start_heal((SELECT id FROM thaw.workspaces), NULL, NULL, 5, false, 'ann')")
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_heals{state=running}": 1, "thaw_heals{state=stopped}": 0})
	s.Exec(t, "UPDATE thaw.river_job SET state = 'cancelled', finalized_at = now() WHERE kind = 'heal'")
	requireValues(t, scrape(t, s.Metrics), reading{"thaw_heals{state=running}": 0, "thaw_heals{state=stopped}": 1})
}
