package schema_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/testdb"
)

// withConnected returns a database with n connected accounts, a1 to an.
func withConnected(t testing.TB, n int) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('acme')")
	db.Exec(t, `INSERT INTO thaw.accounts (workspace_id, provider_account_id, status)
		SELECT 1, 'a' || i, 'connected' FROM generate_series(1, $1::integer) AS i ORDER BY i`, n)
	return db
}

func lose(t testing.TB, db *testdb.DB, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		receive(t, db, delivery{account: fmt.Sprint("a", i), status: "disconnected"})
	}
}

func isSafe(t testing.TB, db *testdb.DB) bool {
	t.Helper()
	return testdb.Value[bool](t, db, "SELECT since IS NOT NULL FROM thaw.safety")
}

func watch(t testing.TB, db *testdb.DB) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT thaw.watch()")
}

func actions(t testing.TB, db *testdb.DB) []string {
	t.Helper()
	return testdb.Column[string](t, db, "SELECT format('%s by %s: %s', what, actor, reason) FROM thaw.manual_actions ORDER BY id")
}

// The tenth of fifty is the first that exceeds both thresholds; its signal enters safety mode.
func TestManyLostAccountsEnterSafetyMode(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 50)
	lose(t, db, 1, 9)
	require.False(t, isSafe(t, db), "nine of fifty")
	lose(t, db, 10, 10)
	require.True(t, isSafe(t, db), "ten of fifty are 20 %")
	require.Equal(t, []string{"safety_entered by monitor: 10 of 50 connected accounts were lost within 10 minutes"}, actions(t, db))
	require.Equal(t, "10 of 50", testdb.Value[string](t, db, "SELECT accounts_lost || ' of ' || accounts_connected FROM thaw.safety"))
	lose(t, db, 11, 20)
	require.Len(t, actions(t, db), 1, "it is entered once")
}

func TestFewLossesAreNoIncident(t *testing.T) {
	t.Parallel()
	many := withConnected(t, 51)
	lose(t, many, 1, 10)
	require.False(t, isSafe(t, many), "ten of fifty-one are less than 20 %")
	few := withConnected(t, 9)
	lose(t, few, 1, 9)
	require.False(t, isSafe(t, few), "nine of nine are less than ten")
}

// The thresholds hold for any numbers: an account counts if it was lost within the window, whether
// it is connected again or not.
func TestLossesFollowTheThresholds(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('acme')")
	rapid.Check(t, func(r *rapid.T) {
		exec := func(sql string, args ...any) {
			if _, err := db.Pool.Exec(t.Context(), sql, args...); err != nil {
				r.Fatal(err)
			}
		}
		number := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(r, name) }
		least, percent := number("least", 1, 12), number("percent", 1, 100)
		steady, lost, back, before, gone := number("steady", 0, 20), number("lost", 0, 12), number("lost and back", 0, 6),
			number("lost before the window", 0, 6), number("never connected", 0, 6)
		exec("TRUNCATE thaw.accounts CASCADE")
		exec("UPDATE thaw.settings SET safety_accounts = $1, safety_percent = $2", least, percent)
		exec(`INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, lost_at)
			SELECT 1, line.name || i, line.status::thaw.account_status, thaw.now() - line.ago
			FROM (VALUES ('steady', $1::integer, 'connected', NULL::interval), ('lost', $2, 'error', '1 minute'), ('back', $3, 'connected', '9 minutes'),
				('before', $4, 'removed', '11 minutes'), ('gone', $5, 'disconnected', NULL)) AS line (name, rows, status, ago)
			CROSS JOIN LATERAL generate_series(1, line.rows) AS i`, steady, lost, back, before, gone)

		var counted int
		var breach, slow bool
		if err := db.Pool.QueryRow(t.Context(), "SELECT accounts_lost, is_breach, is_slow FROM thaw.losses()").Scan(&counted, &breach, &slow); err != nil {
			r.Fatal(err)
		}
		if slow { // Another window: TestSlowLossesEnterSafetyMode.
			return
		}
		wereConnected := steady + lost + back
		if counted != lost+back {
			r.Fatalf("%d counted, not %d", counted, lost+back)
		}
		if want := counted >= least && counted*100 >= percent*wereConnected; breach != want {
			r.Fatalf("%d of %d lost, thresholds %d and %d %%: breach is %v", counted, wereConnected, least, percent, breach)
		}
	})
}

