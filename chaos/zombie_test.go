package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A zombie is a process that was frozen in the middle of its work and continues after another
// process was given that work.
type zombie struct {
	name  string
	small bool
	// ask starts the work, and point is where its process is frozen.
	ask   func(c *replicas, healed int64)
	point string
	// ends says how the transaction continues. idle: the server waits for more statements and ends
	// it. slow: the server is slow and the timeout ends it. told: the server has received
	// everything and commits.
	ends string
}

var zombies = []zombie{
	// Several statements: the server has received only half of them.
	{"sweep", true, func(c *replicas, _ int64) {
		c.advance(15 * time.Minute)
		c.exec("SELECT thaw.sweep()")
	}, "RecordPlan after INSERT allocations", "idle"},
	// One statement, sent together with its COMMIT.
	{"resume", false, func(c *replicas, id int64) {
		require.Equal(c, 200, c.signal(c.any(), account(id), "connected", delivery{}))
	}, "ResumeForSignal after UPDATE enrollments", "slow"},
	{"heal", true, func(c *replicas, id int64) {
		c.exec("SELECT thaw.heal(w.key, cap => 1000000) FROM thaw.workspaces AS w JOIN thaw.accounts AS a ON a.workspace_id = w.id WHERE a.id = $1", id)
	}, "HealBatch after UPDATE enrollments", "told"},
}

// A process is frozen in the middle of a transaction for longer than the queue waits for it.
// Another process does its work. Then it continues and changes nothing.
func TestZombie(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	for _, z := range zombies {
		if !z.small && !*full {
			continue
		}
		t.Run(z.name, func(t *testing.T) {
			t.Parallel()
			z.play(open(t))
		})
	}
}

func (z *zombie) play(s *scenario) {
	s.startOfTick()
	c := s.replicas(2, "--jitter=1m")
	c.settled()
	var id int64
	if z.name == "resume" {
		id = s.disconnectedFleet(1, 200)[0]
	} else {
		id = s.fleet(1, map[string]int{"sweep": 200, "heal": 9000}[z.name])[0]
	}

	c.at.arm(z.point)
	z.ask(c, id)
	name, backend := c.at.stopped(30 * time.Second)
	require.NotEmpty(s, name, "no process reached %s", z.point)
	frozen := c.find(func(m *member) bool { return m.name == name })
	frozen.freeze()
	s.fault("processes frozen in the middle of a transaction")
	if z.ends == "slow" {
		s.until(time.Minute, "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND locktype = 'advisory' AND NOT granted)", backend)
	}
	c.at.release()
	if z.ends == "idle" {
		s.until(time.Minute, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", backend)
	}
	if z.ends != "told" {
		require.Equal(s, s.paused(), value[int](s, "SELECT count(*) FROM thaw.enrollments"), "the frozen transaction was rolled back")
	}

	if !*full {
		s.handOut(frozen.client)
	}
	if z.name == "heal" {
		// Its successor is in the middle of the same batch when the zombie continues.
		c.at.arm(z.point)
		name, _ = c.at.stopped(3 * time.Minute)
		require.NotEmpty(s, name, "no process continued the heal")
		require.NotEqual(s, frozen.name, name)
		frozen.unfreeze()
		if *full {
			// Frozen for longer than a work slice, it does not continue the heal but snoozes the
			// job.
			s.until(30*time.Second, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND state_change > now() - interval '1 second')", frozen.name)
			frozen.ready()
		} else {
			s.until(30*time.Second, `SELECT EXISTS (
				SELECT FROM pg_stat_activity WHERE application_name = $1 AND query LIKE '%HealBatch%' AND wait_event_type = 'Lock')`, frozen.name)
			s.fault("times that a zombie and its successor ran the same batch")
		}
		c.at.release()
		s.active(time.Minute)
	} else {
		s.active(3 * time.Minute)
		s.settled()
		before := s.everything()
		frozen.unfreeze()
		s.until(30*time.Second, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND state_change > now() - interval '1 second')", frozen.name)
		frozen.ready()
		s.pause(time.Second)
		s.settled()
		require.Equal(s, before, s.everything(), "the zombie changed something")
	}
	s.checker(s.somePaused)
	frozen.stop()
}

// active waits until no prospect is paused.
func (s *scenario) active(patience time.Duration) {
	s.Helper()
	s.until(patience, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE status <> 'active')")
}

// somePaused returns what is lost if all prospects should be active.
func (s *scenario) somePaused() string {
	if n := s.paused(); n > 0 {
		return "some prospects are still paused"
	}
	return ""
}

// everything returns a hash of all that passes write.
func (s *scenario) everything() string {
	s.Helper()
	return value[string](s, `
		SELECT concat_ws(' ',
			(SELECT md5(string_agg(e::text, ' ' ORDER BY e.id)) FROM thaw.enrollments AS e),
			(SELECT md5(string_agg(e::text, ' ' ORDER BY e.id)) FROM thaw.enrollment_events AS e),
			(SELECT md5(string_agg(c::text, ' ' ORDER BY c.id)) FROM thaw.campaign_events AS c),
			(SELECT md5(string_agg(b::text, ' ' ORDER BY b.tick_at, b.lane)) FROM thaw.fleet_quotas AS b),
			(SELECT md5(string_agg(g::text, ' ' ORDER BY g.tick_at, g.account_id)) FROM thaw.allocations AS g),
			(SELECT md5(string_agg(h::text, ' ' ORDER BY h.id)) FROM thaw.heals AS h),
			(SELECT md5(string_agg(s::text, ' ' ORDER BY s.id)) FROM thaw.account_signals AS s))`)
}
