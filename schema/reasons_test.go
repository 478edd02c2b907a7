package schema_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A platform that still writes the deprecated pause reasons is not refused: every plain write
// stores the current reason, and the prospect resumes and is counted like any other.
func TestPlatformMayWriteDeprecatedReasons(t *testing.T) {
	t.Parallel()
	db, _, app := asPlatform(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := app.Exec(t.Context(), sql, args...)
		require.NoError(t, err, sql)
	}
	stored := func() []string {
		return testdb.Column[string](t, db, `
			SELECT concat_ws(' ', prospect_url, status, paused_reason, waits_for_account) FROM thaw.enrollments ORDER BY id DESC LIMIT 3`)
	}
	const url = "https://example.com/in/"
	exec(`INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
		SELECT workspace_id, campaign_id, account_id, $1 || 'inserted', 'paused', 'linkedin_account_disconnected', now()
		FROM thaw.enrollments LIMIT 1`, url)
	exec(`INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status)
		SELECT workspace_id, campaign_id, account_id, $1 || 'updated', 'active' FROM thaw.enrollments LIMIT 1`, url)
	exec(`UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'linkedin_account_issue', paused_at = now()
		WHERE prospect_url = $1 || 'updated'`, url)
	exec(`INSERT INTO thaw.enrollments AS known (workspace_id, campaign_id, account_id, prospect_url, status)
		SELECT workspace_id, campaign_id, account_id, $1 || 'upserted', 'active' FROM thaw.enrollments LIMIT 1`, url)
	exec(`INSERT INTO thaw.enrollments AS known (id, workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
		OVERRIDING SYSTEM VALUE
		SELECT id, workspace_id, campaign_id, account_id, prospect_url, 'paused', 'linkedin_account_disconnected', now()
		FROM thaw.enrollments WHERE prospect_url = $1 || 'upserted'
		ON CONFLICT (id) DO UPDATE SET status = excluded.status, paused_reason = excluded.paused_reason, paused_at = excluded.paused_at`, url)
	want := []string{
		url + "upserted paused account_disconnected t", url + "updated paused account_issue t", url + "inserted paused account_disconnected t",
	}
	require.Equal(t, want, stored())

	// The same write again changes nothing, and writes no history.
	events := testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events")
	exec(`UPDATE thaw.enrollments SET paused_reason = 'linkedin_account_issue' WHERE prospect_url = $1 || 'updated'`, url)
	require.Equal(t, want, stored())
	require.Equal(t, events, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events"))

	exec("UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'linkedin_high_failure_rate', paused_at = now()")
	require.Equal(t, "high_failure_rate f", testdb.Value[string](t, db, "SELECT concat_ws(' ', paused_reason, waits_for_account) FROM thaw.campaigns"))
	exec("UPDATE thaw.campaigns SET paused_reason = 'linkedin_account_issue'")
	require.Equal(t, "account_issue t", testdb.Value[string](t, db, "SELECT concat_ws(' ', paused_reason, waits_for_account) FROM thaw.campaigns"))

	for _, table := range []string{"enrollment_events", "campaign_events", "paused_deltas", "paused_counts"} {
		require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw."+table+" WHERE reason <> thaw.current_reason(reason)"), table)
	}
}

// COPY does not call INSERT, but its rows are normalized too.
func TestCopyOfDeprecatedReasons(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	types, err := conn.LoadTypes(t.Context(), []string{"thaw.enrollment_status", "thaw.pause_reason"})
	require.NoError(t, err)
	conn.TypeMap().RegisterTypes(types)
	ids := testdb.Column[int64](t, db, "SELECT unnest(ARRAY[workspace_id, campaign_id, account_id]) FROM thaw.enrollments WHERE id = 1")
	at := testdb.Value[any](t, db, "SELECT thaw.now()")
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"thaw", "enrollments"},
		[]string{"workspace_id", "campaign_id", "account_id", "prospect_url", "status", "paused_reason", "paused_at"},
		pgx.CopyFromRows([][]any{{ids[0], ids[1], ids[2], "https://example.com/in/copied", "paused", "linkedin_account_issue", at}}))
	require.NoError(t, err)
	require.Equal(t, "account_issue", testdb.Value[string](t, db,
		"SELECT paused_reason::text FROM thaw.enrollments WHERE prospect_url = 'https://example.com/in/copied'"))
}