// The platform may write a status without a signal, and signals in concurrent transactions do not
// see each other: thaw.watch finds the losses of both.
func TestWatchFindsLossesWithoutSignals(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 20)
	db.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE id <= 12")
	require.False(t, isSafe(t, db))
	require.Equal(t, "entered", watch(t, db))
	require.True(t, isSafe(t, db))
	require.Equal(t, "on", watch(t, db))
	require.Len(t, actions(t, db), 1)
}

func TestSafetyModeIsEnteredOnce(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 20)
	db.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE id <= 9")
	var all errgroup.Group
	for i := 10; i <= 20; i++ {
		all.Go(func() error {
			_, err := db.Pool.Exec(t.Context(), "SELECT thaw.signal('linkedin', $1, 'disconnected')", fmt.Sprint("a", i))
			return err
		})
		all.Go(func() error {
			_, err := db.Pool.Exec(t.Context(), "SELECT thaw.watch()")
			return err
		})
	}
	require.NoError(t, all.Wait())
	require.True(t, isSafe(t, db))
	require.Len(t, actions(t, db), 1)
}

// The last loss stays in the window for ten minutes; the calm period starts after that.
func TestSafetyModeEndsAfterCalmPeriod(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 20)
	lose(t, db, 1, 10)
	for range 10 {
		require.Equal(t, "on", watch(t, db))
		db.Advance(t, time.Minute)
	}
	for range 29 {
		require.Equal(t, "on", watch(t, db))
		db.Advance(t, time.Minute)
	}
	require.Equal(t, "exited", watch(t, db))
	require.Equal(t, "calm", watch(t, db))
	require.Equal(t, "safety_exited by monitor: calm for 30 minutes", actions(t, db)[1])
}

func TestManualSafetyMode(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 20)
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.safety_enter('an audit', 'ann', manual_exit => true)"))
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.safety_enter('again', 'bob')"), "already on")
	db.Advance(t, 24*time.Hour)
	require.Equal(t, "on", watch(t, db), "it stays")
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.safety_exit('the audit is over', 'ann')"))
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.safety_exit('again', 'bob')"), "already off")
	require.Equal(t, []string{"safety_entered by ann: an audit", "safety_exited by ann: the audit is over"}, actions(t, db))

	for _, sql := range []string{"SELECT thaw.safety_enter(' ')", "SELECT thaw.safety_exit(NULL)", "SELECT thaw.safety_enter('why', '')"} {
		require.Equal(t, "22023", violation(t, db.Pool, sql).Code, sql)
	}
}

// Losses before a manual exit do not trigger it again.
func TestLossesBeforeExitDoNotCount(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 40)
	lose(t, db, 1, 10)
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.safety_exit('the provider says that it is over', 'ann')"))
	require.Equal(t, "calm", watch(t, db))
	db.Advance(t, time.Minute)
	lose(t, db, 11, 19)
	require.False(t, isSafe(t, db))
	lose(t, db, 20, 20)
	require.True(t, isSafe(t, db))
}

// A transient error that started an hour before an incident of three hours has an hour of its grace
// period left after it. One that started during the incident has all of it.
func TestSafetyModeExtendsGracePeriod(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 3)
	began := db.Now(t)
	receive(t, db, delivery{account: "a1", status: "error"})
	db.Advance(t, time.Hour)
	db.Exec(t, "SELECT thaw.enter_safety_mode('an incident', 'ann', true)")
	db.Advance(t, time.Hour)
	receive(t, db, delivery{account: "a2", status: "error"})
	receive(t, db, delivery{account: "a3", status: "disconnected"})
	db.Advance(t, 2*time.Hour)
	db.Exec(t, "SELECT thaw.exit_safety_mode('it is over', 'ann')")

	due := testdb.Column[time.Time](t, db, "SELECT pause_after FROM thaw.accounts ORDER BY id")
	const inaccuracy = float64(10 * time.Second)
	require.InDelta(t, 5*time.Hour, due[0].Sub(began), inaccuracy)
	require.InDelta(t, 6*time.Hour, due[1].Sub(began), inaccuracy)
	require.InDelta(t, 2*time.Hour, due[2].Sub(began), inaccuracy, "a hard disconnect has no grace period")
}
