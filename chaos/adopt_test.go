package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

const (
	platformFolder  = "../bench/platform"
	platformClients = 12
	// platformRate is how many statements per second all clients together try.
	platformRate = 250
)

// A platform with tables of its own writes them from twelve clients while its accounts flap, and
// Thaw pauses, resumes and writes back. Processes of Thaw and consumers are killed, and Postgres
// crashes. No statement of the platform fails but those that the crash itself ends, there is no
// deadlock, every change is taken once, and afterwards both sides agree on every row.
func TestAdopt(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	pg := startCluster(t, nil)
	s := openOn(t, pg.url)
	a := s.adopt(pg)
	options := []string{"--tick=2s", "--jitter=1s"}
	serving := []*process{s.serve(options...), s.serve(options...)}
	consuming := []*process{a.consume(), a.consume()}
	stop := a.write()

	began, length, restarts := time.Now(), scale(12*time.Second, 60*time.Second), 0
	for time.Since(began) < length {
		s.pause(time.Duration(500+s.rand.IntN(1500)) * time.Millisecond)
		if time.Since(began) > length*time.Duration(restarts+1)/4 && restarts < 2 {
			a.restart()
			restarts++
			continue
		}
		i := s.rand.IntN(2)
		if s.rand.IntN(2) == 0 {
			serving[i].kill()
			s.handOut(serving[i].client)
			serving[i] = s.serve(options...)
			s.fault("kills of thaw serve")
		} else {
			consuming[i].kill()
			consuming[i] = a.consume()
			s.fault("kills of thaw adopt run")
		}
	}
	stop()
	a.agrees()
	s.alive(append(serving, consuming...)...)
	s.figure("%d writes of the platform, %d of them ended by a restart, %d changes taken",
		a.writes.Load(), a.ended.Load(), value[int](s, "SELECT count(*) FROM thaw_test.taken"))
	s.closing.rows = value[int64](s, "SELECT count(*) FROM thaw.enrollments")
	s.closing.lost = "nothing"
}

// An adoption is a platform's tables, which Thaw copies, and the platform's clients.
type adoption struct {
	*scenario
	pg           *cluster
	seats, leads int
	pool         *pgxpool.Pool

	crashes       atomic.Int64 // odd while Postgres restarts
	writes, ended atomic.Int64 // statements of the clients, and those that a restart ended
	deadlocks     int64        // before the last restart

	mu     sync.Mutex
	failed []error
}

// adopt creates the platform's tables and takes all of its workspaces live.
func (s *scenario) adopt(pg *cluster) *adoption {
	s.Helper()
	a := &adoption{scenario: s, pg: pg, seats: scale(6, 12), leads: scale(600, 3000)}
	tables, err := os.ReadFile(platformFolder + "/tables.sql")
	require.NoError(s, err)
	s.exec(string(tables))
	s.exec(fmt.Sprintf(`
		INSERT INTO app.teams VALUES ('acme', 'Acme'), ('globex', 'Globex');
		INSERT INTO app.seats SELECT n, CASE n %% 2 WHEN 0 THEN 'acme' ELSE 'globex' END, 'seat-' || n, 'ok' FROM generate_series(1, %[1]d) AS n;
		INSERT INTO app.sequences SELECT n, CASE n %% 2 WHEN 0 THEN 'acme' ELSE 'globex' END, 'Sequence ' || n, 'live' FROM generate_series(1, 4) AS n;
		INSERT INTO app.leads SELECT n, 1 + (n - 1) %% 4, 1 + (n - 1) %% %[1]d, 'https://www.linkedin.com/in/lead-' || n, 'running' FROM generate_series(1, %[2]d) AS n;
		UPDATE thaw.settings SET flap_limit = 0, account_cap = 100000, fleet_cap = 100000, signal_cap = 100000, safety_percent = 100,
			safety_slow_percent = 100, safety_accounts = 1000000`, a.seats, a.leads))
	a.adopts("apply", "--mapping="+platformFolder+"/adopt.yaml", "--reason=fault injection")
	a.adopts("live", "--all", "--reason=fault injection")
	// Every change that is queued, and in the transaction that removes it from the queue, every
	// change that is taken. One that is taken twice would violate the primary key.
	s.exec(`
		CREATE TABLE thaw_test.queued (generation bigint PRIMARY KEY);
		CREATE TABLE thaw_test.taken (generation bigint PRIMARY KEY, consumer text NOT NULL);
		INSERT INTO thaw_test.queued SELECT q.generation FROM thaw.changes_queue AS q;
		CREATE FUNCTION thaw_test.changes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN
			IF TG_OP = 'INSERT' THEN
				INSERT INTO thaw_test.queued VALUES (NEW.generation);
			ELSE
				INSERT INTO thaw_test.taken VALUES (OLD.generation, current_setting('application_name'));
			END IF;
			RETURN NULL;
		END;
		$$;
		CREATE TRIGGER changes AFTER INSERT OR DELETE ON thaw.changes_queue FOR EACH ROW EXECUTE FUNCTION thaw_test.changes()`)

	config, err := pgxpool.ParseConfig(s.url)
	require.NoError(s, err)
	config.MaxConns = platformClients + 2
	a.pool, err = pgxpool.NewWithConfig(s.Context(), config)
	require.NoError(s, err)
	s.Cleanup(a.pool.Close)
	return a
}

