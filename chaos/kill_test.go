package chaos_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// Three processes run heals, sweeps, pauses and signals at once. They are killed one after another,
// at named points of every transaction and at random, and replaced. Nothing is resumed twice,
// nothing stays paused, no cap is exceeded.
func TestKill(t *testing.T) {
	t.Parallel()
	s := open(t)
	work := s.load()
	work.healed = append(work.healed, s.fleet(1, scale(2000, 102_000))...)
	for range scale(0, 3) {
		work.healed = append(work.healed, s.fleet(1, 10_000)...)
	}
	work.signaled = s.disconnectedFleet(scale(4, 20), scale(30, 60))
	c := s.replicas(scale(2, 3), "--tick=2s", "--jitter=10s")
	work.replicas = c
	stop := work.begin()

	kills := 0
	for _, step := range c.plan() {
		require.True(s, step.kill(), "no process reached %s", step.name)
		s.fault("kills " + step.kind)
		kills++
	}
	s.figure("%d kills", kills)
	stop()
	work.resumeAll()
	s.checker(work.lost)
}

// A step is one kill: its place and kind.
type step struct {
	kind, name string
	kill       func() bool
}

// plan returns a selection of points at small size. At full size it returns every point that the
// program passes, once with its transaction continued and once with it ended, mixed with kills at
// random times.
func (c *replicas) plan() (plan []step) {
	c.Helper()
	add := func(point string, withTransaction bool) {
		kind := "at a point"
		if withTransaction {
			kind += " with the transaction"
		}
		plan = append(plan, step{kind, point, func() bool { return c.killAt(point, withTransaction) }})
	}
	addCommit := func(transaction string) {
		plan = append(plan, step{"after COMMIT", "after COMMIT of " + transaction, func() bool { return c.killAfterCommit(transaction) }})
	}
	random := 1
	if !*full {
		add("HealBatch after UPDATE enrollments", true)
		add("ResumeForSignal before UPDATE enrollments", false)
		addCommit("HealBatch")
	} else {
		// Only what recurs can be waited for, and not what a process does once, at its start.
		c.wire.mu.Lock()
		clear(c.wire.seen)
		c.wire.mu.Unlock()
		points := c.at.passed(func() { c.pause(time.Minute) })
		require.Greater(c, len(points), 90)
		for _, point := range points {
			add(point, false)
			if !strings.HasPrefix(point, "commit") {
				add(point, true)
			}
		}
		c.wire.mu.Lock()
		transactions := slices.DeleteFunc(slices.Sorted(maps.Keys(c.wire.seen)), func(name string) bool {
			// Those of River UI and River's election write none of our tables.
			return strings.HasPrefix(name, "JobCount") || strings.HasPrefix(name, "Leader") || c.wire.seen[name] < 3
		})
		c.wire.mu.Unlock()
		for _, transaction := range transactions {
			addCommit(transaction)
			addCommit(transaction)
		}
		c.figure("%d points and the COMMIT of %d kinds of transactions (%s)", len(points), len(transactions), strings.Join(transactions, ", "))
		random = max(50, 200-len(plan))
	}
	for range random {
		plan = append(plan, step{"at random", "", c.killAtRandom})
	}
	c.rand.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	return plan
}

// killAtRandom kills one process after a random time or, one time in five, all processes.
func (c *replicas) killAtRandom() bool {
	c.Helper()
	c.pause(time.Duration(c.rand.IntN(400)) * time.Millisecond)
	victims := []*member{c.members[c.rand.IntN(len(c.members))]}
	if c.rand.IntN(5) == 0 {
		victims = c.members
	}
	for _, victim := range victims {
		victim.kill()
	}
	c.replace(victims...)
	return true
}

// A load is the activity while processes die. Accounts with very many prospects are healed and
// disconnected in turn. Accounts with few reconnect and disconnect by signals. Some of their
// connect signals are lost, so that sweeps must find them.
type load struct {
	*scenario
	replicas *replicas
	healed   []int64
	signaled []int64
}

// load returns a load without accounts. The scenario has no signals yet.
func (s *scenario) load() *load {
	s.Helper()
	s.exec("SELECT setval(pg_get_serial_sequence('thaw.account_signals', 'id'), 1000000)") // leaves lower IDs free
	return &load{scenario: s}
}

const workers = 3

// begin starts the load. The returned function stops it and fails the test if anything went wrong.
func (l *load) begin() (stop func()) {
	ctx, cancel := context.WithCancel(l.Context())
	group := &errgroup.Group{}
	group.Go(func() error { return l.healInTurn(ctx) })
	for i := range workers {
		group.Go(func() error { return l.reconnect(ctx, i) })
	}
	group.Go(func() error { return l.prune(ctx) })
	return func() {
		l.Helper()
		cancel()
		require.NoError(l, group.Wait())
	}
}

