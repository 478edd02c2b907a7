package server_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/metrics"
	"github.com/thawline/thaw/internal/server"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// serveMonitor serves the routes of a worker-only process until the test ends.
func serveMonitor(t *testing.T, password string) *site {
	t.Helper()
	db := testdb.New(t)
	numbers, err := metrics.New(t.Context(), metrics.Config{
		Store: store.New(db.Pool), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	web := httptest.NewServer(server.NewMonitor(password, numbers.Handler()))
	t.Cleanup(web.Close)
	return &site{DB: db, url: web.URL, client: web.Client()}
}

func TestMetricsOnLoopbackWithoutPassword(t *testing.T) {
	t.Parallel()
	s := serveMonitor(t, "")
	got := s.get(t, "/metrics")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.body, "\nthaw_up 1\n")
	require.Contains(t, got.body, "\n# TYPE thaw_resumed_total counter\n")
	require.Equal(t, http.StatusOK, s.get(t, "/healthz").status)
	require.Equal(t, http.StatusNotFound, s.get(t, "/jobs/").status)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/metrics", nil)
	require.NoError(t, err)
	request.Host = "thaw.example.com"
	require.Equal(t, http.StatusForbidden, s.do(t, request).status)
}

func TestMetricsWithPassword(t *testing.T) {
	t.Parallel()
	s := serveMonitor(t, "opensesame")
	require.Equal(t, http.StatusUnauthorized, s.get(t, "/metrics").status)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/metrics", nil)
	require.NoError(t, err)
	request.SetBasicAuth("admin", "opensesame")
	got := s.do(t, request)
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.body, "\nthaw_up 1\n")
	require.NotContains(t, got.body, "opensesame")
}

// A scrape succeeds and reports that the database is down.
func TestMetricsWithoutADatabase(t *testing.T) {
	t.Parallel()
	s := serveMonitor(t, "")
	end := s.outage(t)
	defer end()
	got := s.get(t, "/metrics")
	require.Equal(t, http.StatusOK, got.status)
	require.Contains(t, got.body, "\nthaw_up 0\n")
	require.Contains(t, got.body, "\ngo_goroutines ")
	require.NotContains(t, got.body, "thaw_oldest_resumable_age_seconds")
}
