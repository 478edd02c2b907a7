package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

func TestNewAccountTakesOverProspectsOfOldOne(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('other')")
	c := f.campaign(t, campaign{key: "spring", reason: disconnected})
	old := f.account(t, account{key: "old", member: "jane", status: "removed"})
	f.prospects(t, prospects{account: old, campaign: c, n: 20, reason: disconnected})
	f.prospects(t, prospects{account: old, campaign: c, n: 3, status: "pending"})
	// Not moved by the signal: prospects that are active or were paused by a person, another member's
	// account, an account without a member, and the same member in another workspace.
	f.prospects(t, prospects{account: old, campaign: c, n: 1})
	f.prospects(t, prospects{account: old, campaign: c, n: 1, reason: byUser})
	joe := f.account(t, account{key: "joe", member: "joe", status: "disconnected"})
	nameless := f.account(t, account{key: "nameless", status: "disconnected"})
	elsewhere := f.account(t, account{key: "elsewhere", workspace: "other", member: "jane", status: "disconnected"})
	for _, a := range []int64{joe, nameless, elsewhere} {
		f.waiting(t, a, 5)
	}
	f.start(t)

	// The signal of the new account arrives before its row.
	require.Equal(t, "unknown_account", testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', 'new', 'connected', member_id => 'jane')"))
	renewed := f.account(t, account{key: "new", status: "connecting"})
	f.settle(t)

	require.Equal(t, map[string]int{"active": 20, "pending": 3}, f.states(t, renewed))
	require.Equal(t, map[string]int{"active": 1, byUser: 1}, f.states(t, old))
	require.Equal(t, "running", f.campaignState(t, c))
	for _, a := range []int64{joe, nameless, elsewhere} {
		require.Equal(t, map[string]int{disconnected: 5}, f.states(t, a))
	}
	for kind, n := range map[string]int{"resumed": 20, "moved": 23} {
		require.Equal(t, n, testdb.Value[int](t, f.DB, `
			SELECT count(*) FROM thaw.enrollment_events AS event
			JOIN thaw.enrollments AS e ON e.id = event.enrollment_id AND e.step = event.step
			WHERE event.kind = $1::thaw.event_kind AND from_account_id = $2 AND to_account_id = $3`, kind, old, renewed), kind)
	}
	// The sweep pauses the active prospect, which was on the account when it was inserted. The next
	// one resumes it.
	require.Zero(t, f.sweep(t))
	require.Equal(t, map[string]int{disconnected: 1, byUser: 1}, f.states(t, old))
	require.Equal(t, 1, f.sweep(t))
	require.Equal(t, map[string]int{"active": 21, "pending": 3}, f.states(t, renewed))
}

func TestSweepMovesProspectsToSibling(t *testing.T) {
	t.Parallel()
	f := setup(t)
	old := f.account(t, account{key: "old", member: "jane", status: "disconnected"})
	renewed := f.account(t, account{key: "new", member: "jane"})
	f.waiting(t, old, 20)
	f.start(t)
	require.Equal(t, map[string]int{"active": 20}, f.states(t, renewed))
	require.Equal(t, 20, testdb.Value[int](t, f.DB, "SELECT moved FROM thaw.sweeps"))
}

func TestChoiceOfConnectedSibling(t *testing.T) {
	t.Parallel()
	f := setup(t)
	gone := f.account(t, account{key: "gone", member: "jane", status: "disconnected"})
	newest := f.account(t, account{key: "newest", member: "jane", connectedAgo: time.Minute})
	older := f.account(t, account{key: "older", member: "jane", connectedAgo: time.Hour})
	// Two accounts with the same connect time.
	stuck := f.account(t, account{key: "stuck", member: "joe", status: "disconnected"})
	f.account(t, account{key: "lower", member: "joe"})
	higher := f.account(t, account{key: "higher", member: "joe"})
	f.Exec(t, "UPDATE thaw.accounts SET connected_at = '2026-01-01' WHERE member_id = 'joe' AND status = 'connected'")

	f.waiting(t, gone, 4)
	f.waiting(t, older, 3)
	f.waiting(t, stuck, 2)
	f.start(t)
	require.Equal(t, map[string]int{"active": 4}, f.states(t, newest), "the account that connected last")
	require.Equal(t, map[string]int{"active": 3}, f.states(t, older), "keeps its own prospects")
	require.Equal(t, map[string]int{"active": 2}, f.states(t, higher), "the highest ID on a tie")
}

// Prospects wait for a sibling that is on hold: they are not moved to other siblings.
func TestProspectsWaitForHeldTarget(t *testing.T) {
	t.Parallel()
	f := setup(t)
	gone := f.account(t, account{key: "gone", member: "jane", status: "disconnected"})
	held := f.account(t, account{key: "held", member: "jane", connectedAgo: time.Minute})
	f.account(t, account{key: "older", member: "jane", connectedAgo: time.Hour})
	f.waiting(t, gone, 4)
	f.Exec(t, "UPDATE thaw.accounts SET hold_until = thaw.now() + interval '20 minutes', hold_reason = 'too fast' WHERE id = $1", held)
	f.start(t)
	require.Equal(t, map[string]int{disconnected: 4}, f.states(t, gone))
	f.sweep(t)
	require.Equal(t, map[string]int{disconnected: 4}, f.states(t, gone))
	f.sweep(t)
	require.Equal(t, map[string]int{"active": 4}, f.states(t, held))
}

func TestSiblingsAreOfOneProvider(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "here", member: "jane"})
	there := f.account(t, account{key: "there", member: "jane", status: "disconnected"})
	f.Exec(t, "UPDATE thaw.accounts SET provider = 'mail' WHERE id = $1", there)
	f.waiting(t, there, 3)
	f.start(t)
	require.Equal(t, map[string]int{disconnected: 3}, f.states(t, there))
}
