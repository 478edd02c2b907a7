package server_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/server"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
)

// All routes except the health checks require the password.
func TestPasswordIsRequired(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	migrator, err := schema.NewMigrator(db.Pool, schema.Name, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, migrator.Close()) })
	client, err := river.NewClient(riverpgxv5.New(db.Pool), &river.Config{Schema: schema.Name})
	require.NoError(t, err)
	handler, err := server.New(t.Context(), server.Config{
		Store: store.New(db.Pool), Client: client, Migrator: migrator, AdminPassword: "opensesame",
		Metrics: http.NotFoundHandler(), Leaving: t.Context(), Stopping: t.Context(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	s := &site{DB: db, url: web.URL, client: web.Client()}

	for _, route := range []string{
		"GET /", "GET /accounts", "GET /accounts/1", "GET /prospects?url=x", "GET /sweeps", "GET /heals", "GET /heals/1", "GET /heals/new",
		"GET /workspaces", "GET /workspaces/acme", "GET /safety", "GET /search?q=x", "GET /live", "GET /static/live.js", "GET /metrics",
		"POST /heals", "POST /safety/enter", "POST /safety/exit", "POST /accounts/1/hold", "POST /accounts/1/hold/correct", "POST /accounts/1/pause", "POST /accounts/1/resume",
		"POST /prospects/pause", "POST /prospects/resume", "POST /campaigns/pause",
		"POST /campaigns/resume", "POST /workspaces/auto-resume",
		"GET /jobs/", "GET /jobs/api/jobs", "POST /jobs/api/jobs/cancel", "GET /api/v1/fleet", "GET /api/v1/openapi.json", "GET /api/v1/prospects?url=x", "POST /api/v1/heals",
	} {
		method, path, _ := strings.Cut(route, " ")
		request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, s.do(t, request).status, route)
		request.SetBasicAuth("admin", "open sesame")
		// After several wrong passwords, they are no longer checked.
		require.Contains(t, []int{http.StatusUnauthorized, http.StatusTooManyRequests}, s.do(t, request).status, "%s with a wrong password", route)
	}
	require.Equal(t, http.StatusOK, s.get(t, "/healthz").status)
	require.Equal(t, http.StatusOK, s.get(t, "/readyz").status)
}
