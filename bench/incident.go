package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"
)

// incident sweeps the first ticks after a provider incident: all accounts are connected again, and
// millions of prospects are paused and ready to resume. The baseline is a fleet in which one tick
// resumes the whole backlog. The cost of a sweep must depend on how many prospects it resumes, not
// on the size of the backlog.
type incident struct {
	accounts, rows int // rows are paused prospects per account
	// accountCap and fleetCap are the default settings, or lower at small scale.
	accountCap, fleetCap int
	// maxRounds is the maximum number of rounds: each has several ticks.
	maxRounds int
}

func newIncident(s Scale) benchmark {
	return &incident{
		accounts: s.pick(500, 100_000), rows: s.pick(10, 50), accountCap: s.pick(10, 200), fleetCap: s.pick(100, 2000),
		maxRounds: s.pick(1, 3),
	}
}

const (
	// incidentTicks covers the first 30 minutes: the tick in which safety mode ends, and the next
	// two.
	incidentTicks = 3
	// activeRows is the number of prospects of an account without paused ones.
	activeRows = 5
)

// A scene is one of the fleets that incident compares, each in its own database.
type scene struct {
	name     string
	role     Role
	database string
	fleets   []fleet
	// lost is the number of accounts, from the first, of which one active prospect is paused before
	// each tick.
	lost int
	// planned is how many accounts each tick must include in its plan.
	planned int
}

func (i *incident) scenes() []scene {
	few, big := fleet{rows: activeRows}, fleet{rows: i.rows, paused: true, oneTeam: true}
	with := func(f fleet, accounts, rows int) fleet {
		f.accounts, f.rows, f.status = accounts, rows, "connected"
		return f
	}
	scenes := []scene{
		// Before the incident: a fifth of the accounts, with as many paused prospects as one tick
		// resumes.
		{name: "a tick's worth", role: Baseline, fleets: []fleet{with(few, i.accounts/5, i.rows)}, lost: i.fleetCap, planned: i.fleetCap},
		{name: "all accounts", fleets: []fleet{with(fleet{paused: true}, i.accounts, i.rows)}, planned: i.fleetCap},
		// A fifth of all prospects belongs to one account, which gets its cap in each tick.
		{name: "one account", fleets: []fleet{with(few, i.accounts-1, few.rows), with(big, 1, i.accounts*i.rows/5)},
			lost: i.fleetCap - i.accountCap, planned: i.fleetCap - i.accountCap + 1},
		// Four fifths of all prospects belong to one workspace, which gets half of each tick.
		{name: "one workspace", fleets: []fleet{with(few, i.accounts/5, few.rows), with(big, i.accounts*4/5, i.rows)},
			lost: i.fleetCap / 2, planned: i.fleetCap},
	}
	for n := range scenes {
		scenes[n].database = fmt.Sprint("bench_incident_", n)
		if scenes[n].role == "" {
			scenes[n].role = Thaw
		}
	}
	return scenes
}

func (i *incident) about() About {
	var databases []string
	for _, s := range i.scenes() {
		databases = append(databases, s.database)
	}
	// A sweep within this limit has no statement that comes near the statement timeout.
	limit := (store.StatementTimeout / 4).Seconds() * 1000
	metrics := []Metric{{Name: "sweep", Unit: Millis, Ratio: 2}}
	for n := range incidentTicks {
		metrics = append(metrics, Metric{Name: sweepOf(n), Unit: Millis, Limit: limit})
	}
	metrics = append(metrics,
		// A plan that takes too long considers only some of the accounts.
		Metric{Name: "whole plans", MoreIsBetter: true, Ratio: 1},
		Metric{Name: "all resumed", Unit: Seconds}, memory)
	return About{
		Name: "incident",
		Work: fmt.Sprintf("sweeps of the first %d ticks after an incident, from call to commit; each tick resumes %d prospects. Backlogs: %d prospects on all %d accounts, %d on one account, %d in one workspace",
			incidentTicks, i.fleetCap, i.accounts*i.rows, i.accounts, i.accounts*i.rows/5, i.accounts*4/5*i.rows),
		Baseline: fmt.Sprintf("the same with %d enrollments on %d accounts, %d of them ready to resume in each tick",
			i.accounts/5*i.rows, i.accounts/5, i.fleetCap),
		Metrics:   metrics,
		keeps:     true,
		maxRounds: i.maxRounds,
		databases: databases,
	}
}

