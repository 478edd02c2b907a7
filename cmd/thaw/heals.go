package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type healListCmd struct {
	database  `embed:""`
	Workspace string `help:"Only heals of this workspace and its accounts." placeholder:"KEY"`
	Limit     int    `help:"Maximum number of heals, at most 200." default:"20"`
	JSON      bool   `help:"Print JSON."`
}

func (healListCmd) Help() string { return "Example:\n  thaw heal list --workspace acme" }

func (c *healListCmd) Validate() error {
	if c.Limit < 1 || c.Limit > readmodel.MaxLimit {
		return fmt.Errorf("--limit=%d: must be from 1 to %d", c.Limit, readmodel.MaxLimit)
	}
	return nil
}

func (c *healListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		scope, err := readmodel.Everything().Workspace(ctx, db, c.Workspace)
		if err != nil {
			return err
		}
		page, err := readmodel.Heals(ctx, db, scope, readmodel.Paging{Limit: c.Limit})
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, page.Items)
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		printf(w, "ID\tSTATUS\tSCOPE\tRESUMED\tCAP\tREQUESTED\tBY\tREASON\n")
		for _, h := range page.Items {
			printf(w, "%d\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", h.ID, h.Status, scopeOf(h), h.Resumed, h.Cap, stamp(h.RequestedAt), h.Actor, deref(h.Reason))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if page.NextCursor != nil {
			printf(e.stderr, "There are more heals: use --limit.\n")
		}
		return nil
	})
}

// scopeOf names the target of a heal.
func scopeOf(h readmodel.Heal) string {
	switch {
	case h.Account != nil:
		return "account " + *h.Account
	case h.Workspace != nil:
		return "workspace " + *h.Workspace
	case h.Fleet:
		return "whole fleet"
	default:
		return "listed prospects"
	}
}

type healStopCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	ID         int64 `arg:"" help:"ID of the heal."`
}

func (healStopCmd) Help() string {
	return "What the heal has resumed stays resumed.\n\nExample:\n  thaw heal stop 12 --reason \"the customer asked to wait\""
}

func (c *healStopCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		stopped, err := o.StopHeal(ctx, c.ID, c.Reason)
		switch {
		case err != nil:
			return err
		case stopped:
			printf(e.stdout, "heal %d stopped; \"thaw heal resume %d\" continues it\n", c.ID, c.ID)
		default:
			printf(e.stdout, "No change: heal %d is already stopped.\n", c.ID)
		}
		return nil
	})
}

type healResumeCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	ID         int64 `arg:"" help:"ID of the heal."`
}

func (healResumeCmd) Help() string {
	return "A heal stops by \"thaw heal stop\", when safety mode is entered, or when its job is cancelled or discarded.\n\nExample:\n  thaw heal resume 12 --reason \"the incident is over\""
}

func (c *healResumeCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		resumed, err := o.ResumeHeal(ctx, c.ID, c.Reason)
		switch {
		case err != nil:
			return err
		case resumed:
			printf(e.stdout, "heal %d continues\n", c.ID)
		default:
			printf(e.stdout, "No change: heal %d is already running.\n", c.ID)
		}
		return nil
	})
}