// adopts runs a subcommand of thaw adopt, and returns its output.
func (a *adoption) adopts(options ...string) string {
	a.Helper()
	output, err := a.adoptCommand(options...).CombinedOutput()
	require.NoError(a, err, "thaw adopt %v: %s", options, output)
	return string(output)
}

func (a *adoption) adoptCommand(options ...string) *exec.Cmd {
	a.Helper()
	return a.command(launch{command: "adopt", options: options})
}

// consume starts thaw adopt run, the worker that writes Thaw's changes into the platform's tables,
// and returns when it works. A process that loses the database while it starts ends.
func (a *adoption) consume() *process {
	a.Helper()
	p := a.begin(launch{command: "adopt", options: []string{"run"}})
	require.Eventually(a, func() bool { return strings.Contains(p.log(), "writing Thaw's changes into the platform's tables") },
		startPatience, 10*time.Millisecond, "%s has not begun", p.name)
	return p
}

// restart crashes Postgres and starts it again.
func (a *adoption) restart() {
	a.Helper()
	a.deadlocks += a.found() // a crash resets the statistics
	a.crashes.Add(1)
	a.pg.restart()
	a.pool.Reset() // no statement after the restart uses a connection from before it
	a.crashes.Add(1)
	a.fault("immediate restarts of Postgres")
}

// found is how many deadlocks Postgres has found, also those that Thaw's functions caught.
func (a *adoption) found() int64 {
	a.Helper()
	return value[int64](a.scenario, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
}

// do runs a statement of the platform. It may fail only if Postgres crashed while it ran.
func (a *adoption) do(ctx context.Context, sql string, args ...any) {
	crashes := a.crashes.Load()
	if crashes%2 == 1 {
		return
	}
	a.writes.Add(1)
	_, err := a.pool.Exec(ctx, sql, args...)
	var refused *pgconn.PgError
	switch {
	case err == nil || ctx.Err() != nil:
	case a.crashes.Load() != crashes:
		// Postgres refuses, or has cut the connection: 57P01 to 57P03. Anything else is a failure.
		if errors.As(err, &refused) && refused.Code[:2] != "57" {
			a.fails(sql, err)
			return
		}
		a.ended.Add(1)
	default:
		a.fails(sql, err)
	}
}

func (a *adoption) fails(sql string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = append(a.failed, fmt.Errorf("%s: %w", sql, err))
}

// write runs the platform's clients, and the provider's messages, until it is stopped.
func (a *adoption) write() (stop func()) {
	ctx, cancel := context.WithCancel(a.Context())
	var clients sync.WaitGroup
	every := func(d time.Duration, once func()) {
		clients.Go(func() {
			ticks := time.NewTicker(d)
			defer ticks.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticks.C:
					once()
				}
			}
		})
	}
	// A statement that has begun ends.
	writing := context.WithoutCancel(ctx)
	for client := range platformClients {
		random := rand.New(rand.NewPCG(uint64(a.seed), uint64(client)))
		every(time.Second*platformClients/platformRate, func() { a.once(writing, random) })
	}
	random := rand.New(rand.NewPCG(uint64(a.seed), platformClients))
	every(300*time.Millisecond, func() { // the provider
		a.do(writing, "SELECT thaw.signal('linkedin', 'seat-' || $1::integer, $2)", 1+random.IntN(a.seats), []string{"connected", "disconnected", "error"}[random.IntN(3)])
	})
	return func() {
		cancel()
		clients.Wait()
	}
}

