package main

import (
	"context"
	"io"
	"text/tabwriter"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type statusCmd struct {
	database `embed:""`
	Limit    int  `help:"Accounts to show, those with most paused prospects; 0 shows all." default:"30"`
	JSON     bool `help:"Print JSON."`
}

func (statusCmd) Help() string { return "Example:\n  thaw status --json" }

func (c *statusCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		report, err := readmodel.Status(ctx, db.Pool(), c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, report)
		}
		return printStatus(e.stdout, report)
	})
}

func printStatus(out io.Writer, report readmodel.StatusReport) error {
	if report.Safety.On {
		printLine(out, describeSafety(report.Safety))
	}
	if b := report.Backlog; b.Resumable != nil {
		printf(out, "%d enrollments are paused; %d of them can be resumed, through %d accounts.\n", b.Paused, *b.Resumable, *b.Accounts)
	} else {
		printf(out, "%d enrollments are paused; how many of them can be resumed could not be counted within 10 s.\n", b.Paused)
	}
	if report.Forecast != nil {
		printf(out, "What can be resumed is of %s; the times below are estimates.\n", stamp(report.Forecast.At))
	}
	switch last := report.LastSweep; {
	case last == nil:
		printf(out, "No tick was swept yet.\n")
	case last.FinishedAt == nil:
		printf(out, "Tick %s is at work: %d of %d accounts, %d resumed.\n", stamp(last.TickAt), last.AccountsProcessed, last.AccountsPlanned, last.Resumed)
	default:
		printf(out, "Last tick %s: %d accounts, %d resumed, %d left.\n", stamp(last.TickAt), last.AccountsProcessed, last.Resumed, last.Remaining)
	}
	if report.LastSweep != nil && report.LastSweep.IsPartial {
		printf(out, "It was planned for a part of the accounts only, because planning took too long; the next ticks plan for the others.\n")
	}
	for _, o := range report.StuckAccounts {
		printf(out, "Account %s of %s is connecting since %s: whoever began that did not end it. Connect it again, or remove it.\n",
			o.Account, o.Workspace, stamp(o.Since))
	}
	if len(report.Accounts) == 0 {
		return nil
	}
	printf(out, "\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	printf(w, "WORKSPACE\tACCOUNT\tSTATUS\tPAUSED\tRESUMABLE\tDONE BY\n")
	for _, a := range report.Accounts {
		done := stampOr(a.ETA, "-")
		if a.ETA == nil && a.NotBefore != nil {
			done = "not before " + stamp(*a.NotBefore)
		}
		printf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", a.Workspace, a.Account, a.Status, a.Paused, a.Resumable, done)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more := report.AccountsInAll - len(report.Accounts); more > 0 {
		printf(out, "and %d more accounts: --limit 0 shows them\n", more)
	}
	return nil
}
