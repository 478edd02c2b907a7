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
