package schema_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// taken are the changes of one call of thaw.take_changes, a line each.
func taken(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	return testdb.Column[string](t, db, `
		SELECT concat_ws(' ', kind, coalesce(enrollment, campaign, account), from_status, to_status, reason, moved_from || ' to ' || account, cause)
		FROM thaw.take_changes('a test')`)
}

// disconnect disconnects an account and pauses its prospects, as a worker does.
func disconnect(t *testing.T, db *testdb.DB, account string) {
	t.Helper()
	db.Exec(t, "SELECT thaw.signal('linkedin', '"+account+"', 'disconnected')")
	db.Exec(t, fmt.Sprintf("SELECT thaw.pause_batch(a.id, 1000, 1, NULL, 1) FROM thaw.accounts AS a WHERE a.provider_account_id = '%s'", account))
}

// connect connects an account and resumes prospects through it, as a worker does.
func connect(t *testing.T, db *testdb.DB, account string) string {
	t.Helper()
	db.Exec(t, "SELECT thaw.signal('linkedin', '"+account+"', 'connected')")
	return testdb.Value[string](t, db, `
		SELECT (thaw.resume_pass('signal', a.id, 1, p_signal_id => (SELECT max(s.id) FROM thaw.account_signals AS s WHERE s.account_id = a.id))).verdict
		FROM thaw.accounts AS a WHERE a.provider_account_id = '`+account+`'`)
}

// What Thaw changes comes back to the platform, in the order of its locks, several changes of a row
// as one.
func TestTakeChanges(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "INSERT INTO app.leads SELECT n, 1, 1 + n % 2, 'https://example.com/in/' || n, 'running', NULL, 3 FROM unnest('{12,9,100}'::integer[]) AS n")
	db.Exec(t, "DELETE FROM thaw.changes_queue; UPDATE app.leads SET step = 4, next_run_at = now() + interval '1 day' WHERE id = 12")
	disconnect(t, db, "ann")
	require.Equal(t, []string{
		"account 1 connected disconnected signal",
		"enrollment 12 active paused account_disconnected signal",
		"enrollment 100 active paused account_disconnected signal",
	}, taken(t, db))
	require.Empty(t, taken(t, db), "a change is taken once")

	// The consumer brings the steps along.
	db.Exec(t, "INSERT INTO thaw.changes_queue (kind, row_id, from_status, cause) SELECT 'enrollment', id, 'active', 'signal' FROM thaw.enrollments WHERE status = 'paused'")
	db.Exec(t, "SELECT app.apply_changes()")
	require.Equal(t, "paused account_disconnected 4", enrolled(t, db, 12))
	require.Equal(t, []string{"9 running", "12 paused", "100 paused"}, testdb.Column[string](t, db, "SELECT id || ' ' || state FROM app.leads ORDER BY id"))

	// Paused and resumed again before the platform asks.
	disconnect(t, db, "bob")
	require.Equal(t, "resumed", connect(t, db, "bob"))
	require.Equal(t, []string{"account 2 connected connected signal", "campaign 1 running running signal", "enrollment 9 active active signal"}, taken(t, db))
	require.Equal(t, "active 3", enrolled(t, db, 9))

	// A resume sets a due time, which a later one of the platform outlives.
	require.Equal(t, "resumed", connect(t, db, "ann"))
	db.Exec(t, "SELECT app.apply_changes()")
	require.Equal(t, []string{"9 running 3", "12 running 4", "100 running 3"}, testdb.Column[string](t, db, "SELECT id || ' ' || state || ' ' || step FROM app.leads ORDER BY id"))
	require.True(t, testdb.Value[bool](t, db, "SELECT next_run_at > now() + interval '23 hours' FROM app.leads WHERE id = 12"))
	require.True(t, testdb.Value[bool](t, db, "SELECT next_run_at < now() + interval '1 hour' FROM app.leads WHERE id = 100"))

	// A move to a sibling names both accounts.
	db.Exec(t, "UPDATE thaw.accounts SET member_id = 'm1'")
	disconnect(t, db, "ann")
	db.Exec(t, "SELECT app.apply_changes()")
	require.Equal(t, "resumed", connect(t, db, "bob"))
	require.Equal(t, []string{"enrollment 12 paused active 1 to 2 signal", "enrollment 100 paused active 1 to 2 signal"}, taken(t, db))

	// Parked rows are not reported, and finished ones need nothing.
	disconnect(t, db, "bob")
	db.Exec(t, "UPDATE app.leads SET state = 'snoozed' WHERE id = 12; UPDATE app.leads SET state = 'answered' WHERE id = 9")
	require.Equal(t, []string{"account 2 connected disconnected signal", "campaign 1 running paused account_disconnected signal", "enrollment 100 active paused account_disconnected signal"}, taken(t, db))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.changes_queue"))

	for _, sql := range []string{"SELECT thaw.take_changes('')", "SELECT thaw.take_changes('x', 0)", "SELECT thaw.take_changes('x', 10001)"} {
		_, err := db.Pool.Exec(t.Context(), sql)
		require.True(t, isCode(err, "22023"), "%s: %v", sql, err)
	}
}

