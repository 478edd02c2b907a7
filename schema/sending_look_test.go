package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A look finds what the scheduler finds: an account stays due if the scheduler could serve it, and
// otherwise has the same gate and the same time of the next look.
func TestALookFindsWhatTheSchedulerFinds(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, `
		UPDATE thaw.settings SET action_gap_from = '2 minutes', action_gap_to = '2 minutes';
		UPDATE thaw.action_limits SET gap_from = '4 minutes', gap_to = '4 minutes';
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'summer', 'running'), (1, 'draft', 'draft');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'message'), (3, 0, 'view');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, c, 1, 'active', thaw.now() + interval '2 hours' * (c - 2), 'https://www.linkedin.com/in/c' || c FROM generate_series(2, 3) AS c;
		SELECT thaw.take_nudges()`)
	const seen = `
		SELECT string_agg(concat_ws(' ', a.provider_account_id,
			CASE WHEN s.code IS NULL AND s.next_at <= thaw.now() OR s.served_at = thaw.now() THEN 'open' ELSE concat_ws(' ', s.code, date_trunc('minute', s.next_at + interval '30 seconds')) END), ', ' ORDER BY a.id)
		FROM thaw.sending_accounts AS s JOIN thaw.accounts AS a ON a.id = s.account_id`
	for _, one := range []struct{ name, change, open string }{
		{"nothing is closed", "SELECT 1", "ann bob cyd"},
		{"a full cap of the day, and messages", "UPDATE thaw.action_limits SET per_day = 0 WHERE kind = 'invite'", "ann"},
		{"a full cap of the day", "UPDATE thaw.action_limits SET per_day = 0", ""},
		{"the window is closed", "UPDATE thaw.sending_windows SET opens = '12:00'", ""},
		{"a hold, a lost connection and no zone", `
			UPDATE thaw.accounts SET hold_until = thaw.now() + interval '1 hour', hold_reason = 'x' WHERE id = 1; UPDATE thaw.accounts SET status = 'disconnected' WHERE id = 2;
			UPDATE thaw.accounts SET timezone = NULL WHERE id = 3`, ""},
		{"a hold of the kind", "SELECT thaw.hold_action_kind('bob', 'invite', thaw.now() + interval '1 day', 'x', 'x')", "ann cyd"},
		{"safety mode", "SELECT thaw.safety_enter('an incident')", ""},
		{"shadow mode", "UPDATE thaw.workspaces SET shadow = true", ""},
		{"the campaign does not run", "UPDATE thaw.campaigns SET status = 'draft' WHERE id <= 2", ""},
		{"nothing is due yet", "UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '3 hours'", ""},
		{"nothing is left", "DELETE FROM thaw.enrollments WHERE account_id = 2", "ann cyd"},
		{"all is under way", "DELETE FROM thaw.enrollments WHERE account_id = 2 AND id <> 11; SELECT thaw.reserve(11); UPDATE thaw.senders SET next_allowed_at = NULL; UPDATE thaw.actions SET next_of_kind_at = reserved_at", "ann cyd"},
		{"a cooldown", "SELECT thaw.start((thaw.reserve(21)).id)", "ann bob"},
	} {
		both := func(statement string) string {
			return undone(t, db, one.change, "UPDATE thaw.sending_accounts SET next_at = thaw.now(), code = 'x'", statement, seen)
		}
		look := both("SELECT thaw.look_at('{1,2,3}')")
		require.Equal(t, both("SELECT thaw.schedule_batch(1000, '10 minutes', 'test')"), look, one.name)
		open := undone(t, db, one.change, "UPDATE thaw.sending_accounts SET next_at = thaw.now(), code = 'x'", "SELECT thaw.look_at('{1,2,3}')", `
			SELECT coalesce(string_agg(a.provider_account_id, ' ' ORDER BY a.id), '') FROM thaw.sending_accounts AS s JOIN thaw.accounts AS a ON a.id = s.account_id
			WHERE s.code IS NULL AND s.next_at <= thaw.now()`)
		require.Equal(t, one.open, open, one.name)
	}
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions"))
}

