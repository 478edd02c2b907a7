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
	Limit    int  `help:"Number of accounts to show, those with the most paused prospects first. 0 shows all." default:"30"`
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
	if report.WorkersAlive == 0 {
		printf(out, "No worker process is alive: prospects are neither paused nor resumed. Start thaw serve or thaw work.\n")
	}
	if report.Safety.On {
		printLine(out, describeSafety(report.Safety))
	}
	for _, p := range report.SilentProviders {
		printf(out, "Provider %s has sent no signal since %s, which is longer than usual. Check that its webhook is enabled.\n",
			p.Provider, stamp(p.LastSignalAt))
	}
	if b := report.Backlog; b.Resumable != nil {
		printf(out, "%d enrollments are paused; %d of them are ready to resume, on %d accounts.\n", b.Paused, *b.Resumable, *b.Accounts)
	} else {
		printf(out, "%d enrollments are paused. Counting those that are ready to resume took more than 10 s and was cancelled.\n", b.Paused)
	}
	if report.Forecast != nil {
		printf(out, "The resumable counts are as of %s. The times below are estimates.\n", stamp(report.Forecast.At))
	}
	switch last := report.LastSweep; {
	case last == nil:
		printf(out, "No sweep has run yet.\n")
	case last.FinishedAt == nil:
		printf(out, "The sweep of tick %s is running: %d of %d accounts, %d resumed.\n", stamp(last.TickAt), last.AccountsProcessed, last.AccountsPlanned, last.Resumed)
	default:
		printf(out, "Last tick %s: %d accounts, %d resumed, %d remaining.\n", stamp(last.TickAt), last.AccountsProcessed, last.Resumed, last.Remaining)
	}
	if report.LastSweep != nil && report.LastSweep.IsPartial {
		printf(out, "It covered only part of the accounts, because planning took too long. The next ticks cover the others.\n")
	}
	for _, o := range report.StuckAccounts {
		printf(out, "Account %s of %s has been connecting since %s and is stuck. Connect it again, or remove it.\n",
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
	if more := report.AccountsTotal - len(report.Accounts); more > 0 {
		printf(out, "%d more accounts: use --limit 0 to show all\n", more)
	}
	return nil
}