// once is one statement of a client.
func (a *adoption) once(ctx context.Context, random *rand.Rand) {
	lead, seat := 1+random.IntN(a.leads), 1+random.IntN(a.seats)
	switch random.IntN(20) {
	case 0, 1:
		a.do(ctx, "UPDATE app.leads SET state = 'answered', cause = NULL WHERE id = $1", lead)
	case 2, 3:
		a.do(ctx, "UPDATE app.leads SET state = 'paused', cause = 'holiday' WHERE id = $1 AND state IN ('running', 'paused')", lead)
	case 4, 5, 6:
		a.do(ctx, "UPDATE app.leads SET state = 'running', cause = NULL WHERE id = $1", lead)
	case 7:
		a.do(ctx, "UPDATE app.leads SET seat_id = $2 WHERE id = $1 AND $2 % 2 = (SELECT s.id % 2 FROM app.sequences AS s WHERE s.id = app.leads.sequence_id)", lead, seat)
	case 8: // many rows, in the order of their ids
		a.do(ctx, `
			WITH locked AS (SELECT id FROM app.leads WHERE id BETWEEN $1 AND $1 + 20 ORDER BY id FOR NO KEY UPDATE)
			UPDATE app.leads AS l SET state = CASE l.state WHEN 'answered' THEN 'running' ELSE l.state END FROM locked WHERE l.id = locked.id`, lead)
	case 9: // the platform's own handler of the provider
		if random.IntN(3) == 0 {
			a.do(ctx, "UPDATE app.seats SET state = $2 WHERE id = $1", seat, []string{"ok", "credentials", "broken"}[random.IntN(3)])
		}
	default:
		a.do(ctx, "UPDATE app.leads SET step = step + 1, next_run_at = now() WHERE id = $1 AND state = 'running'", lead)
	}
}

// agrees connects all accounts, waits until Thaw and the consumers have nothing to do, and compares
// both sides.
func (a *adoption) agrees() {
	a.Helper()
	a.mu.Lock()
	failed := errors.Join(a.failed...)
	a.mu.Unlock()
	require.NoError(a, failed, "failed statements of the platform")
	a.exec("SELECT thaw.signal('linkedin', 'seat-' || s.id, 'connected') FROM app.seats AS s ORDER BY s.id")
	a.until(scale(time.Minute, 5*time.Minute), `
		SELECT NOT EXISTS (SELECT FROM thaw.changes_queue) AND NOT EXISTS (SELECT FROM thaw.adopt_errors)
			AND NOT EXISTS (SELECT FROM thaw.enrollments WHERE waits_for_account) AND NOT EXISTS (SELECT FROM thaw.accounts WHERE status <> 'connected')`)
	output, err := a.adoptCommand("check").CombinedOutput()
	require.NoError(a, err, "drift: %s", output)
	require.Empty(a, column[int64](a.scenario, `
		(SELECT generation FROM thaw_test.queued EXCEPT SELECT generation FROM thaw_test.taken)
		UNION ALL (SELECT generation FROM thaw_test.taken EXCEPT SELECT generation FROM thaw_test.queued)`), "changes that were not taken")
	require.Positive(a, value[int](a.scenario, "SELECT count(*) FROM thaw_test.taken"))
	require.Zero(a, a.deadlocks+a.found(), "deadlocks")
	report, err := a.command(launch{command: "verify", options: []string{"--json"}}).Output()
	require.NoError(a, err, "thaw verify: %s", report)
}
