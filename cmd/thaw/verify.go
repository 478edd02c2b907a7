package main

import (
	"context"
	"errors"
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
	return "Reads the whole database and changes nothing. Exits with 1 on any violation. Each check uses its own snapshot, so you can run it " +
		"on a busy fleet. Ctrl-C stops it and prints the checks done so far.\n\nExample:\n  thaw verify --json"
}

func (c *verifyCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		// Counts percent of all checks.
		shown := newProgress(e.stderr, "verify", "% of the checks", 100)
		report, err := verify.Run(ctx, db.Pool(), verify.Options{Progress: func(p verify.Progress) {
			shown.set(int64(100 * (float64(p.Done) + p.Part) / float64(p.Checks)))
		}})
		shown.finish()
		if err != nil && ctx.Err() == nil {
			return err
		}
		if c.JSON {
			err = errors.Join(err, writeJSON(e.stdout, report))
		} else {
			err = errors.Join(err, printVerification(e.stdout, report))
		}
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("interrupted after %d checks with %d violations; the other checks did not run", len(report.Checks), report.Violations())
		case err == nil && report.Violations() > 0:
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
		printf(w, "%s\t%s\n", verdict, check.Name)
		for _, example := range check.Examples {
			printf(w, "\t  %s\n", example)
		}
	}
	return w.Flush()
}
