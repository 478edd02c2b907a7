package importer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
)

// A preview has the counts of the import that follows, by kind, and changes nothing.
func TestPreview(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	live := func(name string) fields { return fields{"prospect_url": prospect(name)} }
	load(t, db, file(live("same"), live("pauses"), waiting(prospect("resumes")), live("ends"), live("steps"), waiting(prospect("kept"))))
	db.Exec(t, "SELECT thaw.pause_prospect($1, 'asked for it')", prospect("kept"))
	content := file(live("same"), waiting(prospect("pauses")), live("resumes"), live("ends").with("status", "replied"),
		live("steps").with("step", "3"), waiting(prospect("kept")), live("new"),
		live("elsewhere").with("account", "seat-9").with("campaign", "autumn"))
	want := importer.Preview{Rows: 8, New: 2, Unchanged: 2, Changed: 4, Pausing: 1, Resuming: 1, Ending: 1, Other: 1, Kept: 1}

	state := func() string {
		return testdb.Value[string](t, db, `SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
			SELECT to_jsonb(e)::text FROM thaw.enrollments AS e UNION ALL SELECT to_jsonb(v)::text FROM thaw.enrollment_events AS v
			UNION ALL SELECT to_jsonb(a)::text FROM thaw.accounts AS a) AS lines (line)`)
	}
	before := state()
	refused := errors.New("not today")
	var got importer.Preview
	_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{
		Confirm: func(p importer.Preview) error { got = p; return refused },
	})
	require.ErrorIs(t, err, refused)
	require.Equal(t, want, got)
	require.Equal(t, before, state())

	result, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{
		Confirm: func(p importer.Preview) error { got = p; return nil },
	})
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []int64{2, 4, 2}, []int64{result.Inserted, result.Updated, result.Unchanged})
	verified(t, db)
}
