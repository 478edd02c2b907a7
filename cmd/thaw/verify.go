package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/verify"
)

type verifyCmd struct {
	database `embed:""`
	JSON     bool `help:"Print JSON."`
}

func (verifyCmd) Help() string {
	return "Reads everything, changes nothing. Exits with 1 on any violation.\n\nExample:\n  thaw verify --json"
}

func (c *verifyCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		report, err := verify.Run(ctx, db.Pool())
		if err != nil {
			return err
		}
		if c.JSON {
			err = writeJSON(e.stdout, report)
		} else {
			err = printVerification(e.stdout, report)
		}
		if err == nil && report.Violations() > 0 {
			return errSilent
		}
		return err
	})
}

func printVerification(out io.Writer, report verify.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, check := range report.Checks {
		verdict := "ok"
		if check.Violations > 0 {
			verdict = fmt.Sprintf("%d violations", check.Violations)
		}
		fmt.Fprintf(w, "%s\t%s\n", verdict, check.Name)
		for _, example := range check.Examples {
			fmt.Fprintf(w, "\t  %s\n", example)
		}
	}
	return w.Flush()
}
