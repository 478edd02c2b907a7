package importer_test

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
)

// generateFleet streams a file of n rows: 200 accounts in 20 workspaces, 60 campaigns, one third of
// the prospects paused.
func generateFleet(t testing.TB, n int) io.Reader {
	t.Helper()
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriterSize(w, 1<<16)
		fmt.Fprintln(b, strings.Join(importer.Columns, ","))
		for i := range n {
			seat := i % 200
			space := seat % 20
			pause := "active,,"
			if i%3 == 0 {
				pause = "paused,account_disconnected,2026-01-02T15:04:05Z"
			}
			fmt.Fprintf(b, "workspace-%d,account-%d,member-%d,connected,campaign-%d,running,,https://www.linkedin.com/in/prospect-%08d,%s,%d,2026-02-03T09:00:00Z\n",
				space, seat, seat, i%3, i, pause, i%7)
		}
		_ = w.CloseWithError(b.Flush())
	}()
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// Measures the heap of the whole process, so no other test may run in parallel.
//
//nolint:paralleltest // see above
func TestImportMemoryStaysBounded(t *testing.T) {
	// The limit is about 100 bytes per row, or 80 at full size. Rows that stay in memory take more.
	rows, limit := testdb.Size(30_000, 200_000), testdb.Size(3<<20, 16<<20)
	db := testdb.New(t)
	// Two collections free the buffers of the migrations in a sync.Pool.
	runtime.GC()
	runtime.GC()
	var peak uint64
	result, err := importer.Import(t.Context(), db.Pool, generateFleet(t, rows), importer.Options{
		Progress: func(rows, _ int64) {
			if rows%10_000 == 0 {
				// Measure memory in use, without garbage.
				runtime.GC()
				var memory runtime.MemStats
				runtime.ReadMemStats(&memory)
				peak = max(peak, memory.HeapAlloc)
			}
		},
	})
	require.NoError(t, err)
	require.EqualValues(t, rows, result.Inserted)
	require.NotZero(t, peak)
	require.Less(t, peak, uint64(limit), "bytes of heap in use")
	t.Logf("peak heap %d KiB, %.1f s", peak>>10, result.Seconds)
}

const million = 1_000_000

// The test clock runs a query for every row with a default time. Benchmarks use the real clock.
const realClock = `CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE RETURN pg_catalog.now()`

func BenchmarkImport(b *testing.B) {
	for range b.N {
		b.StopTimer()
		db := testdb.New(b)
		db.Exec(b, realClock)
		file := generateFleet(b, million)
		b.StartTimer()
		result, err := importer.Import(b.Context(), db.Pool, file, importer.Options{})
		require.NoError(b, err)
		require.EqualValues(b, million, result.Inserted)
	}
}

func BenchmarkImportAgain(b *testing.B) {
	db := testdb.New(b)
	db.Exec(b, realClock)
	_, err := importer.Import(b.Context(), db.Pool, generateFleet(b, million), importer.Options{})
	require.NoError(b, err)
	for b.Loop() {
		result, err := importer.Import(b.Context(), db.Pool, generateFleet(b, million), importer.Options{})
		require.NoError(b, err)
		require.EqualValues(b, million, result.Unchanged)
	}
}

// The baseline of an import: COPY of the same file and INSERT … SELECT, without any checks.
func BenchmarkCopyAndInsert(b *testing.B) {
	for range b.N {
		b.StopTimer()
		db := testdb.New(b)
		db.Exec(b, realClock)
		file := generateFleet(b, million)
		b.StartTimer()
		require.NoError(b, pgx.BeginFunc(b.Context(), db.Pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(b.Context(), `
				CREATE TEMP TABLE staged (
					workspace text, account text, member text, account_status thaw.account_status, campaign text,
					campaign_status thaw.campaign_status, campaign_paused_reason thaw.pause_reason, prospect_url text,
					status thaw.enrollment_status, paused_reason thaw.pause_reason, paused_at timestamptz, step integer,
					next_action_at timestamptz) ON COMMIT DROP`); err != nil {
				return err
			}
			if _, err := tx.Conn().PgConn().CopyFrom(b.Context(), file, `COPY staged FROM STDIN (FORMAT csv, HEADER)`); err != nil {
				return err
			}
			_, err := tx.Exec(b.Context(), `
				INSERT INTO thaw.workspaces (key) SELECT DISTINCT workspace FROM staged;
				INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status)
				SELECT DISTINCT w.id, s.account, s.member, s.account_status
				FROM staged AS s JOIN thaw.workspaces AS w ON w.key = s.workspace;
				INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason)
				SELECT DISTINCT w.id, s.campaign, s.campaign_status, s.campaign_paused_reason
				FROM staged AS s JOIN thaw.workspaces AS w ON w.key = s.workspace;
				INSERT INTO thaw.enrollments (
					workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at, step, next_action_at)
				SELECT w.id, c.id, a.id, s.prospect_url, s.status, s.paused_reason, s.paused_at, s.step, s.next_action_at
				FROM staged AS s
				JOIN thaw.workspaces AS w ON w.key = s.workspace
				JOIN thaw.accounts AS a ON a.provider_account_id = s.account
				JOIN thaw.campaigns AS c ON c.workspace_id = w.id AND c.key = s.campaign`)
			return err
		}))
	}
}
