package chaos_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The queue elects one process as leader, which inserts the scheduled sweeps. The scenario disturbs
// the election in every way. Each tick must be swept exactly once.
//
// Ticks last seconds, so that there are many. A process checks the current tick at its start and
// then after each third of a tick (at most every minute).
func TestLeaders(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	tick := scale(3*time.Second, 4*time.Second)
	s := open(t)
	s.fleet(scale(10, 60), scale(100, 500))
	e := &electorate{scenario: s, tick: tick, options: []string{"--tick=" + tick.String(), "--account-cap=20", "--fleet-cap=50", "--jitter=1m"}}
	for range 3 {
		e.join()
	}
	e.storm(scale(tick, 3*time.Minute))
	for range scale(1, 30) {
		e.killAtTheEdge()
	}
	e.storm(scale(time.Second, time.Minute))
	for len(e.members) > 0 {
		e.leave(e.members[0], false)
	}
	for i := range scale(2, 40) {
		e.generation(i%2 == 0)
	}
	e.join()
	e.pause(scale(2*tick, time.Minute)) // one whole tick, so that at least this one must be swept
	e.leave(e.members[0], false)
	e.checkTicks()
	e.join()
	s.checker(s.ticksLost)
}

// An electorate is a set of running processes and the times at which each worked.
type electorate struct {
	*scenario
	tick    time.Duration
	options []string
	members []*voter
	lives   []life
	// stuck holds the times in which jobs of a killed process waited to be requeued. The queue does
	// so only after worker.RescueAfter, which is longer than these ticks.
	stuck []life
}

// A voter is a process and the time at which it started to work.
type voter struct {
	*process
	since time.Time
}

// A life is a period in which a process worked, by the database's clock.
type life struct{ from, to time.Time }

// join starts another process.
func (e *electorate) join() *voter {
	e.Helper()
	return e.admit(e.start(launch{command: "work", options: e.options}))
}

// admit adds a running process to the electorate.
func (e *electorate) admit(p *process) *voter {
	v := &voter{process: p, since: e.now()}
	e.members = append(e.members, v)
	return v
}

// leave ends a process: orderly, or with kill -9 and an immediate requeue of its jobs.
func (e *electorate) leave(v *voter, hard bool) {
	e.Helper()
	e.lives = append(e.lives, life{v.since, e.now()})
	e.members = slices.DeleteFunc(e.members, func(member *voter) bool { return member == v })
	if !hard {
		v.stop()
		return
	}
	killed := e.now()
	v.kill()
	// Statements sent before the kill may still be running.
	e.until(30*time.Second, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database())", v.name)
	e.handOut(v.client)
	e.stuck = append(e.stuck, life{killed, e.now()})
}

// unseat lists ways to take leadership from a leader: an expired term, a forged request, a forged
// resignation, and a successor that does not exist.
var unseat = map[string]string{
	"leaders deleted":        `DELETE FROM thaw.river_leader`,
	"terms cut short":        `UPDATE thaw.river_leader SET expires_at = now() - interval '1 second'`,
	"resignations requested": `SELECT pg_notify('thaw.river_leadership', '{"action": "request_resign", "leader_id": "chaos"}')`,
	"forged resignations":    `SELECT pg_notify('thaw.river_leadership', '{"action": "resigned", "leader_id": "chaos"}')`,
	"false leaders": `INSERT INTO thaw.river_leader (leader_id, elected_at, expires_at) VALUES ('chaos', now(), now() + interval '2 seconds')
		ON CONFLICT (name) DO UPDATE SET leader_id = excluded.leader_id, elected_at = excluded.elected_at, expires_at = excluded.expires_at`,
}

// storm unseats leaders several times per second.
func (e *electorate) storm(lasting time.Duration) {
	e.Helper()
	ways := make([]string, 0, len(unseat))
	for way := range unseat {
		ways = append(ways, way)
	}
	slices.Sort(ways)
	for end := time.Now().Add(lasting); time.Now().Before(end); {
		way := ways[e.rand.IntN(len(ways))]
		e.exec(unseat[way])
		e.fault(way)
		e.pause(time.Duration(e.rand.IntN(400)) * time.Millisecond)
	}
}

