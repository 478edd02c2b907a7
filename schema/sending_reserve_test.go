package schema_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// answer selects the code of a refused reservation and when its gate opens, in Berlin.
const answer = "SELECT concat_ws(' ', r.id, r.code, to_char(r.opens_at AT TIME ZONE 'Europe/Berlin', 'Mon DD HH24:MI')) FROM thaw.reserve(1) AS r"

// Each gate refuses with its code, says when it opens if that is known, and changes nothing.
func TestEveryGateHasItsCodeAndOpening(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, `
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'summer', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		VALUES (1, 2, 1, 'active', thaw.now(), 'https://www.linkedin.com/in/p1-1')`)
	const second, same = "SELECT thaw.reserve(2)", "SELECT thaw.reserve(31)"
	for _, one := range []struct {
		want   string
		closed []string
	}{
		{"no_account", []string{"UPDATE thaw.enrollments SET account_id = NULL WHERE id = 1"}},
		{"not_active", []string{"UPDATE thaw.enrollments SET status = 'pending' WHERE id = 1"}},
		{"not_active", []string{"UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now() WHERE id = 1"}},
		{"account_not_connected", []string{"UPDATE thaw.accounts SET status = 'connecting' WHERE id = 1"}},
		{"account_locked", []string{"UPDATE thaw.accounts SET locked_at = thaw.now(), locked_reason = 'checkpoint' WHERE id = 1"}},
		{"account_parked", []string{"UPDATE thaw.accounts SET parked_reason = 'unclear' WHERE id = 1"}},
		{"account_on_hold Mar 03 12:00", []string{"UPDATE thaw.accounts SET hold_until = thaw.now() + interval '2 hours', hold_reason = 'new device' WHERE id = 1"}},
		{"safety_mode", []string{"SELECT thaw.safety_enter('an incident')"}},
		{"account_flapping Mar 03 11:00", []string{"UPDATE thaw.accounts SET resume_after = thaw.now() + interval '1 hour' WHERE id = 1"}},
		{"campaign_not_running", []string{"UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now() WHERE id = 1"}},
		{"no_such_step", []string{"UPDATE thaw.enrollments SET step = 2 WHERE id = 1"}},
		{"not_due Mar 03 13:00", []string{"UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '3 hours' WHERE id = 1"}},
		{"limits_missing", []string{"DELETE FROM thaw.action_limits WHERE kind = 'invite'"}},
		{"limits_missing", []string{"DELETE FROM thaw.action_ceilings WHERE kind = 'invite'"}},
		{"kind_on_hold Mar 03 15:00", []string{"INSERT INTO thaw.action_holds (account_id, kind, until, code, reason, actor) VALUES (1, 'invite', thaw.now() + interval '5 hours', 'limited', 'x', 'x')"}},
		{"window_has_no_zone", []string{"UPDATE thaw.accounts SET timezone = NULL WHERE id = 1"}},
		{"window_has_no_zone", []string{"UPDATE thaw.sending_windows SET timezone = 'Mars/Olympus_Mons'", "UPDATE thaw.accounts SET timezone = NULL WHERE id = 1"}},
		{"window_has_no_zone", []string{"DELETE FROM thaw.sending_windows"}},
		{"window_closed Mar 03 14:00", []string{"UPDATE thaw.sending_windows SET opens = '14:00'"}},
		{"window_closed Mar 05 09:00", []string{"UPDATE thaw.sending_windows SET weekdays = '{4}'"}},
		{"daily_cap Mar 04 00:00", []string{noGaps, "UPDATE thaw.action_limits SET per_day = 1", second}},
		{"daily_cap", []string{"UPDATE thaw.action_limits SET per_day = 0"}},
		{"weekly_cap Mar 10 10:00", []string{noGaps, "UPDATE thaw.action_limits SET per_week = 1", second}},
		{"campaign_cap Mar 04 00:00", []string{noGaps, "INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 1, 'x', 'x')", "SELECT thaw.reserve(11)"}},
		{"pending_invites", []string{noGaps, "UPDATE thaw.settings SET pending_invites = 1", second}},
		{"already_reserved", []string{noGaps, "SELECT thaw.reserve(1)"}},
		{"already_started", []string{noGaps, "SELECT thaw.start((thaw.reserve(1)).id)"}},
		{"already_unknown", []string{noGaps, "SELECT thaw.start((thaw.reserve(1)).id)", "SELECT thaw.settle(max(id), 'unknown') FROM thaw.actions"}},
		{"already_sent", []string{noGaps, "SELECT thaw.start((thaw.reserve(1)).id)", "SELECT thaw.settle(max(id), 'sent', 'ref') FROM thaw.actions", "UPDATE thaw.enrollments SET step = 0, next_action_at = thaw.now() WHERE id = 1"}},
		{"already_invited", []string{noGaps, same}},
		{"already_invited", []string{noGaps, "SELECT thaw.start((thaw.reserve(31)).id)", "SELECT thaw.settle(max(id), 'already', error_code => 'already_invited_recently') FROM thaw.actions"}},
		{"already_connected", []string{noGaps, "SELECT thaw.start((thaw.reserve(31)).id)", "SELECT thaw.settle(max(id), 'already', error_code => 'already_connected') FROM thaw.actions"}},
		{"already_connected", []string{noGaps, "SELECT thaw.start((thaw.reserve(31)).id)", "SELECT thaw.settle(max(id), 'sent', 'ref') FROM thaw.actions", "SELECT thaw.close_invite(max(id), 'accepted') FROM thaw.actions"}},
		{"invite_withdrawn Mar 24 10:00", []string{noGaps, "SELECT thaw.start((thaw.reserve(31)).id)", "SELECT thaw.settle(max(id), 'sent', 'ref') FROM thaw.actions", "SELECT thaw.close_invite(max(id), 'withdrawn') FROM thaw.actions"}},
	} {
		assert.Equal(t, one.want, undone(t, db, append(one.closed, answer)...), one.closed)
		if one.want[:2] != "al" {
			const rows = "SELECT s::text FROM thaw.senders AS s WHERE s.day IS NOT NULL UNION ALL SELECT a::text FROM thaw.actions AS a"
			assert.Equal(t, "nothing", undone(t, db, append(slices.Clone(one.closed), "CREATE TEMPORARY TABLE earlier AS "+rows, answer,
				"SELECT coalesce((SELECT * FROM ("+rows+" EXCEPT SELECT * FROM earlier) AS changed LIMIT 1), 'nothing')")...), one.want)
		}
	}
	require.Regexp(t, `^cooldown Mar 03 10:0[1-3]$`, undone(t, db, "UPDATE thaw.action_ceilings SET gap_from = '0'", "UPDATE thaw.action_limits SET gap_from = '0', gap_to = '0'", second, answer), "the gap between any two actions")
	require.Regexp(t, `^cooldown Mar 03 10:0[3-8]$`, undone(t, db, "UPDATE thaw.settings SET action_gap_from = '0', action_gap_to = '0'", second, answer), "the gap between two invites")
	require.Equal(t, "no_such_step", undone(t, db, "SELECT r.code FROM thaw.reserve(1, 'message') AS r"))
	require.Regexp(t, `^\d+$`, undone(t, db, answer))
}

