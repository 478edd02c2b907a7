package main

import (
	"context"
	"fmt"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/outlook"
	"github.com/thawline/thaw/internal/store"
)

type explainCmd struct {
	database `embed:""`
	URL      string `arg:"" name:"url" help:"The prospect, as it was enrolled."`
	JSON     bool   `help:"Print JSON: an array, one an enrollment."`
}

func (explainCmd) Help() string {
	return "Exits with 1 if nobody knows the prospect.\n\nExample:\n  thaw explain https://www.linkedin.com/in/janedoe"
}

func (c *explainCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		explanations, err := outlook.Explain(ctx, db.Pool(), c.URL)
		if err != nil {
			return err
		}
		if c.JSON {
			err = writeJSON(e.stdout, explanations)
		} else {
			printExplanations(e, explanations)
		}
		if err == nil && explanations[0].Code == explain.NotFound {
			return errSilent
		}
		return err
	})
}

func printExplanations(e *env, explanations []outlook.Explanation) {
	for i, x := range explanations {
		if i > 0 {
			fmt.Fprintln(e.stdout)
		}
		if x.Code == explain.NotFound {
			fmt.Fprintf(e.stdout, "%s\n  %s\n", x.ProspectURL, x.Sentence)
			continue
		}
		fmt.Fprintf(e.stdout, "%s in campaign %s of %s, on account %s, step %d: %s\n", x.ProspectURL, x.Campaign, x.Workspace, x.Account, x.Step, x.Status)
		fmt.Fprintf(e.stdout, "  %s\n", x.Sentence)
		fmt.Fprintf(e.stdout, "  code %s; to act: %s; expected: %s\n", x.Code, x.WhoActs, stampOr(x.ExpectedAt, "not known"))
		for _, h := range x.History {
			fmt.Fprintf(e.stdout, "  %s  %s by %s", stamp(h.At), h.Kind, h.Source)
			if h.Reason != "" {
				fmt.Fprintf(e.stdout, " (%s)", h.Reason)
			}
			if h.FromAccount != h.ToAccount {
				fmt.Fprintf(e.stdout, ", %s -> %s", h.FromAccount, h.ToAccount)
			}
			fmt.Fprintln(e.stdout)
		}
	}
}
