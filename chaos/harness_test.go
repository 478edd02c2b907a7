package chaos_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tests the harness without a fault: a fleet is paused, then resumed by signals and a sweep, and
// the checks pass. They fail after a prospect is resumed behind Thaw's back.
func TestWithoutAFault(t *testing.T) {
	t.Parallel()
	s := open(t)
	bySignal := s.disconnectedFleet(2, 100)
	s.fleet(2, 50)
	p := s.serve("--jitter=1m")
	for _, id := range bySignal {
		require.Equal(s, http.StatusOK, s.signal(p, account(id), "connected", delivery{id: "evt_" + account(id)}))
		require.Equal(s, http.StatusOK, s.signal(p, account(id), "connected", delivery{id: "evt_" + account(id)}))
	}
	s.settled()
	require.Zero(s, s.paused())
	s.checker(nil)

	s.exec("UPDATE thaw.enrollments SET step = step + 1 WHERE id = 1")
	s.exec("DELETE FROM thaw.enrollment_events WHERE id = (SELECT max(id) FROM thaw.enrollment_events)")
	require.NotEmpty(s, s.records())
	p.stop()
}
