package riverui_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFrontEndIsEmbedded(t *testing.T) {
	t.Parallel()
	d := setup(t)
	page := d.get(t, "/jobs/")
	require.Contains(t, page, "<title>River</title>")
	require.Contains(t, page, `"apiUrl":"/jobs/api"`)
	require.NotContains(t, page, "//cdn")
	require.Equal(t, page, d.get(t, "/jobs/queues"), "all paths serve the same page")
}

// River UI panics on limit=0 and accepts limits of any size.
func TestRequestsThatRiverUIDoesNotValidate(t *testing.T) {
	t.Parallel()
	d := setup(t)
	for _, path := range []string{
		"/jobs/api/queues?limit=0", "/jobs/api/queues?limit=-1", "/jobs/api/queues?limit=5&limit=0", "/jobs/api/jobs?limit=1000000",
		"/jobs/api/jobs?limit=x", "/jobs/api/jobs?state=" + strings.Repeat("x", 5000), "/jobs/api/jobs?limit=1;2",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+path, nil)
		require.NoError(t, err)
		response, err := d.web.Do(request)
		require.NoError(t, err, path)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusBadRequest, response.StatusCode, path)
	}
	require.Contains(t, d.get(t, "/jobs/api/queues?limit=1"), "data")
}

func TestJobsAreListed(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, "SELECT thaw.sweep(), thaw.signal('linkedin', 'acc_1', 'connected'), thaw.heal('acme')")
	d.Exec(t, "SELECT thaw.signal('linkedin', 'acc_1', 'disconnected')")
	var list struct {
		Data []struct {
			Kind, Queue string
			Args        json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal([]byte(d.get(t, "/jobs/api/jobs?state=available")), &list))
	queues := map[string]string{}
	for _, job := range list.Data {
		queues[job.Kind] = job.Queue
	}
	require.Equal(t, map[string]string{"sweep": "sweep", "resume_account": "resume", "pause_account": "resume", "heal": "heal"}, queues)
}
