package schema_test

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

//go:embed testdata/platform.sql
var platform string

// withPlatform returns a database with the tables of a platform in schema app, which triggers copy.
// A live workspace "acme" has the accounts 1 ("ann") and 2 ("bob"), both connected, and campaign 1,
// which is running.
func withPlatform(t *testing.T) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	_, err := db.Pool.Exec(t.Context(), platform, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	return db
}

// enrolled is a prospect of the copy in one line: status, reason, own reason, step.
func enrolled(t *testing.T, db *testdb.DB, id int) string {
	t.Helper()
	return testdb.Value[string](t, db, `
		SELECT coalesce((SELECT concat_ws(' ', e.status, e.paused_reason, e.own_reason, e.step) FROM thaw.enrollments AS e WHERE e.external_id = $1::text), 'none')`,
		strconv.Itoa(id))
}

// problems are the codes of changes that could not be applied.
func problems(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	return testdb.Column[string](t, db, "SELECT code FROM thaw.adopt_errors ORDER BY kind, external_id")
}

// TestOwnership has one case per row of the rule: what the copy has, what the platform writes, and
// what the copy has then. A change that Thaw refuses is told to the platform.
func TestOwnership(t *testing.T) {
	t.Parallel()
	const running, lost, byPerson, restricted = "active", "paused account_disconnected", "paused paused_by_user holiday", "paused account_restricted"
	tests := []struct {
		name, before, write, live, shadow string
		told                              bool // in a live workspace
	}{
		{"a reply ends a running prospect", running, "state = 'answered'", "replied 7", "replied 7", false},
		{"a reply ends a pause of Thaw", lost, "state = 'answered', cause = NULL", "replied 7", "replied 7", false},
		{"a reply ends a pause of a person", byPerson, "state = 'answered', cause = NULL", "replied 7", "replied 7", false},
		{"a person pauses a running prospect", running, "state = 'paused', cause = 'holiday'", "paused paused_by_user holiday 7", "paused paused_by_user holiday 7", false},
		{"a person pauses one that Thaw paused", lost, "cause = 'holiday'", "paused paused_by_user holiday 7", "paused paused_by_user holiday 7", false},
		{"a person changes the cause of a pause", byPerson, "cause = 'travel'", "paused paused_by_user travel 7", "paused paused_by_user travel 7", false},
		{"a resume of a pause of Thaw", lost, "state = 'running', cause = NULL", "paused account_disconnected 7", "active 7", true},
		{"a resume of a pause of a person", byPerson, "state = 'running', cause = NULL", "active 7", "active 7", false},
		{"a resume after a restriction", restricted, "state = 'running', cause = NULL", "paused account_issue 7", "active 7", true},
		{"a requeue of a pause of Thaw", lost, "state = 'queued', cause = NULL", "paused account_disconnected 7", "pending 7", true},
		{"a requeue of a pause of a person", byPerson, "state = 'queued', cause = NULL", "pending 7", "pending 7", false},
		{"the platform pauses for the account", running, "state = 'paused', cause = 'account_lost'", "paused account_disconnected 7", "paused account_disconnected 7", false},
		{"the platform pauses for a restriction", lost, "cause = 'restricted'", "paused account_restricted 7", "paused account_restricted 7", false},
		{"a step of a running prospect", running, "url = url", "active 5", "active 5", false},
		{"a step of a paused prospect", lost, "url = url", "paused account_disconnected 7", "paused account_disconnected 7", false},
	}
	word := map[string]string{running: "'running', NULL", lost: "'paused', 'account_lost'", byPerson: "'paused', 'holiday'", restricted: "'paused', 'restricted'"}
	for _, mode := range []string{"live", "shadow"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := withPlatform(t)
			for i, test := range tests {
				db.Exec(t, fmt.Sprintf("INSERT INTO app.leads VALUES (%[1]d, 1, 1, 'https://example.com/in/' || %[1]d, %[2]s, 5)", 1+i, word[test.before]))
				require.Equal(t, test.before+" 5", enrolled(t, db, 1+i))
			}
			if mode == "shadow" {
				db.Exec(t, "SELECT thaw.go_shadow('acme', 'a test')")
			}
			for i, test := range tests {
				t.Run(test.name, func(t *testing.T) { // shares its database with the other cases
					want, told := test.live, test.told
					if mode == "shadow" {
						want, told = test.shadow, false
					}
					db.Exec(t, "DELETE FROM thaw.changes_queue")
					db.Exec(t, fmt.Sprintf("UPDATE app.leads SET step = 7, %s WHERE id = %d", test.write, 1+i))
					require.Equal(t, want, enrolled(t, db, 1+i))
					require.Empty(t, problems(t, db))
					require.Equal(t, told, testdb.Value[bool](t, db, "SELECT count(*) > 0 FROM thaw.changes_queue WHERE kind = 'enrollment'"))
					db.Exec(t, "SELECT app.apply_changes()")
					if mode == "live" {
						require.Equal(t, strings.Fields(want)[0], testdb.Value[string](t, db, "SELECT app.word(state) ->> 'status' FROM app.leads WHERE id = $1", 1+i), "both agree at the end")
					}
				})
			}
		})
	}
}

