package outbound_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/outbound"
)

// The specification recommends these waits: ten attempts, the first immediately.
func TestScheduleFollowsTheSpecification(t *testing.T) {
	t.Parallel()
	want := []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
		20 * time.Hour, 24 * time.Hour,
	}
	require.Equal(t, len(want)+1, outbound.MaxAttempts)
	for i, wait := range want {
		require.Equal(t, wait, outbound.Delay(i+1, 0, 0))
		latest := outbound.Delay(i+1, 0, 0.999)
		require.Greater(t, latest, wait)
		require.LessOrEqual(t, latest, wait+wait/10)
	}
}

func TestRetryAfterExtendsTheDelay(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Minute, outbound.Delay(1, time.Minute, 0))
	require.Equal(t, 5*time.Minute, outbound.Delay(2, time.Minute, 0), "does not shorten the delay")
	require.Equal(t, 24*time.Hour, outbound.Delay(1, 1000*time.Hour, 0), "at most a day")
}
