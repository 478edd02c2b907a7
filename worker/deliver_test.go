package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/outbound"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/worker"
)

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A platform is a typical receiver: it verifies messages with the library of the specification.
type platform struct {
	url string
	// answer responds after the verification. If nil, the response is 204.
	answer http.HandlerFunc

	mu       sync.Mutex
	requests []received
}

type received struct {
	ID       string
	Type     string
	Instance string
	Data     map[string]any
}

func newPlatform(t *testing.T, answer http.HandlerFunc) *platform {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(webhookSecret)
	require.NoError(t, err)
	p := &platform{answer: answer}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		got := received{ID: r.Header.Get("webhook-id")}
		if err == nil {
			err = json.Unmarshal(body, &got)
		}
		if err != nil {
			t.Errorf("the receiver could not verify the message: %s", err)
			return
		}
		p.mu.Lock()
		p.requests = append(p.requests, got)
		p.mu.Unlock()
		if p.answer != nil {
			p.answer(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// got returns the messages received so far.
func (p *platform) got() []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]received(nil), p.requests...)
}

// registerPlatform registers the platform and returns the configuration of a worker that delivers
// to it.
func (f *fleet) registerPlatform(t *testing.T, p *platform) *worker.Webhooks {
	t.Helper()
	sender, err := outbound.New(outbound.Config{URL: p.url, Secrets: []string{webhookSecret}, AllowPrivate: true})
	require.NoError(t, err)
	f.Exec(t, "SELECT thaw.check_instance()") // as a process does at its start
	endpoint, err := store.New(f.Pool).Trip().RegisterEndpoint(t.Context(), dbsqlc.RegisterEndpointParams{Url: p.url, Detail: p.url, Actor: "ann"})
	require.NoError(t, err)
	return &worker.Webhooks{EndpointID: endpoint.ID, Sender: sender}
}

// deliver runs a delivering worker until the test ends or stop is called.
func (f *fleet) deliver(t *testing.T, webhooks *worker.Webhooks) (stop func()) {
	t.Helper()
	_, stop = f.launchWithWebhooks(t, context.WithoutCancel(t.Context()), webhooks)
	stop = sync.OnceFunc(stop)
	t.Cleanup(stop)
	return stop
}

// deliveries counts the deliveries of a message type in a state.
const deliveries = `
	SELECT count(*) FROM thaw.webhook_deliveries AS d JOIN thaw.outbox AS o ON o.id = d.outbox_id
	WHERE o.type = $1 AND d.state = $2::thaw.delivery_state`

func TestPlatformReceivesWebhooks(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p := newPlatform(t, nil)
	f.deliver(t, f.registerPlatform(t, p))
	a := f.account(t, account{key: "ann"})
	f.prospects(t, prospects{account: a, campaign: f.campaign(t, campaign{key: "spring"}), n: 2500})

	f.signal(t, "ann", "disconnected")
	f.eventually(t, 1, deliveries, "enrollments.paused", "delivered")
	f.signal(t, "ann", "connected")
	f.eventually(t, 1, deliveries, "enrollments.resumed", "delivered")
	f.Exec(t, "SELECT thaw.heal('acme', cap => 5000)")
	f.eventually(t, 1, deliveries, "heal.finished", "delivered")
	f.settle(t)

	counts := map[string][]float64{}
	ids := map[string]bool{}
	for _, m := range p.got() {
		require.Regexp(t, "^msg_[0-9a-f]{32}$", m.ID)
		require.False(t, ids[m.ID], "message %s was received twice", m.ID)
		ids[m.ID] = true
		require.Equal(t, "acme", m.Data["workspace"])
		n, _ := m.Data["resumed"].(float64)
		if m.Type == "enrollments.paused" {
			n = m.Data["paused"].(float64)
		}
		counts[m.Type] = append(counts[m.Type], n)
	}
	require.Equal(t, []float64{2500}, counts["enrollments.paused"], "one message for all batches")
	require.ElementsMatch(t, []float64{200, 2000, 300}, counts["enrollments.resumed"], "the signal and two batches of the heal")
	require.Equal(t, []float64{2300}, counts["heal.finished"])
	require.Len(t, counts["account.drained"], 1)
	require.Len(t, counts["account.needs_reconnect"], 1)
	require.Len(t, counts["account.recovered"], 1)
	require.Len(t, ids, 8)
}