// A person resumes on the platform what a person had paused. It is active at once, and the history
// says so, unless the account or the campaign is in the way: then it waits like any manual resume,
// and the platform is told.
func TestPersonsResume(t *testing.T) {
	t.Parallel()
	const waits = "paused account_issue 0"
	for _, test := range []struct{ name, before, set, want string }{
		{"nothing is in the way", "", "", "active 0"},
		{"automatic resumes are off", "UPDATE thaw.workspaces SET auto_resume = false", "", "active 0"},
		{"the account is disconnected", "SELECT thaw.signal('linkedin', 'ann', 'disconnected')", "", waits},
		{"the account is on hold", "SELECT thaw.hold('ann', now() + interval '1 hour', 'a test')", "", waits},
		{"safety mode is on", "SELECT thaw.safety_enter('a test')", "", waits},
		{"the campaign is paused", "UPDATE app.sequences SET state = 'stopped'", "", waits},
		{"through another account", "SELECT thaw.signal('linkedin', 'ann', 'disconnected')", ", seat_id = 2", "active 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := withPlatform(t)
			db.Exec(t, "INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/eva', 'running')")
			db.Exec(t, "UPDATE app.leads SET state = 'paused', cause = 'holiday'")
			if test.before != "" {
				db.Exec(t, test.before)
			}
			db.Exec(t, "UPDATE app.leads SET state = 'running', cause = NULL"+test.set)
			require.Empty(t, problems(t, db))
			require.Equal(t, test.want, enrolled(t, db, 1))
			event, state := "resumed platform", "running"
			if test.want == waits {
				event, state = "released operator", "paused"
			}
			require.Equal(t, event, testdb.Value[string](t, db, `
				SELECT concat_ws(' ', kind, source) FROM thaw.enrollment_events WHERE kind IN ('resumed', 'released')`))
			db.Exec(t, "SELECT app.apply_changes()")
			require.Equal(t, state, testdb.Value[string](t, db, "SELECT state FROM app.leads"))
			require.Zero(t, violations(t, db))
		})
	}
}

