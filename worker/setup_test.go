package worker_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/worker"
)

// TestMain lowers the number of random cases per property, because those of this package use a
// database. By default more tests run at a time, because several wait for a timeout. The flags
// -rapid.checks and -parallel override both.
func TestMain(m *testing.M) {
	defaults := map[string]int{"rapid.checks": testdb.Size(3, 30)}
	if !testdb.Full() {
		defaults["test.parallel"] = 2 * runtime.GOMAXPROCS(0)
	}
	for name, n := range defaults {
		if err := flag.Set(name, strconv.Itoa(n)); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// mostRounds is the maximum number of repetitions of a property while rare events have not
// occurred.
const mostRounds = 4

// requireEvents fails the test if an event occurred in no history: it is no longer possible. The
// few histories of the small size may lack a rare event.
func requireEvents(t *testing.T, missing []string, seen map[string]int) {
	t.Helper()
	require.NotEmpty(t, seen, "the histories had events")
	if testdb.Full() {
		require.Empty(t, missing, "events that occurred in no history (%v)", seen)
	}
}

// tick is the default length of a tick in tests.
const tick = 15 * time.Minute

// A fleet is one test's database. Its clock is set to the start of a tick, so that no tick ends
// during the test. Initially it contains only the workspace "acme".
type fleet struct {
	*testdb.DB
	log *recorder
	// attemptsMayFail is set by tests in which jobs fail on purpose.
	attemptsMayFail bool
}

// setup returns a new fleet. When the test has ended and its workers have stopped, it calls
// checkEnd.
func setup(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{DB: testdb.New(t), log: &recorder{Handler: testdb.Logger(t).Handler()}}
	t.Cleanup(func() { f.checkEnd(t) })
	f.Exec(t, "UPDATE thaw_test.clock SET ahead = thaw.tick(pg_catalog.now()) + '15 minutes' - pg_catalog.now()")
	f.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('acme')")
	return f
}

// verify fails the test if the database violates an invariant.
func (f *fleet) verify(t *testing.T) {
	t.Helper()
	// The test's context may have ended.
	report, err := verify.Run(context.Background(), f.Pool, verify.Options{})
	require.NoError(t, err)
	for _, check := range report.Checks {
		require.Zero(t, check.Violations, "%s: %q", check.About, check.Examples)
	}
}

// checkEnd fails the test if a job failed unexpectedly and, at full size, if the database violates
// an invariant. That takes longer than most tests. By default only those verify the database whose
// transactions run concurrently.
func (f *fleet) checkEnd(t *testing.T) {
	if testdb.Full() {
		f.verify(t)
	}
	rows, err := f.Pool.Query(context.Background(), `
		SELECT kind || ': ' || array_to_string(errors, ', ') FROM thaw.river_job
		WHERE cardinality(errors) > 0 AND state <> 'cancelled'`)
	require.NoError(t, err)
	failed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	if !f.attemptsMayFail {
		require.Empty(t, failed, "failed attempts")
	}
}

// launch runs a worker until the test ends.
func (f *fleet) launch(t *testing.T) *worker.Worker {
	t.Helper()
	w, stop := f.launchUntilStopped(t, context.WithoutCancel(t.Context()))
	t.Cleanup(stop)
	return w
}

// launchUntilStopped runs a worker until stop is called. When ctx ends, the worker crashes: its
// jobs lose their connections in the middle of their work.
func (f *fleet) launchUntilStopped(t *testing.T, ctx context.Context) (w *worker.Worker, stop func()) {
	t.Helper()
	return f.launchWithWebhooks(t, ctx, nil)
}

// launchWithWebhooks is like launchUntilStopped, with a worker that delivers webhooks unless
// webhooks is nil.
func (f *fleet) launchWithWebhooks(t *testing.T, ctx context.Context, webhooks *worker.Webhooks) (w *worker.Worker, stop func()) {
	t.Helper()
	pool, riverPool := f.connections(t, 4), f.connections(t, 2)
	w, err := worker.New(t.Context(), worker.Config{
		Pool: pool, RiverPool: riverPool, RiverSchema: schema.Name, PollOnly: f.PollOnly, Webhooks: webhooks, Logger: slog.New(f.log),
	})
	require.NoError(t, err)
	require.NoError(t, w.Start(ctx))
	return w, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, w.Stop(ctx))
		riverPool.Close()
		pool.Close()
	}
}

