package main

import (
	"context"
	"fmt"
	"io"
	"strings"

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
		report, err := readmodel.Status(ctx, db, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, report)
		}
		printStatus(e.stdout, report)
		return nil
	})
}

// printStatus prints the answer first: what is paused, the last sweep, the accounts. What needs
// attention follows in one block, where the end of the output is read.
func printStatus(out io.Writer, report readmodel.StatusReport) {
	if report.Safety.On {
		printLine(out, describeSafety(report.Safety))
	}
	if b := report.Backlog; b.Resumable != nil {
		printf(out, "%s paused; %s of them ready to resume, on %s.\n", many(b.Paused, "prospect"), number(*b.Resumable), many(*b.Accounts, "account"))
	} else {
		printf(out, "%s paused. Counting those that are ready to resume took more than 10 s and was cancelled.\n", many(b.Paused, "prospect"))
	}
	if m := report.Moves; m != nil && m.Prospects > 0 {
		count := many(m.Prospects, "prospect")
		if m.HasMore {
			count = "More than " + count
		}
		printf(out, "%s, not started yet, will move from %s to a connected account of the same person.\n",
			count, many(m.Accounts, "lost account"))
	}
	if report.Forecast != nil {
		printf(out, "The resumable counts are as of %s. The times below are estimates.\n", stamp(report.Forecast.At))
	}
	switch last := report.LastSweep; {
	case last == nil:
		printf(out, "No sweep has run yet.\n")
	case last.FinishedAt == nil:
		printf(out, "The sweep of tick %s is running: %s of %s, %s resumed.\n", stamp(last.TickAt), number(last.AccountsProcessed), many(last.AccountsPlanned, "account"), number(last.Resumed))
	default:
		printf(out, "Last sweep, of tick %s: %s, %s resumed, %s remaining.\n", stamp(last.TickAt), many(last.AccountsProcessed, "account"), number(last.Resumed), number(last.Remaining))
	}
	if report.LastSweep != nil && report.LastSweep.IsPartial {
		printf(out, "It covered only part of the accounts, because planning took too long. The next sweeps cover the others.\n")
	}
	if len(report.Accounts) > 0 {
		printf(out, "\n")
		t := newTable(text("WORKSPACE"), text("ACCOUNT"), fixed("STATUS"), numbers("PAUSED"), numbers("RESUMABLE"), fixed("DONE BY (UTC)"))
		for _, a := range report.Accounts {
			done := minute(a.ETA, "-")
			if a.ETA == nil && a.NotBefore != nil {
				done = "not before " + minute(a.NotBefore, "")
			}
			t.add(a.Workspace, a.Account, a.Status, number(a.Paused), number(a.Resumable), done)
		}
		t.write(out)
		if more := report.AccountsTotal - len(report.Accounts); more > 0 {
			printf(out, "%s more accounts: use --limit 0 to show all\n", number(more))
		}
	}
	if warnings := statusWarnings(report); len(warnings) > 0 {
		printf(out, "\nWarnings:\n")
		for _, warning := range warnings {
			printf(out, "- %s\n", warning)
		}
	}
}

// namedStuck is how many stuck accounts a warning names; --json has all of them.
const namedStuck = 5

// statusWarnings returns what needs attention, one line per kind.
func statusWarnings(report readmodel.StatusReport) []string {
	var warnings []string
	if report.WorkersAlive == 0 {
		warnings = append(warnings, "No worker process is alive: prospects are neither paused nor resumed. Start thaw serve or thaw work.")
	}
	for _, p := range report.SilentProviders {
		warnings = append(warnings, fmt.Sprintf("Provider %s has sent no signal since %s, which is longer than usual. Check that its webhook is enabled.",
			p.Provider, stamp(p.LastSignalAt)))
	}
	warnings = append(warnings, report.Adoption.Problems()...)
	if stuck := report.StuckAccounts; len(stuck) > 0 {
		names := make([]string, 0, namedStuck)
		for _, account := range stuck[:min(namedStuck, len(stuck))] {
			names = append(names, fmt.Sprintf("%s of %s since %s", account.Account, account.Workspace, minute(&account.Since, "")+" UTC"))
		}
		listed := strings.Join(names, ", ")
		if more := len(stuck) - len(names); more > 0 {
			listed += fmt.Sprintf(" and %s more (--json lists all)", number(more))
		}
		warnings = append(warnings, fmt.Sprintf("%s stuck connecting: %s. Connect them again, or remove them.", many(len(stuck), "account"), listed))
	}
	return warnings
}