// The database refuses a second action of a step and a second open invite of a person to a
// prospect, by any caller.
func TestDatabaseRefusesSecondInvite(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	require.Equal(t, "1", reserve(t, db, 1))
	const insert = `INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor, lease_until, local_day, gap, next_of_kind_at)
		SELECT workspace_id, account_id, sender_id, campaign_id, enrollment_id + $1, provider, prospect_url, step + $2, kind, 'x', thaw.now(), local_day, gap, next_of_kind_at FROM thaw.actions`
	for _, one := range []struct {
		enrollment, step int
		constraint       string
	}{{0, 0, "actions_step_key"}, {100, 0, "actions_invite_key"}, {0, 1, "actions_invite_key"}} {
		_, err := db.Pool.Exec(t.Context(), insert, one.enrollment, one.step)
		failed, ok := errors.AsType[*pgconn.PgError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, pgerrcode.UniqueViolation, failed.Code)
		require.Equal(t, one.constraint, failed.ConstraintName)
	}
	// One that was released, or withdrawn, leaves the pair open again.
	require.Equal(t, "released", settle(t, db, "1", "released"))
	_, err := db.Pool.Exec(t.Context(), insert, 0, 0)
	require.NoError(t, err)
}

// race calls do from n goroutines at once and returns the sorted results.
func race(t *testing.T, n int, do func(ctx context.Context, i int) (string, error)) []string {
	t.Helper()
	results := make([]string, n)
	var racers sync.WaitGroup
	for i := range n {
		racers.Go(func() {
			result, err := do(t.Context(), i)
			if assert.NoError(t, err) {
				results[i] = result
			}
		})
	}
	racers.Wait()
	slices.Sort(results)
	return results
}