// leader waits until one of the processes is elected.
func (e *electorate) leader() (leader *voter) {
	e.Helper()
	require.Eventually(e, func() bool {
		name := strings.Join(column[string](e.scenario, "SELECT leader_id FROM thaw.river_leader"), "")
		for _, v := range e.members {
			if v.client == name {
				leader = v
			}
		}
		return leader != nil
	}, 30*time.Second, 20*time.Millisecond, "no leader")
	return leader
}

// killAtTheEdge kills and replaces the leader around the start of a tick.
func (e *electorate) killAtTheEdge() {
	e.Helper()
	leader := e.leader()
	edge := value[time.Time](e.scenario, "SELECT thaw.tick() + tick FROM thaw.settings")
	e.pause(edge.Sub(e.now()) + time.Duration(e.rand.IntN(300)-50)*time.Millisecond)
	e.leave(leader, true)
	e.fault("leaders killed around the start of a tick")
	if e.rand.IntN(2) == 0 { // otherwise there is no leader until the term ends
		e.exec(unseat["leaders deleted"])
	}
	e.join()
}

// generation runs a single process for less than a tick.
func (e *electorate) generation(killed bool) {
	e.Helper()
	v := e.join()
	e.pause(e.tick/4 + time.Duration(e.rand.Int64N(int64(e.tick/2))))
	e.leave(v, killed)
	e.fault("single processes running for less than a tick")
}

// enough is how long a process must work in a tick for the tick to be swept: until its check, and
// one or two polls of the queue.
func (e *electorate) enough() time.Duration { return min(e.tick, e.tick/3+2*time.Second) }

// checkTicks requires a sweep for every tick in which some process worked for long enough, unless
// the tick's job may have been held by a killed process for too long.
func (e *electorate) checkTicks() {
	e.Helper()
	swept := make(map[int64]bool)
	for _, tick := range column[time.Time](e.scenario, "SELECT tick_at FROM thaw.sweeps") {
		swept[tick.Unix()] = true
	}
	required, excused := make(map[int64]bool), make(map[int64]bool)
	for _, l := range e.lives {
		first := value[time.Time](e.scenario, "SELECT thaw.tick($1)", l.from)
		for tick := first; tick.Before(l.to); tick = tick.Add(e.tick) {
			from, to := tick, tick.Add(e.tick)
			if l.from.After(from) {
				from = l.from
			}
			if l.to.Before(to) {
				to = l.to
			}
			switch end := tick.Add(e.tick); {
			case to.Sub(from) < e.enough():
			case slices.ContainsFunc(e.stuck, func(o life) bool { return o.from.Before(end) && o.to.After(end.Add(-e.enough())) }):
				excused[tick.Unix()] = !swept[tick.Unix()]
			default:
				required[tick.Unix()] = true
			}
		}
	}
	require.NotEmpty(e, required)
	for tick := range required {
		at := time.Unix(tick, 0).UTC()
		require.True(e, swept[tick], "the tick %s was not swept; its jobs: %s", at, column[string](e.scenario,
			"SELECT to_jsonb(j)::text FROM thaw.river_job AS j WHERE j.kind = 'sweep' AND (j.args ->> 'tick_at')::timestamptz = $1", at))
	}
	missed := 0
	for _, yes := range excused {
		if yes {
			missed++
		}
	}
	e.figure("%d ticks swept, %d of them required; %d missed because a killed process held the job; %d prospects resumed", len(swept), len(required), missed,
		value[int](e.scenario, "SELECT sum(resumed) FROM thaw.sweeps"))
}