// connections returns a pool of a few connections, which the caller closes. Each connection plans
// and compiles all functions that it runs, which takes longer than most tests.
func (f *fleet) connections(t *testing.T, most int32) *pgxpool.Pool {
	t.Helper()
	config := f.Pool.Config()
	config.MaxConns = most
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	return pool
}

// start runs a worker until the test ends, and returns when the sweep of the current tick is done,
// so that it does not interfere with the test.
func (f *fleet) start(t *testing.T) *worker.Worker {
	t.Helper()
	w := f.launch(t)
	f.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE tick_at = thaw.tick()")
	f.settle(t)
	return w
}

// unfinished counts the jobs that are not done, without those scheduled for later.
func (f *fleet) unfinished(t *testing.T) int {
	t.Helper()
	return testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE state IN ('available', 'running', 'retryable', 'pending')")
}

// settle waits until all jobs are done, except those scheduled for later.
func (f *fleet) settle(t *testing.T) {
	t.Helper()
	const failing = "SELECT count(*) FROM thaw.river_job WHERE state = 'retryable'"
	require.Eventually(t, func() bool {
		return f.unfinished(t) == 0 || !f.attemptsMayFail && testdb.Value[int](t, f.DB, failing) > 0
	}, 30*time.Second, 10*time.Millisecond, "unfinished jobs")
	// Open jobs are not checked: a process may have just inserted the sweep job of its tick or the
	// watch job of its minute.
	if !f.attemptsMayFail {
		require.Zero(t, testdb.Value[int](t, f.DB, failing), "failed jobs")
	}
}

// sweep moves the clock to the next tick, sweeps it, and returns how many prospects the tick
// resumed.
func (f *fleet) sweep(t *testing.T) int {
	t.Helper()
	f.Advance(t, tick)
	f.Exec(t, "SELECT thaw.sweep()")
	f.settle(t)
	return testdb.Value[int](t, f.DB, "SELECT resumed FROM thaw.sweeps WHERE tick_at = thaw.tick() AND finished_at IS NOT NULL")
}

func (f *fleet) eventually(t *testing.T, want int, sql string, args ...any) {
	t.Helper()
	require.Eventually(t, func() bool { return testdb.Value[int](t, f.DB, sql, args...) == want }, 30*time.Second,
		10*time.Millisecond, "waiting for %d from: %s", want, sql)
}

// client returns a client that inserts and manages jobs but runs none.
func (f *fleet) client(t *testing.T) *river.Client[pgx.Tx] {
	t.Helper()
	client, err := river.NewClient(riverpgxv5.New(f.Pool), &river.Config{Schema: schema.Name})
	require.NoError(t, err)
	return client
}