func occurrences(results []string) map[string]int {
	counts := map[string]int{}
	for _, result := range results {
		counts[result]++
	}
	return counts
}

// A cap of 30 with 50 racers is 30.
func TestFiftyRacersOnACapOfThirtyReserveThirty(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		UPDATE thaw.action_limits SET per_day = 30, per_week = NULL;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, 1, 1, 'active', thaw.now(), 'https://www.linkedin.com/in/more-' || n FROM generate_series(1, 40) AS n`)
	results := race(t, 50, func(ctx context.Context, i int) (code string, err error) {
		enrollment := i + 1
		if i >= 10 {
			enrollment = 21 + i
		}
		// Without gaps, a racer whose transaction began before that of the last reservation is
		// asked for a microsecond of patience.
		for code = "cooldown"; code == "cooldown" && err == nil; {
			err = db.Pool.QueryRow(ctx, "SELECT coalesce(r.code, 'reserved') FROM thaw.reserve($1) AS r", enrollment).Scan(&code)
		}
		return code, err
	})
	require.Equal(t, map[string]int{"reserved": 30, "daily_cap": 20}, occurrences(results))
	require.Equal(t, 30, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions"))
}

// Runners that overlap send once: one reservation for an enrollment, one start
// for a reservation, and no action in two claims.
func TestOverlappingSendersSendOnce(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	results := race(t, 10, func(ctx context.Context, _ int) (code string, err error) {
		for code = "cooldown"; code == "cooldown" && err == nil; {
			err = db.Pool.QueryRow(ctx, "SELECT coalesce(r.code, 'reserved') FROM thaw.reserve(1) AS r").Scan(&code)
		}
		return code, err
	})
	require.Equal(t, map[string]int{"reserved": 1, "already_reserved": 9}, occurrences(results))
	results = race(t, 10, func(ctx context.Context, _ int) (code string, err error) {
		err = db.Pool.QueryRow(ctx, "SELECT coalesce(r.code, 'go') FROM thaw.start((SELECT max(id) FROM thaw.actions)) AS r").Scan(&code)
		return code, err
	})
	require.Equal(t, map[string]int{"go": 1, "already_started": 9}, occurrences(results))
	db.Exec(t, "SELECT thaw.take_nudges()")
	race(t, 10, func(ctx context.Context, _ int) (string, error) {
		for range 10 {
			if _, err := db.Pool.Exec(ctx, "SELECT thaw.claim_actions(2)"); err != nil {
				return "", err
			}
		}
		return "", nil
	})
	// A runner leaves out accounts that another one has locked.
	require.Eventually(t, func() bool {
		db.Exec(t, "SELECT thaw.claim_actions(2)")
		return testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions") >= 15
	}, 30*time.Second, 10*time.Millisecond)
	db.Exec(t, "SELECT thaw.claim_actions(10)")
	require.Equal(t, []int{5, 5, 5}, testdb.Column[int](t, db, "SELECT count(DISTINCT enrollment_id) FROM thaw.actions GROUP BY account_id"), "the cap of the first week")
	require.Equal(t, 15, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions"))
}

// The client dies between start and settle: whether the request was made is not
// known, and it is not made again.
func TestCrashAfterTheCallIsUnknown(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com')")
	id := reserve(t, db, 1)
	// A client that dies before its commit has not started anything.
	conn, err := pgconn.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	require.NoError(t, conn.Exec(t.Context(), "BEGIN; SELECT thaw.start("+id+")").Close())
	require.NoError(t, conn.Conn().Close())
	require.Eventually(t, func() bool { // The server notices that the client is gone.
		return testdb.Value[string](t, db, "SELECT coalesce(r.code, 'go') FROM thaw.start($1::bigint) AS r", id) == "go"
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "started", state(t, db, id))

	db.Advance(t, 10*time.Minute)
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.expire_actions()"))
	require.Equal(t, "unknown", state(t, db, id))
	require.Equal(t, "already_unknown", reserve(t, db, 1))
	require.Equal(t, "already_unknown", start(t, db, id))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.outbox WHERE type = 'actions.unknown'"))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT used_today FROM thaw.kind_gates('{1}', '{invite}')"), "it counts")
	require.NotContains(t, claim(t, db, 10), 1)
}

// The slot of a dead worker is released when its lease ends by the clock of
// the database, and once.
func TestDeadSenderGivesItsSlotBackOnce(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 1")
	id := reserve(t, db, 1)
	require.Equal(t, "daily_cap", reserve(t, db, 2))
	db.Advance(t, 9*time.Minute)
	require.Zero(t, testdb.Value[int](t, db, "SELECT thaw.expire_actions()"))
	require.Equal(t, "daily_cap", reserve(t, db, 2))
	db.Advance(t, time.Minute)
	require.Equal(t, "lease_expired", start(t, db, id), "also before the lease was ended")
	require.Equal(t, "expired", state(t, db, id))
	require.Zero(t, testdb.Value[int](t, db, "SELECT thaw.expire_actions()"))
	id = reserve(t, db, 2)
	db.Advance(t, 10*time.Minute)
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.expire_actions()"))
	require.Zero(t, testdb.Value[int](t, db, "SELECT thaw.expire_actions()"))
	require.Equal(t, "expired", state(t, db, id))
	require.Equal(t, "expired", settle(t, db, id, "released"), "released twice")
	require.NotEqual(t, "daily_cap", reserve(t, db, 3))
}

// What cannot be meant is an error that says why.
func TestReservationsRefuseWhatTheyCannotMean(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	for _, one := range []struct{ statement, message string }{
		{"SELECT thaw.reserve(99)", "there is no enrollment 99"},
		{"SELECT thaw.reserve(NULL)", "there is no enrollment null"},
		{"SELECT thaw.reserve(1, lease => '1 second')", "the lease is 00:00:01"},
		{"SELECT thaw.reserve(1, actor => ' ')", "no actor was given"},
		{"SELECT thaw.reserve(1, 'invte')", `the kind "invte" is unknown`},
		{"SELECT thaw.reserve(1, '')", `the kind "" is unknown`},
		{"SELECT thaw.start(99)", "there is no reservation 99"},
		{"SELECT thaw.claim_actions(0)", "the limit is 0"},
		{"SELECT thaw.claim_actions(1, workspace => 'globex')", `there is no workspace "globex"`},
	} {
		_, err := db.Pool.Exec(t.Context(), one.statement)
		require.ErrorContains(t, err, one.message, one.statement)
	}
	require.Equal(t, "1", strconv.Itoa(testdb.Value[int](t, db, "SELECT (thaw.reserve(1, 'invite', '1 hour')).id")))
	require.Equal(t, time.Hour, testdb.Value[time.Duration](t, db, "SELECT lease_until - reserved_at FROM thaw.actions"))
}

// A reservation in a transaction that began long ago would be made by a clock that has stopped.
func TestReservationsNeedAShortTransaction(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	id := reserve(t, db, 1)
	db.Exec(t, "SELECT thaw.take_nudges()")
	require.Equal(t, time.Minute, testdb.Value[time.Duration](t, db, "SELECT thaw.longest_reserving()"))
	for _, statement := range []string{"SELECT thaw.reserve(11)::text", "SELECT thaw.start(" + id + ")::text", "SELECT count(*)::text FROM thaw.claim_actions(1)"} {
		require.NotEmpty(t, undone(t, db, "SELECT", statement), "the same in a transaction that is young enough")
		tx, err := db.Pool.Begin(t.Context())
		require.NoError(t, err)
		defer tx.Rollback(context.WithoutCancel(t.Context()))
		_, err = tx.Exec(t.Context(), "CREATE OR REPLACE FUNCTION thaw.longest_reserving() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '0'")
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), statement)
		require.ErrorContains(t, err, "this transaction began", statement)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	require.Equal(t, "reserved", state(t, db, id))
}
