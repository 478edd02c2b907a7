package importer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
)

func statusOf(t *testing.T, db *testdb.DB, name string) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT concat_ws(' ', status, paused_reason) FROM thaw.enrollments WHERE prospect_url = $1", prospect(name))
}

func verified(t *testing.T, db *testdb.DB) {
	t.Helper()
	report, err := verify.Run(t.Context(), db.Pool, verify.Options{})
	require.NoError(t, err)
	for _, check := range report.Checks {
		require.Zero(t, check.Violations, "%s: %q", check.About, check.Examples)
	}
}

// Only Overwrite ends a pause by a person or a restriction by the provider.
func TestImportKeepsPausesAndRestrictions(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	content := file(fields{}, waiting(prospect("bob")), fields{"prospect_url": prospect("eve"), "status": "replied"})
	load(t, db, content)
	db.Exec(t, "SELECT thaw.pause_prospect(e.prospect_url, 'asked for it') FROM thaw.enrollments AS e WHERE e.status <> 'replied'")
	db.Exec(t, "SELECT thaw.pause_campaign('acme', 'spring', 'lawyer')")
	db.Exec(t, "SELECT thaw.signal('linkedin', 'seat-1', 'restricted')")
	db.Advance(t, time.Hour)

	result := load(t, db, content)
	require.EqualValues(t, 2, result.KeptEnrollments)
	require.EqualValues(t, 1, result.KeptCampaigns)
	require.EqualValues(t, 1, result.KeptAccounts)
	require.EqualValues(t, 3, result.Unchanged)
	require.Equal(t, "paused paused_by_user", statusOf(t, db, "ada"))
	require.Equal(t, "paused paused_by_user", statusOf(t, db, "bob"))
	require.Equal(t, "paused", testdb.Value[string](t, db, "SELECT status::text FROM thaw.campaigns"))
	require.Equal(t, "restricted", testdb.Value[string](t, db, "SELECT status::text FROM thaw.accounts"))
	verified(t, db)

	// Changing the reason to one that ends automatically is refused too. Ending the enrollment is
	// allowed.
	load(t, db, file(fields{"campaign_status": "paused", "campaign_paused_reason": "account_issue", "status": "replied"},
		waiting(prospect("bob")).with("paused_reason", "account_restricted").with("campaign_status", "paused").with("campaign_paused_reason", "account_issue")))
	require.Equal(t, "replied", statusOf(t, db, "ada"))
	require.Equal(t, "paused paused_by_user", statusOf(t, db, "bob"))
	require.Equal(t, "paused_by_user", testdb.Value[string](t, db, "SELECT paused_reason::text FROM thaw.campaigns"))
	verified(t, db)

	_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{Overwrite: true})
	require.NoError(t, err)
	require.Equal(t, "active", statusOf(t, db, "ada"))
	require.Equal(t, "paused account_disconnected", statusOf(t, db, "bob"))
	require.Equal(t, "running", testdb.Value[string](t, db, "SELECT status::text FROM thaw.campaigns"))
	require.Equal(t, "connected", testdb.Value[string](t, db, "SELECT status::text FROM thaw.accounts"))
	verified(t, db)
}

// resumeAll resumes all prospects with a heal.
func resumeAll(t *testing.T, db *testdb.DB) {
	t.Helper()
	db.Exec(t, "SELECT thaw.heal('acme')")
	id := testdb.Value[int64](t, db, "SELECT max(id) FROM thaw.heals")
	for range 3 {
		db.Exec(t, "SELECT thaw.heal_batch($1, 100, 1)", id)
	}
}

func TestEndedPauseIsNotRepeated(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	content := file(waiting(prospect("bob")))
	load(t, db, content)
	resumeAll(t, db)
	require.Equal(t, "active", statusOf(t, db, "bob"))
	db.Advance(t, time.Minute)

	// Import the same file again. Bob has been resumed in the meantime.
	result := load(t, db, content)
	require.EqualValues(t, 1, result.ResumedSince)
	require.Equal(t, "active", statusOf(t, db, "bob"))
	verified(t, db)

	// A pause by a person is imported. It starts at the last resume. Importing it again changes
	// nothing.
	stopped := file(waiting(prospect("bob")).with("paused_reason", "paused_by_user"))
	require.EqualValues(t, 1, load(t, db, stopped).Updated)
	require.Equal(t, "paused paused_by_user", statusOf(t, db, "bob"))
	require.Zero(t, load(t, db, stopped).Updated)
	verified(t, db)

	// The platform may also write an old time and backdate a pause.
	db.Exec(t, "SELECT thaw.resume_prospect($1, 'talked to them')", prospect("bob"))
	db.Exec(t, "UPDATE thaw.enrollments SET paused_at = '2026-01-02 15:04:05+00'")
	resumeAll(t, db)
	require.Equal(t, "active", statusOf(t, db, "bob"))
	db.Advance(t, time.Minute)
	db.Exec(t, "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'account_issue', paused_at = '2026-01-02 15:04:05+00'")
	verified(t, db)
	resumeAll(t, db)
	require.Equal(t, "active", statusOf(t, db, "bob"))
	verified(t, db)
}

