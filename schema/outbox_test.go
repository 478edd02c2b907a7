package schema_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// withReceiver is withBacklog with a webhook endpoint.
func withReceiver(t *testing.T) *testdb.DB {
	t.Helper()
	db := withBacklog(t)
	db.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com')")
	return db
}

// told is a message as the platform receives it.
type told struct {
	Type string
	Data map[string]any
}

// messages returns all messages to be delivered, in the order of their inserts.
func messages(t *testing.T, db *testdb.DB) (all []told) {
	t.Helper()
	for _, text := range testdb.Column[string](t, db, `
		SELECT jsonb_build_object('type', o.type, 'data', o.data)::text FROM thaw.outbox AS o WHERE NOT o.is_open ORDER BY o.id`) {
		var m told
		require.NoError(t, json.Unmarshal([]byte(text), &m))
		all = append(all, m)
	}
	require.Equal(t, len(all), testdb.Value[int](t, db, "SELECT count(*) FROM thaw.webhook_deliveries"), "each has a delivery")
	require.Equal(t, len(all), testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job WHERE kind = 'deliver'"), "each has a job")
	return all
}

const resumeBySignal = `
	SELECT (thaw.resume_pass('signal', 1, 1, p_signal_id => (SELECT max(s.id) FROM thaw.account_signals AS s))).verdict`

func TestNoMessagesWithoutEndpoint(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"no endpoint":         "DELETE FROM thaw.webhook_endpoints",
		"a disabled endpoint": "UPDATE thaw.webhook_endpoints SET disabled_at = now(), disabled_reason = 'why'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withReceiver(t)
			db.Exec(t, sql)
			receive(t, db, delivery{status: "connected"})
			require.Equal(t, "resumed", testdb.Value[string](t, db, resumeBySignal))
			receive(t, db, delivery{status: "disconnected"})
			require.Equal(t, "done", testdb.Value[string](t, db, "SELECT verdict FROM thaw.pause_batch(1, 10, 4, NULL, 1)"))
			require.True(t, testdb.Value[bool](t, db, "SELECT thaw.publish('test.ping') IS NULL"))
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.outbox"))
		})
	}
}

func TestPassPublishesResumedProspects(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	receive(t, db, delivery{status: "connected"})
	signal := testdb.Value[float64](t, db, "SELECT max(s.id) FROM thaw.account_signals AS s")
	require.Equal(t, "resumed", testdb.Value[string](t, db, resumeBySignal))
	require.Equal(t, []told{
		{"enrollments.resumed", map[string]any{
			"workspace": "acme", "provider": "linkedin", "account": "ann", "lane": "signal", "signal_id": signal,
			"resumed": 1.0, "moved": 0.0, "campaigns_resumed": 1.0,
		}},
		{"account.drained", map[string]any{
			"workspace": "acme", "provider": "linkedin", "account": "ann", "lane": "signal", "signal_id": signal,
		}},
	}, messages(t, db))

	// A second attempt of the pass, or one that resumes no prospect, publishes nothing.
	require.Equal(t, "already_done", testdb.Value[string](t, db, resumeBySignal))
	receive(t, db, delivery{status: "connected"})
	require.Equal(t, "resumed", testdb.Value[string](t, db, resumeBySignal))
	require.Len(t, messages(t, db), 2)
}

func TestSafetyModePublishesMessages(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 40)
	db.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com')")
	lose(t, db, 1, 12)
	began := testdb.Value[time.Time](t, db, "SELECT since FROM thaw.safety")
	db.Exec(t, "SELECT thaw.safety_exit('it is over', 'ann')")
	told := messages(t, db)
	require.Len(t, told, 2, "each once")
	require.Equal(t, "safety.entered", told[0].Type)
	require.Equal(t, map[string]any{
		"reason": "10 of 40 connected accounts were lost within 10 minutes", "actor": "monitor", "accounts_lost": 10.0, "accounts_connected": 40.0,
	}, told[0].Data)
	require.Equal(t, "safety.exited", told[1].Type)
	require.Equal(t, "ann", told[1].Data["actor"])
	since, err := time.Parse(time.RFC3339Nano, told[1].Data["since"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, began, since, time.Millisecond)
}