// A person pauses and resumes a prospect again and again: each pause has a time of its own, even if
// the platform keeps its first one, or makes several changes in one transaction.
func TestPausesHaveTheirOwnTimes(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/eva', 'running')")
	for range 3 {
		db.Exec(t, `SELECT thaw.take_enrollments('[{"id": 1, "status": "paused", "reason": "paused_by_user", "paused_at": "2026-01-31T09:00:00Z"}]')`)
		require.Zero(t, violations(t, db))
		db.Exec(t, `SELECT thaw.take_enrollments('[{"id": 1, "status": "active", "paused_at": "2026-01-31T09:00:00Z"}]')`)
	}
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed' AND paused_at = '2026-01-31 09:00Z'"))
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	for _, state := range []string{"paused", "running", "paused", "running", "paused"} {
		_, err := tx.Exec(t.Context(), "UPDATE app.leads SET state = $1", state)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit(t.Context()))
	require.Zero(t, violations(t, db))
	require.Equal(t, "paused paused_by_user 0", enrolled(t, db, 1))
	require.Equal(t, 5, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed'"))
}

// Campaigns follow the same rule.
func TestOwnershipOfCampaigns(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	campaign := func() string {
		return testdb.Value[string](t, db, "SELECT concat_ws(' ', status, paused_reason) FROM thaw.campaigns")
	}
	for _, step := range []struct{ do, want string }{
		{"UPDATE app.sequences SET state = 'stopped'", "paused paused_by_user"},
		{"UPDATE app.sequences SET state = 'live'", "running"},
		{"UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'account_disconnected', paused_at = now()", "paused account_disconnected"},
		{"UPDATE app.sequences SET state = 'live'", "paused account_disconnected"},
		{"UPDATE app.sequences SET state = 'over'", "completed"},
		{"UPDATE app.sequences SET state = 'live'", "running"},
	} {
		db.Exec(t, step.do)
		require.Equal(t, step.want, campaign(), step.do)
	}
}

// A row of the platform that Thaw cannot take never fails the platform's statement. It is parked
// until the platform or the mapping is corrected; the other rows of the statement are copied.
func TestBadRowsAreParked(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "SELECT thaw.set_adopt_phase('running')")
	db.Exec(t, `INSERT INTO app.leads SELECT id, sequence, seat, url, state, NULL, step, at::timestamptz FROM (VALUES
		(1, 1, 1, 'https://example.com/in/1', 'running', 0, NULL), (2, 1, 1, ' invisible', 'running', 0, NULL),
		(3, 9, 1, 'https://example.com/in/3', 'running', 0, NULL), (4, 1, 9, 'https://example.com/in/4', 'running', 0, NULL),
		(5, 1, 1, 'https://example.com/in/5', 'snoozed', 0, NULL), (6, 1, 1, '', 'running', 0, NULL),
		(7, 1, 1, 'https://example.com/in/7', 'running', -1, NULL), (8, 1, NULL, 'https://example.com/in/1', 'queued', 0, NULL),
		(9, 1, 1, 'https://example.com/in/9', 'running', 0, 'infinity')) AS lead (id, sequence, seat, url, state, step, at)`)
	require.Equal(t, 9, testdb.Value[int](t, db, "SELECT count(*) FROM app.leads"))
	require.Equal(t, []string{"23514", "unknown_parent", "unknown_parent", "unknown_word", "23514", "23514", "23514"}, problems(t, db))
	require.Equal(t, []string{"1", "8"}, testdb.Column[string](t, db, "SELECT external_id FROM thaw.enrollments ORDER BY id"))

	// A word that is not mapped parks a running prospect, and a known one takes it back.
	db.Exec(t, "UPDATE app.leads SET state = 'snoozed' WHERE id = 1")
	require.Equal(t, `paused paused_by_user parked: the mapping has no status for "snoozed" 0`, enrolled(t, db, 1))
	db.Exec(t, "UPDATE app.leads SET state = 'running' WHERE id = 1")
	require.Equal(t, "active 0", enrolled(t, db, 1))

	// A bad value in another column parks it too; its correction restores its status.
	db.Exec(t, "UPDATE app.leads SET url = ' invisible' WHERE id = 1")
	require.Contains(t, enrolled(t, db, 1), "paused paused_by_user parked: ")
	db.Exec(t, "UPDATE app.leads SET url = 'https://example.com/in/one' WHERE id = 1")
	require.Equal(t, "active 0", enrolled(t, db, 1))

	// What was missing is there now, and what was wrong is corrected.
	db.Exec(t, "INSERT INTO app.seats VALUES (9, 'acme', 'eve', 'ok'); INSERT INTO app.sequences VALUES (9, 'acme', 'live')")
	db.Exec(t, "UPDATE app.leads SET state = 'queued' WHERE id = 5; UPDATE app.leads SET url = 'https://example.com/in/' || id WHERE id IN (2, 6)")
	db.Exec(t, "UPDATE app.leads SET state = 'answered', step = 1 WHERE id = 7; DELETE FROM app.leads WHERE id = 9; SELECT thaw.retry_adoption(everything => true)")
	require.Empty(t, problems(t, db))
	require.Equal(t, 8, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments"))

	// The same for accounts: nothing is resumed through a parked one.
	db.Exec(t, "UPDATE app.seats SET state = 'weird' WHERE id = 1")
	require.Equal(t, "account_parked", testdb.Value[string](t, db, "SELECT thaw.sending_held_by('ann')"))
	db.Exec(t, "UPDATE app.seats SET state = 'credentials' WHERE id = 1")
	require.Equal(t, "account_not_connected", testdb.Value[string](t, db, "SELECT thaw.sending_held_by('ann')"))
	db.Exec(t, "UPDATE app.sequences SET state = 'weird' WHERE id = 1")
	require.Equal(t, "paused_by_user", testdb.Value[string](t, db, "SELECT paused_reason::text FROM thaw.campaigns WHERE external_id = '1'"))

	// Whatever the arguments are, nothing is raised.
	for _, sql := range []string{
		"SELECT thaw.take_enrollments('{}')", "SELECT thaw.take_enrollments(NULL)", "SELECT thaw.take_enrollments('[1, null, \"x\", {\"id\": null}]')",
		"SELECT thaw.take_enrollments((SELECT jsonb_agg(n) FROM generate_series(1, 10001) AS n))", "SELECT thaw.take_accounts('[{\"id\": {}}]')",
		"SELECT thaw.note_adopt_failure('no such kind', NULL, NULL)", "SELECT thaw.take_enrollments('[{\"id\": \"1\", \"step\": \"one\"}]')",
	} {
		db.Exec(t, sql)
	}
}

// A row that another transaction holds is not waited for: the change is kept, and applied later in
// its order.
func TestHeldRowsAreDeferred(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "INSERT INTO app.leads SELECT n, 1, 1, 'https://example.com/in/' || n, 'running' FROM generate_series(1, 20) AS n")
	other, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), "SELECT FROM thaw.enrollments WHERE id <= 10 FOR NO KEY UPDATE; SELECT FROM thaw.accounts WHERE external_id = '1' FOR NO KEY UPDATE", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	db.Exec(t, "SET lock_timeout = '5s'; UPDATE app.leads SET state = 'answered' WHERE id <= 12")
	db.Exec(t, "UPDATE app.seats SET state = 'credentials' WHERE id = 1")
	db.Exec(t, "UPDATE app.leads SET state = 'finished' WHERE id = 3")
	require.Equal(t, 10, testdb.Value[int](t, db, "SELECT count(DISTINCT external_id) FROM thaw.adopt_errors WHERE kind = 'enrollment' AND is_deferred"))
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE status = 'replied'"))
	require.NoError(t, other.Rollback(t.Context()))
	db.Exec(t, "UPDATE app.leads SET state = 'bounced' WHERE id = 2")
	require.Equal(t, "failed 0", enrolled(t, db, 2), "the next change of a row includes what was kept of it")
	require.Equal(t, 0, testdb.Value[int](t, db, "SELECT thaw.retry_adoption(everything => true)"))
	require.Empty(t, problems(t, db))
	require.Equal(t, "completed 0", enrolled(t, db, 3))
	require.Equal(t, "disconnected", testdb.Value[string](t, db, "SELECT status::text FROM thaw.accounts WHERE external_id = '1'"))
}

