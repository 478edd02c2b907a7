package main

import (
	"context"
	"log/slog"

	"github.com/thawline/thaw/internal/demo"
)

type demoCmd struct {
	Addr string `help:"Address to listen on; another port is taken if it is in use." default:"127.0.0.1:8080"`
	Once bool   `help:"Exit at the end of the story instead of serving on. Exits with 1 if a step did not come out as it should."`
}

func (demoCmd) Help() string {
	return "Needs the server binaries of Postgres 15 or later on this machine, or DATABASE_URL with the right to create database thaw_demo there. " +
		"Leaves nothing behind.\n\nExample:\n  thaw demo --once"
}

func (c *demoCmd) Run(ctx context.Context, e *env) error {
	return demo.Run(ctx, demo.Options{
		Out: e.stdout, Terminal: isTerminal(e.stdout), Addr: c.Addr, Once: c.Once,
		Logger: slog.New(quieter{e.logger.Handler()}),
	})
}
