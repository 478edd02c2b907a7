package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// openWindow makes all hours sending hours, so that tests do not depend on the time of day.
const openWindow = "UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '24:00', timezone = 'UTC'"

// sender inserts an account that may send, in its own running campaign that invites prospects. It
// has not sent anything yet.
func (f *fleet) sender(t *testing.T, key, status string) (account, campaign int64) {
	t.Helper()
	account, campaign = f.account(t, newAccount(key, status)), f.campaign(t, newCampaign(key))
	f.Exec(t, "UPDATE thaw.accounts SET timezone = 'UTC', tier = 'premium' WHERE id = $1", account)
	f.Exec(t, "INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES ($1, 0, 'invite')", campaign)
	return account, campaign
}

func newAccount(key, status string) account { return account{key: key, status: status} }

func newCampaign(key string) campaign { return campaign{key: "of " + key} }

// The platform is called for an account that was just resumed within a minute of its signal, and
// from then on no more often than the gates allow.
func TestResumedAccountSendsWithinAMinute(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, openWindow)
	f.Exec(t, "UPDATE thaw.settings SET push_actions = true")
	a, c := f.sender(t, "ann", "connected")
	f.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
		SELECT 1, $1, $2, 'https://www.linkedin.com/in/p' || n, 'active', thaw.now() FROM generate_series(1, 200) AS n`, c, a)
	f.deliver(t, f.registerPlatform(t, newPlatform(t, nil)))
	f.signal(t, "ann", "disconnected")
	f.eventually(t, 200, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'")
	f.Advance(t, time.Hour)
	f.Exec(t, "DELETE FROM thaw.actions")
	f.signal(t, "ann", "connected")
	resumedAt := testdb.Value[time.Time](t, f.DB, "SELECT thaw.now()")
	f.eventually(t, 200, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'")

	// The clock moves on by five seconds at a time.
	given := func() int { return testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.actions") }
	for range 12 {
		f.Advance(t, 5*time.Second)
		f.settleSchedule(t)
	}
	require.Equal(t, 1, given(), "the first action was due within a minute")
	first := testdb.Value[time.Time](t, f.DB, "SELECT min(reserved_at) FROM thaw.actions")
	require.LessOrEqual(t, first.Sub(resumedAt), time.Minute)
	f.eventually(t, 1, deliveries, "action.due", "delivered")

	for range 60 {
		f.Advance(t, time.Minute)
		f.settleSchedule(t)
	}
	require.Equal(t, 5, given(), "the cap of the day in the first week of the ramp")
	require.Zero(t, testdb.Value[int](t, f.DB, `
		SELECT count(*) FROM (SELECT reserved_at - lag(reserved_at) OVER (ORDER BY reserved_at) AS gap FROM thaw.actions) AS one WHERE gap < '3 minutes'`))
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.sending_accounts WHERE code = 'daily_cap'"))
	f.settle(t)
	require.Equal(t, 5, testdb.Value[int](t, f.DB, deliveries, "action.due", "delivered"))
	require.Equal(t, 5, testdb.Value[int](t, f.DB, `
		SELECT count(*) FROM thaw.actions AS a JOIN thaw.outbox AS o ON (o.data ->> 'reservation')::bigint = a.id WHERE o.type = 'action.due'`))
}

// settleSchedule runs what a process does once a second, waits until the account has nothing to do
// at this time, and sends what was given out.
func (f *fleet) settleSchedule(t *testing.T) {
	t.Helper()
	f.Exec(t, "SELECT thaw.take_nudges()")
	f.Exec(t, "SELECT thaw.ring_actions()")
	f.eventually(t, 0, "SELECT count(*) FROM thaw.accounts_to_look_at(1)")
	f.Exec(t, "SELECT thaw.start(id) FROM thaw.actions WHERE state = 'reserved'")
	f.Exec(t, "SELECT thaw.settle(id, 'sent', provider_ref => 'inv_' || id) FROM thaw.actions WHERE state = 'started'")
}

// While the setting is off or no endpoint is enabled, there are no jobs and no reservations: due
// actions are left to senders that poll.
func TestActionsArePushedOnlyOnRequest(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, openWindow)
	a, c := f.sender(t, "ann", "connected")
	f.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
		VALUES (1, $1, $2, 'https://www.linkedin.com/in/p1', 'active', thaw.now())`, c, a)
	w := f.registerPlatform(t, newPlatform(t, nil))
	f.deliver(t, w)
	request := "SELECT thaw.request_schedule()::integer"
	require.Zero(t, testdb.Value[int](t, f.DB, request), "the setting is off")
	f.Exec(t, "UPDATE thaw.settings SET push_actions = true; UPDATE thaw.webhook_endpoints SET disabled_at = thaw.now(), disabled_reason = '410'")
	require.Zero(t, testdb.Value[int](t, f.DB, request), "no endpoint is enabled")
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT reserved FROM thaw.push_actions(10)"))
	f.Exec(t, "UPDATE thaw.webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.actions WHERE actor = 'schedule'")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.scheduler WHERE finished_at IS NOT NULL")
	f.Exec(t, "SELECT thaw.request_schedule(), thaw.request_schedule()")
	f.settle(t)
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'schedule' AND args ->> 'at' LIKE '%:00Z'"))
}

