package schema_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
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

// A migration that changes existing tables locks all of them before anything else. Otherwise it
// waits for one while it holds another, which a transaction of the fleet waits for.
func TestMigrationsLockTheirTablesFirst(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	migrator := newMigrator(t, db.Pool, "")
	for version := int64(1); version <= schema.Newest(); version++ {
		if version > lastWithoutLocks {
			tables := testdb.Column[string](t, db, allTables)
			up, _, found := strings.Cut(migrationText(t, version), "-- +goose Down")
			require.True(t, found)
			require.ErrorIs(t, pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), up, pgx.QueryExecModeSimpleProtocol)
				require.NoError(t, err)
				rows, err := tx.Query(t.Context(), lockedTables, tables)
				require.NoError(t, err)
				locked, err := pgx.CollectRows(rows, pgx.RowTo[string])
				require.NoError(t, err)
				assert.ElementsMatch(t, locked, lockedFirst(t, up), "migration %d", version)
				return errRolledBack
			}), errRolledBack)
		}
		_, err := migrator.UpByOne(t.Context())
		require.NoError(t, err)
	}
}

// lastWithoutLocks is the newest migration of v0.1.0, which does not lock its tables first.
const lastWithoutLocks = 40

var errRolledBack = errors.New("rolled back on purpose")

const (
	allTables = `SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relnamespace = 'thaw'::regnamespace AND c.relkind IN ('r', 'p')`
	// lockedTables are those of the given tables that the transaction locked against writers, each
	// with the strongest mode.
	lockedTables = `SELECT CASE WHEN bool_or(l.mode = 'AccessExclusiveLock') THEN 'ACCESS EXCLUSIVE ' ELSE 'SHARE ROW EXCLUSIVE ' END || l.relation::regclass
		FROM pg_locks AS l
		WHERE l.pid = pg_backend_pid() AND l.relation::regclass::text = ANY ($1) AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
		GROUP BY l.relation ORDER BY 1`
)

// lockedFirst are the tables that a migration locks before anything else, in the same form.
func lockedFirst(t *testing.T, up string) (locked []string) {
	t.Helper()
	_, up, _ = strings.Cut(up, "-- +goose Up")
	statements := regexp.MustCompile(`(?m)^LOCK TABLE (.+) IN ([A-Z ]+) MODE;$`)
	all := map[string]bool{}
	for line := range strings.Lines(up) {
		line = strings.TrimSpace(line)
		found := statements.FindStringSubmatch(line)
		switch {
		case line == "" || strings.HasPrefix(line, "--") || line == "SET LOCAL lock_timeout = '100ms';":
			continue
		case found == nil:
			slices.Sort(locked)
			require.Len(t, all, len(locked), "locks against autovacuum")
			return locked
		}
		for table := range strings.SplitSeq(found[1], ", ") {
			if found[2] == "SHARE UPDATE EXCLUSIVE" {
				all[table] = true
			} else {
				require.True(t, all[table], "%s is locked against autovacuum first", table)
				locked = append(locked, found[2]+" "+table)
			}
		}
	}
	return locked
}

func migrationText(t *testing.T, version int64) string {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("migrations/%05d_*.sql", version))
	require.NoError(t, err)
	require.Len(t, names, 1)
	text, err := os.ReadFile(names[0])
	require.NoError(t, err)
	return string(text)
}

// A transaction that locks the tables of a migration in another order gets its locks, and then the
// migration is applied.
func TestMigrationGivesWay(t *testing.T) {
	t.Parallel()
	const version = 46 // locks accounts, campaigns and enrollments
	db := testdb.NewEmpty(t)
	migrator := newMigrator(t, db.Pool, "")
	for range version - 1 {
		_, err := migrator.UpByOne(t.Context())
		require.NoError(t, err)
	}
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	_, err = tx.Exec(t.Context(), "LOCK TABLE thaw.enrollments IN ROW EXCLUSIVE MODE")
	require.NoError(t, err)

	migrated := make(chan error, 1)
	go func() {
		_, err := migrator.UpByOne(t.Context())
		migrated <- err
	}()
	require.Eventually(t, func() bool {
		return testdb.Value[bool](t, db, "SELECT EXISTS (SELECT FROM pg_locks AS l WHERE l.relation = 'thaw.enrollments'::regclass AND NOT l.granted)")
	}, time.Minute, 5*time.Millisecond)
	_, err = tx.Exec(t.Context(), "LOCK TABLE thaw.accounts IN ROW EXCLUSIVE MODE")
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-migrated)
	require.Equal(t, 0, deadlocks(t, db))
}