// Workers crash repeatedly in the middle of their jobs. Every pass that resumed prospects is
// reported once, and every pause is reported with its final numbers, whatever was rolled back.
func TestEveryPassIsReportedOnceDespiteCrashes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.attemptsMayFail = true
	p := newPlatform(t, nil)
	webhooks := f.registerPlatform(t, p)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 1000000, signal_cap = 10000000, flap_limit = 0")
	shared := f.campaign(t, campaign{key: "shared"})
	const accounts = 6
	for i := range accounts {
		f.prospects(t, prospects{account: f.account(t, account{key: fmt.Sprint("a", i)}), campaign: shared, n: 300})
	}
	transitions := func() int {
		return testdb.Value[int](t, f.DB, "SELECT coalesce(max(id), 0) FROM thaw.enrollment_events")
	}
	for round := range testdb.Size(3, 8) {
		ctx, crash := context.WithCancel(t.Context())
		_, stop := f.launchWithWebhooks(t, ctx, webhooks)
		before := transitions()
		for i := range accounts {
			f.signal(t, fmt.Sprint("a", i), []string{"disconnected", "connected"}[round%2])
		}
		// The first transition may come from a job of the round before. If the process then crashes
		// before any pause, the accounts of the next round connect with nothing to resume: no transition
		// follows.
		require.Eventually(t, func() bool { return transitions() > before || f.unfinished(t) == 0 }, time.Minute, time.Millisecond)
		crash()
		stop()
		// Does what the queue does with jobs of lost processes, which takes a minute.
		f.Exec(t, `UPDATE thaw.river_job SET state = 'available', scheduled_at = now(), finalized_at = NULL
			WHERE state IN ('running', 'retryable')`)
	}
	f.deliver(t, webhooks)
	f.settle(t)
	f.eventually(t, 0, "SELECT count(*) FROM thaw.webhook_deliveries WHERE state <> 'delivered'")

	require.Equal(t, testdb.Value[int](t, f.DB, `
		SELECT (SELECT count(*) FROM thaw.account_signals WHERE resumed > 0) + (SELECT count(*) FROM thaw.allocations WHERE resumed > 0)`),
		testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.outbox WHERE type = 'enrollments.resumed'"))
	for _, c := range []struct{ kind, message string }{{"paused", "enrollments.paused"}, {"resumed", "enrollments.resumed"}} {
		events := testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = $1::thaw.event_kind", c.kind)
		require.Positive(t, events, c.kind)
		require.Equal(t, events, testdb.Value[int](t, f.DB, "SELECT sum((data ->> $1)::integer) FROM thaw.outbox WHERE type = $2 AND NOT is_open", c.kind, c.message), c.kind)
	}
	ids := map[string]bool{}
	for _, m := range p.got() {
		ids[m.ID] = true
	}
	require.Len(t, ids, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.outbox"), "all messages were received")
	f.verify(t)
}

// A process that dies between the response and its record sends the same message again. A recorded
// message is never sent again.
func TestResentMessageKeepsItsID(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var answers atomic.Int32
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		if answers.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	webhooks := f.registerPlatform(t, p)
	f.Exec(t, "SELECT thaw.publish('test.ping')")
	f.deliver(t, webhooks)
	f.eventually(t, 1, deliveries, "test.ping", "delivered")
	require.Len(t, p.got(), 2)
	first, second := p.got()[0], p.got()[1]
	require.Equal(t, first, second)
	require.Equal(t, 2, testdb.Value[int](t, f.DB, "SELECT attempts FROM thaw.webhook_deliveries"))

	// Run the job again.
	f.settle(t)
	f.Exec(t, "UPDATE thaw.river_job SET state = 'available', finalized_at = NULL, scheduled_at = now() WHERE kind = 'deliver'")
	f.settle(t)
	require.Len(t, p.got(), 2)
}

// A failing receiver gets a message ten times, on the schedule of the specification. Then the
// message stays in the outbox.
func TestMessageIsGivenUpAndReplayed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var well atomic.Bool
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			http.Error(w, "bad gateway", http.StatusBadGateway)
		}
	})
	webhooks := f.registerPlatform(t, p)
	f.Exec(t, "SELECT thaw.publish('test.ping')")
	f.deliver(t, webhooks)
	for attempt := 1; attempt < outbound.MaxAttempts; attempt++ {
		f.eventually(t, attempt, "SELECT max(attempts) FROM thaw.webhook_deliveries")
		f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'deliver' AND state IN ('scheduled', 'available')")
		wait := testdb.Value[time.Duration](t, f.DB, "SELECT next_attempt_at - last_attempt_at FROM thaw.webhook_deliveries")
		require.GreaterOrEqual(t, wait, outbound.Delay(attempt, 0, 0))
		require.LessOrEqual(t, wait, outbound.Delay(attempt, 0, 1))
		scheduled := testdb.Value[time.Duration](t, f.DB, "SELECT scheduled_at - now() FROM thaw.river_job WHERE kind = 'deliver'")
		require.InDelta(t, wait, scheduled, float64(30*time.Second), "the job is snoozed for the same time")
		f.Exec(t, `SELECT thaw.expedite('deliver', args) FROM thaw.river_job WHERE kind = 'deliver'`)
	}
	f.eventually(t, 1, deliveries, "test.ping", "failed")
	f.settle(t)
	require.Len(t, p.got(), outbound.MaxAttempts)
	require.Equal(t, "502: bad gateway", testdb.Value[string](t, f.DB, "SELECT last_error FROM thaw.webhook_deliveries"))
	require.Equal(t, "cancelled", testdb.Value[string](t, f.DB, "SELECT state::text FROM thaw.river_job WHERE kind = 'deliver'"))

	well.Store(true)
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT messages FROM thaw.replay(NULL, thaw.now() - interval '1 hour', true, NULL, 100)"))
	f.eventually(t, 1, deliveries, "test.ping", "delivered")
	all := p.got()
	require.Equal(t, all[0].ID, all[len(all)-1].ID)
}