// A platform may use any isolation level.
func TestSerializationFailuresAreDeferred(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/1', 'running')")
	tx, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM app.leads")
	require.NoError(t, err)
	db.Exec(t, "UPDATE thaw.enrollments SET step = 3")
	_, err = tx.Exec(t.Context(), "UPDATE app.leads SET state = 'answered'")
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, []string{"40001"}, problems(t, db))
	db.Exec(t, "SELECT thaw.retry_adoption(everything => true)")
	require.Equal(t, "replied 0", enrolled(t, db, 1))
}

// A backfill reads an old snapshot while the platform goes on writing.
func TestBackfillKeepsNewerChanges(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, `
		ALTER TABLE app.leads DISABLE TRIGGER copy_insert;
		INSERT INTO app.leads SELECT n, 1, 1, 'https://example.com/in/' || n, 'running' FROM generate_series(1, 4) AS n;
		ALTER TABLE app.leads ENABLE TRIGGER copy_insert`)
	batch := testdb.Value[string](t, db, `
		SELECT jsonb_agg(jsonb_build_object('id', id, 'campaign', 1, 'account', 1, 'prospect_url', url, 'status', 'active', 'step', step))::text FROM app.leads WHERE id <= 3`)
	db.Exec(t, "UPDATE app.leads SET state = 'paused', cause = 'holiday' WHERE id = 1; DELETE FROM app.leads WHERE id = 2")
	require.Equal(t, []string{"unknown_row", "unknown_row"}, problems(t, db))
	for range 2 {
		db.Exec(t, "SELECT thaw.take_enrollments('"+batch+"', true)")
		require.Empty(t, problems(t, db))
		require.Equal(t, "paused paused_by_user holiday 0", enrolled(t, db, 1))
		require.Equal(t, "removed 0", enrolled(t, db, 2))
		require.Equal(t, "active 0", enrolled(t, db, 3))
		require.Equal(t, "none", enrolled(t, db, 4))
	}
}

