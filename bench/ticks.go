package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ticks sweeps a large fleet. The baseline is the same sweep with a tenth of the enrollments on as
// many accounts: the cost of a tick must not depend on the number of enrollments.
type ticks struct{ accounts, rows, candidates, idle, busy int }

func newTicks(s Scale) benchmark {
	return &ticks{
		accounts: s.pick(10_000, 100_000), rows: s.pick(10, 100), candidates: s.pick(200, 2000), idle: s.pick(5, 15), busy: s.pick(3, 5),
	}
}

const (
	// smaller is the factor by which the baseline has fewer enrollments per account.
	smaller = 10
	// One in goneShare accounts is permanently lost, half of these disconnected and half removed,
	// with paused enrollments that are never resumed.
	goneShare  = 5
	smallTicks = "bench_ticks_smaller"
)

func (t *ticks) about() About {
	return About{
		Name: "ticks",
		Work: fmt.Sprintf("sweep of a tick, from call to commit, with %d enrollments on %d accounts, %d of them permanently lost with paused enrollments",
			t.accounts*t.rows, t.accounts, t.accounts/goneShare),
		Baseline: fmt.Sprintf("the same with %d enrollments", t.accounts*t.rows/smaller),
		Metrics: []Metric{
			{Name: "idle tick", Unit: Millis, Ratio: 1.2},
			{Name: fmt.Sprintf("tick of %d", t.candidates), Unit: Millis, Ratio: 1.2},
			idleStatements, memory,
		},
		keeps:     true,
		databases: []string{smallTicks},
	}
}

func (t *ticks) load(ctx context.Context, r *rig, db *database) error {
	if err := r.fill(ctx, smallTicks, func(small *database) error { return t.fill(ctx, small, t.rows/smaller) }); err != nil {
		return err
	}
	return t.fill(ctx, db, t.rows)
}

// fill loads the fleet with rows enrollments per account. The candidates come first: one prospect
// of each is paused before a busy tick.
func (t *ticks) fill(ctx context.Context, db *database, rows int) error {
	gone := t.accounts / goneShare / 2
	for _, f := range []fleet{
		{accounts: t.candidates, status: "connected"},
		{accounts: gone, status: "disconnected", paused: true},
		{accounts: gone, status: "removed", paused: true},
		{accounts: t.accounts - 2*gone - t.candidates, status: "connected"},
	} {
		f.rows = rows
		if err := db.add(ctx, f); err != nil {
			return err
		}
	}
	return db.liveTicks(ctx)
}

func (t *ticks) variants(r *rig) []variant {
	return []variant{
		{"fewer enrollments", Baseline, func(ctx context.Context, _ *database, _ int) (sample, error) {
			db, err := r.open(ctx, smallTicks)
			if err != nil {
				return nil, err
			}
			defer db.Close()
			return t.sweep(ctx, r, db)
		}},
		{"more enrollments", Thaw, func(ctx context.Context, db *database, _ int) (sample, error) {
			return t.sweep(ctx, r, db)
		}},
	}
}

// sweep makes a process sweep idle and busy ticks, and then one more idle tick whose statements the
// server logs.
func (t *ticks) sweep(ctx context.Context, r *rig, db *database) (sample, error) {
	got, err := r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) {
		listener, err := db.listener(ctx)
		if err != nil {
			return nil, err
		}
		defer listener.close()
		if _, err := t.tick(ctx, db, listener, 0); err != nil {
			return nil, fmt.Errorf("warming up: %w", err)
		}
		if _, err := t.tick(ctx, db, listener, t.candidates); err != nil {
			return nil, fmt.Errorf("warming up: %w", err)
		}
		if err := db.settle(ctx); err != nil {
			return nil, err
		}
		var idle, busy []float64
		for range t.idle {
			took, err := t.tick(ctx, db, listener, 0)
			if err != nil {
				return nil, err
			}
			idle = append(idle, took.Seconds()*1000)
		}
		for range t.busy {
			took, err := t.tick(ctx, db, listener, t.candidates)
			if err != nil {
				return nil, err
			}
			busy = append(busy, took.Seconds()*1000)
		}
		return sample{"idle tick": median(idle), fmt.Sprintf("tick of %d", t.candidates): median(busy)}, nil
	})
	if err != nil {
		return nil, err
	}
	count, err := t.statements(ctx, r, db)
	got[idleStatements.Name] = float64(count)
	return got, err
}

// tick pauses one prospect of each candidate, starts the sweep of the next tick, and returns how
// long it took to commit the plan. It returns when all of these prospects are active again.
func (t *ticks) tick(ctx context.Context, db *database, listener *listener, candidates int) (took time.Duration, err error) {
	if err := db.pauseOne(ctx, candidates); err != nil {
		return 0, err
	}
	swept, err := db.sweepTick(ctx, listener, candidates > 0)
	if err != nil {
		return 0, err
	}
	return swept.planned, db.expect(ctx, candidates, "prospects resumed by the tick", `
		SELECT s.resumed FROM thaw.sweeps AS s WHERE s.tick_at = $1 AND s.resumed = s.planned AND s.accounts_planned = $2`, swept.tick, candidates)
}

// statements counts the statements that a process sends to sweep an idle tick.
func (t *ticks) statements(ctx context.Context, r *rig, db *database) (count int, err error) {
	logging := *db
	separator := "?"
	if strings.Contains(db.URL, "?") {
		separator = "&"
	}
	logging.URL += separator + "options=-c%20log_statement%3Dall"
	_, err = r.during(ctx, &logging, nil, []string{"work"}, func(*program) (sample, error) {
		listener, err := db.listener(ctx)
		if err != nil {
			return nil, err
		}
		defer listener.close()
		// The first sweep of the process: an earlier one might still be removing jobs.
		r.log.start()
		_, err = t.tick(ctx, db, listener, 0)
		return sample{}, err
	})
	// The sweep continues after its commit. The process has waited for its end.
	log := r.log.end(ctx)
	for _, session := range statements(log) {
		count += sweepStatements(session)
	}
	if err == nil && count == 0 {
		err = fmt.Errorf("the log of the server has no statement of a sweep:\n%s", log)
	}
	return count, err
}

// idleStatements is the number of statements of a sweep with nothing to resume, including BEGIN and
// COMMIT: three single-statement transactions, two transactions of three statements for the plan,
// one of four for the plan's record and the completion of the job, and the summary for the log.
var idleStatements = Metric{Name: "idle statements", Limit: 14}

// sweepQueries are the names of a sweep's queries, which are in a comment at the start of each.
var sweepQueries = []string{
	"OpenSweep", "DropTickJobs", "RequeueOverduePauses", "PlanPart", "PlanWorkspaces", "PlanAccounts", "BlockedCampaigns", "RecordPlan",
	"Sweep",
}

// sweepStatements counts the statements of a session that belong to a sweep: all statements of the
// transactions that contain one of its queries.
func sweepStatements(session []string) (count int) {
	size, inside, ours := 0, false, false
	for _, sql := range session {
		size++
		switch word := strings.ToUpper(sql); {
		case strings.HasPrefix(word, "BEGIN"):
			size, inside, ours = 1, true, false
			continue
		case strings.HasPrefix(word, "COMMIT"), strings.HasPrefix(word, "ROLLBACK"):
			inside = false
		default:
			ours = ours || slices.ContainsFunc(sweepQueries, func(name string) bool { return strings.HasPrefix(sql, "-- name: "+name+" ") })
		}
		if inside {
			continue
		}
		if ours {
			count += size
		}
		size, ours = 0, false
	}
	return count
}