// The importer and the schema reject the same names.
func TestInvisibleNamesMatchSchema(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	runes := rapid.SampledFrom([]rune("aZ9é.-_ \u00a0\u00ad\u200b\u200c\u200d\u200e\u2009\u2028\u202e\u2060\u3000\ufeff\t\n\x1b\x7f\u009b👩łا"))
	rapid.Check(t, func(rt *rapid.T) {
		name := "x" + rapid.StringOfN(runes, 0, 4, -1).Draw(rt, "name")
		if rapid.Bool().Draw(rt, "turn") {
			letters := []rune(name)
			name = string(letters[1:]) + "x"
		}
		_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(file(fields{"workspace": name, "account": name, "campaign": name})), importer.Options{})
		visible := testdb.Value[bool](t, db, "SELECT thaw.is_visible($1)", name)
		require.Equal(rt, visible, err == nil || !strings.Contains(err.Error(), ": delete it"), "%q: %v", name, err)
	})
}

// An older file does not rewind what has happened since, but it may stop a prospect.
func TestOlderFileRewindsNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	step := func(name, step string) fields { return fields{"prospect_url": prospect(name), "step": step} }
	old := func(name string) fields {
		return step(name, "1").with("account", "seat-0").with("account_status", "removed")
	}
	content := file(step("ahead", "1"), step("replied", "1"), step("started", "0").with("status", "pending"), step("same", "1"),
		waiting(prospect("paused")).with("step", "1"), old("moved").with("status", "pending"), step("ends", "1"))
	load(t, db, content)
	db.Exec(t, `
		UPDATE thaw.enrollments SET step = 4 WHERE prospect_url = $1 OR prospect_url = $2`, prospect("ahead"), prospect("ends"))
	db.Exec(t, "UPDATE thaw.enrollments SET status = 'replied' WHERE prospect_url = $1", prospect("replied"))
	db.Exec(t, "UPDATE thaw.enrollments SET status = 'active' WHERE prospect_url = $1", prospect("started"))
	db.Exec(t, "UPDATE thaw.enrollments SET step = 2 WHERE prospect_url = $1", prospect("paused"))
	db.Exec(t, "SELECT thaw.signal('linkedin', 'seat-1', 'connected')")
	db.Exec(t, "SELECT thaw.resume_pass('signal', a.id, 1, p_signal_id => (SELECT max(s.id) FROM thaw.account_signals AS s)) FROM thaw.accounts AS a WHERE a.provider_account_id = 'seat-1'")
	require.Equal(t, "seat-1", testdb.Value[string](t, db, `
		SELECT a.provider_account_id FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id WHERE e.prospect_url = $1`, prospect("moved")))
	rows := "SELECT to_jsonb(e)::text FROM thaw.enrollments AS e ORDER BY e.id"
	before := testdb.Column[string](t, db, rows)

	result := load(t, db, content)
	require.EqualValues(t, 5, result.NewerEnrollments, "ahead, replied, started, moved, ends")
	require.EqualValues(t, 1, result.ResumedSince)
	require.Zero(t, result.Updated)
	require.Equal(t, before, testdb.Column[string](t, db, rows))

	// Ending a prospect and pausing it for a person are followed, at the step of the database.
	result = load(t, db, file(step("ends", "1").with("status", "replied"),
		step("ahead", "1").with("status", "paused").with("paused_reason", "paused_by_user").with("paused_at", "2026-01-02T15:04:05Z")))
	require.EqualValues(t, 2, result.Updated)
	require.Equal(t, []string{"paused 4", "replied 4"}, testdb.Column[string](t, db,
		"SELECT concat_ws(' ', status, step) FROM thaw.enrollments WHERE step = 4 ORDER BY 1"))
	verified(t, db)

	_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{Overwrite: true})
	require.NoError(t, err)
	require.Equal(t, []string{"active 1", "active 1", "active 1", "active 1", "paused 1", "pending 0", "pending 1"}, testdb.Column[string](t, db,
		"SELECT concat_ws(' ', status, step) FROM thaw.enrollments ORDER BY 1"))
}

// What changed after the time of the file is newer than the file.
func TestFileHasATime(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	content := file(fields{}, waiting(prospect("bob")).with("account", "seat-2"))
	load(t, db, content)
	asOf := testdb.Value[time.Time](t, db, "SELECT thaw.now()")
	db.Advance(t, time.Hour)
	db.Exec(t, "SELECT thaw.pause_prospect($1, 'asked for it')", prospect("ada"))
	db.Exec(t, "SELECT thaw.resume_prospect($1, 'talked to them')", prospect("ada"))
	db.Exec(t, "SELECT thaw.signal('linkedin', 'seat-2', 'disconnected')")
	db.Exec(t, "UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'account_issue', paused_at = thaw.now()")
	db.Advance(t, time.Hour)

	read := func(o importer.Options) importer.Result {
		result, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), o)
		require.NoError(t, err)
		return result
	}
	result := read(importer.Options{AsOf: asOf})
	require.Equal(t, []int64{1, 1, 1, 0}, []int64{result.NewerEnrollments, result.NewerCampaigns, result.NewerAccounts, result.Updated})
	require.Equal(t, "paused account_issue", statusOf(t, db, "ada"))
	verified(t, db)

	_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{AsOf: time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)})
	require.ErrorContains(t, err, "is in the future: it is now")
	result = read(importer.Options{})
	require.Equal(t, []int64{0, 0, 0, 1}, []int64{result.NewerEnrollments, result.NewerCampaigns, result.NewerAccounts, result.Updated})
	require.Equal(t, "active", statusOf(t, db, "ada"))
	verified(t, db)
}
