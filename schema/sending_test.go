package schema_test

import (
	"testing"
	"time"

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

func TestReserveStartSettle(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	require.Equal(t, "1 invite 0", testdb.Value[string](t, db, "SELECT concat_ws(' ', r.id, r.code, r.kind, r.step) FROM thaw.reserve(1) AS r"))
	require.Equal(t, "cooldown", testdb.Value[string](t, db, "SELECT r.code FROM thaw.reserve(1) AS r"))
	require.Equal(t, "cooldown", testdb.Value[string](t, db, "SELECT r.code FROM thaw.reserve(2) AS r"))
	require.Equal(t, "1", testdb.Value[string](t, db, "SELECT concat_ws(' ', r.id, r.code) FROM thaw.start(1) AS r"))
	require.Equal(t, "already_started", testdb.Value[string](t, db, "SELECT concat_ws(' ', r.id, r.code) FROM thaw.start(1) AS r"))
	require.Equal(t, "sent", testdb.Value[string](t, db, "SELECT thaw.settle(1, 'sent', provider_ref => 'inv_1')"))
	require.Equal(t, "1 message active", testdb.Value[string](t, db, "SELECT concat_ws(' ', step, next_kind, status) FROM thaw.enrollments WHERE id = 1"))
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM (SELECT thaw.take_nudges() ) AS n, thaw.claim_actions(10) AS c"))
}