// send sends a signal repeatedly, as a provider does, until a process accepts it.
func (l *load) send(id int64, status string) error {
	if code := l.signal(l.replicas.any(), account(id), status, delivery{patience: time.Minute, to: l.replicas.any}); code != 200 {
		return fmt.Errorf("signal %s for account %d: last response %d", status, id, code)
	}
	l.fault("signals")
	return nil
}

// healInTurn heals the large accounts one after another, then disconnects them again.
func (l *load) healInTurn(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		id := l.healed[i%len(l.healed)]
		l.connect(id)
		if err := l.heal(id); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := l.send(id, "disconnected"); err != nil {
			return err
		}
		if !l.comes(2*time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE account_id = $1 AND status = 'active')", id) {
			return fmt.Errorf("account %d: not all of its prospects are paused two minutes after the disconnect", id)
		}
	}
	return nil
}

// heal heals one account and returns when the heal is done.
func (l *load) heal(id int64) error {
	var heal int64
	err := l.pool.QueryRow(l.Context(), `
		SELECT thaw.heal(w.key, a.provider_account_id, 1000000) FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id
		WHERE a.id = $1`, id).Scan(&heal)
	if err != nil {
		return fmt.Errorf("healing account %d: %w", id, err)
	}
	l.fault("heals")
	if !l.comes(2*time.Minute, "SELECT status = 'done' FROM thaw.heals WHERE id = $1", heal) {
		return fmt.Errorf("heal %d is not done after two minutes", heal)
	}
	return nil
}

// reconnect repeatedly disconnects and reconnects every third of the small accounts.
func (l *load) reconnect(ctx context.Context, first int) error {
	for ctx.Err() == nil {
		for i := first; i < len(l.signaled) && ctx.Err() == nil; i += workers {
			id := l.signaled[i]
			if l.rand.IntN(3) == 0 {
				l.connect(id)
				l.fault("connect signals lost")
			} else if err := l.send(id, "connected"); err != nil {
				return err
			}
			l.pause(time.Duration(l.rand.IntN(300)) * time.Millisecond)
			if err := l.send(id, "disconnected"); err != nil {
				return err
			}
		}
	}
	return nil
}

// oldDeliveries inserts expired signals of unknown accounts. Their IDs precede all others, because
// pruning stops at the first row that has not expired.
const oldDeliveries = `
	INSERT INTO thaw.account_signals (id, provider, provider_account_id, raw_status, outcome, received_at)
	OVERRIDING SYSTEM VALUE
	SELECT $1 + i, 'linkedin', 'unknown', 'no such word', 'ignored', thaw.now() - interval '60 days' FROM generate_series(1, 200) AS i`

const askToPrune = `
	SELECT thaw.enqueue('prune', 'sweep', 4::smallint, '{}')
	WHERE NOT EXISTS (SELECT FROM thaw.river_job WHERE kind = 'prune' AND state IN ('available', 'running', 'retryable', 'scheduled'))`

// prune keeps inserting and pruning expired rows.
func (l *load) prune(ctx context.Context) error {
	for id := 0; ctx.Err() == nil; id += 200 {
		if _, err := l.pool.Exec(l.Context(), oldDeliveries, id); err != nil {
			return fmt.Errorf("inserting old deliveries: %w", err)
		}
		// The first sweep of an hour does the same.
		if _, err := l.pool.Exec(l.Context(), askToPrune); err != nil {
			return fmt.Errorf("inserting the prune job: %w", err)
		}
		l.pause(time.Second)
	}
	return nil
}

// comes is until for goroutines that must not end the test.
func (l *load) comes(patience time.Duration, sql string, args ...any) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); l.pause(20 * time.Millisecond) {
		var yes bool
		if err := l.pool.QueryRow(l.Context(), sql, args...).Scan(&yes); err != nil || yes {
			return yes
		}
	}
	return false
}

// resumeAll connects all accounts and waits until their prospects are active.
func (l *load) resumeAll() {
	l.Helper()
	for _, id := range slices.Concat(l.healed, l.signaled) {
		require.NoError(l, l.send(id, "connected"))
	}
	for _, id := range l.healed {
		require.NoError(l, l.heal(id))
	}
	l.active(5 * time.Minute)
	l.settled()
	l.exec(askToPrune)
}

func (l *load) lost() string {
	if n := value[int](l.scenario, "SELECT count(*) FROM thaw.accounts WHERE status <> 'connected'"); n > 0 {
		return fmt.Sprintf("the last signal of %d accounts", n)
	}
	if n := value[int](l.scenario, "SELECT count(*) FROM thaw.account_signals WHERE provider_account_id = 'unknown'"); n > 0 {
		return fmt.Sprintf("nothing, but %d expired deliveries were not pruned", n)
	}
	if n := l.paused(); n > 0 {
		return fmt.Sprintf("%d prospects are still paused", n)
	}
	return ""
}
