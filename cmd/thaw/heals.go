package main

import (
	"context"
	"strconv"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type healListCmd struct {
	database  `embed:""`
	listFlags `embed:""`
	Workspace string `help:"Only heals of this workspace and its accounts. It is named by ${workspace_id}." placeholder:"KEY"`
	Status    string `help:"Only heals with this status: running, stopped or done." placeholder:"STATUS" enum:",running,stopped,done" default:""`
}

func (healListCmd) Help() string { return "Example:\n  thaw heal list --status running" }

func (c *healListCmd) Validate() error { return c.listFlags.Validate() }

func (c *healListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		scope, err := readmodel.Everything().Workspace(ctx, db, c.Workspace)
		if err != nil {
			return err
		}
		page, err := readmodel.Heals(ctx, db, scope, c.Status, readmodel.Paging{Limit: c.Limit})
		if err != nil {
			return err
		}
		total := int64(len(page.Items))
		if page.NextCursor != nil {
			if total, err = readmodel.CountHeals(ctx, db, scope, c.Status); err != nil {
				return err
			}
		}
		defer c.sayMore(e, len(page.Items), total, "heal")
		if c.JSON {
			return writeJSON(e.stdout, page.Items)
		}
		t := newTable(numbers("ID"), fixed("STATUS"), text("SCOPE"), numbers("RESUMED"), numbers("CAP"), fixed("REQUESTED (UTC)"), text("BY"), text("REASON"))
		for _, h := range page.Items {
			t.add(strconv.FormatInt(h.ID, 10), h.Status, scopeOf(h), number(h.Resumed), number(h.Cap), minute(&h.RequestedAt, ""), h.Actor, deref(h.Reason))
		}
		t.write(e.stdout)
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
	return "A heal is stopped by \"thaw heal stop\", by safety mode, or when its job is cancelled or discarded.\n\nExample:\n  thaw heal resume 12 --reason \"the incident is over\""
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