// An installation that Thaw knew before keeps its rows: they get the platform's IDs.
func TestAdoptionLinksKnownRows(t *testing.T) {
	t.Parallel()
	db := withBacklog(t)
	db.Exec(t, `
		SELECT thaw.take_workspaces('[{"id": "w", "key": "acme"}]');
		SELECT thaw.take_accounts('[{"id": "a", "workspace": "w", "provider_account_id": "ann", "status": "disconnected"}]');
		SELECT thaw.take_campaigns('[{"id": "c", "workspace": "w", "key": "spring", "status": "paused", "reason": "account_disconnected"}]');
		SELECT thaw.take_enrollments('[{"id": "e", "campaign": "c", "account": "a", "prospect_url": "https://example.com/in/bob", "status": "paused", "reason": "account_disconnected"}]', true)`)
	require.Empty(t, problems(t, db))
	require.Equal(t, []string{"w", "a", "c", "e"}, testdb.Column[string](t, db, `
		SELECT external_id FROM thaw.workspaces WHERE key = 'acme' UNION ALL SELECT external_id FROM thaw.accounts
		UNION ALL SELECT external_id FROM thaw.campaigns UNION ALL SELECT external_id FROM thaw.enrollments`))
}

// The platform's role needs no right on Thaw's tables.
func TestPlatformRoleCopiesRows(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	role, app := asApp(t, db)
	db.Exec(t, `GRANT USAGE ON SCHEMA app TO `+role+`; GRANT ALL ON ALL TABLES IN SCHEMA app TO `+role+`;
		GRANT EXECUTE ON FUNCTION thaw.take_workspaces, thaw.take_accounts, thaw.take_campaigns, thaw.take_enrollments, thaw.take_changes, thaw.confirm_changes TO `+role)
	ctx := context.WithoutCancel(t.Context())
	for _, sql := range []string{
		"INSERT INTO app.seats VALUES (3, 'acme', 'eve', 'credentials')", "INSERT INTO app.leads VALUES (1, 1, 3, 'https://example.com/in/1', 'paused', 'holiday')",
		"UPDATE app.leads SET state = 'running'", "UPDATE app.leads SET seat_id = 2", "SELECT thaw.take_changes('a test')",
	} {
		_, err := app.Exec(ctx, sql)
		require.NoError(t, err, sql)
	}
	require.Empty(t, problems(t, db))
	require.Equal(t, "paused account_issue 0", enrolled(t, db, 1))
	require.Equal(t, []string{"released resumed on the platform", "moved"}, testdb.Column[string](t, db, `
		SELECT concat_ws(' ', kind, substring(detail FROM 'resumed on the platform')) FROM thaw.enrollment_events ORDER BY id`))
}

