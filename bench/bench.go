// Package bench compares Thaw with a baseline for the same work, and with other job queues.
//
// Every benchmark is one file with its work, its data set and its variants. One variant is the
// baseline: the same row changes with the least that Postgres needs, one raw statement or pgbench.
// Results are ratios to the baseline of the same round, so they are comparable across hosts.
//
// # Method
//
// All benchmarks run on one private Postgres with its default, durable settings. A benchmark's
// database is loaded, vacuumed and analyzed once. Each round works on a fresh copy that is read
// into the cache first. The variants run one after another, in reverse order in every second round,
// each on its own share of the rows. Nothing else runs: the process of a variant is started for its
// turn, warmed up, and stopped afterwards. A checkpoint precedes every measurement. After each
// variant its result is checked: a wrong row count is an error, a missed target is not.
//
// The measured worker is the real program in its own process.
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// A Scale is the amount of work of a benchmark.
type Scale string

// The scales. The targets apply to Full. Small verifies within a few minutes that every benchmark
// runs.
const (
	Small Scale = "small"
	Full  Scale = "full"
)

// pick returns the number for the scale.
func (s Scale) pick(small, full int) int {
	if s == Full {
		return full
	}
	return small
}

// Options of a run.
type Options struct {
	// Names of the benchmarks to run. Default: all.
	Names []string
	// Scale is required.
	Scale Scale
	// Rounds is how often each variant runs. Default: 5 at full scale, 2 at small scale.
	Rounds int
	// Flush is added to the duration of every WAL flush. Default: 0.
	Flush time.Duration
	// Peers includes other job queues. Without Node.js they are skipped, and the report says so.
	Peers bool
	// Program is the path of the thaw program to measure. Required.
	Program string
	// Logger receives warnings. Required.
	Logger *slog.Logger
	// Watch receives the progress of the run. Its functions may be nil.
	Watch Watch
}

// A Watch receives the progress of a run.
type Watch struct {
	// Started is called once, when the server is up.
	Started func(Environment)
	// Step is called at the start of each step with the number of finished steps, their total, and
	// a description.
	Step func(done, total int, what string)
	// Finished is called with the result of each benchmark.
	Finished func(Result)
}

// Names returns the names of all benchmarks, in the order in which they run.
func Names() []string {
	var names []string
	for _, b := range all(Small) {
		names = append(names, b.about().Name)
	}
	return names
}

func all(s Scale) []benchmark {
	return []benchmark{
		newHeal(s), newHealSmall(s), newHealListed(s), newJobs(s), newJobsShared(s), newLatency(s), newSignals(s), newBurst(s), newTicks(s), newIncident(s), newPause(s), newImports(s), newDay(s), newRetention(s), newPages(s),
		newIncidentReads(s), newAdoption(s), newSending(s), newBreaches(s), newRacers(s), newSchedule(s), newScheduleSize(s),
	}
}

// Run runs benchmarks and returns the report. It stops everything that it started before it
// returns.
func Run(ctx context.Context, o Options) (*Report, error) {
	chosen, err := choose(all(o.Scale), o.Names)
	if err != nil {
		return nil, err
	}
	return run(ctx, o, chosen)
}

func run(ctx context.Context, o Options, chosen []benchmark) (report *Report, err error) {
	defer func() {
		// An interrupted step's own error is of no use.
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()
	if o.Rounds == 0 {
		o.Rounds = o.Scale.pick(2, 5)
	}
	rig, err := newRig(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rig.close()) }()

	report = &Report{Environment: rig.environment, Scale: o.Scale, Rounds: o.Rounds}
	if o.Watch.Started != nil {
		o.Watch.Started(report.Environment)
	}
	steps := &steps{watch: o.Watch.Step}
	for _, b := range chosen {
		steps.total += 1 + rounds(b, o.Rounds)*len(b.variants(rig))
	}
	for _, b := range chosen {
		result, err := measure(ctx, rig, b, rounds(b, o.Rounds), steps)
		if err != nil {
			return nil, fmt.Errorf("benchmark %s: %w", b.about().Name, err)
		}
		report.Results = append(report.Results, result)
		if o.Watch.Finished != nil {
			o.Watch.Finished(result)
		}
	}
	return report, nil
}

// choose returns the named benchmarks, in their usual order.
func choose(benchmarks []benchmark, names []string) ([]benchmark, error) {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("unknown benchmark %q: choose from %s", name, strings.Join(Names(), ", "))
		}
	}
	if len(names) == 0 {
		return benchmarks, nil
	}
	return slices.DeleteFunc(benchmarks, func(b benchmark) bool { return !slices.Contains(names, b.about().Name) }), nil
}

// rounds returns how many rounds a benchmark runs.
func rounds(b benchmark, usual int) int {
	if most := b.about().maxRounds; most > 0 {
		return min(most, usual)
	}
	return usual
}

// measure runs all rounds of one benchmark.
func measure(ctx context.Context, r *rig, b benchmark, rounds int, steps *steps) (result Result, err error) {
	about := b.about()
	steps.begin(about.Name + ": loading")
	loaded := "bench_" + strings.ReplaceAll(about.Name, "-", "_")
	defer func() {
		for _, name := range append(about.databases, loaded) {
			err = errors.Join(err, r.drop(context.WithoutCancel(ctx), name))
		}
	}()
	if err := r.fill(ctx, loaded, func(db *database) error { return b.load(ctx, r, db) }); err != nil {
		return result, err
	}

	variants := b.variants(r)
	notes := r.leftOut(b)
	out := make([]bool, len(variants)) // timed out in an earlier round
	samples := make([][]sample, len(variants))
	for round := range rounds {
		turns := make([]int, len(variants))
		for i := range turns {
			turns[i] = i
		}
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		if err := r.round(ctx, loaded, about.keeps, func(db *database) error {
			for _, turn := range turns {
				c := variants[turn]
				if out[turn] {
					samples[turn] = append(samples[turn], nil)
					continue
				}
				steps.begin(fmt.Sprintf("%s: round %d of %d, %s", about.Name, round+1, rounds, c.Name))
				got, err := c.run(ctx, db, turn)
				if late, ok := errors.AsType[*gaveUpError](err); ok && c.Role == Peer {
					out[turn] = true
					notes = append(notes, c.Name+": "+late.how)
				} else if err != nil {
					return fmt.Errorf("round %d, %s: %w", round+1, c.Name, err)
				}
				samples[turn] = append(samples[turn], got)
			}
			return nil
		}); err != nil {
			return result, err
		}
	}
	return summarize(about, variants, samples, notes), nil
}

// steps counts the steps of a run.
type steps struct {
	watch       func(done, total int, what string)
	done, total int
}

func (s *steps) begin(what string) {
	if s.watch != nil {
		s.watch(s.done, s.total, what)
	}
	s.done++
}
