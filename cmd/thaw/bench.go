package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/thawline/thaw/bench"
)

type benchCmd struct {
	Name   []string      `arg:"" optional:"" help:"Benchmarks to run: ${benchmarks}. Default: all of them."`
	Scale  bench.Scale   `help:"How much work: full is what the targets are about and takes about 90 minutes, small takes a few minutes." enum:"small,full" default:"full"`
	Rounds int           `help:"How often each variant does its work; 0 means 5, or 2 at small scale." default:"0" placeholder:"N"`
	JSON   bool          `help:"Print JSON."`
	Charts string        `help:"Write a chart of each benchmark, an SVG file, into this folder." placeholder:"DIR"`
	Flush  time.Duration `help:"Slow each flush of the WAL down by this much, like 5ms: what a network disk takes. Linux, with a C compiler." default:"0" placeholder:"TIME"`
	Peers  bool          `help:"Run other job queues too. Without Node.js and npm they are left out." default:"true" negatable:""`
}

func (benchCmd) Help() string {
	return "Measures this program against the same work in bare SQL, and against other job queues, on a private Postgres with durable settings, which is gone at the end. " +
		"Exits with 0 whether or not a target is met, and with 1 if a result is wrong. While another program keeps the machine busy, the figures say little.\n\n" +
		"Example:\n  thaw bench heal jobs --rounds 7 --charts charts"
}

func (c *benchCmd) Validate() error {
	if c.Flush < 0 || c.Flush > time.Second {
		return fmt.Errorf("--flush=%s: must be between 0 and 1s", c.Flush)
	}
	if c.Rounds < 0 {
		return fmt.Errorf("--rounds=%d: must be 1 or more", c.Rounds)
	}
	return nil
}

func (c *benchCmd) Run(ctx context.Context, e *env) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	shown := newProgress(e.stderr, "bench", "steps", -1)
	defer shown.finish()
	report, err := bench.Run(ctx, bench.Options{
		Names: c.Name, Scale: c.Scale, Rounds: c.Rounds, Flush: c.Flush, Peers: c.Peers, Program: program, Logger: e.logger,
		Watch: c.watch(e, shown),
	})
	if err != nil {
		return err
	}
	if c.Charts != "" {
		if err := report.WriteCharts(c.Charts); err != nil {
			return err
		}
	}
	if c.JSON {
		return writeJSON(e.stdout, report)
	}
	return nil
}

// watch shows how far it is, and results as they come unless they are wanted as JSON.
func (c *benchCmd) watch(e *env, shown *progress) bench.Watch {
	w := bench.Watch{Step: func(done, total int, what string) {
		if shown.bar == nil {
			printf(e.stderr, "%d of %d: %s\n", done+1, total, what)
			return
		}
		shown.bar.Describe(what)
		shown.expect(int64(total))
		shown.set(int64(done))
	}}
	if c.JSON {
		return w
	}
	w.Started = func(environment bench.Environment) { bench.WriteHead(e.stdout, environment) }
	w.Finished = func(result bench.Result) {
		if shown.bar != nil {
			_ = shown.bar.Clear() // the table goes where the bar was
		}
		result.WriteTable(e.stdout)
	}
	return w
}

// benchmarkNames are for the help of the command.
func benchmarkNames() string { return strings.Join(bench.Names(), ", ") }