// A retry keeps again only what it has claimed. What it no longer finds, another transaction has
// applied or kept together with a newer change.
func TestRetryLeavesWhatAnotherTransactionHasMerged(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/eva', 'running', NULL, 5)")
	const stale = `ARRAY[ROW('1', '{"id": "1", "status": "paused"}', ARRAY[1000000], false, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::thaw.taken]`
	kept := func(retrying string) int64 {
		return testdb.Value[int64](t, db, `
			SELECT thaw.keep_taken('enrollment', `+stale+`, '55P03', 'another transaction holds the row', true, false)
			FROM set_config('thaw.retrying', '`+retrying+`', true)`)
	}
	require.Zero(t, kept("on"))
	require.Empty(t, problems(t, db))
	require.EqualValues(t, 1, kept(""), "a change of the platform is always kept")
}

// What was kept of a row belongs to the transaction that applies it until that ends. Others neither
// replace it, which would let it be applied a second time after newer changes, nor wait for it.
func TestKeptChangesAreClaimed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, claim string
	}{
		{"by a change of the platform", `SELECT thaw.with_kept('enrollment', '[{"id": "1", "campaign": "1"}]', false)`},
		{"by a retry", "SELECT thaw.retry_adoption(everything => true)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := withPlatform(t)
			db.Exec(t, "INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/eva', 'running', NULL, 5)")
			begin := func(sql string) pgx.Tx {
				tx, err := db.Pool.Begin(t.Context())
				require.NoError(t, err)
				t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
				_, err = tx.Exec(t.Context(), sql)
				require.NoError(t, err)
				return tx
			}
			reasons := func() []string {
				return testdb.Column[string](t, db, "SELECT change ->> 'own_reason' FROM thaw.adopt_errors ORDER BY id")
			}
			holder := begin("SELECT FROM thaw.enrollments FOR NO KEY UPDATE")
			db.Exec(t, "UPDATE app.leads SET state = 'paused', cause = 'holiday'")
			claimed := begin(test.claim)
			before := testdb.Value[int64](t, db, "SELECT min(id) FROM thaw.adopt_errors")
			db.Exec(t, "SELECT thaw.retry_adoption(everything => true)")
			require.Equal(t, before, testdb.Value[int64](t, db, "SELECT min(id) FROM thaw.adopt_errors"), "the change was replaced")
			db.Exec(t, "UPDATE app.leads SET cause = 'vacation'")
			require.Equal(t, []string{"holiday", "vacation"}, reasons(), "the newer change is kept too")
			require.Equal(t, "active 5", enrolled(t, db, 1))
			require.NoError(t, claimed.Commit(t.Context()))
			require.NoError(t, holder.Rollback(t.Context()))
			db.Exec(t, "SELECT thaw.retry_adoption(everything => true)")
			require.Empty(t, reasons())
			require.Equal(t, "paused paused_by_user vacation 5", enrolled(t, db, 1))
		})
	}
}

// A row of a backfill is older than what was kept of its changes, also where it is kept itself.
func TestKeptRowsOfABackfillAreOlder(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "ALTER TABLE app.leads DISABLE TRIGGER copy_insert; INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/eva', 'running')")
	db.Exec(t, "UPDATE app.leads SET state = 'paused', cause = 'holiday'")
	claimed, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = claimed.Rollback(context.WithoutCancel(t.Context())) })
	_, err = claimed.Exec(t.Context(), "SELECT FROM thaw.claim_kept('enrollment', '{1}')")
	require.NoError(t, err)
	db.Exec(t, `SELECT thaw.take_enrollments('[{"id": 1, "campaign": 1, "account": 1, "prospect_url": "https://example.com/in/eva", "status": "active", "step": 0}]', true)`)
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.adopt_errors"))
	require.NoError(t, claimed.Rollback(t.Context()))
	db.Exec(t, "SELECT thaw.retry_adoption(everything => true)")
	require.Empty(t, problems(t, db))
	require.Equal(t, "paused paused_by_user holiday 0", enrolled(t, db, 1))
}

