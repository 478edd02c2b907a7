package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// setup returns a store, and a signal for an existing account.
func setup(t *testing.T) (*testdb.DB, *store.Store, dbsqlc.ReceiveSignalParams) {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id) SELECT id, 'a1' FROM thaw.workspaces;`)
	status := "connected"
	return db, store.New(db.Pool), dbsqlc.ReceiveSignalParams{
		Provider: "linkedin", ProviderAccountID: "a1", RawStatus: "OK", Status: &status, Body: []byte("{}"),
	}
}

// bothWays runs a test on a pool whose sessions have the limits, where a trip is one statement, and
// on one without, where a trip is a transaction that sets them.
func bothWays(t *testing.T, test func(t *testing.T, db *testdb.DB, s *store.Store, signal dbsqlc.ReceiveSignalParams)) {
	t.Run("limits of the transaction", func(t *testing.T) {
		t.Parallel()
		db, s, signal := setup(t)
		test(t, db, s, signal)
	})
	t.Run("limits of the session", func(t *testing.T) {
		t.Parallel()
		db, _, signal := setup(t)
		pool, err := database.Open(t.Context(), database.Options{URL: db.Direct, Size: 4, Limits: store.SessionLimits})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
		require.True(t, database.HasLimits(conn.Conn()))
		test(t, db, store.New(pool), signal)
	})
}

func TestTripCommits(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, db *testdb.DB, s *store.Store, signal dbsqlc.ReceiveSignalParams) {
		for range 3 { // the first creates the prepared statements
			outcome, err := s.Trip().ReceiveSignal(t.Context(), signal)
			require.NoError(t, err)
			require.NotEmpty(t, outcome)
		}
		require.Equal(t, 3, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals"))
	})
}

// A transaction has the limits and READ COMMITTED, whatever the defaults of the database are.
func TestTripHasLimits(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, db *testdb.DB, s *store.Store, signal dbsqlc.ReceiveSignalParams) {
		db.Exec(t, `
			CREATE TABLE public.seen (statement text, lock text, idle text, isolation text);
			CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				INSERT INTO public.seen SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
					current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation');
				RETURN NULL;
			END $$;
			CREATE TRIGGER look AFTER INSERT ON thaw.account_signals EXECUTE FUNCTION public.look();`)
		_, err := s.Trip().ReceiveSignal(t.Context(), signal)
		require.NoError(t, err)
		require.Equal(t, "15s 5s 10s read committed",
			testdb.Value[string](t, db, "SELECT concat_ws(' ', statement, lock, idle, isolation) FROM public.seen"))
	})
}

// A transaction that sets its limits does not leave them on the connection.
func TestTripLeavesNoLimitsBehind(t *testing.T) {
	t.Parallel()
	db, s, signal := setup(t)
	_, err := s.Trip().ReceiveSignal(t.Context(), signal)
	require.NoError(t, err)
	require.Equal(t, "0", testdb.Value[string](t, db, "SELECT current_setting('lock_timeout')"))
}

// An error in the query or in the commit leaves no row, and no connection in a transaction.
func TestFailedTripChangesNothing(t *testing.T) {
	t.Parallel()
	for name, deferred := range map[string]string{"in the query": "", "in the commit": "CONSTRAINT"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, db *testdb.DB, s *store.Store, signal dbsqlc.ReceiveSignalParams) {
				db.Exec(t, `
					CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused' USING ERRCODE = 'check_violation'; END $$;
					CREATE `+deferred+` TRIGGER refuse AFTER INSERT ON thaw.account_signals `+
					map[bool]string{true: "DEFERRABLE INITIALLY DEFERRED"}[deferred != ""]+` FOR EACH ROW EXECUTE FUNCTION public.refuse();`)
				for range 30 { // more often than the pool has connections
					_, err := s.Trip().ReceiveSignal(t.Context(), signal)
					var refused *pgconn.PgError
					require.ErrorAs(t, err, &refused)
					require.Equal(t, "23514", refused.Code)
				}
				require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals"))
				db.Exec(t, "DROP TRIGGER refuse ON thaw.account_signals")
				_, err := s.Trip().ReceiveSignal(t.Context(), signal)
				require.NoError(t, err)
				require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals"))
			})
		})
	}
}

// shown replaces a function by one that returns the settings of its transaction.
const shown = `
DROP FUNCTION thaw.waiting_queues(text[]);
CREATE FUNCTION thaw.waiting_queues(queues text[]) RETURNS TABLE (queue text, waited interval) LANGUAGE sql AS $$
	SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
		current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation'), row), interval '0'
	FROM unnest(queues) AS row
$$`

// Queries that only read have the limits, too, in one round trip or in a snapshot, and return all
// their rows.
func TestReadsHaveLimits(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, db *testdb.DB, s *store.Store, _ dbsqlc.ReceiveSignalParams) {
		db.Exec(t, shown)
		queues := func(q *dbsqlc.Queries) (found []string) {
			rows, err := q.WaitingQueues(t.Context(), []string{"a", "b"})
			require.NoError(t, err)
			for _, row := range rows {
				found = append(found, row.Queue)
			}
			return found
		}
		for range 20 { // more often than the pool has connections
			require.Equal(t, []string{"15s 5s 10s read committed a", "15s 5s 10s read committed b"}, queues(s.Read()))
		}
		require.NoError(t, s.Snapshot(t.Context(), func(q *dbsqlc.Queries) error {
			require.Equal(t, []string{"15s 5s 10s repeatable read a", "15s 5s 10s repeatable read b"}, queues(q))
			return nil
		}))
		short := store.SnapshotOptions{Timeout: 3 * time.Second, CustomPlans: true}
		require.NoError(t, s.SnapshotWith(t.Context(), short, func(q *dbsqlc.Queries) error {
			require.Equal(t, []string{"3s 5s 10s repeatable read a", "3s 5s 10s repeatable read b"}, queues(q))
			return nil
		}))
	})
}

// A query without rows, and one that fails after its first rows, end their transactions.
func TestTripOfAnyQuery(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, db *testdb.DB, s *store.Store, _ dbsqlc.ReceiveSignalParams) {
		db.Exec(t, `
			DROP FUNCTION thaw.waiting_queues(text[]);
			CREATE FUNCTION thaw.waiting_queues(queues text[]) RETURNS TABLE (queue text, waited interval) LANGUAGE sql AS $$
				SELECT row, (1 / (n - 2000) || ' s')::interval FROM unnest(queues) WITH ORDINALITY AS row (row, n)
			$$`)
		for range 20 {
			_, err := s.Trip().WaitingQueues(t.Context(), make([]string, 5000))
			require.ErrorContains(t, err, "division by zero")
			require.NoError(t, s.Trip().DropForecast(t.Context()))
		}
	})
}
