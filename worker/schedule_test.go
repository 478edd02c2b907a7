package worker_test

import (
	"context"
	"net/http"
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
	// In the morning, so that no new day begins.
	f.Advance(t, testdb.Value[time.Duration](t, f.DB, "SELECT date_trunc('day', thaw.now(), 'UTC') + interval '33 hours' - thaw.now()"))
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

// dueAccounts inserts accounts with many prospects that are due, and a receiver for their actions.
// The lease is 10 minutes.
func dueAccounts(t *testing.T, accounts int) *fleet {
	t.Helper()
	f := setup(t)
	f.Exec(t, openWindow)
	c := f.campaign(t, campaign{key: "spring"})
	f.Exec(t, "INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES ($1, 0, 'invite')", c)
	f.Exec(t, "UPDATE thaw.action_limits SET per_day = 1000, per_week = NULL; UPDATE thaw.action_ceilings SET per_day = 1000, per_week = NULL")
	f.Exec(t, `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone, connected_at)
		SELECT 1, 'acc_' || n, 'connected', 'UTC', thaw.now() - interval '1 hour' FROM generate_series(1, $1::integer) AS n`, accounts)
	f.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
		SELECT 1, $1, a.id, format('https://www.linkedin.com/in/p%s-%s', a.id, n), 'active', thaw.now()
		FROM thaw.accounts AS a, generate_series(1, 100) AS n`, c)
	f.Exec(t, "UPDATE thaw.settings SET push_actions = true")
	return f
}

// pushedIn runs the schedule and the end of leases every 10 seconds for a time, with what take does
// after each run, and returns how many messages were written.
func (f *fleet) pushedIn(t *testing.T, length time.Duration, take string) int {
	t.Helper()
	written := "SELECT count(*) FROM thaw.outbox WHERE type = 'action.due'"
	before := testdb.Value[int](t, f.DB, written)
	for range length / (10 * time.Second) {
		f.Advance(t, 10*time.Second)
		f.Exec(t, "SELECT thaw.expire_actions()")
		f.Exec(t, "SELECT thaw.take_nudges()")
		f.Exec(t, "SELECT thaw.push_actions(200)")
		f.Exec(t, take)
	}
	return testdb.Value[int](t, f.DB, written) - before
}

// A receiver that takes no action gets some messages, and fewer and fewer from then on. One that is
// back gets all again.
func TestPushingPausesWhileActionsAreNotTaken(t *testing.T) {
	t.Parallel()
	f := dueAccounts(t, 30)
	f.registerPlatform(t, newPlatform(t, nil)) // no process of this test delivers to it
	const nothing, start = "SELECT 1", "SELECT thaw.start(id) FROM thaw.actions WHERE state = 'reserved'"

	require.Equal(t, 30, f.pushedIn(t, 10*time.Minute, nothing), "one per account, and then it waits for the first ones")
	// Each try takes a lease of 10 minutes, and then 1, 2, 4, 8 and 10 minutes pass.
	require.Equal(t, 10, f.pushedIn(t, 5*time.Minute, nothing), "the first try")
	hour := f.pushedIn(t, time.Hour, nothing)
	require.LessOrEqual(t, hour, 50, "10 in each try")
	require.Positive(t, hour)
	require.LessOrEqual(t, f.pushedIn(t, time.Hour, nothing), 40)
	require.Equal(t, 10*time.Minute, testdb.Value[time.Duration](t, f.DB, "SELECT wait FROM thaw.pushing"))

	require.GreaterOrEqual(t, f.pushedIn(t, 25*time.Minute, start), 30, "within a try, all accounts send again")
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT wait IS NULL AND paused_until IS NULL FROM thaw.pushing"))
	f.Exec(t, "SELECT thaw.settle(id, 'unknown') FROM thaw.actions WHERE state = 'started'")
	require.Greater(t, f.pushedIn(t, 10*time.Minute, start), 30)
}

// What a person or a closed gate releases says nothing about the receiver.
func TestPushingGoesOnAfterAPause(t *testing.T) {
	t.Parallel()
	f := dueAccounts(t, 3)
	f.registerPlatform(t, newPlatform(t, nil))
	require.Equal(t, 3, f.pushedIn(t, 10*time.Second, "SELECT 1"))
	f.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected'")
	require.Equal(t, 3, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.actions WHERE state = 'released'"))
	require.Zero(t, f.pushedIn(t, 10*time.Minute, "SELECT 1"))
	f.Exec(t, "UPDATE thaw.accounts SET status = 'connected'")
	require.Equal(t, 3, f.pushedIn(t, time.Minute, "SELECT 1"))
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT wait IS NULL AND paused_until IS NULL FROM thaw.pushing"))
}

// A message about an action that is due is not sent after the lease: neither by the first attempt,
// nor by a later one, nor on request.
func TestMessageIsNotSentAfterTheLease(t *testing.T) {
	t.Parallel()
	f := dueAccounts(t, 1)
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	webhooks := f.registerPlatform(t, p)
	require.Equal(t, 1, f.pushedIn(t, 10*time.Second, "SELECT 1"))
	lastError := "SELECT last_error FROM thaw.webhook_deliveries AS d JOIN thaw.outbox AS o ON o.id = d.outbox_id WHERE o.type = 'action.due'"

	// Attempts after 5 seconds and 5 minutes are within the lease, the next one is not.
	stop := f.deliver(t, webhooks)
	for attempt := 1; attempt <= 2; attempt++ {
		f.eventually(t, 1, "SELECT (max(attempts) >= $1::integer)::integer FROM thaw.webhook_deliveries", attempt)
		f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'deliver' AND state IN ('scheduled', 'available')")
		f.Exec(t, `SELECT thaw.expedite('deliver', args) FROM thaw.river_job WHERE kind = 'deliver'`)
	}
	f.eventually(t, 1, deliveries, "action.due", "failed")
	f.settle(t)
	require.Equal(t, "500; not tried again: the lease of its action ends before the next attempt", testdb.Value[string](t, f.DB, lastError))
	require.Len(t, p.got(), 3)

	replay := "SELECT deliveries FROM thaw.replay(NULL, thaw.now() - interval '1 day', false, NULL, 100)"
	require.Equal(t, 1, testdb.Value[int](t, f.DB, replay), "the lease goes on")
	f.eventually(t, 1, "SELECT max(attempts) FROM thaw.webhook_deliveries")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'deliver' AND state IN ('scheduled', 'available')")
	stop()
	f.Advance(t, 10*time.Minute)
	f.Exec(t, `SELECT thaw.expedite('deliver', args) FROM thaw.river_job WHERE kind = 'deliver'`)
	f.deliver(t, webhooks)
	f.eventually(t, 1, deliveries, "action.due", "failed")
	require.Equal(t, "not sent: the lease of its action has ended", testdb.Value[string](t, f.DB, lastError))
	require.Zero(t, testdb.Value[int](t, f.DB, replay))
	f.settle(t)
	require.Len(t, p.got(), 4)
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.webhook_deliveries WHERE state = 'waiting'"))
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

// A message that was delivered stays delivered. If a replay enqueued it after the lease, the worker
// would give it up, and it would count as failed.
func TestReplayKeepsDeliveredMessageAfterTheLease(t *testing.T) {
	t.Parallel()
	f := dueAccounts(t, 1)
	webhooks := f.registerPlatform(t, newPlatform(t, nil))
	require.Equal(t, 1, f.pushedIn(t, 10*time.Second, "SELECT 1"))
	f.deliver(t, webhooks)
	f.eventually(t, 1, deliveries, "action.due", "delivered")
	f.Advance(t, 10*time.Minute)
	f.Exec(t, "SELECT thaw.replay(NULL, thaw.now() - interval '1 day', false, NULL, 100)")
	f.settle(t)
	require.Equal(t, 1, testdb.Value[int](t, f.DB, deliveries, "action.due", "delivered"))
}
