package chaos_test

import (
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// Replicas are several processes on one database, each behind a relay. Killed processes are
// replaced.
type replicas struct {
	*scenario
	at      *points
	wire    *wire
	options []string

	mu      sync.Mutex
	members []*member
}

type member struct {
	*process
	relay *relay
}

// replicas starts n processes and returns when they are ready.
func (s *scenario) replicas(n int, options ...string) *replicas {
	s.Helper()
	return s.replicasAt(s.points(), n, options...)
}

// replicasAt is replicas with other points.
func (s *scenario) replicasAt(at *points, n int, options ...string) *replicas {
	s.Helper()
	c := &replicas{scenario: s, at: at, wire: newWire(), options: options}
	for range n {
		m := &member{relay: s.relay(c.wire)}
		m.process = c.begin(launch{url: m.relay.url, options: options})
		c.members = append(c.members, m)
	}
	for _, m := range c.members {
		m.listening()
		m.ready()
	}
	return c
}

// any returns a process that is probably alive, as a load balancer would.
func (c *replicas) any() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members[c.rand.IntN(len(c.members))].process
}

func (c *replicas) find(yes func(m *member) bool) *member {
	c.Helper()
	i := slices.IndexFunc(c.members, yes)
	require.GreaterOrEqual(c, i, 0)
	return c.members[i]
}

// patience is how long the harness waits for a process to reach a point. Some points are passed
// once per minute, such as those of the watch and prune jobs. A heal of 100,000 prospects starts a
// campaign once in several minutes on a busy server.
func patience() time.Duration { return scale(20*time.Second, 10*time.Minute) }

// killAt kills and replaces the next process that reaches a point. Its backend is then released and
// runs everything that it had received or, with withTransaction, is ended with its transaction. It
// returns false if no process reached the point.
func (c *replicas) killAt(point string, withTransaction bool) bool {
	c.Helper()
	c.at.arm(point)
	return c.killStopped(withTransaction)
}

// killStopped is killAt for a point that is already armed.
func (c *replicas) killStopped(withTransaction bool) bool {
	c.Helper()
	name, backend := c.at.stopped(patience())
	if name == "" {
		c.at.release()
		return false
	}
	victim := c.find(func(m *member) bool { return m.name == name })
	victim.kill()
	if withTransaction {
		c.exec("SELECT pg_terminate_backend($1)", backend)
		c.until(10*time.Second, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", backend)
	}
	c.at.release()
	c.replace(victim)
	return true
}

// killAfterCommit kills and replaces the next process that has committed a transaction, before it
// receives the result.
func (c *replicas) killAfterCommit(transaction string) bool {
	c.Helper()
	c.wire.arm(transaction)
	return c.killHeld()
}

// killHeld is killAfterCommit for a transaction that is already armed.
func (c *replicas) killHeld() bool {
	c.Helper()
	timeout := time.After(patience())
	var held *relay
	select {
	case held = <-c.wire.held:
	case <-timeout:
		if c.wire.disarm() {
			return false
		}
		held = <-c.wire.held
	}
	victim := c.find(func(m *member) bool { return m.relay == held })
	victim.kill()
	c.replace(victim)
	return true
}

// replace starts processes in place of killed ones and immediately requeues their jobs, as the
// queue does after worker.RescueAfter. TestRecovery waits for the queue itself.
func (c *replicas) replace(victims ...*member) {
	c.Helper()
	for _, victim := range victims {
		// Statements sent before the kill may still be running.
		c.until(30*time.Second, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database())", victim.name)
		c.handOut(victim.client)
	}
	c.revive(victims...)
}

// handOut requeues the jobs of a process.
func (s *scenario) handOut(client string) {
	s.Helper()
	s.exec(`
		UPDATE thaw.river_job SET state = 'available', scheduled_at = now()
		WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $1`, client)
}

// revive starts a process in place of each killed one.
func (c *replicas) revive(victims ...*member) {
	c.Helper()
	for _, victim := range victims {
		p := c.start(launch{url: victim.relay.url, options: c.options})
		c.mu.Lock()
		victim.process = p
		c.mu.Unlock()
	}
}
