package schema_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
)

// The migrations that no release has are applied to a database of the last release with 2,000,000
// prospects, while sessions write to all growing tables. None of them waits for a second.
//
// A migration that fails here builds an index without CONCURRENTLY, rewrites a table, or checks a
// new constraint on all rows while it holds the lock.
func TestNewMigrationsDoNotBlockWriters(t *testing.T) {
	t.Parallel()
	released := newestReleased(t)
	if released == 0 || released == schema.Newest() {
		t.Log("no migration was added since the last release")
		return
	}
	testdb.RequireFull(t)
	db := testdb.NewEmpty(t)
	migrator := newMigrator(t, db.Pool, "")
	for range released {
		_, err := migrator.UpByOne(t.Context())
		require.NoError(t, err)
	}
	db.Exec(t, strings.NewReplacer("{per account}", "1000", "{accounts}", "1000", "{rows}", "1000000").Replace(manyRows))
	db.Exec(t, "VACUUM (ANALYZE)")
	require.GreaterOrEqual(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments"), 2_000_000)

	require.Empty(t, besideWriters(t, db, time.Second, func(<-chan struct{}) {
		_, err := migrator.Up(t.Context())
		require.NoError(t, err)
	}), "these writers waited for a lock for more than a second")
}

// The test above would find a migration that blocks writers, or only waits for a lock in front of
// them.
func TestBlockedWriterIsFound(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	require.Empty(t, besideWriters(t, db, 100*time.Millisecond, func(<-chan struct{}) {}))
	for _, mode := range []string{"SHARE", "ACCESS EXCLUSIVE"} {
		blocked := besideWriters(t, db, 100*time.Millisecond, func(found <-chan struct{}) {
			require.NoError(t, pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), "LOCK TABLE thaw.enrollment_events IN "+mode+" MODE")
				select {
				case <-found:
				case <-time.After(time.Minute):
				}
				return err
			}))
		})
		require.Equal(t, []string{"LOCK TABLE thaw.enrollment_events IN ROW EXCLUSIVE MODE"}, blocked, mode)
	}
}

// besideWriters runs do while one session per growing table takes the lock of a writer again and
// again, each time for at most the given patience. It returns the statements that could not get it.
// The channel is closed when the first one is found.
func besideWriters(t *testing.T, db *testdb.DB, patience time.Duration, do func(found <-chan struct{})) (blocked []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	found := make(chan struct{})
	var (
		writers sync.WaitGroup
		mu      sync.Mutex
	)
	for _, table := range qualified(growing) {
		conn, err := pgx.Connect(t.Context(), db.Direct)
		require.NoError(t, err)
		defer conn.Close(context.WithoutCancel(t.Context()))
		_, err = conn.Exec(t.Context(), fmt.Sprintf("SET lock_timeout = %d", patience.Milliseconds()))
		require.NoError(t, err)
		write := "LOCK TABLE " + table + " IN ROW EXCLUSIVE MODE"
		writers.Go(func() {
			for ctx.Err() == nil {
				_, err := conn.Exec(ctx, "BEGIN; "+write+"; COMMIT", pgx.QueryExecModeSimpleProtocol)
				if failed, ok := errors.AsType[*pgconn.PgError](err); ok && failed.Code == pgerrcode.LockNotAvailable {
					mu.Lock()
					if blocked = append(blocked, write); len(blocked) == 1 {
						close(found)
					}
					mu.Unlock()
					return
				}
				if err != nil && ctx.Err() == nil {
					t.Errorf("%s: %v", write, err)
					return
				}
			}
		})
	}
	do(found)
	stop()
	writers.Wait()
	return blocked
}

// newestReleased returns the newest version in released.txt, 0 if there is none.
func newestReleased(t *testing.T) (newest int64) {
	t.Helper()
	released, err := os.ReadFile("released.txt")
	require.NoError(t, err)
	for _, found := range regexp.MustCompile(`(?m)^[0-9a-f]{64}  (\d+)_`).FindAllSubmatch(released, -1) {
		version, err := strconv.ParseInt(string(found[1]), 10, 64)
		require.NoError(t, err)
		newest = max(newest, version)
	}
	return newest
}
