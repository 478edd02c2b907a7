package main

import "context"

type resumeCmd struct {
	action     `embed:""`
	EvenByUser bool `help:"With --account, also resume prospects that a person paused, not only those that a restriction paused."`
}

func (resumeCmd) Help() string {
	return "Requeues the prospects: the next sweeps resume them once their account is connected, within the usual caps. With --account, prospects that a person paused stay paused unless --even-by-user is given.\n\nExample:\n  thaw resume --account h_EKCy2lRLef5NzHp0iw4A --reason \"the restriction is lifted; talked to the owner\""
}

func (c *resumeCmd) Run(ctx context.Context, e *env) error {
	return c.each(ctx, e, func() error { return c.apply(ctx, e, "resumed", c.EvenByUser) })
}
