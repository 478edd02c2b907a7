package schema_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// senders is a fleet that may send: three accounts in Berlin, connected for long, with one running
// campaign of two steps and ten active prospects each. It is a Tuesday at ten in the morning.
const senders = `
	INSERT INTO thaw.workspaces (key) VALUES ('acme');
	INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier)
	SELECT 1, name, 'm-' || name, 'connected', 'Europe/Berlin', 'premium' FROM unnest('{ann,bob,cyd}'::text[]) AS name;
	INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
	INSERT INTO thaw.campaign_steps (campaign_id, position, kind, delay) VALUES (1, 0, 'invite', '0'), (1, 1, 'message', '1 day');
	INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
	SELECT 1, 1, account, 'active', thaw.now() - interval '1 hour', 'https://www.linkedin.com/in/p' || account || '-' || n
	FROM generate_series(1, 3) AS account, generate_series(1, 10) AS n;`

// noGaps removes the gaps between actions and the sending windows, so that only caps limit.
const noGaps = `
	UPDATE thaw.settings SET action_gap_from = '0', action_gap_to = '0';
	UPDATE thaw.action_ceilings SET gap_from = '0';
	UPDATE thaw.action_limits SET gap_from = '0', gap_to = '0';
	UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '00:00:01';
	INSERT INTO thaw.sending_windows (weekdays, opens, closes) VALUES ('{1,2,3,4,5,6,7}', '00:00:01', '00:00');`

func withSenders(t *testing.T) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	moveTo(t, db, "2026-03-03 09:00:00+00")
	db.Exec(t, senders)
	return db
}

// moveTo moves the database's clock to a time.
func moveTo(t *testing.T, db *testdb.DB, at string) {
	t.Helper()
	db.Advance(t, testdb.Value[time.Duration](t, db, "SELECT $1::timestamptz - thaw.now()", at))
}

// reserve returns the ID of the reservation, or the code of the closed gate.
func reserve(t *testing.T, db *testdb.DB, enrollment int) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT coalesce(r.id::text, r.code) FROM thaw.reserve($1) AS r", enrollment)
}

// reserveKind is reserve for platforms that only use the gate, and name the kind.
func reserveKind(t *testing.T, db *testdb.DB, enrollment int, kind string) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT coalesce(r.id::text, r.code) FROM thaw.reserve($1, $2) AS r", enrollment, kind)
}

// start returns "go", or the code of the closed gate.
func start(t *testing.T, db *testdb.DB, reservation string) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT coalesce(r.code, 'go') FROM thaw.start($1::bigint) AS r", reservation)
}

// settle returns the state. args are the further arguments of thaw.settle, in SQL, or of
// thaw.verify_action.
func settle(t *testing.T, db *testdb.DB, reservation, outcome string, args ...string) string {
	t.Helper()
	if strings.HasPrefix(outcome, "verified_") {
		return testdb.Value[string](t, db, "SELECT thaw.verify_action("+strings.Join(append([]string{reservation, "'" + outcome + "'", "'seen'"}, args...), ", ")+")")
	}
	return testdb.Value[string](t, db, "SELECT thaw.settle("+strings.Join(append([]string{reservation, "'" + outcome + "'"}, args...), ", ")+")")
}

// send reserves, starts and settles an action as sent.
func send(t *testing.T, db *testdb.DB, enrollment int) string {
	t.Helper()
	id := reserve(t, db, enrollment)
	require.Equal(t, "go", start(t, db, id), id)
	require.Equal(t, "sent", settle(t, db, id, "sent", "provider_ref => 'ref_"+id+"'"))
	return id
}

// claim returns the reserved enrollments, after the nudges were applied.
func claim(t *testing.T, db *testdb.DB, limit int) []int {
	t.Helper()
	db.Exec(t, "SELECT thaw.take_nudges()")
	return testdb.Column[int](t, db, "SELECT c.enrollment FROM thaw.claim_actions($1) AS c ORDER BY 1", limit)
}

// state returns the state of an action, with the outcome or the code.
func state(t *testing.T, db *testdb.DB, reservation string) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT concat_ws(' ', a.state, a.outcome, a.error_code) FROM thaw.actions AS a WHERE a.id = $1::bigint", reservation)
}

// undone runs statements in a transaction that is rolled back, and returns the text that the last
// one selects.
func undone(t *testing.T, db *testdb.DB, statements ...string) (text string) {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	for _, statement := range statements[:len(statements)-1] {
		_, err := tx.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, statement)
	}
	require.NoError(t, tx.QueryRow(t.Context(), statements[len(statements)-1]).Scan(&text), statements)
	return text
}

func TestReserveStartSettle(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	require.Equal(t, "1 invite 0", testdb.Value[string](t, db, "SELECT concat_ws(' ', r.id, r.code, r.kind, r.step) FROM thaw.reserve(1) AS r"))
	require.Equal(t, "already_reserved", reserve(t, db, 1))
	require.Equal(t, "cooldown", reserve(t, db, 2))
	require.Equal(t, "1", testdb.Value[string](t, db, "SELECT concat_ws(' ', r.id, r.code) FROM thaw.start(1) AS r"))
	require.Equal(t, "already_started", testdb.Value[string](t, db, "SELECT concat_ws(' ', r.id, r.code) FROM thaw.start(1) AS r"))
	require.Equal(t, "sent", settle(t, db, "1", "sent", "provider_ref => 'inv_1'"))
	require.Equal(t, "1 message active", testdb.Value[string](t, db, "SELECT concat_ws(' ', step, next_kind, status) FROM thaw.enrollments WHERE id = 1"))
	require.Len(t, claim(t, db, 10), 2)
}
