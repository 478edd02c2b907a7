package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// An unknown action of an account is found although newer actions fill the candidates.
func TestOldUnknownActionOfAnAccountIsFound(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps)
	unknown := reserve(t, db, 1)
	require.Equal(t, "go", start(t, db, unknown))
	require.Equal(t, "unknown", settle(t, db, unknown, "unknown"))
	send(t, db, 2)
	candidates := func(account int, state string) []string {
		return testdb.Column[string](t, db, "SELECT n.id::text FROM thaw.newest_actions(NULL, $1, $2::thaw.action_state, 0, 100, 1000, 1) AS n", account, state)
	}
	require.Equal(t, []string{unknown}, candidates(1, "unknown"))
	require.Empty(t, candidates(2, "unknown"))
}
