package riverui_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/thawline/thaw/internal/access"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
	"github.com/thawline/thaw/riverui"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/worker"
)

// The database server of the tests runs until the process ends; no other goroutine may be left.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/thawline/thaw/internal/localpg.(*cluster).run.func1"),
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).writerDescriptor.func1"),
	)
}

// A dashboard is River UI on the test's own database, with an HTTP client for an operator and a
// worker that the test starts. Its fleet is one connected account, "acc_1", with waiting and active
// prospects.
type dashboard struct {
	*testdb.DB
	worker *worker.Worker
	url    string
	web    *http.Client
}

// Numbers of prospects in the fleet, all in one campaign.
const (
	waitingProspects = 30
	activeProspects  = 5
)

// setup returns a dashboard whose clock is at the start of a tick, so that no tick ends while the
// test runs. When the test ends, it checks that no prospect was resumed or paused twice. At full
// size it also checks every invariant.
func setup(t *testing.T) *dashboard {
	t.Helper()
	db := testdb.New(t)
	t.Cleanup(func() { checkInvariants(t, db) })
	db.Exec(t, "UPDATE thaw_test.clock SET ahead = thaw.tick(pg_catalog.now()) + '15 minutes' - pg_catalog.now()")
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT id, 'spring', 'running' FROM thaw.workspaces;
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, connected_at)
			SELECT id, 'acc_1', 'connected', thaw.now() - interval '1 day' FROM thaw.workspaces;`)
	db.Exec(t, `
		INSERT INTO thaw.enrollments (
			workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
		SELECT a.workspace_id, c.id, a.id, 'https://www.linkedin.com/in/' || i,
			CASE WHEN i > $1 THEN 'active' ELSE 'paused' END::thaw.enrollment_status,
			CASE WHEN i <= $1 THEN 'account_disconnected'::thaw.pause_reason END,
			CASE WHEN i <= $1 THEN thaw.now() - interval '1 hour' END
		FROM thaw.accounts AS a, thaw.campaigns AS c, generate_series(1, $2::integer) AS i`,
		waitingProspects, waitingProspects+activeProspects)

	riverPool, err := pgxpool.NewWithConfig(t.Context(), db.Pool.Config())
	require.NoError(t, err)
	t.Cleanup(riverPool.Close)
	w, err := worker.New(t.Context(), worker.Config{
		Pool: db.Pool, RiverPool: riverPool, RiverSchema: schema.Name, PollOnly: db.PollOnly, Logger: testdb.Logger(t),
	})
	require.NoError(t, err)
	handler, err := riverui.Handler(t.Context(), w.Client(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	web := httptest.NewServer(access.Guard("", handler))
	t.Cleanup(web.Close)
	return &dashboard{DB: db, worker: w, url: web.URL, web: web.Client()}
}

func checkInvariants(t *testing.T, db *testdb.DB) {
	t.Helper()
	ctx := context.Background() // the context of the test has ended
	if testdb.Full() {
		report, err := verify.Run(ctx, db.Pool, verify.Options{})
		require.NoError(t, err)
		require.Zero(t, report.Violations(), "%+v", report)
	}
	rows, err := db.Pool.Query(ctx, "SELECT enrollment_id FROM thaw.enrollment_events GROUP BY enrollment_id, kind HAVING count(*) > 1")
	require.NoError(t, err)
	twice, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	require.Empty(t, twice, "prospects resumed or paused twice")
}

// work runs the worker until the test ends.
func (d *dashboard) work(t *testing.T) {
	t.Helper()
	require.NoError(t, d.worker.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, d.worker.Stop(ctx))
	})
}

// settle waits until no job is left except those scheduled for later.
func (d *dashboard) settle(t *testing.T) {
	t.Helper()
	d.eventually(t, 0, "SELECT count(*) FROM thaw.river_job WHERE state IN ('available', 'running', 'retryable', 'pending')")
}

func (d *dashboard) eventually(t *testing.T, want int, sql string, args ...any) {
	t.Helper()
	require.Eventually(t, func() bool { return testdb.Value[int](t, d.DB, sql, args...) == want }, 30*time.Second,
		10*time.Millisecond, "waiting for %d from: %s", want, sql)
}

// nextTick advances to the next tick and sweeps it.
func (d *dashboard) nextTick(t *testing.T) {
	t.Helper()
	d.Advance(t, 15*time.Minute)
	d.Exec(t, "SELECT thaw.sweep()")
	d.settle(t)
}

func (d *dashboard) state(t *testing.T, id int64) string {
	t.Helper()
	return testdb.Value[string](t, d.DB, "SELECT state::text FROM thaw.river_job WHERE id = $1", id)
}

// click does what the buttons of River UI do: "retry" or "cancel". River may reject a retry because
// another job has replaced the cancelled one: a worker that becomes the leader after the cancel
// inserts the sweep of the tick again.
func (d *dashboard) click(t *testing.T, button string, ids ...int64) {
	t.Helper()
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	body, err := json.Marshal(map[string][]string{"ids": texts})
	require.NoError(t, err)
	status, answer := d.request(t, http.MethodPost, "/jobs/api/jobs/"+button, body)
	if status == http.StatusConflict {
		require.Equal(t, "retry", button)
		require.Contains(t, answer, "another active job has the same unique properties")
		return
	}
	require.Equal(t, http.StatusOK, status, answer)
}

func (d *dashboard) get(t *testing.T, path string) string {
	t.Helper()
	status, answer := d.request(t, http.MethodGet, path, nil)
	require.Equal(t, http.StatusOK, status, answer)
	return answer
}

func (d *dashboard) request(t *testing.T, method, path string, body []byte) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.url+path, bytes.NewReader(body))
	require.NoError(t, err)
	response, err := d.web.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}
