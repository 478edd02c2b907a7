package main

import "context"

type pauseCmd struct {
	action `embed:""`
}

func (pauseCmd) Help() string {
	return "Thaw never resumes a prospect or campaign that a person paused. To resume it, run \"thaw resume\".\n\nExample:\n  thaw pause --prospect https://www.linkedin.com/in/janedoe --reason \"asked by phone\""
}

func (c *pauseCmd) Run(ctx context.Context, e *env) error {
	return c.each(ctx, e, func() error { return c.apply(ctx, e, "paused", false) })
}