// Prospects who have an invite already do not hold up those behind, and a look does not defer them:
// the platform decides what becomes of them.
func TestALookSeesBehindProspectsWithAnInvite(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"SELECT thaw.take_nudges()")
	send(t, db, 1)
	db.Exec(t, `
		UPDATE thaw.enrollments SET step = 0, next_action_at = thaw.now() - interval '1 day', prospect_url = 'https://www.linkedin.com/in/p1-1' WHERE id IN (2, 3);
		UPDATE thaw.enrollments SET next_action_at = thaw.now() + interval '1 day' WHERE id = 1;
		SELECT thaw.take_nudges()`)
	require.Equal(t, "already_invited", reserve(t, db, 2))
	look := func() string {
		return testdb.Value[string](t, db, "SELECT concat_ws(' ', l.looked, l.due) FROM thaw.look_at('{1}') AS l")
	}
	require.Equal(t, "1 1", look())
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE id IN (2, 3) AND next_action_at < thaw.now()"))
	db.Exec(t, "DELETE FROM thaw.enrollments WHERE account_id = 1 AND id > 3")
	require.Equal(t, "1 0", look())
	require.Equal(t, "already_invited", testdb.Value[string](t, db, "SELECT code FROM thaw.sending_accounts WHERE account_id = 1"))
	require.Equal(t, "1 0", look(), "it stays due for a scheduler, which defers the prospects")
	require.Len(t, claim(t, db, 10), 2, "of the other accounts")
	require.Equal(t, "0 0", look())
}

// The age of what is due begins anew with each reservation, also if no look came into its gap.
func TestDueSinceTheLastGap(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "UPDATE thaw.action_limits SET per_day = 1000, gap_from = '0', gap_to = '0'; UPDATE thaw.action_ceilings SET gap_from = '0'; SELECT thaw.take_nudges()")
	db.Advance(t, time.Hour)
	reserve(t, db, 1)
	db.Advance(t, 5*time.Minute)
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT due FROM thaw.look_at('{1,2,3}')"))
	require.Equal(t, []string{"bob", "cyd"}, testdb.Column[string](t, db, `
		SELECT a.provider_account_id FROM thaw.sending_accounts AS s JOIN thaw.accounts AS a ON a.id = s.account_id WHERE s.next_at < thaw.now() - interval '10 minutes' ORDER BY 1`))
	require.True(t, testdb.Value[bool](t, db, "SELECT x.next_at = s.next_allowed_at FROM thaw.sending_accounts AS x JOIN thaw.senders AS s ON s.id = x.sender_id WHERE x.account_id = 1"))
}

// A look neither waits for a lock nor makes a reservation wait for long: it passes over rows that
// are locked.
func TestALookWaitsForNothing(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "SELECT thaw.take_nudges()")
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT thaw.reserve(1); SELECT FROM thaw.sending_accounts WHERE account_id = 2 FOR NO KEY UPDATE")
	require.NoError(t, err)
	db.Exec(t, "ALTER DATABASE "+testdb.Value[string](t, db, "SELECT quote_ident(current_database())")+" SET lock_timeout = '1s'")
	require.Equal(t, "2 2", testdb.Value[string](t, db, "SELECT concat_ws(' ', l.looked, l.due) FROM thaw.look_at('{1,2,3}') AS l"), "one that is being reserved has no gap yet")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, "3 2", testdb.Value[string](t, db, "SELECT concat_ws(' ', l.looked, l.due) FROM thaw.look_at('{1,2,3}') AS l"))
}

// A cap that is raised while an account is looked at is not missed: the look knows the old one.
func TestNoRaisedCapIsMissedDuringALook(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, "UPDATE thaw.action_limits SET per_day = 0; SELECT thaw.take_nudges()")
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT thaw.look_at('{1,2,3}')")
	require.NoError(t, err)
	db.Exec(t, "UPDATE thaw.action_limits SET per_day = 5")
	require.NoError(t, tx.Commit(t.Context()))
	require.Len(t, claim(t, db, 10), 3)
}
