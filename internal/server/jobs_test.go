package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// What people change in River UI is in the audit log. What it refuses is not.
func TestChangesInRiverUIAreRecorded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	send := func(method, path, body string) int {
		request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		return s.do(t, request).status
	}
	recorded := func() []string {
		return testdb.Column[string](t, s.DB, "SELECT format('%s by %s: %s', what, actor, detail) FROM thaw.manual_actions WHERE what = 'jobs_changed' ORDER BY id")
	}
	job := testdb.Value[int64](t, s.DB, `SELECT thaw.enqueue('heal', 'heal', 2::smallint, '{"heal_id": 1}')`)
	require.Equal(t, http.StatusOK, send("GET", "/jobs/api/jobs?limit=10", ""))
	require.GreaterOrEqual(t, send("POST", "/jobs/api/jobs/cancel", `{"ids": "none"}`), 400)
	require.Empty(t, recorded())

	body := fmt.Sprintf(`{"ids":["%d"]}`, job)
	require.Equal(t, http.StatusOK, send("POST", "/jobs/api/jobs/cancel", body))
	require.Equal(t, "cancelled", testdb.Value[string](t, s.DB, "SELECT state::text FROM thaw.river_job WHERE id = $1", job))
	require.Equal(t, []string{"jobs_changed by jobs: POST /jobs/api/jobs/cancel " + body}, recorded())
}
