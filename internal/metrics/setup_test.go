package metrics_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	dto "github.com/prometheus/client_model/go"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/thawline/thaw/internal/metrics"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/worker"
)

// Only the goroutines of the test database server may outlive the tests.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/thawline/thaw/internal/localpg.(*cluster).run.func1"),
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).writerDescriptor.func1"),
	)
}

// A subject has the metrics of a process on its own database.
type subject struct {
	*testdb.DB
	*metrics.Metrics
}

// setup returns metrics that are read at every scrape. The clock of the database is set to the
// start of a tick, so that no tick ends during the test.
func setup(t *testing.T) *subject {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, "UPDATE thaw_test.clock SET ahead = thaw.tick(pg_catalog.now()) + '15 minutes' - pg_catalog.now()")
	return &subject{db, observe(t, db, -1)}
}

// observe returns the metrics of another process.
func observe(t *testing.T, db *testdb.DB, maxAge time.Duration) *metrics.Metrics {
	t.Helper()
	return observeWithin(t, db, maxAge, time.Minute)
}

// observeWithin returns metrics with a given patience. Other tests use a long patience, because a
// busy host may be slow.
func observeWithin(t *testing.T, db *testdb.DB, maxAge, patience time.Duration) *metrics.Metrics {
	t.Helper()
	m, err := metrics.New(t.Context(), metrics.Config{
		Store: store.New(db.Pool), MaxAge: maxAge, Patience: patience,
		Pools: map[string]*pgxpool.Pool{"work": db.Pool}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return m
}

// work starts a worker that runs until the test ends, and waits for the sweep of the current tick.
func (s *subject) work(t *testing.T) {
	t.Helper()
	riverPool, err := pgxpool.NewWithConfig(t.Context(), s.Pool.Config())
	require.NoError(t, err)
	w, err := worker.New(t.Context(), worker.Config{
		Pool: s.Pool, RiverPool: riverPool, RiverSchema: schema.Name, PollOnly: s.PollOnly,
		Plugins: []rivertype.Plugin{s.Plugin()}, Logger: testdb.Logger(t),
	})
	require.NoError(t, err)
	require.NoError(t, w.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, w.Stop(ctx))
		riverPool.Close()
	})
	s.eventually(t, "SELECT count(*) = 1 FROM thaw.sweeps WHERE tick_at = thaw.tick() AND finished_at IS NOT NULL")
	s.settle(t)
}

// settle waits until all jobs are done, except scheduled ones.
func (s *subject) settle(t *testing.T) {
	t.Helper()
	s.eventually(t, "SELECT count(*) = 0 FROM thaw.river_job WHERE state IN ('available', 'running', 'retryable', 'pending')")
}

func (s *subject) eventually(t *testing.T, sql string) {
	t.Helper()
	require.Eventually(t, func() bool { return testdb.Value[bool](t, s.DB, sql) }, 30*time.Second, 5*time.Millisecond, sql)
}

// insertFleet inserts the connected accounts acc_1 to acc_3 of workspace acme, each with ten
// prospects in a running campaign. The prospects of acc_1 have been resumable for an hour, those of
// acc_2 were paused by a person, those of acc_3 are active.
func (s *subject) insertFleet(t *testing.T) {
	t.Helper()
	s.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT id, 'spring', 'running' FROM thaw.workspaces;
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, connected_at)
		SELECT w.id, 'acc_' || n, 'connected', thaw.now() - interval '1 day' FROM thaw.workspaces AS w, generate_series(1, 3) AS n
		ORDER BY n;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
		SELECT a.workspace_id, c.id, a.id, format('https://www.linkedin.com/in/%s-%s', a.id, i), s.status, s.reason,
			CASE WHEN s.status = 'paused' THEN thaw.now() - interval '1 hour' END
		FROM thaw.accounts AS a
		CROSS JOIN thaw.campaigns AS c
		CROSS JOIN generate_series(1, 10) AS i
		JOIN (VALUES ('acc_1', 'paused'::thaw.enrollment_status, 'account_disconnected'::thaw.pause_reason),
			('acc_2', 'paused', 'paused_by_user'), ('acc_3', 'active', NULL)) AS s (account, status, reason)
			ON s.account = a.provider_account_id`)
}

// A reading has the values of one scrape by name and labels, like
// thaw_jobs{queue=tick,state=running}. The value of a histogram is its sample count.
type reading map[string]float64

// scrape gathers all metrics.
func scrape(t *testing.T, from *metrics.Metrics) reading {
	t.Helper()
	families, err := from.Registry().Gather()
	require.NoError(t, err)
	found := reading{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			found[nameOf(family, metric)] = valueOf(metric)
		}
	}
	return found
}

// nameOf returns the name of a series with its labels, sorted by name.
func nameOf(family *dto.MetricFamily, metric *dto.Metric) string {
	var labels []string
	for _, label := range metric.GetLabel() {
		labels = append(labels, label.GetName()+"="+label.GetValue())
	}
	if labels == nil {
		return family.GetName()
	}
	return family.GetName() + "{" + strings.Join(labels, ",") + "}"
}

func valueOf(metric *dto.Metric) float64 {
	switch {
	case metric.Gauge != nil:
		return metric.GetGauge().GetValue()
	case metric.Counter != nil:
		return metric.GetCounter().GetValue()
	default:
		return float64(metric.GetHistogram().GetSampleCount())
	}
}

// requireValues compares the wanted values with those of a scrape.
func requireValues(t *testing.T, got reading, want reading) {
	t.Helper()
	some := reading{}
	for name := range want {
		if value, ok := got[name]; ok {
			some[name] = value
		}
	}
	require.Equal(t, want, some)
}
