package main

import "context"

type resumeCmd struct {
	action     `embed:""`
	EvenByUser bool `help:"Of an account, also those whom a person paused; else only those that a restriction stopped."`
}

func (resumeCmd) Help() string {
	return "Gives prospects back that a restriction or a person stopped: they wait for their account again, and the next ticks resume them under the same caps as all others.\n\nExample:\n  thaw resume --account h_EKCy2lRLef5NzHp0iw4A --reason \"the restriction is lifted; talked to the owner\""
}

func (c *resumeCmd) Run(ctx context.Context, e *env) error {
	return c.decide(ctx, e, "resumed", c.EvenByUser)
}
