package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// pending inserts n pending prospects in their own campaign, which waits for an account.
func (f *fleet) pending(t *testing.T, account int64, n int) (campaignID int64) {
	t.Helper()
	campaignID = f.campaign(t, campaign{key: "pending of " + testdb.Value[string](t, f.DB, "SELECT provider_account_id FROM thaw.accounts WHERE id = $1", account), reason: disconnected})
	f.Exec(t, "UPDATE thaw.campaigns SET paused_at = thaw.now() - interval '1 minute' WHERE id = $1", campaignID)
	f.prospects(t, prospects{account: account, campaign: campaignID, n: n, status: "pending"})
	return campaignID
}

// Which accounts are gone depends only on the status.
func TestPendingProspectsMoveFromAccountsThatAreGone(t *testing.T) {
	t.Parallel()
	f := setup(t)
	moves := map[string]bool{
		"connected": false, "connecting": false, "error": false, "restricted": false,
		"disconnected": true, "needs_verification": true, "removed": true,
	}
	from, to, campaigns := map[string]int64{}, map[string]int64{}, map[string]int64{}
	for status := range moves {
		from[status] = f.account(t, account{key: status, member: status, status: status, connectedAgo: 2 * time.Hour})
		to[status] = f.account(t, account{key: "new of " + status, member: status})
		campaigns[status] = f.pending(t, from[status], 2)
	}
	f.start(t)
	for status, isMoving := range moves {
		on, state := from[status], disconnected
		if isMoving {
			on, state = to[status], "running"
		}
		require.Equal(t, map[string]int{"pending": 2}, f.states(t, on), status)
		require.Equal(t, state, f.campaignState(t, campaigns[status]), "the campaign starts with the prospects of the account that is %s", status)
	}
	require.Equal(t, 6, testdb.Value[int](t, f.DB, "SELECT moved FROM thaw.sweeps"))
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT resumed FROM thaw.sweeps"))
}

// A pass moves a limited number, without a quota. A time in the past is spread over the jitter
// window. Other times stay.
func TestMovesAreBounded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 1, fleet_cap = 1")
	old := f.account(t, account{key: "old", member: "jane", status: "removed"})
	renewed := f.account(t, account{key: "new", member: "jane"})
	f.pending(t, old, 2500)
	f.Exec(t, `UPDATE thaw.enrollments SET next_action_at = CASE id % 3
		WHEN 0 THEN thaw.now() - interval '1 day' WHEN 1 THEN thaw.now() + interval '1 day' END`)
	f.start(t)
	require.Equal(t, map[string]int{"pending": 2000}, f.states(t, renewed))
	f.sweep(t)
	require.Equal(t, map[string]int{"pending": 2500}, f.states(t, renewed))
	require.Equal(t, []string{"2000 0", "500 0"}, testdb.Column[string](t, f.DB, "SELECT concat_ws(' ', moved, resumed) FROM thaw.sweeps ORDER BY tick_at"))
	require.Equal(t, 2500, testdb.Value[int](t, f.DB, `
		SELECT count(*) FROM thaw.enrollments AS e JOIN thaw.enrollment_events AS event ON event.enrollment_id = e.id
		WHERE event.kind = 'moved' AND event.source = 'sweep' AND CASE e.id % 3
			WHEN 0 THEN e.next_action_at BETWEEN event.at AND event.at + interval '15 minutes'
			WHEN 1 THEN e.next_action_at > event.at + interval '23 hours'
			ELSE e.next_action_at IS NULL END`))
	require.Equal(t, 2, testdb.Value[int](t, f.DB, `
		SELECT count(DISTINCT width_bucket(extract(epoch FROM e.next_action_at - event.at), 0, 900, 2))
		FROM thaw.enrollments AS e JOIN thaw.enrollment_events AS event ON event.enrollment_id = e.id WHERE e.id % 3 = 0`), "spread over the window")
}

// A heal moves pending prospects in its scope, even if nothing is paused. A dry run counts them.
func TestHealMovesPendingProspects(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]string{
		"workspace": "1, NULL, NULL", "old account": "NULL, 1, NULL", "new account": "NULL, 2, NULL",
		"list": "NULL, NULL, ARRAY(SELECT id FROM thaw.enrollments WHERE account_id = 1)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			old := f.account(t, account{key: "old", member: "jane", status: "disconnected"})
			renewed := f.account(t, account{key: "new", member: "jane"})
			other := f.account(t, account{key: "other", member: "joe", status: "disconnected"})
			c := f.pending(t, old, 3)
			f.pending(t, other, 3)
			f.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com')")
			heal := testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal("+target+", 5, false, 'ann')")
			require.Equal(t, 3, testdb.Value[int](t, f.DB, "SELECT movable FROM thaw.preview_heal($1)", heal))
			for _, verdict := range []string{"more", "done"} {
				require.Equal(t, verdict, testdb.Value[string](t, f.DB, "SELECT verdict FROM thaw.heal_batch($1, 100, 1)", heal))
			}
			require.Equal(t, map[string]int{"pending": 3}, f.states(t, renewed))
			require.Equal(t, map[string]int{"pending": 3}, f.states(t, other))
			require.Equal(t, "running", f.campaignState(t, c))
			require.Equal(t, "done 0 3 1", testdb.Value[string](t, f.DB, "SELECT concat_ws(' ', status, resumed, moved, campaigns_resumed) FROM thaw.heals WHERE id = $1", heal))
			require.Equal(t, "new 3", testdb.Value[string](t, f.DB, "SELECT concat_ws(' ', data ->> 'account', data ->> 'moved') FROM thaw.outbox WHERE type = 'enrollments.moved'"))
		})
	}
}

// A blocked account takes no prospects, in no lane.
func TestNothingMovesToBlockedAccount(t *testing.T) {
	t.Parallel()
	f := setup(t)
	old := f.account(t, account{key: "old", member: "jane", status: "disconnected"})
	held := f.account(t, account{key: "new", member: "jane"})
	f.pending(t, old, 3)
	f.Exec(t, "UPDATE thaw.accounts SET hold_until = thaw.now() + interval '20 minutes', hold_reason = 'too fast' WHERE id = $1", held)
	f.start(t)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme')")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.heals WHERE id = $1 AND status = 'done'", heal)
	f.signal(t, "new", "connected")
	f.settle(t)
	require.Equal(t, map[string]int{"pending": 3}, f.states(t, old))
	f.sweep(t)
	f.sweep(t)
	require.Equal(t, map[string]int{"pending": 3}, f.states(t, held))
}
