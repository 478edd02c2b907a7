package worker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A restriction applies from its signal on, before its pause job has changed the reason of
// prospects that were already paused. A connected sibling must not resume them meanwhile.
func TestRestrictedAccountDoesNotResumeThroughSibling(t *testing.T) {
	t.Parallel()
	f := setup(t)
	old := f.account(t, account{key: "old", member: "jane", status: "disconnected"})
	f.waiting(t, old, 5)
	f.account(t, account{key: "new", member: "jane"})
	resumable := func() int {
		return testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.resumable(ARRAY[$1::bigint])", old)
	}
	require.Positive(t, resumable(), "through the new account")
	f.signal(t, "old", "restricted")
	require.Zero(t, resumable())

	f.start(t)
	f.settle(t)
	require.Equal(t, map[string]int{"account_restricted": 5}, f.states(t, old))
}