func sweepOf(n int) string { return fmt.Sprint("sweep of tick ", n+1) }

// load leaves the benchmark's own database empty: each scene has its own.
func (i *incident) load(ctx context.Context, r *rig, _ *database) error {
	for _, s := range i.scenes() {
		if err := r.fill(ctx, s.database, func(db *database) error {
			for _, f := range s.fleets {
				if err := db.add(ctx, f); err != nil {
					return err
				}
			}
			return db.run(ctx, "UPDATE thaw.settings SET tick = DEFAULT, account_cap = $1, fleet_cap = $2, signal_cap = DEFAULT",
				i.accountCap, i.fleetCap)
		}); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (i *incident) variants(r *rig) []variant {
	var list []variant
	for _, s := range i.scenes() {
		list = append(list, variant{s.name, s.role, func(ctx context.Context, _ *database, _ int) (sample, error) {
			db, err := r.open(ctx, s.database)
			if err != nil {
				return nil, err
			}
			defer db.Close()
			// The databases of other scenes have displaced this one from the cache.
			if err := db.warm(ctx); err != nil {
				return nil, err
			}
			return r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) { return i.sweep(ctx, db, s) })
		}})
	}
	return list
}

// sweep makes a process sweep one idle tick in safety mode, as during the incident, and then the
// ticks after safety mode ends.
func (i *incident) sweep(ctx context.Context, db *database, s scene) (sample, error) {
	listener, err := db.listener(ctx)
	if err != nil {
		return nil, err
	}
	defer listener.close()
	if err := db.run(ctx, "SELECT thaw.safety_enter('provider incident', 'bench', true)"); err != nil {
		return nil, err
	}
	if _, err := db.sweepTick(ctx, listener, false); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	if err := db.run(ctx, "SELECT thaw.safety_exit('incident resolved', 'bench')"); err != nil {
		return nil, err
	}
	got := sample{"whole plans": 0}
	var planned, resumed []float64
	for n := range incidentTicks {
		if err := db.pauseOne(ctx, s.lost); err != nil {
			return nil, err
		}
		swept, err := db.sweepTick(ctx, listener, true)
		if err != nil {
			return nil, fmt.Errorf("tick %d: %w", n+1, err)
		}
		isPartial, err := i.check(ctx, db, s, swept.tick)
		if err != nil {
			return nil, fmt.Errorf("tick %d: %w", n+1, err)
		}
		if !isPartial {
			got["whole plans"]++
		}
		got[sweepOf(n)] = swept.planned.Seconds() * 1000
		planned = append(planned, swept.planned.Seconds()*1000)
		resumed = append(resumed, swept.resumed.Seconds())
	}
	got["sweep"], got["all resumed"] = median(planned), median(resumed)
	return got, nil
}

// check checks that a tick resumed exactly its cap, no prospect twice, and no more per account than
// the account's cap. It reports whether the plan was partial; a partial plan may include other
// accounts.
func (i *incident) check(ctx context.Context, db *database, s scene, tick time.Time) (isPartial bool, err error) {
	if err := db.QueryRow(ctx, "SELECT s.is_partial FROM thaw.sweeps AS s WHERE s.tick_at = $1", tick).Scan(&isPartial); err != nil {
		return false, err
	}
	if err := db.expect(ctx, i.fleetCap, "prospects resumed by the tick, as planned and within the caps", `
		SELECT coalesce(sum(s.resumed), 0) FROM thaw.sweeps AS s
		WHERE s.tick_at = $1 AND s.planned = s.resumed AND (s.is_partial OR s.accounts_planned = $2) AND NOT EXISTS (
			SELECT FROM thaw.allocations AS g WHERE g.tick_at = s.tick_at AND g.planned > $3)`, tick, s.planned, i.accountCap); err != nil {
		return false, err
	}
	return isPartial, db.expect(ctx, i.fleetCap, "prospects active with an event of the tick", `
		SELECT count(DISTINCT e.id) FROM thaw.enrollment_events AS event JOIN thaw.enrollments AS e ON e.id = event.enrollment_id
		WHERE event.tick_at = $1 AND event.kind = 'resumed' AND event.source = 'sweep' AND e.status = 'active'`, tick)
}
