package chaos_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The harness itself, without a fault: a fleet falls paused, resumes by signals and by a sweep, and the checkers are content. They
// are not when somebody is resumed behind their back.
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
