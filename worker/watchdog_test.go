package worker_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A scheduler that always fails is in the log at the default level.
func TestFailuresOfDutiesAreWarnings(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "ALTER FUNCTION thaw.expire_actions(integer) RENAME TO expire_actions_gone")
	f.start(t)
	const message = "could not look for due actions; retrying"
	require.Eventually(t, func() bool { return len(f.log.logged(message)) > 0 }, 30*time.Second, 5*time.Millisecond)
	require.ErrorContains(t, f.log.logged(message)[0]["error"].(error), "expire_actions")
	require.Equal(t, slog.LevelWarn, f.log.levels(message)[0])
}
