package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/thawline/thaw/internal/simulate"
)

type simulateCmd struct {
	Days      int    `help:"Simulated days, 1 to 90." default:"30"`
	Accounts  int    `help:"Accounts, 10 to 5,000." default:"500"`
	Prospects int    `help:"Prospects, 10 to 1,000,000." default:"50000"`
	Seed      uint64 `help:"The same seed gives the same result." default:"1"`
	Static    bool   `help:"Nothing happens to accounts, processes and requests: compare forecasts with what is sent."`
	Charts    string `help:"Also write charts as SVG files into this folder." placeholder:"FOLDER"`
	JSON      bool   `help:"Print JSON."`

	SenderOf string `hidden:"" help:"Run as a sender of the simulation with this provider."`
}

func (simulateCmd) Help() string {
	return "Runs a fleet for a simulated month: disconnects, lost signals, reconnects as a new account, restrictions, an incident, errors of the provider, and killed processes. " +
		"Only time and the provider are simulated. Checks the requests that the provider received, and exits with 1 if one must not have been made.\n\n" +
		"Requires the server binaries of Postgres 15 or later on this host. Removes everything it creates.\n\nExample:\n  thaw simulate --days 3 --accounts 20 --prospects 1000"
}

func (c *simulateCmd) Run(ctx context.Context, e *env) error {
	if c.SenderOf != "" {
		return simulate.Send(ctx, e.stdin, e.stdout, os.Getenv("THAW_DATABASE_URL"), c.SenderOf)
	}
	switch {
	case c.Days < 1 || c.Days > 90:
		return fmt.Errorf("--days=%d: use 1 to 90", c.Days)
	case c.Accounts < 10 || c.Accounts > 5000:
		return fmt.Errorf("--accounts=%d: use 10 to 5000", c.Accounts)
	case c.Prospects < 10 || c.Prospects > 1_000_000:
		return fmt.Errorf("--prospects=%d: use 10 to 1000000", c.Prospects)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	began := time.Now()
	report, err := simulate.Run(ctx, simulate.Options{
		Days: c.Days, Accounts: c.Accounts, Prospects: c.Prospects, Seed: c.Seed, Static: c.Static, Program: program,
		Progress: func(day int, now time.Time) {
			printf(e.stderr, "day %d of %d (%s), after %s\n", day+1, c.Days, now.Format(time.DateOnly), time.Since(began).Round(time.Second))
		},
	})
	if err != nil {
		return err
	}
	printf(e.stderr, "took %s, %s of CPU time of all processes, %d steps of the clock\n", report.Took.Round(time.Second), report.CPU.Round(time.Second), report.Steps)
	if c.Charts != "" {
		if err := report.WriteCharts(c.Charts); err != nil {
			return err
		}
	}
	if c.JSON {
		err = writeJSON(e.stdout, report)
	} else {
		err = report.Write(e.stdout)
	}
	if err == nil && report.Failed() {
		return errSilent
	}
	return err
}
