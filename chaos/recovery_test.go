package chaos_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Measures how long it takes to resume all prospects of a job whose process is killed in the middle
// of it. One of three processes is killed repeatedly, every third time together with the leader.
// The jobs are requeued because the lock of their process is gone; none waits for the rescue.
func TestRecovery(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	s.startOfTick()
	kills := scale(2, 20)
	signalled := s.disconnectedFleet((kills+1)/2, 200)
	healed := make([]int64, kills/2)
	for i := range healed {
		healed[i] = s.fleet(1, 6000)[0]
	}
	c := s.replicas(3, "--jitter=1m")
	c.settled()

	took := map[string][]time.Duration{}
	for i := range kills {
		kind, point, of := "signal", "ResumeForSignal after UPDATE enrollments", signalled
		if i%2 == 1 {
			kind, point, of = "heal", "HealBatch after UPDATE enrollments", healed
		}
		id := of[i/2]
		c.at.arm(point)
		if kind == "signal" {
			require.Equal(s, 200, s.signal(c.any(), account(id), "connected", delivery{patience: time.Minute, to: c.any}))
		} else {
			s.exec("SELECT thaw.heal(w.key, a.provider_account_id, 1000000) FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id WHERE a.id = $1", id)
		}
		began, victims := c.killHolder(i%3 == 1)
		c.until(2*time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE account_id = $1 AND status <> 'active')", id)
		took[kind] = append(took[kind], time.Since(began))
		c.revive(victims...)
		for _, m := range victims {
			m.listening()
			m.ready()
		}
		c.until(time.Minute, "SELECT count(*) = 3 FROM thaw.workers WHERE client_id NOT IN (SELECT thaw.lost_workers())")
	}
	for _, kind := range []string{"signal", "heal"} {
		if len(took[kind]) > 0 {
			slices.Sort(took[kind])
			s.Logf("%s: %s", kind, took[kind])
			s.figure("%s: p50 %s, max %s from kill to resumed", kind,
				took[kind][len(took[kind])/2].Round(time.Second/10), took[kind][len(took[kind])-1].Round(time.Second/10))
		}
	}
	require.Equal(s, kills, value[int](s, `
		SELECT count(*) FROM thaw.river_job WHERE kind IN ('resume_account', 'heal') AND errors::text LIKE '%the process that ran this job is gone%'`))
	require.Zero(s, value[int](s, "SELECT count(*) FROM thaw.river_job WHERE errors::text LIKE '%rescued%'"), "jobs that waited for the rescue")
	s.checker(s.somePaused)
}

// killHolder kills the process that stops at the armed point, with its transaction, and with
// andLeader also the leader, if that is another process. It does not requeue the job.
func (c *replicas) killHolder(andLeader bool) (began time.Time, victims []*member) {
	c.Helper()
	name, backend := c.at.stopped(time.Minute)
	require.NotEmpty(c, name)
	victims = []*member{c.find(func(m *member) bool { return m.name == name })}
	kind := "kills of a follower"
	if leads := value[string](c.scenario, "SELECT coalesce((SELECT leader_id FROM thaw.river_leader), '')"); leads == victims[0].client {
		kind = "kills of the leader"
	} else if i := slices.IndexFunc(c.members, func(m *member) bool { return m.client == leads }); andLeader && i >= 0 {
		kind = "kills of the leader"
		victims = append(victims, c.members[i])
	}
	c.fault(kind)
	began = time.Now()
	for _, victim := range victims {
		victim.kill()
	}
	c.exec("SELECT pg_terminate_backend($1)", backend)
	c.until(10*time.Second, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", backend)
	c.at.release()
	return began, victims
}
