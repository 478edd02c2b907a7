package chaos_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Postgres repeatedly crashes and restarts while three processes heal, sweep and receive signals.
// No process needs a restart, and signals that were answered with 2xx are kept. Measures the time
// from the first accepted connection to the first resume.
func TestRestart(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	pg := startCluster(t, nil)
	s := openOn(t, pg.url)
	traffic := s.traffic(scale(size{signaled: 4, healed: 1, silent: 2, prospects: 6000}, size{signaled: 12, healed: 2, silent: 5, prospects: 34_000}))
	options := []string{"--tick=2s", "--jitter=10s"}
	processes := []*process{s.serve(options...), s.serve(options...), s.serve(options...)}
	stop := traffic.begin(processes...)

	var took []time.Duration
	for range scale(2, 20) {
		s.pause(time.Duration(300+s.rand.IntN(scale(300, 4000))) * time.Millisecond)
		pg.crash()
		pg.launch()
		took = append(took, pg.firstResume(s))
		s.fault("immediate restarts of Postgres")
	}
	stop()
	s.expedite()
	traffic.resumeAll()
	s.alive(processes...)
	slices.Sort(took)
	s.Logf("from the return of Postgres to the first resume: %s", took)
	s.figure("p50 %s, max %s from the return of Postgres to the first resume", took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	s.checker(traffic.lost)
}

// firstResume waits until the server accepts connections and returns how long it then takes until a
// prospect is resumed.
func (c *cluster) firstResume(s *scenario) time.Duration {
	c.Helper()
	config, err := pgx.ParseConfig(s.url)
	require.NoError(c, err)
	require.NoError(c, c.answers(time.Minute), "Postgres did not come back\n%s", c.log)
	began := time.Now()
	conn, err := pgx.ConnectConfig(c.Context(), config)
	require.NoError(c, err)
	defer conn.Close(c.Context())
	var last int64
	require.NoError(c, conn.QueryRow(c.Context(), "SELECT coalesce(max(id), 0) FROM thaw.enrollment_events").Scan(&last))
	for resumed := false; !resumed; c.wait(2 * time.Millisecond) {
		err := conn.QueryRow(c.Context(), "SELECT EXISTS (SELECT FROM thaw.enrollment_events WHERE id > $1 AND kind = 'resumed')", last).Scan(&resumed)
		require.NoError(c, err)
		require.Less(c, time.Since(began), 5*time.Minute, "nothing was resumed after the return of Postgres")
	}
	return time.Since(began)
}

func (c *cluster) wait(d time.Duration) {
	select {
	case <-c.Context().Done():
	case <-time.After(d):
	}
}