func TestRetryAfterIsHonored(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	webhooks := f.registerPlatform(t, p)
	f.Exec(t, "SELECT thaw.publish('test.ping')")
	f.deliver(t, webhooks)
	f.eventually(t, 1, "SELECT max(attempts) FROM thaw.webhook_deliveries")
	require.Equal(t, time.Hour, testdb.Value[time.Duration](t, f.DB, "SELECT next_attempt_at - last_attempt_at FROM thaw.webhook_deliveries"))
}

// A 410 response disables the endpoint: waiting messages are given up unsent, and no new ones are
// written until it is enabled.
func TestGoneEndpointIsDisabled(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var well atomic.Bool
	p := newPlatform(t, func(w http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			w.WriteHeader(http.StatusGone)
		}
	})
	webhooks := f.registerPlatform(t, p)
	f.Exec(t, "SELECT thaw.publish('test.ping')")
	stop := f.deliver(t, webhooks)
	f.eventually(t, 1, deliveries, "test.ping", "failed")
	require.Equal(t, "410: the receiver wants no more messages", testdb.Value[string](t, f.DB, "SELECT disabled_reason FROM thaw.webhook_endpoints"))
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT thaw.publish('test.ping') IS NULL"))
	f.settle(t)
	stop()

	// A message that was written before the 410 and is sent after it.
	f.Exec(t, "UPDATE thaw.webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL")
	f.Exec(t, "SELECT thaw.publish('test.late')")
	f.Exec(t, "UPDATE thaw.webhook_endpoints SET disabled_at = now(), disabled_reason = 'by hand'")
	f.deliver(t, webhooks)
	f.eventually(t, 1, deliveries, "test.late", "failed")
	require.Len(t, p.got(), 1)

	well.Store(true)
	enabled, err := operator.New(store.New(f.Pool), readmodel.Everything(), "ann").EnableEndpoint(t.Context(), operator.Endpoint{URL: p.url}, "it is back")
	require.NoError(t, err)
	require.True(t, enabled)
	f.Exec(t, "SELECT thaw.publish('test.ping')")
	f.eventually(t, 1, deliveries, "test.ping", "delivered")
}

// A slow receiver delays nothing else: with more messages than delivery workers, signals are
// processed as fast as before.
func TestSlowReceiverDelaysNothingElse(t *testing.T) {
	t.Parallel()
	f := setup(t)
	release := make(chan struct{})
	var open atomic.Int32
	p := newPlatform(t, func(http.ResponseWriter, *http.Request) {
		open.Add(1)
		<-release
	})
	defer close(release)
	webhooks := f.registerPlatform(t, p)
	f.Exec(t, "SELECT thaw.publish('test.ping') FROM generate_series(1, 50)")
	f.deliver(t, webhooks)
	require.Eventually(t, func() bool { return open.Load() > 0 }, 10*time.Second, 5*time.Millisecond)

	a := f.account(t, account{key: "ann"})
	f.waiting(t, a, 10)
	f.signal(t, "ann", "connected")
	f.eventually(t, 10, "SELECT count(*) FROM thaw.enrollments WHERE account_id = $1 AND status = 'active'", a)
	require.Zero(t, testdb.Value[int](t, f.DB, deliveries, "test.ping", "delivered"), "the receiver has not responded yet")
	require.LessOrEqual(t, open.Load(), int32(4))
}

// Only processes that have an endpoint's secret deliver to it. Other processes ignore its messages.
func TestMessageWaitsForAProcessWithItsSecret(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ours, theirs := newPlatform(t, nil), newPlatform(t, nil)
	webhooks := f.registerPlatform(t, ours)
	other := f.registerPlatform(t, theirs)
	f.launch(t)
	f.deliver(t, webhooks)
	f.Exec(t, "SELECT thaw.publish('test.ping')")
	f.eventually(t, 1, deliveries, "test.ping", "delivered")
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'deliver' AND state = 'available' AND attempt = 0"))
	f.deliver(t, other)
	f.eventually(t, 2, deliveries, "test.ping", "delivered")
	require.Len(t, ours.got(), 1)
	require.Equal(t, ours.got(), theirs.got())
}
