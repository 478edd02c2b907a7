package importer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The importer says on which line a time is out of range, and the schema refuses it for every writer: by the same bounds, in every
// constraint.
func TestTimesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `
		CREATE TABLE bounds AS
		SELECT c.conname, bound.text[1]::timestamptz AS at
		FROM pg_constraint AS c, regexp_matches(pg_get_constraintdef(c.oid), $$'([^']+)'::timestamp with time zone$$, 'g') AS bound (text)
		WHERE c.connamespace = 'thaw'::regnamespace AND c.conname LIKE '%times_are_in_range'`)
	require.Equal(t, 5, testdb.Value[int](t, db, "SELECT count(DISTINCT conname) FROM bounds"))
	bounds := testdb.Column[time.Time](t, db, "SELECT DISTINCT at FROM bounds ORDER BY at")
	require.Len(t, bounds, 2)
	require.True(t, earliestTime.Equal(bounds[0]), "%s is not %s", earliestTime, bounds[0])
	require.True(t, latestTime.Equal(bounds[1]), "%s is not %s", latestTime, bounds[1])
}