// Without adoption, and for rows that are not the platform's, nothing is queued.
func TestNothingIsQueuedWithoutAdoption(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	require.Equal(t, "resumed", connect(t, db, "ann"))
	require.Equal(t, 0, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.changes_queue"))
	db.Exec(t, "SELECT thaw.start_adoption('a test')")
	disconnect(t, db, "ann")
	require.Equal(t, 0, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.changes_queue"))
}

// Consumers race, roll back and die: every change is taken once, and those of a row in their order.
func TestConsumersNeverShareARow(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	leads, rounds := testdb.Size(30, 300), testdb.Size(8, 60)
	db.Exec(t, fmt.Sprintf("INSERT INTO app.leads SELECT n, 1, 1 + n %% 2, 'https://example.com/in/' || n, 'running' FROM generate_series(1, %d) AS n", leads))
	db.Exec(t, `
		DELETE FROM thaw.changes_queue;
		CREATE TABLE app.log (id bigserial PRIMARY KEY, enrollment text, from_status text, to_status text, reason text, generation bigint UNIQUE)`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var consumers sync.WaitGroup
	for i := range 4 {
		consumers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for ctx.Err() == nil {
				if err := consume(ctx, db, random.IntN(3)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range rounds {
		account := []string{"ann", "bob"}[i%2]
		disconnect(t, db, account)
		db.Exec(t, fmt.Sprintf("SELECT thaw.pause_prospect('https://example.com/in/%d', 'a test')", 1+i%leads))
		db.Advance(t, time.Hour) // no account is flapping
		connect(t, db, account)
		db.Exec(t, fmt.Sprintf("SELECT thaw.resume_prospect('https://example.com/in/%d', 'a test')", 1+i%leads))
	}
	require.Eventually(t, func() bool { return testdb.Value[int](t, db, "SELECT count(*) FROM thaw.changes_queue") == 0 }, time.Minute, 10*time.Millisecond)
	cancel()
	consumers.Wait()
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT enrollment FROM (SELECT enrollment, generation, lag(generation) OVER (PARTITION BY enrollment ORDER BY id) AS before FROM app.log) AS l
		WHERE generation <= before`), "the changes of a row are taken in their order")
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT e.external_id || ' is ' || e.status || ', the platform knows ' || coalesce(l.to_status, 'active') FROM thaw.enrollments AS e
		LEFT JOIN LATERAL (SELECT * FROM app.log WHERE log.enrollment = e.external_id ORDER BY id DESC LIMIT 1) AS l ON true
		WHERE (coalesce(l.to_status, 'active'), l.reason) IS DISTINCT FROM (e.status::text, e.paused_reason::text)`), "no change is lost")
}

// consume takes changes and logs them. how: 0 commits, 1 rolls back, 2 dies.
func consume(ctx context.Context, db *testdb.DB, how int) error {
	conn, err := pgx.Connect(ctx, db.Direct)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.Begin(ctx)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	if _, err = tx.Exec(ctx, `
		INSERT INTO app.log (enrollment, from_status, to_status, reason, generation)
		SELECT enrollment, from_status, to_status, reason, generation FROM thaw.take_changes('a test', 7) WHERE kind = 'enrollment'`); err != nil {
		return ignoreEnd(ctx, err)
	}
	switch how {
	case 0:
		return ignoreEnd(ctx, tx.Commit(ctx))
	case 1:
		return ignoreEnd(ctx, tx.Rollback(ctx))
	}
	_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
	if pgErr := new(pgconn.PgError); errors.As(err, &pgErr) && pgErr.Code == "57P01" {
		return nil
	}
	return ignoreEnd(ctx, err)
}

// ignoreEnd drops errors after the end of the test.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// In shadow mode, Thaw shows what it would do and changes nothing; live, it does it.
func TestShadowMode(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "SELECT thaw.go_shadow('acme', 'a test'); DELETE FROM thaw.changes_queue")
	db.Exec(t, "INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/1', 'running', NULL), (2, 1, 1, 'https://example.com/in/2', 'paused', 'account_lost')")
	verdict := func(sql string) string { return testdb.Value[string](t, db, sql) }

	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'disconnected')")
	require.Equal(t, "shadow_mode", verdict("SELECT (thaw.pause_batch(1, 10, 1, NULL, 1)).verdict FROM thaw.accounts WHERE provider_account_id = 'ann' AND id = 1"))
	require.Equal(t, "active 0", enrolled(t, db, 1))
	require.Equal(t, "shadow_mode", connect(t, db, "ann"))
	require.Equal(t, "paused account_disconnected 0", enrolled(t, db, 2))
	require.Equal(t, 0, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.candidates()"))
	db.Exec(t, "SELECT thaw.heal('acme', even_if_off => true)")
	db.Exec(t, "SELECT thaw.heal_batch(1, 10, 1)")
	require.Equal(t, "paused account_disconnected 0", enrolled(t, db, 2))
	require.Equal(t, "", verdict("SELECT thaw.sending_held_by('ann')"), "the platform sends as it always did")
	for _, sql := range []string{
		"SELECT thaw.pause_prospect('https://example.com/in/1', 'a test')", "SELECT thaw.pause_account('ann', 'a test')",
		"SELECT thaw.pause_campaign('acme', '1', 'a test')", "SELECT thaw.resume_prospect('https://example.com/in/2', 'a test')",
	} {
		_, err := db.Pool.Exec(t.Context(), sql)
		if sql != "SELECT thaw.resume_prospect('https://example.com/in/2', 'a test')" { // it waits already
			require.ErrorContains(t, err, "shadow mode", sql)
		}
	}
	require.Equal(t, 0, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.changes_queue"))

	// Both switches are recorded and can be undone.
	last := "(SELECT max(id) FROM thaw.manual_actions WHERE what LIKE 'shadow%')"
	db.Exec(t, "SELECT thaw.undo("+last+", 'too early')")
	require.False(t, testdb.Value[bool](t, db, "SELECT shadow FROM thaw.workspaces"))
	db.Exec(t, "SELECT thaw.go_shadow(NULL, 'a test')")
	require.Equal(t, 0, testdb.Value[int](t, db, "SELECT thaw.go_shadow('acme', 'a test')"))
	db.Exec(t, "SELECT thaw.take_workspaces('[{\"id\": \"globex\"}]')")
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT thaw.go_live(NULL, 'a test')"))
	require.Equal(t, []string{"shadow_off acme", "shadow_on acme", "undone acme", "shadow_on acme", "shadow_off acme", "shadow_off globex"}, testdb.Column[string](t, db, `
		SELECT a.what || ' ' || w.key FROM thaw.manual_actions AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id WHERE a.what IN ('shadow_on', 'shadow_off', 'undone') ORDER BY a.id`))
	require.Equal(t, "resumed", connect(t, db, "ann"))
	require.Equal(t, "active 0", enrolled(t, db, 2))
	_, err := db.Pool.Exec(t.Context(), "SELECT thaw.go_live('initech', 'a test')")
	require.True(t, isCode(err, "P0002"), "%v", err)
}

// Drift over the limit enters safety mode until an operator exits it.
func TestDriftEntersSafetyMode(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "SELECT thaw.note_adopt_failure('enrollment', '42883', 'a function is missing')")
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT failed_statements FROM thaw.adopt_summary"))
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.note_check(100000, 900, 'leads', now() + interval '1 second')"))
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.is_safety_on()"))
	require.Equal(t, 0, testdb.Value[int](t, db, "SELECT failed_statements FROM thaw.adopt_summary"), "a comparison finds what was lost")
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.note_check(100000, 1200, 'leads')"))
	require.Equal(t, "drift: 1200 of 100000 rows of the platform differ from Thaw's copy", testdb.Value[string](t, db, "SELECT reason FROM thaw.safety WHERE manual_exit"))

	db.Exec(t, "SELECT thaw.stop_adoption()")
	require.False(t, testdb.Value[bool](t, db, "SELECT is_adopted FROM thaw.adopt_summary"))
}
