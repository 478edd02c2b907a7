package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// A traffic is what goes on in a fleet while its database, or the way to it, fails: a provider that repeats each signal until
// it is taken, lost signals of connected accounts that sweeps have to make good, and an operator who heals large backlogs.
// Nothing of it ends with an error because the database is away.
type traffic struct {
	*scenario
	processes []*process
	// flock come and go by signals; herd are healed, and disconnected again; stray are connected, and nobody was told.
	flock, herd, stray []int64

	mu    sync.Mutex
	taken []string // deliveries that were answered with 2xx
}

// size of the fleet of a traffic: accounts of each kind. Those of the herd have many prospects.
type size struct{ flock, herd, stray, prospects int }

// traffic makes the fleet.
func (s *scenario) traffic(z size) *traffic {
	s.Helper()
	t := &traffic{scenario: s}
	t.flock = s.disconnectedFleet(z.flock, 60)
	t.stray = s.fleet(z.stray, 600)
	t.herd = s.disconnectedFleet(z.herd, z.prospects)
	return t
}

// begin lets it go on between processes until it is stopped.
func (t *traffic) begin(processes ...*process) (stop func()) {
	t.processes = processes
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	for i := range t.flock {
		group.Go(func() error { return t.comeAndGo(ctx, t.flock[i]) })
	}
	for i := range t.herd {
		group.Go(func() error { return t.healAgainAndAgain(ctx, t.herd[i]) })
	}
	return func() {
		t.Helper()
		cancel()
		require.NoError(t, group.Wait())
	}
}

// any is a process, as a load balancer finds one.
func (t *traffic) any() *process { return t.processes[t.rand.IntN(len(t.processes))] }

// send sends a signal until some process has taken it.
func (t *traffic) send(id int64, status string) error {
	d := delivery{id: fmt.Sprintf("evt_%016x", t.rand.Uint64()), patience: 2 * time.Minute, to: t.any}
	if code := t.signal(t.any(), account(id), status, d); code != 200 {
		return fmt.Errorf("signal %s for account %d: not taken in %s; the last answer was %d", status, id, d.patience, code)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = append(t.taken, d.id)
	return nil
}

func (t *traffic) comeAndGo(ctx context.Context, id int64) error {
	for ctx.Err() == nil {
		for _, status := range []string{"connected", "disconnected"} {
			if err := t.send(id, status); err != nil {
				return err
			}
			t.pause(time.Duration(50+t.rand.IntN(400)) * time.Millisecond)
		}
	}
	return nil
}

func (t *traffic) healAgainAndAgain(ctx context.Context, id int64) error {
	for ctx.Err() == nil {
		if err := t.heal(ctx, id); err != nil || ctx.Err() != nil {
			return err
		}
		t.fault("heals of the herd")
		if err := t.send(id, "disconnected"); err != nil {
			return err
		}
		err := t.comes(ctx, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE account_id = $1 AND status = 'active')", id)
		if err != nil {
			return err
		}
	}
	return nil
}

// heal connects an account, and resumes its backlog. It returns when that is done, or ctx ends.
func (t *traffic) heal(ctx context.Context, id int64) error {
	if err := t.send(id, "connected"); err != nil {
		return err
	}
	err := t.insist(`
		SELECT thaw.heal(w.key, a.provider_account_id, 1000000)
		FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id WHERE a.id = $1`, id)
	var refused *pgconn.PgError
	if err != nil && (!errors.As(err, &refused) || refused.Code != "23505") { // 23505: it had been started before the answer was lost
		return err
	}
	return t.comes(ctx, `
		SELECT NOT EXISTS (SELECT FROM thaw.heals WHERE account_id = $1 AND status = 'running')
			AND NOT EXISTS (SELECT FROM thaw.enrollments WHERE account_id = $1 AND waits_for_account)`, id)
}

// insist runs a statement until the database takes it or refuses it. It may have been run before, if an answer was lost.
func (t *traffic) insist(sql string, args ...any) (err error) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); t.pause(20 * time.Millisecond) {
		if _, err = t.pool.Exec(t.Context(), sql, args...); !isAway(err) {
			return err
		}
	}
	return err
}

// isAway says whether an error is of a database that cannot work just now, rather than of the statement.
func isAway(err error) bool {
	var refused *pgconn.PgError
	if err == nil || !errors.As(err, &refused) {
		return err != nil
	}
	switch refused.Code[:2] {
	case "53", "57", "58": // no resources, an operator's intervention, a system error
		return true
	}
	return false
}

// comes waits until a query says true, or ctx ends. The database may be away meanwhile.
func (t *traffic) comes(ctx context.Context, sql string, args ...any) error {
	patience := 5 * time.Minute
	for deadline := time.Now().Add(patience); ctx.Err() == nil; t.pause(20 * time.Millisecond) {
		var yes bool
		err := t.pool.QueryRow(ctx, sql, args...).Scan(&yes)
		if err == nil && yes {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s it is not true that %s %v (%w)", patience, sql, args, err)
		}
	}
	return nil
}

// resumeAll connects everybody for good, and waits until they are active.
func (t *traffic) resumeAll() {
	t.Helper()
	for _, id := range t.flock {
		require.NoError(t, t.send(id, "connected"))
	}
	for _, id := range t.herd {
		require.NoError(t, t.heal(t.Context(), id))
	}
	t.active(scale(time.Minute, 10*time.Minute))
}

// lost says which signals are gone that were answered with 2xx, and whether the last one of each account counts.
func (t *traffic) lost() string {
	t.figure("%d signals taken", len(t.taken))
	gone := column[string](t.scenario, `
		SELECT taken.id FROM unnest($1::text[]) AS taken (id)
		WHERE (SELECT count(*) FROM thaw.account_signals AS s WHERE s.delivery_key = 'standard:' || taken.id AND s.outcome <> 'duplicate') <> 1`,
		t.taken)
	if len(gone) > 0 {
		return fmt.Sprintf("%d signals that were answered with 2xx, such as %s", len(gone), gone[0])
	}
	if n := value[int](t.scenario, "SELECT count(*) FROM thaw.accounts WHERE status <> 'connected'"); n > 0 {
		return fmt.Sprintf("the last signal of %d accounts", n)
	}
	return t.somePaused()
}

// expedite does at once what the queue does later: it runs again what failed, and hands out again what it gave to a process that
// never heard of it. In full it is waited for.
func (s *scenario) expedite() {
	s.Helper()
	if *full {
		return
	}
	s.exec("UPDATE thaw.river_job SET state = 'available', scheduled_at = now() WHERE state = 'retryable'")
	s.exec("UPDATE thaw.river_job SET attempted_at = attempted_at - interval '5 minutes' WHERE state = 'running'")
	s.exec("DELETE FROM thaw.river_leader")
	s.exec(`SELECT pg_notify('thaw.river_leadership', '{"action":"resigned"}')`)
}
