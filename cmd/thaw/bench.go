package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/thawline/thaw/bench"
	"github.com/thawline/thaw/internal/when"
)

type benchCmd struct {
	Name   []string      `arg:"" optional:"" help:"Benchmarks to run: ${benchmarks}. Default: all of them."`
	Scale  bench.Scale   `help:"Amount of work. The targets apply to full, which takes about 90 minutes; small takes a few minutes." enum:"small,full" default:"full"`
	Rounds int           `help:"Rounds per variant. 0 means 5, or 2 at small scale." default:"0" placeholder:"N"`
	JSON   bool          `help:"Print JSON."`
	Charts string        `help:"Write an SVG chart of each benchmark into this folder." placeholder:"DIR"`
	Flush  time.Duration `help:"Delay each WAL flush by this much, for example 5ms, to simulate a network disk. Requires Linux and a C compiler." default:"0" placeholder:"TIME"`
	Peers  bool          `help:"Also run other job queues. Skipped if Node.js and npm are not installed." default:"true" negatable:""`
}

func (benchCmd) Help() string {
	return "Measures this program against the same work in bare SQL, and against other job queues. Runs on a private Postgres with durable settings, which is removed at the end. " +
		"Exits with 0 whether or not the targets are met, and with 1 if a result is wrong. Run it on an otherwise idle host: other load distorts the figures.\n\n" +
		"Example:\n  thaw bench heal jobs --rounds 7 --charts charts"
}

func (c *benchCmd) Validate() error {
	if c.Flush < 0 || c.Flush > time.Second {
		return fmt.Errorf("--flush=%s: must be between 0 and 1s", when.Duration(c.Flush))
	}
	if c.Rounds < 0 {
		return fmt.Errorf("--rounds=%d: must be 0 or more", c.Rounds)
	}
	return nil
}

func (c *benchCmd) Run(ctx context.Context, e *env) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("locating this executable: %w", err)
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

// watch shows progress and, unless --json is given, each result as soon as it is available.
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
			_ = shown.bar.Clear() // the table takes the place of the bar
		}
		result.WriteTable(e.stdout)
	}
	return w
}

// benchmarkNames lists the benchmarks for the help of the command.
func benchmarkNames() string { return strings.Join(bench.Names(), ", ") }
