package main

import "context"

type pauseCmd struct {
	action `embed:""`
}

func (pauseCmd) Help() string {
	return "Thaw never resumes what a person paused: only \"thaw resume\" does.\n\nExample:\n  thaw pause --prospect https://www.linkedin.com/in/janedoe --reason \"asked by phone\""
}

func (c *pauseCmd) Run(ctx context.Context, e *env) error {
	return c.decide(ctx, e, "paused", false)
}
