package chaos_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

const wrong = 10 * time.Minute

// The clocks of the processes and of the database disagree and jump. Ticks follow the database's
// clock: every tick in which a process worked is swept once, within its quotas.
//
// At full size each process has its own wrong clock. The small size does not build a program for
// that. It moves the database's clock, so that all processes are behind or ahead together.
func TestClocks(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	tick := scale(2*time.Second, 5*time.Second)
	s := open(t)
	ids := s.fleet(scale(10, 60), scale(100, 500))
	e := &electorate{scenario: s, tick: tick, options: []string{"--tick=" + tick.String(), "--account-cap=20", "--fleet-cap=50", "--jitter=1m"}}
	if *full {
		e.wrongProcesses(ids)
	} else {
		e.wrongDatabase()
	}
	for len(e.members) > 0 {
		e.leave(e.members[0], false)
	}
	e.checkTicks()

	// A process with a correct clock does the remaining work. An operator retries jobs that a wrong
	// clock delayed.
	e.join()
	e.until(30*time.Second, "SELECT NOT EXISTS (SELECT FROM thaw.river_job WHERE state = 'running')")
	var off int
	require.NoError(s, s.pool.QueryRow(s.Context(), `
		WITH retried AS (
			UPDATE thaw.river_job SET state = 'available', scheduled_at = now()
			WHERE state IN ('available', 'retryable', 'scheduled') AND scheduled_at > now() + interval '1 minute' RETURNING id)
		SELECT count(*) FROM retried`).Scan(&off))
	s.figure("%d jobs delayed by a wrong clock", off)
	s.checker(s.ticksLost)
}

// jump moves the database's clock under running processes. No process works during the skipped
// time, so their recorded lives end before the jump and start again after it.
func (e *electorate) jump(by time.Duration) {
	e.Helper()
	for quiet := false; !quiet; {
		for _, v := range e.members {
			v.freeze()
		}
		quiet = value[bool](e.scenario, `
			SELECT NOT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND application_name LIKE 'thaw-%' AND state <> 'idle')`)
		if quiet {
			for _, v := range e.members {
				e.lives = append(e.lives, life{v.since, e.now()})
			}
			e.advance(by)
			for _, v := range e.members {
				v.since = e.now()
			}
		}
		for _, v := range e.members {
			v.unfreeze()
		}
	}
	e.fault(fmt.Sprintf("jumps of the database's clock by %+d min", int(by.Minutes())))
}

// wrongDatabase makes the processes behind, then ahead after a jump backwards.
func (e *electorate) wrongDatabase() {
	e.Helper()
	e.jump(wrong)
	e.join()
	e.join()
	e.pause(2 * e.tick)
	e.jump(-2 * wrong)
	e.pause(2 * e.tick)
}

// wrongProcesses gives each process its own clock and lets each become leader.
func (e *electorate) wrongProcesses(ids []int64) {
	e.Helper()
	serve := func(ahead time.Duration) (*skewed, *voter) {
		p := e.serveSkewed(ahead, e.options...)
		require.Equal(e, ahead, e.aheadOf(p.process))
		e.fault(fmt.Sprintf("processes with a clock at %+d min", int(ahead.Minutes())))
		return p, e.admit(p.process)
	}

	// The leader is ahead. River rescues running jobs because they seem to have started long ago.
	ahead, first := serve(wrong)
	require.Equal(e, first, e.leader())
	e.pause(2 * e.tick)
	e.slowPass(ids[0], 40*time.Second)
	rescued := value[int](e.scenario, "SELECT count(*) FROM thaw.river_job WHERE errors::text LIKE '%rescued%'")
	e.figure("%d running jobs rescued by mistake", rescued)

	// One process is ahead, one behind, one correct. The first two reject the provider's
	// signatures; the last accepts them.
	behind, second := serve(-wrong)
	right := e.serve(e.options...)
	third := e.admit(right)
	for _, p := range []*process{ahead.process, behind.process} {
		require.Equal(e, http.StatusUnauthorized, e.signal(p, account(ids[1]), "disconnected", delivery{}))
		require.Equal(e, http.StatusOK, e.signal(p, account(ids[1]), "disconnected", delivery{patience: 10 * time.Second, to: func() *process { return right }}))
		e.until(20*time.Second, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE account_id = $1 AND status = 'active')", ids[1])
		require.Equal(e, http.StatusOK, e.signal(p, account(ids[1]), "connected", delivery{patience: 10 * time.Second, to: func() *process { return right }}))
		e.fault("deliveries rejected because of a wrong clock")
	}
	e.pause(4 * e.tick)

	// The leader is behind.
	e.leave(third, true)
	e.leave(first, true)
	require.Equal(e, second, e.leader())
	e.pause(4 * e.tick)

	// The leader's clock jumps backwards, and then forwards as if its host had been suspended for
	// eight hours.
	jumper, last := serve(0)
	e.leave(second, true)
	require.Equal(e, last, e.leader())
	for _, to := range []time.Duration{-wrong, 8 * time.Hour, 0} {
		e.pause(2 * e.tick)
		jumper.set(e.scenario, to)
		e.fault("jumps of a process's clock")
	}
	e.pause(4 * e.tick)
}

// slowPass repeatedly makes the passes of an account wait for a campaign, so that its jobs run
// long. Some of them fail.
func (e *electorate) slowPass(id int64, lasting time.Duration) {
	e.Helper()
	conn, err := pgx.Connect(e.Context(), e.url)
	require.NoError(e, err)
	defer conn.Close(e.Context())
	for end := time.Now().Add(lasting); time.Now().Before(end); {
		tx, err := conn.Begin(e.Context())
		require.NoError(e, err)
		_, err = tx.Exec(e.Context(), "SELECT FROM thaw.campaigns FOR UPDATE")
		require.NoError(e, err)
		e.exec("SELECT thaw.signal('linkedin', $1, 'connected')", account(id))
		e.pause(4 * time.Second)
		require.NoError(e, tx.Rollback(e.Context()))
		e.fault("passes delayed")
		e.pause(500 * time.Millisecond)
	}
}
