package readmodel

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// movingFleet has 12 pending prospects on two lost accounts of one person, and 2 on a lost account
// of a person without a connected account. An account that may come back keeps its prospects.
const movingFleet = `
INSERT INTO thaw.workspaces (key) VALUES ('acme');
INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'founders', 'running');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status) VALUES
	(1, 'old', 'jane', 'removed'), (1, 'older', 'jane', 'disconnected'), (1, 'new', 'jane', 'connected'), (1, 'bob', 'bob', 'disconnected'), (1, 'flaky', 'jane', 'error');
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
SELECT 1, 1, a.id, 'pending', format('https://example.com/in/%s-%s', a.provider_account_id, i)
FROM (VALUES ('old', 7), ('older', 5), ('new', 3), ('bob', 2), ('flaky', 4)) AS s (account, rows)
JOIN thaw.accounts AS a ON a.provider_account_id = s.account
CROSS JOIN LATERAL generate_series(1, s.rows) AS i;`

// An account shows the pending prospects that move away from it or to it, the fleet shows all, and
// both agree with what the sweep then moves.
func TestPendingProspectsThatWillMove(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, movingFleet)
	reader := NewReader(f.store)
	id := func(account string) int64 {
		return testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.accounts WHERE provider_account_id = $1", account)
	}
	movesOf := func(account string) []Move {
		t.Helper()
		detail, err := reader.AccountByID(t.Context(), Everything(), id(account))
		require.NoError(t, err)
		return detail.Moves
	}
	fleetMoves := func(s Scope) *FleetMoves {
		t.Helper()
		reader.Forget()
		report, err := reader.Fleet(t.Context(), s)
		require.NoError(t, err)
		return report.Moves
	}

	fromOld := Move{FromAccountID: id("old"), ToAccountID: id("new"), Prospects: 7, StartsAt: new(f.tick(t).UTC())}
	fromOlder := Move{FromAccountID: id("older"), ToAccountID: id("new"), Prospects: 5, StartsAt: new(f.tick(t).UTC())}
	require.Equal(t, []Move{fromOld}, movesOf("old"))
	require.Equal(t, []Move{fromOlder}, movesOf("older"))
	require.Equal(t, []Move{fromOld, fromOlder}, movesOf("new"))
	require.Empty(t, movesOf("bob"))
	require.Empty(t, movesOf("flaky"))
	require.Equal(t, &FleetMoves{Prospects: 12, Accounts: 2}, fleetMoves(Everything()))
	require.Nil(t, fleetMoves(OfWorkspace(1)))
	status, err := Status(t.Context(), f.store, 0)
	require.NoError(t, err)
	require.Equal(t, &FleetMoves{Prospects: 12, Accounts: 2}, status.Moves)

	f.Exec(t, "SELECT thaw.hold('new', thaw.now() + interval '1 day', 'too many invitations', 'cli:ann')")
	fromOld.StartsAt = nil
	require.Equal(t, []Move{fromOld}, movesOf("old"), "the target is on hold")
	require.Equal(t, &FleetMoves{}, fleetMoves(Everything()))
	f.Exec(t, "UPDATE thaw_test.clock SET ahead = ahead + interval '25 hours'")

	f.run(t, f.plan(t))
	require.Equal(t, 12, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'moved'"))
	require.Empty(t, movesOf("new"))
	require.Equal(t, &FleetMoves{}, fleetMoves(Everything()))
}
