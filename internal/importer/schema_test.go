package importer

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The importer and every constraint of the schema use the same bounds for times.
func TestTimeRangeMatchesSchema(t *testing.T) {
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

// Any role with CONNECT may take advisory locks. So imports take turns with a row lock, which
// requires rights on the table.
func TestAdvisoryLockDoesNotBlockImports(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	stranger, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer stranger.Close(context.WithoutCancel(t.Context()))
	_, err = stranger.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended('thaw.import', 0))")
	require.NoError(t, err)
	content := strings.Join(Columns, ",") + "\nacme,seat-1,jane,connected,spring,running,,https://www.linkedin.com/in/ada,active,,,3,\n"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = Import(ctx, db.Pool, strings.NewReader(content), Options{})
	require.NoError(t, err)

	// A running import holds the row lock.
	other, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = other.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = run(t.Context(), other, "turn")
	require.NoError(t, err)
	require.Empty(t, testdb.Column[bool](t, db, "SELECT t.only_row FROM thaw.import_lock AS t FOR UPDATE SKIP LOCKED"))
}
