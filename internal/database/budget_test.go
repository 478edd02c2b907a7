package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/database"
)

// For any number of connections, every kind of work gets at least one, and the sum is the given
// number.
func TestShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		connections := rapid.IntRange(database.MinConnections, 500).Draw(t, "connections")
		web, pollOnly := rapid.Bool().Draw(t, "web"), rapid.Bool().Draw(t, "poll only")
		work := !web || rapid.Bool().Draw(t, "work")
		b, err := database.Share(connections, web, work, pollOnly)
		require.NoError(t, err)
		require.Equal(t, connections, b.Webhooks+b.Passes+b.Queue+b.Reads+b.Listen)
		require.Equal(t, web, b.Webhooks > 0)
		require.Equal(t, work, b.Passes > 0)
		require.GreaterOrEqual(t, b.Queue, 2)
		require.Positive(t, b.Reads)
		require.Equal(t, work && !pollOnly, b.Listen == 1)
	})
	_, err := database.Share(database.MinConnections-1, true, true, false)
	require.ErrorContains(t, err, "THAW_MAX_CONNECTIONS")
}
