package chaos_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Connections are dropped at random, and cut at the commits of every kind of transaction.
func TestDroppedConnections(t *testing.T) {
	t.Parallel()
	s := open(t)
	traffic := s.traffic(scale(size{signaled: 3, healed: 1, silent: 1, prospects: 1000}, size{signaled: 12, healed: 2, silent: 5, prospects: 20_000}))
	proxies, processes := s.behindProxies(scale(1, 2), "--tick=2s", "--jitter=10s")
	stop := traffic.begin(processes...)

	for _, p := range proxies {
		p.cutWhere(func(string) cut {
			if s.rand.IntN(scale(4, 50)) > 0 {
				return ""
			}
			where := []cut{beforeCommit, afterCommit, afterAnswer}[s.rand.IntN(3)]
			s.fault("cuts " + string(where))
			return where
		})
	}
	for range scale(20, 2000) {
		s.faultN("dropped connections", proxies[s.rand.IntN(len(proxies))].drop(s.rand.IntN, 1))
		s.pause(time.Duration(s.rand.IntN(60)) * time.Millisecond)
	}
	for _, p := range proxies {
		p.cutWhere(nil)
	}
	stop()
	s.expedite()
	traffic.resumeAll()
	s.alive(processes...)
	s.checker(traffic.lost)
}

// One direction of all connections stalls, at full size for longer than any timeout of the program.
// Neither side gets an error.
func TestStalledPath(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	traffic := s.traffic(scale(size{signaled: 4, healed: 1, silent: 2, prospects: 4000}, size{signaled: 12, healed: 2, silent: 5, prospects: 20_000}))
	proxies, processes := s.behindProxies(2, "--tick=2s", "--jitter=10s")
	stop := traffic.begin(processes...)

	for i := range scale(2, 6) {
		s.pause(500 * time.Millisecond)
		direction := []way{toServer, toClient}[i%2]
		for _, p := range proxies {
			p.stall(direction)
		}
		s.pause(scale(1500*time.Millisecond, 45*time.Second))
		for _, p := range proxies {
			p.flow(direction)
		}
		s.fault("stalls " + string(direction))
		began := time.Now()
		for _, p := range processes {
			p.ready()
		}
		s.figure("ready after %s", time.Since(began).Round(time.Millisecond))
	}
	stop()
	s.expedite()
	traffic.resumeAll()
	s.alive(processes...)
	s.checker(traffic.lost)
}

// All connections of the only process go silent at once, while new ones work. The scheduler's
// inserts fail, so only the watchdog can insert the sweeps, and it must not wait forever for a
// silent connection.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	traffic := s.traffic(scale(size{signaled: 2}, size{signaled: 12, healed: 1, silent: 2, prospects: 20_000}))
	s.exec(`
		CREATE SCHEMA chaos;
		CREATE FUNCTION chaos.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			RAISE EXCEPTION 'the scheduler is disabled';
		END;
		$$`)
	proxies, processes := s.behindProxies(1, "--tick=2s", "--jitter=10s")
	s.exec(`
		CREATE TRIGGER chaos_refuse BEFORE INSERT ON thaw.river_job
		FOR EACH ROW WHEN (NEW.kind = 'sweep' AND NEW.metadata ? 'periodic') EXECUTE FUNCTION chaos.refuse()`)
	stop := traffic.begin(processes...)

	for range scale(1, 5) {
		s.pause(time.Second)
		s.faultN("connections silenced", proxies[0].silence())
		began := time.Now()
		last := value[time.Time](s, "SELECT greatest(max(tick_at), thaw.tick()) FROM thaw.sweeps")
		s.until(time.Minute, "SELECT max(tick_at) > $1 FROM thaw.sweeps", last)
		processes[0].ready()
		s.figure("next tick swept after %s", time.Since(began).Round(time.Second/10))
	}
	s.exec("DROP TRIGGER chaos_refuse ON thaw.river_job")
	if !*full {
		proxies[0].drop(s.rand.IntN, 1<<20) // ends all pending waits for a response
	}
	stop()
	s.expedite()
	traffic.resumeAll()
	s.alive(processes...)
	s.checker(traffic.lost)
}

// The connection is cut while a delivery commits, so the outcome is unknown. The provider gets a
// 503 and sends the same delivery again, which is accepted. It is recorded once and resumes once.
func TestAmbiguousCommit(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	accounts := s.disconnectedFleet(scale(15, 300), 6) // within a tick's cap
	proxies, processes := s.behindProxies(1, "--jitter=10s")
	way, p := proxies[0], processes[0]

	outcomes := map[cut]map[string]int{beforeCommit: {}, afterCommit: {}, afterAnswer: {}}
	for i, id := range accounts {
		where := []cut{beforeCommit, afterCommit, afterAnswer}[i%3]
		var once sync.Once
		way.cutWhere(func(transaction string) (here cut) {
			if transaction == "ReceiveSignal" {
				once.Do(func() { here = where })
			}
			return here
		})
		d := delivery{id: fmt.Sprintf("evt_%d", id), at: s.now()}
		code, answer := s.deliver(p, account(id), "connected", d)
		require.Equal(s, http.StatusServiceUnavailable, code, "%s: %s", where, answer)
		s.fault("cuts " + string(where))
		code, answer = s.deliver(p, account(id), "connected", d)
		require.Equal(s, http.StatusOK, code, "%s: %s", where, answer)
		outcomes[where][answer]++
	}
	const applied, duplicate = `{"outcome":"applied"}` + "\n", `{"outcome":"duplicate"}` + "\n"
	third := len(accounts) / 3
	require.Equal(s, map[string]int{applied: third}, outcomes[beforeCommit])
	require.Equal(s, map[string]int{duplicate: third}, outcomes[afterAnswer])
	require.Equal(s, third, outcomes[afterCommit][applied]+outcomes[afterCommit][duplicate])
	s.figure("%d of the ambiguous ones were committed", outcomes[afterCommit][duplicate])

	s.active(time.Minute)
	s.checker(func() string {
		if n := value[int](s, "SELECT count(*) FROM thaw.account_signals WHERE outcome = 'applied' AND delivery_key IS NOT NULL"); n != len(accounts) {
			return fmt.Sprintf("%d deliveries recorded, want %d", n, len(accounts))
		}
		return s.somePaused()
	})
	p.stop()
}

// behindProxies starts n processes, each behind its own proxy.
func (s *scenario) behindProxies(n int, options ...string) (proxies []*proxy, processes []*process) {
	s.Helper()
	for range n {
		p := s.proxy()
		proxies = append(proxies, p)
		processes = append(processes, s.serveAt(p.url, options...))
	}
	return proxies, processes
}
