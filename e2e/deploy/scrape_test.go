package deploy_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/process"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
)

// scrape returns every metric of a process, which has jobs and signals to count.
func scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT id, 'spring', 'running' FROM thaw.workspaces;
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, connected_at)
		SELECT id, 'acc_1', 'connected', thaw.now() - interval '1 day' FROM thaw.workspaces;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
		SELECT c.workspace_id, c.id, a.id, 'https://www.linkedin.com/in/jane', 'paused', 'account_disconnected', thaw.now()
		FROM thaw.accounts AS a, thaw.campaigns AS c;
		SELECT thaw.enqueue('pause_account', 'resume', 1::smallint, '{"account_id": 1}', '1 hour');
		INSERT INTO thaw.signal_sources (provider, last_signal_at) VALUES ('linkedin', thaw.now());
		INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com');
		UPDATE thaw.settings SET push_actions = true;
		SELECT thaw.ensure_senders('{1}');
		UPDATE thaw.sending_accounts SET code = 'daily_cap';
		SELECT thaw.start_adoption('a test');`)
	queue, err := pgxpool.NewWithConfig(t.Context(), db.Pool.Config())
	require.NoError(t, err)
	t.Cleanup(queue.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	running, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- process.Run(running, process.Config{
			Pools:       process.Pools{Passes: db.Pool, Queue: queue, Reads: db.Pool},
			RiverSchema: schema.Name, Work: &process.Work{Concurrency: 4, PollOnly: db.PollOnly},
			Monitor: &process.Monitor{Listener: listener}, DrainFor: 30 * time.Second, Logger: testdb.Logger(t),
		})
	}()
	defer func() {
		stop()
		require.NoError(t, <-stopped)
	}()
	// No process of this test delivers messages.
	require.Eventually(t, func() bool {
		return testdb.Value[bool](t, db, `
			SELECT EXISTS (SELECT FROM thaw.enrollments WHERE status = 'active')
				AND EXISTS (SELECT FROM thaw.sweeps WHERE finished_at IS NOT NULL)
				AND NOT EXISTS (SELECT FROM thaw.river_job WHERE kind <> 'deliver' AND state IN ('available', 'running', 'retryable', 'pending'))`)
	}, 30*time.Second, 5*time.Millisecond, "waiting for the sweep and its passes")

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/metrics", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(t, err)
	return families
}

// labelsOf returns the label names of a metric.
func labelsOf(family *dto.MetricFamily) (names []string) {
	for _, label := range family.GetMetric()[0].GetLabel() {
		names = append(names, label.GetName())
	}
	return names
}
