package chaos_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// The server ends the processes' sessions one after another, including listening ones. No process
// needs a restart.
func TestTerminatedBackends(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	traffic := s.traffic(scale(size{signaled: 4, healed: 1, silent: 2, prospects: 4000}, size{signaled: 12, healed: 2, silent: 5, prospects: 34_000}))
	options := []string{"--tick=2s", "--jitter=10s"}
	processes := []*process{s.serve(options...), s.serve(options...), s.serve(options...)}
	stop := traffic.begin(processes...)

	killer := &terminator{scenario: s, listening: map[int]bool{}}
	for i := range scale(60, 2000) {
		killer.end(i%4 == 0)
		s.pause(time.Duration(s.rand.IntN(40)) * time.Millisecond)
	}
	stop()
	s.expedite()
	traffic.resumeAll()
	s.alive(processes...)
	s.checker(traffic.lost)
}

// A terminator ends sessions of the processes.
type terminator struct {
	*scenario
	listening map[int]bool // by backend process ID; all sessions ever seen listening
}

// end ends one random session: a listening one, or any, half of the time a busy one.
func (k *terminator) end(listening bool) {
	k.Helper()
	type session struct {
		PID           int
		Busy, Listens bool
	}
	rows, err := k.pool.Query(k.Context(), `
		SELECT pid, coalesce(state <> 'idle', false) AS busy, pid IN (SELECT w.pid FROM thaw.workers AS w) AS listens FROM pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE 'thaw-%' ORDER BY pid`)
	require.NoError(k, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[session])
	require.NoError(k, err)
	busy := !listening && k.rand.IntN(2) == 0
	var candidates []session
	for _, x := range all {
		if x.Listens {
			k.listening[x.PID] = true // later its query is only a ping
		}
		if (!listening || k.listening[x.PID]) && (!busy || x.Busy) {
			candidates = append(candidates, x)
		}
	}
	if len(candidates) == 0 {
		return
	}
	victim := candidates[k.rand.IntN(len(candidates))]
	k.exec("SELECT pg_terminate_backend($1)", victim.PID)
	switch {
	case k.listening[victim.PID]:
		k.fault("listening sessions ended")
	case victim.Busy:
		k.fault("busy sessions ended")
	default:
		k.fault("idle sessions ended")
	}
}

// alive requires that no process has ended.
func (s *scenario) alive(processes ...*process) {
	s.Helper()
	for _, p := range processes {
		require.True(s, p.alive(), "%s has ended: %v\n%s", p.name, p.err, p.log())
	}
}

// Another client takes all connections of the server. Requests get a 503, so the provider sends
// again. When connections are available again, work continues.
func TestConnectionsExhausted(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	pg := startCluster(t, map[string]string{"max_connections": "60"})
	s := openOn(t, pg.url)
	traffic := s.traffic(scale(size{signaled: 3, healed: 1, silent: 1, prospects: 4000}, size{signaled: 12, healed: 2, silent: 5, prospects: 20_000}))
	probe := account(s.disconnectedFleet(1, 60)[0])
	options := []string{"--tick=2s", "--jitter=10s", "--concurrency=4"}
	processes := []*process{s.serve(options...), s.serve(options...)}
	stop := traffic.begin(processes...)

	hog := &hog{scenario: s}
	var slowest time.Duration
	for range scale(1, 5) {
		s.pause(300 * time.Millisecond)
		hog.takeAll()
		s.fault("connection exhaustions")
		for end := time.Now().Add(scale(time.Second, 30*time.Second)); time.Now().Before(end); s.pause(100 * time.Millisecond) {
			for _, p := range processes {
				began := time.Now()
				code, answer := s.deliver(p, probe, "connected", delivery{})
				require.Equal(s, http.StatusServiceUnavailable, code, "%s", answer)
				slowest = max(slowest, time.Since(began))
				// Readiness is cached for a second.
				require.Eventually(s, func() bool { return !p.isReady() }, 10*time.Second, 20*time.Millisecond, "ready without connections")
				require.Equal(s, http.StatusOK, p.get("/healthz"))
				s.fault("signals answered 503")
			}
		}
		hog.release()
		began := time.Now()
		for _, p := range processes {
			p.ready()
		}
		s.figure("ready %s after connections were available", time.Since(began).Round(time.Millisecond))
	}
	s.figure("slowest 503 %s", slowest.Round(time.Millisecond))
	stop()
	s.expedite()
	require.Equal(s, http.StatusOK, s.signal(processes[0], probe, "connected", delivery{}))
	traffic.resumeAll()
	s.alive(processes...)
	s.checker(traffic.lost)
}

// get returns the status code of a GET request, or 0 if there was no response.
func (p *process) get(path string) int {
	response, err := web.Get(p.base + path)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// A hog takes all connections.
type hog struct {
	*scenario
	conns []*pgx.Conn
}

// takeAll takes all connections of the server, including those of the processes.
func (h *hog) takeAll() {
	h.Helper()
	// The first connection ends the sessions of others.
	for deadline := time.Now().Add(30 * time.Second); ; {
		require.True(h, time.Now().Before(deadline), "the processes kept their connections")
		conn, err := pgx.Connect(h.Context(), h.url)
		if err == nil {
			h.conns = append(h.conns, conn)
			continue
		}
		var refused *pgconn.PgError
		require.ErrorAs(h, err, &refused)
		require.Equal(h, "53300", refused.Code, "too_many_connections")
		// A connection that is being opened is not visible yet.
		var ours bool
		err = h.conns[0].QueryRow(h.Context(), `
			SELECT count(pg_terminate_backend(pid)) FILTER (WHERE application_name LIKE 'thaw-%') = 0
				AND count(*) = current_setting('max_connections')::integer
			FROM pg_stat_activity WHERE backend_type = 'client backend'`).Scan(&ours)
		require.NoError(h, err)
		if ours {
			return
		}
	}
}

func (h *hog) release() {
	for _, conn := range h.conns {
		_ = conn.Close(h.Context())
	}
	h.conns = nil
}