// An account is drained when no more prospects can resume through it, regardless of the caps of the
// pass. Prospects that are paused for other reasons do not count.
func TestAccountDrained(t *testing.T) {
	t.Parallel()
	// another adds a prospect that waits or is paused for another reason.
	another := func(campaign int, reason string) string {
		return fmt.Sprintf(`
			INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
			VALUES (1, %d, 1, 'paused', '%s', now(), 'https://example.com/in/another')`, campaign, reason)
	}
	for name, c := range map[string]struct {
		sql     string
		drained bool
	}{
		"exactly the cap":     {"UPDATE thaw.settings SET account_cap = 1", true},
		"more than the cap":   {"UPDATE thaw.settings SET account_cap = 1;" + another(1, "account_issue"), false},
		"a person paused one": {another(1, "paused_by_user"), true},
		"a stopped campaign": {`
			INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at) VALUES (1, 'stopped', 'paused', 'paused_by_user', now());` +
			another(2, "account_issue"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withReceiver(t)
			receive(t, db, delivery{status: "connected"})
			db.Exec(t, c.sql)
			require.Equal(t, "resumed", testdb.Value[string](t, db, resumeBySignal))
			all := messages(t, db)
			require.Equal(t, "enrollments.resumed", all[0].Type)
			require.EqualValues(t, 1, all[0].Data["resumed"])
			require.Len(t, all, map[bool]int{true: 2, false: 1}[c.drained])
		})
	}
}

// A prospect that another transaction holds during the pass is skipped, so the account is not
// drained.
func TestNotDrainedWhileProspectsAreLocked(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	receive(t, db, delivery{status: "connected"})
	db.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
		VALUES (1, 1, 1, 'paused', 'account_issue', now(), 'https://example.com/in/locked')`)
	other, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer other.Rollback(context.WithoutCancel(t.Context()))
	_, err = other.Exec(t.Context(), "SELECT FROM thaw.enrollments WHERE prospect_url LIKE '%locked' FOR UPDATE")
	require.NoError(t, err)
	require.Equal(t, "resumed", testdb.Value[string](t, db, resumeBySignal))
	all := messages(t, db)
	require.Len(t, all, 1)
	require.EqualValues(t, 1, all[0].Data["resumed"])
}

// A rolled-back transaction publishes nothing.
func TestRollbackPublishesNothing(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	receive(t, db, delivery{status: "connected"})
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }() // an open transaction would block the cleanup of a failed test
	var verdict string
	require.NoError(t, tx.QueryRow(t.Context(), resumeBySignal).Scan(&verdict))
	require.Equal(t, "resumed", verdict)
	var written int
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM thaw.outbox").Scan(&written))
	require.Equal(t, 2, written)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Empty(t, messages(t, db))
}

// active adds active prospects of ann, in the campaign of the others.
func active(t *testing.T, db *testdb.DB, n int) {
	t.Helper()
	db.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
		SELECT 1, 1, 1, 'active', 'https://example.com/in/' || n FROM generate_series(1, $1::integer) AS n`, n)
}

// A pause of any number of batches is reported in one message, when it is done.
func TestPauseIsReportedOnce(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	db.Exec(t, "UPDATE thaw.campaigns SET status = 'running', paused_reason = NULL, paused_at = NULL")
	active(t, db, 25)
	receive(t, db, delivery{status: "disconnected"})
	db.Exec(t, "UPDATE thaw.accounts SET pause_after = thaw.now()")
	batch := func() string {
		return testdb.Value[string](t, db, "SELECT verdict FROM thaw.pause_batch(1, 10, 3, NULL, 1)")
	}
	require.Equal(t, "more", batch())
	require.Equal(t, "more", batch())
	require.Empty(t, messages(t, db), "the pause is not done")
	require.Equal(t, "done", batch())
	require.Equal(t, []told{{"enrollments.paused", map[string]any{
		"workspace": "acme", "provider": "linkedin", "account": "ann", "status": "disconnected",
		"reason": "account_disconnected", "signal_id": 3.0, "paused": 25.0, "campaigns_paused": 1.0,
	}}}, messages(t, db)[:1])
	require.Equal(t, "account.needs_reconnect", messages(t, db)[1].Type)
	require.Equal(t, "not_due", batch())
	require.Len(t, messages(t, db), 2)
}

func TestInterruptedPauseIsReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(t *testing.T, db *testdb.DB)
		want []string
	}{
		"its job finds the account connected": {func(t *testing.T, db *testdb.DB) {
			t.Helper()
			receive(t, db, delivery{status: "connected"})
			require.Equal(t, "account_connected", testdb.Value[string](t, db, "SELECT verdict FROM thaw.pause_batch(1, 10, 3, NULL, 1)"))
		}, []string{"enrollments.paused"}},
		"the pass of the signal comes first": {func(t *testing.T, db *testdb.DB) {
			t.Helper()
			receive(t, db, delivery{status: "connected"})
			require.Equal(t, "resumed", testdb.Value[string](t, db, resumeBySignal))
		}, []string{"enrollments.paused", "enrollments.resumed", "account.drained"}},
		"its job was cancelled, and a tick requeues it": {func(t *testing.T, db *testdb.DB) {
			t.Helper()
			for _, verdict := range []string{"more", "done"} {
				require.Equal(t, verdict, testdb.Value[string](t, db, "SELECT verdict FROM thaw.pause_batch(1, 10, NULL, thaw.tick(), 1)"))
			}
		}, []string{"enrollments.paused", "account.needs_reconnect"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withReceiver(t)
			active(t, db, 25)
			db.Exec(t, "UPDATE thaw.accounts SET pause_after = thaw.now()")
			require.Equal(t, "more", testdb.Value[string](t, db, "SELECT verdict FROM thaw.pause_batch(1, 10, 3, NULL, 1)"))
			c.end(t, db)
			require.Equal(t, c.want, testdb.Column[string](t, db, "SELECT type FROM thaw.outbox WHERE NOT is_open ORDER BY id"))
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.outbox WHERE is_open"))
			require.Equal(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'paused'")-1,
				testdb.Value[int](t, db, "SELECT (data ->> 'paused')::integer FROM thaw.outbox WHERE type = 'enrollments.paused'"),
				"all prospects but the one that was paused before the endpoint existed")
		})
	}
}

func TestHealPublishesItsEnd(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	receive(t, db, delivery{status: "connected"})
	db.Exec(t, "SELECT thaw.heal('acme', cap => 10, actor => 'support')")
	for testdb.Value[string](t, db, "SELECT verdict FROM thaw.heal_batch(1, 10, 1)") != "done" {
	}
	all := messages(t, db)
	require.Len(t, all, 3)
	finished := all[2]
	require.Equal(t, "heal.finished", finished.Type)
	require.Regexp(t, `^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ$`, finished.Data["finished_at"])
	require.NotEmpty(t, finished.Data["requested_at"])
	delete(finished.Data, "finished_at")
	delete(finished.Data, "requested_at")
	require.Equal(t, map[string]any{
		"workspace": "acme", "heal_id": 1.0, "scope": "workspace", "cap": 10.0, "found": 1.0, "resumed": 1.0, "moved": 0.0,
		"campaigns_resumed": 1.0, "remaining": 0.0, "actor": "support",
	}, finished.Data)
	require.Equal(t, "heal", all[0].Data["lane"])
	require.EqualValues(t, 1, all[0].Data["heal_id"])

	// A heal whose job was cancelled ends when the next one starts.
	db.Exec(t, "SELECT thaw.heal('acme')")
	db.Exec(t, "UPDATE thaw.river_job SET state = 'cancelled', finalized_at = now() WHERE kind = 'heal'")
	db.Exec(t, "SELECT thaw.heal('acme')")
	all = messages(t, db)
	require.Len(t, all, 4)
	require.EqualValues(t, 2, all[3].Data["heal_id"])
}

// A message is kept while its delivery is pending. Without its job it is no longer kept.
func TestUndeliveredMessagesAreKept(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	db.Exec(t, "SELECT thaw.publish(type) FROM unnest(ARRAY['delivered', 'given up', 'waiting', 'cancelled']) AS type")
	db.Exec(t, "INSERT INTO thaw.outbox (type, account_id, is_open, data) VALUES ('open', 1, true, '{}')")
	db.Exec(t, `
		UPDATE thaw.webhook_deliveries AS d SET state = 'delivered', next_attempt_at = NULL, delivered_at = thaw.now()
		FROM thaw.outbox AS o WHERE o.id = d.outbox_id AND o.type = 'delivered';
		UPDATE thaw.webhook_deliveries AS d SET state = 'failed', next_attempt_at = NULL
		FROM thaw.outbox AS o WHERE o.id = d.outbox_id AND o.type = 'given up';
		UPDATE thaw.river_job AS j SET state = 'cancelled', finalized_at = now()
		FROM thaw.outbox AS o WHERE j.args ->> 'message_id' = o.message_id AND o.type = 'cancelled'`)
	db.Advance(t, 29*days)
	require.Len(t, pruned(t, db, "outbox", "type"), 5)
	db.Advance(t, 2*days)
	require.Equal(t, []string{"open", "waiting"}, pruned(t, db, "outbox", "type"))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.webhook_deliveries"))
	require.True(t, testdb.Value[bool](t, db, "SELECT history_since = '-infinity' FROM thaw.kept"), "no history was removed")
}

