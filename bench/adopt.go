package bench

import (
	"context"
	_ "embed" // the platform
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/thawline/thaw/internal/adopt"
)

// adoption measures what Thaw costs a platform that keeps its own tables: WAL and rate of the
// statements that a platform runs most, and how long its updates of an account's rows wait while
// Thaw pauses and heals that account and thaw adopt run writes it back. The baseline is the same
// platform without Thaw.
type adoption struct {
	rows    int // of the account that is paused and healed, and in all
	updates int // measured, of each kind
}

func newAdoption(s Scale) benchmark {
	return &adoption{rows: s.pick(1000, 10_000), updates: s.pick(1000, 4000)}
}

// The platform's tables, and their mapping.
var (
	//go:embed platform/tables.sql
	platformTables string
	//go:embed platform/adopt.yaml
	platformMapping string
)

// The metrics of one statement, with its commit.
var (
	stepWAL   = Metric{Name: "WAL of a step", Unit: Bytes, Ratio: 1.1}
	stepRate  = Metric{Name: "steps", Unit: PerSecond, MoreIsBetter: true}
	stateWAL  = Metric{Name: "WAL of a state", Unit: Bytes, Ratio: 1.6}
	stateRate = Metric{Name: "states", Unit: PerSecond, MoreIsBetter: true}
	updateP95 = Metric{Name: "p95 of an update", Unit: Millis, Limit: 100}
	updateMax = Metric{Name: "longest update", Unit: Millis}
)

func (a *adoption) about() About {
	return About{
		Name: "adopt",
		Work: fmt.Sprintf("%d updates of a lead's step and %[1]d of its state, 4 clients; then updates of an account's leads while %d of them are paused, healed and written back",
			a.updates, a.rows),
		Baseline: "the same updates on a platform without Thaw",
		Metrics:  []Metric{stepWAL, stateWAL, stepRate, stateRate, updateP95, updateMax, memory},
	}
}

// load creates the platform: one account with all leads.
func (a *adoption) load(ctx context.Context, r *rig, db *database) error {
	return r.tools.psql(ctx, db, platformTables+fmt.Sprintf(`
		INSERT INTO app.teams VALUES ('acme', 'Acme');
		INSERT INTO app.seats VALUES (1, 'acme', 'seat-1', 'ok');
		INSERT INTO app.sequences SELECT n, 'acme', 'Sequence ' || n, 'live' FROM generate_series(1, 3) AS n;
		INSERT INTO app.leads
		SELECT n, 1 + n %% 3, 1, 'https://www.linkedin.com/in/prospect-' || n, 'running', NULL, 0, now() FROM generate_series(1, %d) AS n;`, a.rows))
}

func (a *adoption) variants(r *rig) []variant {
	return []variant{
		{"without Thaw", Baseline, r.own(func(ctx context.Context, db *database) (sample, error) {
			return a.updated(ctx, r, db)
		})},
		{"thaw adopt", Thaw, r.own(func(ctx context.Context, db *database) (sample, error) {
			if err := a.adopt(ctx, db); err != nil {
				return nil, err
			}
			got, err := a.updated(ctx, r, db)
			if err != nil {
				return nil, err
			}
			waited, err := r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) { return a.pausedAndHealed(ctx, r, db) })
			maps.Copy(got, waited)
			return got, err
		})},
		{"mirror of each row", Peer, r.own(func(ctx context.Context, db *database) (sample, error) {
			if err := a.mirror(ctx, r, db); err != nil {
				return nil, err
			}
			return a.updated(ctx, r, db)
		})},
	}
}

// adopt is thaw adopt apply and live.
func (a *adoption) adopt(ctx context.Context, db *database) error {
	m, err := adopt.Parse(platformMapping)
	if err != nil {
		return err
	}
	p, err := m.Prepare(ctx, db.Pool, "thaw")
	if err != nil {
		return err
	}
	if err := m.Start(ctx, db.Pool); err != nil {
		return err
	}
	if err := p.Plan.Install(ctx, db.Pool); err != nil {
		return err
	}
	if _, err := p.Backfill(ctx, db.Pool, func(adopt.Kind, int64) {}); err != nil {
		return err
	}
	if err := adopt.Running(ctx, db.Pool); err != nil {
		return err
	}
	_, err = adopt.SetShadow(ctx, db.Pool, "", false, "benchmark", "bench")
	return err
}

// mirror is the least that copies the same values: a trigger that writes every updated row into
// Thaw's table. The history that Thaw's own triggers add is part of it.
func (a *adoption) mirror(ctx context.Context, r *rig, db *database) error {
	if err := a.adopt(ctx, db); err != nil {
		return err
	}
	return r.tools.psql(ctx, db, `
		DROP TRIGGER thaw_enrollments_update ON app.leads;
		CREATE FUNCTION bench.mirror() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			UPDATE thaw.enrollments AS e
			SET status = CASE NEW.state WHEN 'running' THEN 'active' WHEN 'answered' THEN 'replied' ELSE 'paused' END::thaw.enrollment_status,
				step = NEW.step, next_action_at = NEW.next_run_at, prospect_url = NEW.url
			WHERE e.external_id = NEW.id::text;
			RETURN NULL;
		END;
		$$;
		CREATE TRIGGER mirror AFTER UPDATE ON app.leads FOR EACH ROW EXECUTE FUNCTION bench.mirror();`)
}

