package chaos_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// How long the effect of a job takes whose process is killed in the middle of it, until everybody is awake who should be: by
// the queue's own rescue, while one of three processes dies every 20 seconds, the leader too. The small version asks the queue
// to rescue at once, so its figure is not one.
func TestRecovery(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.startOfTick()
	kills := scale(1, 20)
	signalled := s.disconnectedFleet((kills+1)/2, 200)
	healed := make([]int64, kills/2)
	for i := range healed {
		healed[i] = s.fleet(1, 6000)[0]
	}
	c := s.crew(3, "--jitter=1m")
	c.settled()

	took := map[string][]time.Duration{}
	var group errgroup.Group
	for i := range kills {
		kind, point, id := "signal", "ResumeForSignal after UPDATE enrollments", int64(0)
		if i%2 == 1 {
			kind, point, id = "heal", "HealBatch after UPDATE enrollments", healed[i/2]
		} else {
			id = signalled[i/2]
		}
		due := time.After(20 * time.Second)
		c.at.arm(point)
		if kind == "signal" {
			require.Equal(s, 200, s.signal(c.any(), account(id), "connected", delivery{patience: time.Minute, to: c.any}))
		} else {
			s.exec("SELECT thaw.heal(w.key, a.provider_account_id, 1000000) FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id WHERE a.id = $1", id)
		}
		began := c.killHolder(s)
		group.Go(func() error {
			for deadline := began.Add(10 * time.Minute); ; s.pause(20 * time.Millisecond) {
				asleep := 1
				err := s.pool.QueryRow(s.Context(), "SELECT count(*) FROM thaw.enrollments WHERE account_id = $1 AND status <> 'active'", id).Scan(&asleep)
				switch {
				case err != nil:
					return err
				case asleep == 0:
					s.mu.Lock()
					took[kind] = append(took[kind], time.Since(began))
					s.mu.Unlock()
					return nil
				case time.Now().After(deadline):
					return fmt.Errorf("account %d: %d prospects are asleep ten minutes after the kill", id, asleep)
				}
			}
		})
		if i < kills-1 {
			<-due
		}
	}
	require.NoError(s, group.Wait())
	for _, kind := range []string{"signal", "heal"} {
		if len(took[kind]) > 0 {
			slices.Sort(took[kind])
			s.Logf("%s: %s", kind, took[kind])
			s.figure("%s: p50 %s, max %s from kill to effect", kind,
				took[kind][len(took[kind])/2].Round(time.Second/10), took[kind][len(took[kind])-1].Round(time.Second/10))
		}
	}
	s.judge(s.someAsleep)
}

// killHolder kills the process that stops at the armed point, with its transaction, and replaces it. The job stays as it is.
func (c *crew) killHolder(s *scenario) (began time.Time) {
	c.Helper()
	name, backend := c.at.stopped(time.Minute)
	require.NotEmpty(c, name)
	victim := c.find(func(m *member) bool { return m.name == name })
	kind := "kills of a follower"
	if value[bool](s, "SELECT EXISTS (SELECT FROM thaw.river_leader WHERE leader_id = $1)", victim.client) {
		kind = "kills of the leader"
	}
	s.fault(kind)
	began = time.Now()
	victim.kill()
	c.exec("SELECT pg_terminate_backend($1)", backend)
	c.until(10*time.Second, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", backend)
	c.at.release()
	if !*full {
		c.exec("UPDATE thaw.river_job SET attempted_at = attempted_at - interval '5 minutes' WHERE state = 'running'")
		c.exec("DELETE FROM thaw.river_leader")
		c.exec(`SELECT pg_notify('thaw.river_leadership', '{"action":"request_resign"}')`)
	}
	c.revive(victim)
	return began
}