// Every worker process ends leases, reads nudges and notifies senders that listen.
func TestWorkersTendActions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, openWindow)
	a, c := f.sender(t, "ann", "connected")
	conn, err := pgx.Connect(t.Context(), f.Direct)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), "LISTEN thaw_actions")
	require.NoError(t, err)
	f.Exec(t, "DELETE FROM thaw.zones WHERE key = 'europe/berlin'")
	f.start(t)
	require.Equal(t, "Europe/Berlin", testdb.Value[string](t, f.DB, "SELECT thaw.zone_named('europe/berlin')"))

	f.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
		VALUES (1, $1, $2, 'https://www.linkedin.com/in/p1', 'active', thaw.now())`, c, a)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	notice, err := conn.WaitForNotification(ctx)
	require.NoError(t, err)
	require.Equal(t, "thaw_actions", notice.Channel)

	require.Equal(t, int64(1), testdb.Value[int64](t, f.DB, "SELECT reservation FROM thaw.claim_actions(10)"))
	f.Exec(t, "SELECT thaw.start(1)")
	f.Advance(t, 11*time.Minute)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.actions WHERE state = 'unknown'")
}

// One job serves all accounts that are due, in several transactions, and each account once.
func TestScheduleServesAllAccounts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, openWindow)
	c := f.campaign(t, campaign{key: "spring"})
	f.Exec(t, "INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES ($1, 0, 'view')", c)
	f.Exec(t, `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone, connected_at)
		SELECT 1, 'acc_' || n, 'connected', 'UTC', thaw.now() - interval '1 hour' FROM generate_series(1, 450) AS n`)
	f.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
		SELECT 1, $1, a.id, format('https://www.linkedin.com/in/p%s-%s', a.id, n), 'active', thaw.now()
		FROM thaw.accounts AS a, generate_series(1, 2) AS n`, c)
	f.registerPlatform(t, newPlatform(t, nil)) // no process of this test delivers to it
	f.Exec(t, "UPDATE thaw.settings SET push_actions = true")
	f.Exec(t, "SELECT thaw.take_nudges()")
	f.launch(t)
	f.eventually(t, 450, "SELECT count(*) FROM thaw.actions")
	f.eventually(t, 0, "SELECT count(*) FROM thaw.river_job WHERE kind = 'schedule' AND state <> 'completed'")
	require.Equal(t, 450, testdb.Value[int](t, f.DB, "SELECT count(DISTINCT account_id) FROM thaw.actions"))
	require.Equal(t, 450, testdb.Value[int](t, f.DB, "SELECT count(DISTINCT data ->> 'reservation') FROM thaw.outbox WHERE type = 'action.due'"))
}
