package worker

import (
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

// A failed job is retried within half a minute, however often it has failed; the first retries come
// within seconds.
func TestFailedJobsAreTriedAgainSoon(t *testing.T) {
	t.Parallel()
	policy := &cappedRetry{}
	for failures := range 500 {
		row := &rivertype.JobRow{Attempt: failures + 1, Errors: make([]rivertype.AttemptError, failures)}
		wait := time.Until(policy.NextRetry(row))
		require.LessOrEqual(t, wait, retryWithin, "after %d failures", failures)
		require.Greater(t, wait, time.Duration(0), "after %d failures", failures)
		if failures == 0 {
			require.Less(t, wait, 2*time.Second)
		}
	}
}
