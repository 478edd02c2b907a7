package main

import (
	"context"
	"errors"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/store"
)

type healCapCmd struct {
	Set  healCapSetCmd  `cmd:"" help:"Let the heals that a tenant starts with its token resume this many prospects per tick, in place of the fleet-wide cap and the cap per account."`
	Off  healCapOffCmd  `cmd:"" help:"Restore the usual caps per tick for the heals of a tenant."`
	List healCapListCmd `cmd:"" help:"List the workspaces whose heals may exceed the usual caps per tick."`
}

func (healCapCmd) Help() string {
	return "A heal that a tenant starts with the API token of its workspace obeys the cap per account and tick, which it shares with " +
		"sweep and signals. All heals that the tenant starts in a tick together resume at most as many prospects as a tick. Heals of operators are limited " +
		"by their own --cap only.\n\nExample:\n  thaw heal-cap set acme 20000 --reason \"their backlog of March\""
}

type healCapSetCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Workspace  string `arg:"" help:"The workspace, named by ${workspace_id}."`
	Cap        int32  `arg:"" help:"Prospects per tick."`
}

func (healCapSetCmd) Help() string {
	return "Example:\n  thaw heal-cap set acme 20000 --reason \"their backlog of March\""
}

func (c *healCapSetCmd) Validate() error {
	if c.Cap < 1 || c.Cap > 10_000_000 {
		return errors.New("the cap must be between 1 and 10000000")
	}
	return nil
}

func (c *healCapSetCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		if err := o.SetHealCap(ctx, c.Workspace, &c.Cap, c.Reason); err != nil {
			return err
		}
		printf(e.stdout, "heals started by workspace %s may resume %s per tick\n", c.Workspace, many(c.Cap, "prospect"))
		return nil
	})
}

type healCapOffCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Workspace  string `arg:"" help:"The workspace, named by ${workspace_id}."`
}

func (healCapOffCmd) Help() string {
	return "Example:\n  thaw heal-cap off acme --reason \"the backlog is gone\""
}

func (c *healCapOffCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		if err := o.SetHealCap(ctx, c.Workspace, nil, c.Reason); err != nil {
			return err
		}
		printf(e.stdout, "heals started by workspace %s obey the usual caps per tick\n", c.Workspace)
		return nil
	})
}

type healCapListCmd struct {
	database  `embed:""`
	listFlags `embed:""`
}

func (healCapListCmd) Help() string { return "Example:\n  thaw heal-cap list --json" }

func (c *healCapListCmd) Validate() error { return c.listFlags.Validate() }

func (c *healCapListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		rows, err := db.Read().HealCaps(ctx, int32(c.Limit))
		if err != nil {
			return err
		}
		type allowed struct {
			Workspace string `json:"workspace"`
			HealCap   int32  `json:"heal_cap"`
		}
		list, total := make([]allowed, len(rows)), int64(0)
		for i, row := range rows {
			list[i], total = allowed{row.Key, *row.HealCap}, row.Total
		}
		defer c.sayMore(e, len(rows), total, "workspace")
		if c.JSON {
			return writeJSON(e.stdout, list)
		}
		t := newTable(text("WORKSPACE"), numbers("PER TICK"))
		for _, one := range list {
			t.add(one.Workspace, number(one.HealCap))
		}
		t.write(e.stdout)
		return nil
	})
}