// A prospect that the platform starts on an account that is lost, or moves to one, is paused in the
// same statement, and the platform is told. A sweep after the reconnect resumes it.
func TestProspectsStartedOnLostAccountsArePaused(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, `
		INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/1', 'queued'), (2, 1, 2, 'https://example.com/in/2', 'running'), (3, 1, 1, 'https://example.com/in/3', 'queued')`)
	disconnect(t, db, "ann")
	db.Exec(t, "SELECT app.apply_changes()")
	db.Exec(t, `
		UPDATE app.leads SET state = 'running' WHERE id = 1;
		UPDATE app.leads SET seat_id = 1 WHERE id = 2;
		INSERT INTO app.leads VALUES (4, 1, 1, 'https://example.com/in/4', 'running', NULL, 3), (5, 1, 2, 'https://example.com/in/5', 'running', NULL, 0)`)
	for id, want := range map[int]string{
		1: "paused account_disconnected 0", 2: "paused account_disconnected 0", 3: "pending 0", 4: "paused account_disconnected 3", 5: "active 0",
	} {
		require.Equal(t, want, enrolled(t, db, id), id)
	}
	require.Empty(t, problems(t, db))
	db.Exec(t, "SELECT app.apply_changes()")
	require.Equal(t, []string{"1 paused", "2 paused", "3 queued", "4 paused", "5 running"}, testdb.Column[string](t, db, "SELECT id || ' ' || state FROM app.leads ORDER BY id"))
	require.Zero(t, violations(t, db))
	require.Equal(t, "resumed", connect(t, db, "ann"))
	require.Equal(t, 4, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'"))

	// In shadow mode the copy follows the platform, and the account of a transient error may recover.
	db.Exec(t, "SELECT thaw.signal('linkedin', 'ann', 'error'); INSERT INTO app.leads VALUES (6, 1, 1, 'https://example.com/in/6', 'running')")
	disconnect(t, db, "bob")
	db.Exec(t, "SELECT thaw.go_shadow('acme', 'a test'); INSERT INTO app.leads VALUES (7, 1, 2, 'https://example.com/in/7', 'running')")
	require.Equal(t, "active 0", enrolled(t, db, 6))
	require.Equal(t, "active 0", enrolled(t, db, 7))
}

// A change that is put back has waited since it was queued first.
func TestChangesPutBackKeepTheirAge(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, "INSERT INTO app.leads VALUES (1, 1, 1, 'https://example.com/in/1', 'running'), (2, 1, 1, 'https://example.com/in/2', 'running')")
	disconnect(t, db, "ann")
	db.Exec(t, "UPDATE thaw.changes_queue SET at = '2026-01-31 09:00Z' WHERE kind = 'enrollment' AND generation = (SELECT min(generation) FROM thaw.changes_queue WHERE kind = 'enrollment')")
	db.Exec(t, `
		DO $$ BEGIN
			PERFORM thaw.take_changes('a test');
			INSERT INTO thaw.adopt_errors (kind, external_id, change, code, problem) VALUES ('enrollment', '1', '{"id": "1", "unknown": "x"}', 'unknown_word', 'x');
			PERFORM thaw.confirm_changes('enrollment', '{1,2}');
		END $$`)
	require.Equal(t, []string{"enrollment 1"}, testdb.Column[string](t, db, `
		SELECT q.kind || ' ' || e.external_id FROM thaw.changes_queue AS q LEFT JOIN thaw.enrollments AS e ON e.id = q.row_id`))
	require.True(t, testdb.Value[bool](t, db, "SELECT oldest_change_at = '2026-01-31 09:00Z' FROM thaw.adopt_summary"))
}
