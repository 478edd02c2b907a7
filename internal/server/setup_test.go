package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/thawline/thaw/internal/server"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/worker"
)

// The database server of the tests runs until the process ends. No other goroutine may.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/thawline/thaw/internal/localpg.(*cluster).run.func1"),
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).writerDescriptor.func1"),
	)
}

// The secrets of the webhooks: the new one and the old one.
var (
	v1Secrets       = []string{"v1-new-0123456789", "v1-old-0123456789"}
	v2Secrets       = []string{"v2-new-0123456789", "v2-old-0123456789"}
	standardSecrets = []string{"whsec_c3RhbmRhcmQtc2VjcmV0LW5ldy0wMDAx", "whsec_c3RhbmRhcmQtc2VjcmV0LW9sZC0wMDAx"}
)

// A site is the process of one test: a server with its own database.
type site struct {
	*testdb.DB
	url    string
	client *http.Client
}

// setup serves a migrated, empty database until the test ends. Then, at full size, it checks every
// invariant. The clock is at the start of a tick, so that no tick ends during the test.
func setup(t *testing.T) *site {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, "UPDATE thaw_test.clock SET ahead = thaw.tick(pg_catalog.now()) + '15 minutes' - pg_catalog.now()")
	t.Cleanup(func() {
		if !testdb.Full() {
			return
		}
		report, err := verify.Run(context.Background(), db.Pool, verify.Options{})
		require.NoError(t, err)
		require.Zero(t, report.Violations(), "%+v", report)
	})
	return serve(t, db, webhook.Config{Dialects: webhook.Dialects{
		UnipileV1: webhook.UnipileV1{Secrets: v1Secrets}, UnipileV2: webhook.UnipileV2{Secrets: v2Secrets}, Standard: webhook.Standard{Secrets: standardSecrets},
	}})
}

// serve serves a database until the test ends.
func serve(t *testing.T, db *testdb.DB, webhooks webhook.Config) *site {
	t.Helper()
	migrator, err := schema.NewMigrator(db.Pool, schema.Name, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, migrator.Close()) })
	client, err := river.NewClient(riverpgxv5.New(db.Pool), &river.Config{Schema: schema.Name})
	require.NoError(t, err)
	handler, err := server.New(t.Context(), server.Config{
		Store: store.New(db.Pool), Client: client, Migrator: migrator, Webhooks: webhooks,
		Leaving:  t.Context(),
		Stopping: t.Context(),
		Logger:   slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	return &site{DB: db, url: web.URL, client: web.Client()}
}

// work runs a worker until the test ends. It returns when the sweep of the current tick is done, so
// that no other work interferes with the test.
func (s *site) work(t *testing.T, plugins ...rivertype.Plugin) {
	t.Helper()
	riverPool, err := pgxpool.NewWithConfig(t.Context(), s.Pool.Config())
	require.NoError(t, err)
	w, err := worker.New(t.Context(), worker.Config{
		Pool: s.Pool, RiverPool: riverPool, RiverSchema: schema.Name, PollOnly: s.PollOnly, Plugins: plugins, Logger: testdb.Logger(t),
	})
	require.NoError(t, err)
	require.NoError(t, w.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, w.Stop(ctx))
		riverPool.Close()
	})
	s.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE tick_at = thaw.tick()")
	s.settle(t)
}

// settle waits until no jobs remain, except those scheduled for later.
func (s *site) settle(t *testing.T) {
	t.Helper()
	s.eventually(t, 0, "SELECT count(*) FROM thaw.river_job WHERE state IN ('available', 'running', 'retryable', 'pending')")
}

func (s *site) eventually(t *testing.T, want int, sql string) {
	t.Helper()
	require.Eventually(t, func() bool { return testdb.Value[int](t, s.DB, sql) == want }, 30*time.Second,
		5*time.Millisecond, "waiting for %d from: %s", want, sql)
}

// outage makes the database unavailable, for new and open connections, until end is called.
func (s *site) outage(t *testing.T) (end func()) {
	t.Helper()
	config, err := pgx.ParseConfig(s.Direct)
	require.NoError(t, err)
	name := config.Database
	config.Database = "postgres"
	admin, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(context.Background())) })
	run := func(sql string, args ...any) {
		_, err := admin.Exec(context.Background(), sql, args...)
		require.NoError(t, err)
	}
	run("ALTER DATABASE " + name + " ALLOW_CONNECTIONS false")
	run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name)
	return func() {
		run("ALTER DATABASE " + name + " ALLOW_CONNECTIONS true")
		// A pooler caches the refusal for a while.
		require.Eventually(t, func() bool { return s.Pool.Ping(context.Background()) == nil }, 30*time.Second, 10*time.Millisecond)
	}
}

// An answer is the response to a request.
type answer struct {
	status     int
	body       string
	retryAfter string
}

// outcome returns the outcome of a delivery, which must have been accepted.
func (a answer) outcome(t *testing.T) string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	var body struct{ Outcome string }
	require.NoError(t, json.Unmarshal([]byte(a.body), &body))
	return body.Outcome
}

func (s *site) get(t *testing.T, path string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	require.NoError(t, err)
	return s.do(t, request)
}

// post sends a delivery as a provider does.
func (s *site) post(t *testing.T, d delivery) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+d.path, bytes.NewReader(d.body))
	require.NoError(t, err)
	request.Header = d.header
	return s.do(t, request)
}

func (s *site) do(t *testing.T, request *http.Request) answer {
	t.Helper()
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{status: response.StatusCode, body: string(body), retryAfter: response.Header.Get("Retry-After")}
}

// insertFleet inserts the connected account "acc_1" of workspace "acme" with ten active prospects
// in a running campaign.
func (s *site) insertFleet(t *testing.T) {
	t.Helper()
	s.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT id, 'spring', 'running' FROM thaw.workspaces;`)
	s.insertAccount(t, "connected")
}

func (s *site) insertAccount(t *testing.T, status string) {
	t.Helper()
	s.Exec(t, `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, connected_at)
		SELECT id, 'acc_1', $1::thaw.account_status, CASE WHEN $1 = 'connected' THEN thaw.now() - interval '1 day' END
		FROM thaw.workspaces`, status)
	s.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, step)
		SELECT a.workspace_id, c.id, a.id, 'https://www.linkedin.com/in/' || i, 'active', i
		FROM thaw.accounts AS a, thaw.campaigns AS c, generate_series(1, 10) AS i`)
}

// accountStatus returns the status of the only account.
func (s *site) accountStatus(t *testing.T) string {
	t.Helper()
	return testdb.Value[string](t, s.DB, "SELECT status::text FROM thaw.accounts")
}

// prospects counts the prospects with a status.
func (s *site) prospects(t *testing.T, status string) int {
	t.Helper()
	return testdb.Value[int](t, s.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = $1::thaw.enrollment_status", status)
}
