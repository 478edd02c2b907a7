package main

import "context"

type pauseCmd struct {
	decision `embed:""`
}

func (pauseCmd) Help() string {
	return "Thaw never wakes what a person paused: only \"thaw resume\" does.\n\nExample:\n  thaw pause --prospect https://www.linkedin.com/in/janedoe --why \"asked by phone\""
}

func (c *pauseCmd) Run(ctx context.Context, e *env) error {
	return c.decide(ctx, e, "paused", false)
}
