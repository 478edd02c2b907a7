package riverui_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFrontEndComesFromThisProgram(t *testing.T) {
	t.Parallel()
	d := setup(t)
	page := d.get(t, "/jobs/")
	require.Contains(t, page, "<title>River</title>")
	require.Contains(t, page, `"apiUrl":"/jobs/api"`)
	require.NotContains(t, page, "//cdn")
	require.Equal(t, page, d.get(t, "/jobs/queues"), "every page of it is the same one")
}

func TestListsOurJobs(t *testing.T) {
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
