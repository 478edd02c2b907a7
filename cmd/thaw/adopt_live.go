package main

import (
	"context"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/store"
)

// shadowFlags name the workspaces of thaw adopt live and thaw adopt shadow.
type shadowFlags struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Workspace  string `help:"This workspace, named by ${workspace_id}." placeholder:"KEY" xor:"workspaces" required:""`
	All        bool   `help:"All workspaces of the platform, and those that it adds later." xor:"workspaces" required:""`
}

func (c *shadowFlags) set(ctx context.Context, e *env, isShadow bool, what string) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		changed, err := adopt.SetShadow(ctx, db.Pool(), c.Workspace, isShadow, c.Reason, actor())
		if err != nil {
			return err
		}
		if changed == 0 {
			printf(e.stdout, "No change.\n")
			return nil
		}
		printf(e.stdout, "%s %s.\n", many(changed, "workspace"), what)
		return nil
	})
}

type adoptLiveCmd struct{ shadowFlags }

func (adoptLiveCmd) Help() string {
	return "From then on, Thaw pauses, resumes and moves prospects of these workspaces, and hands its changes to the platform, beginning with the status of every account. Writing them needs \"thaw adopt run\" or a worker of the platform. To go back: thaw adopt shadow.\n\nExample:\n  thaw adopt live --workspace acme --reason \"the shadow figures are right\""
}

func (c *adoptLiveCmd) Run(ctx context.Context, e *env) error {
	return c.set(ctx, e, false, "live: Thaw pauses and resumes its prospects, and hands the changes to the platform")
}

type adoptShadowCmd struct{ shadowFlags }

func (adoptShadowCmd) Help() string {
	return "From then on, Thaw shows what it would do in these workspaces, and changes nothing. The platform decides everything, and the copy follows it. What Thaw has paused stays paused.\n\nExample:\n  thaw adopt shadow --all --reason \"a migration of the platform\""
}

func (c *adoptShadowCmd) Run(ctx context.Context, e *env) error {
	return c.set(ctx, e, true, "in shadow mode: Thaw changes nothing there")
}