func TestRemovedEndpointLeavesNoJobs(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	db.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://other.example.com')")
	db.Exec(t, "SELECT thaw.publish('test.ping') FROM generate_series(1, 3)")
	require.Equal(t, 6, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job WHERE kind = 'deliver'"))
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.remove_endpoint(999, 'unknown', 'why', 'jane')"))
	require.Equal(t, 6, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job WHERE kind = 'deliver'"))
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.remove_endpoint(2, 'https://other.example.com', 'why', 'jane')"))
	require.Equal(t, []string{"webhooks_1"}, testdb.Column[string](t, db, "SELECT DISTINCT queue FROM thaw.river_job WHERE kind = 'deliver'"))
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.webhook_deliveries"))
}

// A pass waits for a concurrent removal of an endpoint and then skips it. It does not fail.
func TestEndpointRemovedDuringPass(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	receive(t, db, delivery{status: "connected"})
	remover, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer remover.Rollback(context.WithoutCancel(t.Context()))
	_, err = remover.Exec(t.Context(), "SELECT thaw.remove_endpoint(1, 'https://platform.example.com', 'why', 'jane')")
	require.NoError(t, err)
	verdict := make(chan error, 1)
	go func() {
		_, err := db.Pool.Exec(context.WithoutCancel(t.Context()), resumeBySignal)
		verdict <- err
	}()
	waitsForLock(t, db, resumeBySignal)
	require.NoError(t, remover.Commit(t.Context()))
	require.NoError(t, <-verdict)
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.webhook_deliveries"))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'"))
}

func TestReplay(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	db.Exec(t, "SELECT thaw.publish('old')")
	db.Advance(t, days)
	db.Exec(t, "SELECT thaw.publish('n' || n) FROM generate_series(1, 5) AS n")
	db.Exec(t, `
		UPDATE thaw.webhook_deliveries SET state = 'failed', next_attempt_at = NULL, attempts = 10 WHERE outbox_id IN (1, 3, 4);
		UPDATE thaw.webhook_deliveries SET state = 'delivered', next_attempt_at = NULL, attempts = 1, delivered_at = now() WHERE outbox_id IN (2, 5);
		UPDATE thaw.webhook_deliveries SET next_attempt_at = now() + interval '10 hours', attempts = 6 WHERE outbox_id = 6;
		UPDATE thaw.river_job SET state = 'completed', finalized_at = now() WHERE kind = 'deliver';
		UPDATE thaw.river_job AS j SET state = 'scheduled', scheduled_at = now() + interval '10 hours', finalized_at = NULL
		FROM thaw.outbox AS o WHERE j.args ->> 'message_id' = o.message_id AND o.id = 6`)
	// replay sends all messages since a time again, two at a time.
	replay := func(failed bool) (messages, rounds int) {
		t.Helper()
		for before := new(int64); before != nil; rounds++ {
			var n int
			require.NoError(t, db.Pool.QueryRow(t.Context(), `
				SELECT messages, next_before FROM thaw.replay(NULL, thaw.now() - interval '1 hour', $1, nullif($2, 0), 2)`,
				failed, *before).Scan(&n, &before))
			messages += n
		}
		return messages, rounds
	}
	const ready = `
		SELECT o.type FROM thaw.outbox AS o JOIN thaw.river_job AS j ON j.args ->> 'message_id' = o.message_id
		JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id
		WHERE j.state = 'available' AND d.state = 'waiting' AND d.attempts = 0 ORDER BY 1`
	messages, _ := replay(true)
	require.Equal(t, 2, messages)
	require.Equal(t, []string{"n2", "n3"}, testdb.Column[string](t, db, ready), "only failed deliveries")
	messages, rounds := replay(false)
	require.Equal(t, 5, messages)
	require.Equal(t, 4, rounds, "the last round is empty")
	require.Equal(t, []string{"n1", "n2", "n3", "n4", "n5"}, testdb.Column[string](t, db, ready),
		"including delivered messages, and those with a late next attempt")
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT messages FROM thaw.replay((SELECT message_id FROM thaw.outbox WHERE id = 1), NULL, false, NULL, 10)"))
	require.Len(t, testdb.Column[string](t, db, ready), 6)
}