// ticksLost returns violations of the rules for ticks and their quotas, from the tables.
func (s *scenario) ticksLost() string {
	s.Helper()
	for complaint, query := range map[string]string{
		"a tick was swept by more than one job": `
			SELECT j.args::text FROM thaw.river_job AS j WHERE j.kind = 'sweep' AND j.state = 'completed'
			GROUP BY 1 HAVING count(*) > 1`,
		"a prospect was resumed on the quota of another tick": `
			SELECT format('event %s at %s', e.id, e.at) FROM thaw.enrollment_events AS e
			WHERE e.kind = 'resumed' AND e.source IN ('sweep', 'signal') AND thaw.tick(e.at) <> e.tick_at`,
		"a tick was swept when it was not the current one": `
			SELECT s.tick_at::text FROM thaw.sweeps AS s WHERE thaw.tick(s.started_at) <> s.tick_at`,
		"a prospect was resumed without an allocation": `
			SELECT format('event %s', e.id) FROM thaw.enrollment_events AS e
			WHERE e.kind = 'resumed' AND e.source = 'sweep' AND NOT EXISTS (
				SELECT FROM thaw.allocations AS g WHERE g.tick_at = e.tick_at AND g.account_id = e.to_account_id AND g.verdict = 'resumed')`,
		"a tick resumed more than its cap": `
			SELECT format('tick %s: %s', e.tick_at, count(*)) FROM thaw.enrollment_events AS e
			JOIN thaw.sweeps AS s USING (tick_at)
			WHERE e.kind = 'resumed' AND e.source = 'sweep' GROUP BY e.tick_at, s.fleet_cap HAVING count(*) > s.fleet_cap`,
	} {
		if found := column[string](s, query); len(found) > 0 {
			return fmt.Sprintf("%s: %s", complaint, strings.Join(found, "; "))
		}
	}
	return ""
}

// All processes are frozen for eight hours, as on a suspended host. Then the current tick is swept
// once, and missed ticks are not.
func TestSuspension(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	const away = 8 * time.Hour
	tick := scale(6*time.Second, 15*time.Minute)
	s := open(t)
	s.fleet(3, 300)
	var processes []*process
	for range 3 {
		processes = append(processes, s.serve("--tick="+tick.String(), "--account-cap=20", "--fleet-cap=50"))
	}
	s.until(time.Minute, "SELECT EXISTS (SELECT FROM thaw.sweeps WHERE finished_at IS NOT NULL)")
	for _, p := range processes {
		p.freeze()
		s.fault("processes suspended for 8 h")
	}
	// The server still runs a pass that it has received, and ends a transaction that was frozen in
	// the middle.
	s.until(30*time.Second, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'thaw-%' AND (state LIKE 'idle in%' OR state = 'active' AND query LIKE '-- name: Resume%'))")
	before := value[time.Time](s, "SELECT max(tick_at) FROM thaw.sweeps")
	resumed := value[int](s, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed'")
	s.advance(away)
	back := value[time.Time](s, "SELECT thaw.tick()")
	for _, p := range processes {
		p.unfreeze()
	}
	s.until(2*time.Minute, "SELECT EXISTS (SELECT FROM thaw.sweeps WHERE tick_at > $1 AND finished_at IS NOT NULL)", before)
	now := value[time.Time](s, "SELECT thaw.tick()")
	missed := column[time.Time](s, "SELECT tick_at FROM thaw.sweeps WHERE tick_at > $1 AND tick_at < $2", before, back)
	require.Empty(s, missed, "missed ticks were swept")
	swept := value[int](s, "SELECT count(*) FROM thaw.sweeps WHERE tick_at >= $1", back)
	require.LessOrEqual(s, swept, int(now.Sub(back)/tick)+1)
	resumed = value[int](s, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed'") - resumed
	require.LessOrEqual(s, resumed, 50*swept, "more than one quota per tick")
	s.figure("%d ticks missed, %d swept after them", int(back.Sub(before)/tick)-1, swept)
	for _, p := range processes[1:] {
		p.stop()
	}
	s.checker(s.ticksLost)
}