// begin opens a transaction that is rolled back at the end of the test, unless the test ends it.
func (f *fleet) begin(t *testing.T) pgx.Tx {
	t.Helper()
	tx, err := f.Pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

// signal sends a status, which must be applied.
func (f *fleet) signal(t *testing.T, account, status string) {
	t.Helper()
	outcome := testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', $1, $2)", account, status)
	require.Equal(t, "applied", outcome, "%s for %s", status, account)
}

// An account to insert. Defaults: workspace acme, connected for an hour, no member.
type account struct {
	key, workspace, member, status string
	connectedAgo                   time.Duration
}

func (f *fleet) account(t *testing.T, a account) (id int64) {
	t.Helper()
	connectedAgo := a.connectedAgo
	if connectedAgo == 0 {
		connectedAgo = time.Hour
	}
	return testdb.Value[int64](t, f.DB, `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at)
		SELECT w.id, $2, nullif($3, ''), $4::thaw.account_status, CASE WHEN $4 = 'connected' THEN thaw.now() - $5::interval END
		FROM thaw.workspaces AS w WHERE w.key = $1
		RETURNING id`, or(a.workspace, "acme"), a.key, a.member, or(a.status, "connected"), connectedAgo)
}

// A campaign to insert. Defaults: workspace acme, running; with a reason, paused two hours ago.
type campaign struct {
	key, workspace, status, reason string
}

func (f *fleet) campaign(t *testing.T, c campaign) (id int64) {
	t.Helper()
	status := or(c.status, "running")
	if c.reason != "" {
		status = "paused"
	}
	return testdb.Value[int64](t, f.DB, `
		INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
		SELECT w.id, $2, $3::thaw.campaign_status, nullif($4, '')::thaw.pause_reason,
			CASE WHEN $4 <> '' THEN thaw.now() - interval '2 hours' END
		FROM thaw.workspaces AS w WHERE w.key = $1
		RETURNING id`, or(c.workspace, "acme"), c.key, status, c.reason)
}

// Prospects to insert. Defaults: active; with a reason, paused yesterday in intervals of one
// second.
type prospects struct {
	account, campaign int64
	n                 int
	status, reason    string
}

func (f *fleet) prospects(t *testing.T, p prospects) (ids []int64) {
	t.Helper()
	status := or(p.status, "active")
	if p.reason != "" {
		status = "paused"
	}
	return testdb.Column[int64](t, f.DB, `
		INSERT INTO thaw.enrollments (
			workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at, step)
		SELECT a.workspace_id, $2, a.id,
			format('https://www.linkedin.com/in/%s-%s', i, (SELECT count(*) FROM thaw.enrollments)), $4::thaw.enrollment_status,
			nullif($5, '')::thaw.pause_reason,
			CASE WHEN $5 <> '' THEN thaw.now() - interval '1 day' + i * interval '1 second' END, i % 5
		FROM thaw.accounts AS a, generate_series(1, $3::integer) AS i WHERE a.id = $1
		ORDER BY i
		RETURNING id`, p.account, p.campaign, p.n, status, p.reason)
}

// waiting inserts n prospects that wait for their account, in their own running campaign.
func (f *fleet) waiting(t *testing.T, account int64, n int) (ids []int64) {
	t.Helper()
	workspace := testdb.Value[string](t, f.DB,
		"SELECT w.key FROM thaw.workspaces AS w JOIN thaw.accounts AS a ON a.workspace_id = w.id WHERE a.id = $1", account)
	c := f.campaign(t, campaign{workspace: workspace, key: fmt.Sprintf("of account %d", account)})
	return f.prospects(t, prospects{account: account, campaign: c, n: n, reason: disconnected})
}

// Pause reasons.
const (
	disconnected = "account_disconnected"
	issue        = "account_issue"
	restricted   = "account_restricted"
	byUser       = "paused_by_user"
)

// states counts the prospects of an account by pause reason, or by status if not paused.
func (f *fleet) states(t *testing.T, account int64) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, state := range testdb.Column[string](t, f.DB,
		"SELECT coalesce(paused_reason::text, status::text) FROM thaw.enrollments WHERE account_id = $1", account) {
		counts[state]++
	}
	return counts
}

// campaignState returns a campaign's pause reason, or its status if not paused.
func (f *fleet) campaignState(t *testing.T, campaign int64) string {
	t.Helper()
	return testdb.Value[string](t, f.DB,
		"SELECT coalesce(paused_reason::text, status::text) FROM thaw.campaigns WHERE id = $1", campaign)
}

func or(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}

// A recorder keeps log lines at its level and above, by default info, and forwards warnings to the
// test's log.
type recorder struct {
	slog.Handler
	level slog.Level
	mu    sync.Mutex
	lines []slog.Record
}

func (r *recorder) Enabled(_ context.Context, level slog.Level) bool { return level >= r.level }

func (r *recorder) Handle(ctx context.Context, line slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	if r.Handler.Enabled(ctx, line.Level) {
		return r.Handler.Handle(ctx, line)
	}
	return nil
}

// levels returns the level of each line with this message.
func (r *recorder) levels(message string) (levels []slog.Level) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if line.Message == message {
			levels = append(levels, line.Level)
		}
	}
	return levels
}

// logged returns the attributes of each line with this message.
func (r *recorder) logged(message string) (lines []map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if line.Message != message {
			continue
		}
		attrs := map[string]any{}
		line.Attrs(func(a slog.Attr) bool {
			attrs[a.Key] = a.Value.Any()
			return true
		})
		lines = append(lines, attrs)
	}
	return lines
}
