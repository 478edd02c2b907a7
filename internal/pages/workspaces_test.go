package pages_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The list of workspaces can be filtered by auto-resume, and so can its export.
func TestWorkspacesByAutoResume(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('runs'), ('stands')")
	d.Exec(t, "SELECT thaw.set_auto_resume('stands', false, 'an audit', 'ann')")
	for path, want := range map[string][2]bool{ // whether runs and stands are listed
		"/workspaces":                     {true, true},
		"/workspaces?auto_resume=on":      {true, false},
		"/workspaces?auto_resume=off":     {false, true},
		"/workspaces.csv?auto_resume=off": {false, true},
	} {
		text := d.get(t, path).text
		require.Equal(t, want, [2]bool{strings.Contains(text, "runs"), strings.Contains(text, "stands")}, path)
	}
	d.Exec(t, "SELECT thaw.set_auto_resume(w.key, true, 'it is over', 'ann') FROM thaw.workspaces AS w WHERE NOT w.auto_resume")
	require.Contains(t, d.get(t, "/workspaces?auto_resume=off").text, "Auto-resume is off in no workspace")
}

// A history that does not have all entries links to the audit log.
func TestLongHistoriesLinkToTheAuditLog(t *testing.T) {
	t.Parallel()
	d := setup(t)
	d.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('busy')")
	turn := func(n int) {
		d.Exec(t, `INSERT INTO thaw.manual_actions (what, actor, workspace_id)
			SELECT 'auto_resume_on', 'ann', w.id FROM thaw.workspaces AS w, generate_series(1, $1) WHERE w.key = 'busy'`, n)
		d.Exec(t, "INSERT INTO thaw.manual_actions (what, actor, reason) SELECT 'safety_entered', 'ann', 'x' FROM generate_series(1, $1)", n)
	}
	pages := map[string]string{"/workspaces/busy": "/audit?workspace=busy", "/safety": "/audit?what=safety_entered"}
	turn(50)
	for path, link := range pages {
		require.NotContains(t, d.get(t, path).text, link)
	}
	turn(1)
	for path, link := range pages {
		text := d.get(t, path).text
		require.Contains(t, text, link)
		require.Equal(t, 50, strings.Count(text, `<li><span class="when">`), path)
	}
	require.Equal(t, 51, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.manual_actions WHERE what = 'safety_entered'"))
}
