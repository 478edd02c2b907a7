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

// A traffic is the activity in a fleet while its database, or the connection to it, fails: a
// provider that repeats each signal until it is accepted, connected accounts whose signals were
// lost and that sweeps must find, and an operator who heals large backlogs. An unavailable database
// makes none of it fail.
type traffic struct {
	*scenario
	processes []*process
	// signaled accounts reconnect and disconnect by signals, healed accounts are healed and
	// disconnected, silent accounts are connected without a signal.
	signaled, healed, silent []int64

	mu    sync.Mutex
	taken []string // deliveries answered with 2xx
}

// size is the number of accounts of each kind. Healed accounts have many prospects.
type size struct{ signaled, healed, silent, prospects int }

// traffic inserts the fleet.
func (s *scenario) traffic(z size) *traffic {
	s.Helper()
	t := &traffic{scenario: s}
	t.signaled = s.disconnectedFleet(z.signaled, 60)
	t.silent = s.fleet(z.silent, 600)
	t.healed = s.disconnectedFleet(z.healed, z.prospects)
	return t
}

// begin runs the traffic between processes until it is stopped.
func (t *traffic) begin(processes ...*process) (stop func()) {
	t.processes = processes
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	for i := range t.signaled {
		group.Go(func() error { return t.comeAndGo(ctx, t.signaled[i]) })
	}
	for i := range t.healed {
		group.Go(func() error { return t.healAgainAndAgain(ctx, t.healed[i]) })
	}
	return func() {
		t.Helper()
		cancel()
		require.NoError(t, group.Wait())
	}
}

// any returns a process, as a load balancer would.
func (t *traffic) any() *process { return t.processes[t.rand.IntN(len(t.processes))] }

// send sends a signal until a process accepts it.
func (t *traffic) send(id int64, status string) error {
	d := delivery{id: fmt.Sprintf("evt_%016x", t.rand.Uint64()), patience: 2 * time.Minute, to: t.any}
	if code := t.signal(t.any(), account(id), status, d); code != 200 {
		return fmt.Errorf("signal %s for account %d: not accepted within %s; last response %d", status, id, d.patience, code)
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
		t.fault("heals of the healed")
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

// heal connects an account and heals it. It returns when the heal is done or ctx ends.
func (t *traffic) heal(ctx context.Context, id int64) error {
	if err := t.send(id, "connected"); err != nil {
		return err
	}
	err := t.insist(`
		SELECT thaw.heal(w.key, a.provider_account_id, 1000000)
		FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id WHERE a.id = $1`, id)
	var refused *pgconn.PgError
	if err != nil && (!errors.As(err, &refused) || refused.Code != "23505") { // 23505: the heal was started, but the response was lost
		return err
	}
	return t.comes(ctx, `
		SELECT NOT EXISTS (SELECT FROM thaw.heals WHERE account_id = $1 AND status = 'running')
			AND NOT EXISTS (SELECT FROM thaw.enrollments WHERE account_id = $1 AND waits_for_account)`, id)
}

// insist repeats a statement until the database runs or rejects it. If a response was lost, the
// statement may run twice.
func (t *traffic) insist(sql string, args ...any) (err error) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); t.pause(20 * time.Millisecond) {
		if _, err = t.pool.Exec(t.Context(), sql, args...); !isAway(err) {
			return err
		}
	}
	return err
}

// isAway reports whether an error means that the database is unavailable, rather than that the
// statement is wrong.
func isAway(err error) bool {
	var refused *pgconn.PgError
	if err == nil || !errors.As(err, &refused) {
		return err != nil
	}
	switch refused.Code[:2] {
	case "53", "57", "58": // insufficient resources, operator intervention, system error
		return true
	}
	return false
}

// comes waits until a query returns true or ctx ends. The database may be unavailable meanwhile.
func (t *traffic) comes(ctx context.Context, sql string, args ...any) error {
	patience := 5 * time.Minute
	for deadline := time.Now().Add(patience); ctx.Err() == nil; t.pause(20 * time.Millisecond) {
		var yes bool
		err := t.pool.QueryRow(ctx, sql, args...).Scan(&yes)
		if err == nil && yes {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not true within %s: %s %v (%w)", patience, sql, args, err)
		}
	}
	return nil
}

// resumeAll connects all accounts and waits until their prospects are active.
func (t *traffic) resumeAll() {
	t.Helper()
	for _, id := range t.signaled {
		require.NoError(t, t.send(id, "connected"))
	}
	for _, id := range t.healed {
		require.NoError(t, t.heal(t.Context(), id))
	}
	t.active(scale(time.Minute, 10*time.Minute))
}

// lost returns accepted signals that are missing, and accounts whose last signal is not in effect.
func (t *traffic) lost() string {
	t.figure("%d signals accepted", len(t.taken))
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

// expedite does immediately what the queue does later: it retries failed jobs, and requeues jobs
// that were handed to a process whose response was lost. At full size the scenario waits instead.
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