const (
	platformClients = 4
	// apart is the distance between two leads that are updated one after the other.
	apart = 1009
	// warmUpUpdates are not part of the rate: the sessions plan their statements.
	warmUpUpdates = 200
	stepUpdate    = `UPDATE app.leads SET step = step + 1, next_run_at = now() + interval '1 day', updated_at = now() WHERE id = :id;`
	stateUpdate   = `UPDATE app.leads SET state = CASE state WHEN 'running' THEN 'answered' ELSE 'running' END, updated_at = now() WHERE id = :id;`
)

// updated measures both statements, each after as many that are not measured: the first change of
// a page after a checkpoint writes the whole page, whatever changed on it.
func (a *adoption) updated(ctx context.Context, r *rig, db *database) (sample, error) {
	if err := db.settle(ctx, "VACUUM"); err != nil {
		return nil, err
	}
	got := sample{}
	for _, kind := range []struct {
		wal, rate Metric
		update    string
	}{{stepWAL, stepRate, stepUpdate}, {stateWAL, stateRate, stateUpdate}} {
		script := fmt.Sprintf("\\set id random(1, %d)\n%s\n", a.rows, kind.update)
		var took time.Duration
		run := func() (err error) {
			took, err = r.tools.pgbench(ctx, db, platformClients, a.updates, warmUpUpdates, script)
			return err
		}
		if err := run(); err != nil {
			return nil, err
		}
		bytes, err := db.wal(ctx, run)
		if err != nil {
			return nil, err
		}
		got[kind.wal.Name] = float64(bytes) / float64(a.updates+warmUpUpdates)
		got[kind.rate.Name] = float64(a.updates) / took.Seconds()
	}
	return got, nil
}

// pausedAndHealed updates leads of an account, one after another, from the signal that
// pauses them until all of them are healed and written back.
func (a *adoption) pausedAndHealed(ctx context.Context, r *rig, db *database) (got sample, err error) {
	if err := db.run(ctx, "UPDATE app.leads SET state = 'running' WHERE state <> 'running'"); err != nil {
		return nil, err
	}
	// The heal resumes them, not the signal.
	if err := db.run(ctx, "UPDATE thaw.settings SET signal_cap = 1"); err != nil {
		return nil, err
	}
	stop, err := r.consume(ctx, db)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	updating, end := context.WithCancel(ctx)
	took := make(chan []float64, 1)
	failed := make(chan error, 1)
	go func() {
		all, err := a.update(updating, db)
		took <- all
		failed <- err
	}()
	err = a.pauseAndHeal(ctx, db)
	end()
	waits := <-took
	if err := errors.Join(err, <-failed); err != nil {
		return nil, err
	}
	return sample{updateP95.Name: percentile(waits, 95), updateMax.Name: percentile(waits, 100)}, nil
}

func (a *adoption) pauseAndHeal(ctx context.Context, db *database) error {
	if err := db.run(ctx, "SELECT thaw.signal('linkedin', 'seat-1', 'disconnected')"); err != nil {
		return err
	}
	if err := a.wait(ctx, db, "SELECT count(*) FROM app.leads WHERE state <> 'paused'"); err != nil {
		return fmt.Errorf("waiting for the pause: %w", err)
	}
	if err := db.run(ctx, "SELECT thaw.signal('linkedin', 'seat-1', 'connected')"); err != nil {
		return err
	}
	if err := db.run(ctx, "SELECT thaw.heal('acme', cap => $1)", a.rows); err != nil {
		return err
	}
	if err := a.wait(ctx, db, "SELECT count(*) FROM app.leads WHERE state <> 'running'"); err != nil {
		return fmt.Errorf("waiting for the heal: %w", err)
	}
	return nil
}

// wait waits until a query selects 0.
func (a *adoption) wait(ctx context.Context, db *database, query string) error {
	for deadline := time.Now().Add(patience); ; {
		left, err := db.number(ctx, query)
		if err != nil || left == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d rows are left after %s", left, patience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// update updates leads all over the account, one after another, until ctx ends. It returns
// how long each update took, in milliseconds.
func (a *adoption) update(ctx context.Context, db *database) (took []float64, err error) {
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for lead := 1; ; lead = 1 + (lead-1+apart)%a.rows {
		select {
		case <-ctx.Done():
			return took, nil
		case <-again.C:
		}
		// Not cancelled midway: the last wait counts too.
		began := time.Now()
		if err := db.run(context.WithoutCancel(ctx), "UPDATE app.leads SET step = step + 1 WHERE id = $1", lead); err != nil {
			return took, fmt.Errorf("updating a lead: %w", err)
		}
		took = append(took, time.Since(began).Seconds()*1000)
	}
}

// consume starts thaw adopt run.
func (r *rig) consume(ctx context.Context, db *database) (stop func() error, err error) {
	cmd := exec.CommandContext(ctx, r.options.Program, "adopt", "run", "--log-format", "json")
	cmd.Env = append(os.Environ(), "THAW_DATABASE_URL="+db.URL)
	var log lastLines
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("thaw adopt run: %w; the end of its log:\n%s", err, &log)
		}
		return nil
	}, nil
}
