package main

import (
	"context"
	"log/slog"

	"github.com/thawline/thaw/internal/demo"
)

type demoCmd struct {
	Addr string `help:"Address to listen on. If the port is in use, the demo takes a free one." default:"127.0.0.1:8080"`
	Once bool   `help:"Exit at the end of the script instead of serving until Ctrl-C. Exits with 1 if a step fails."`
}

func (demoCmd) Help() string {
	return "Requires the server binaries of Postgres 15 or later on this host, or a DATABASE_URL whose role may create the database thaw_demo. " +
		"Removes everything it creates.\n\nExample:\n  thaw demo --once"
}

func (c *demoCmd) Run(ctx context.Context, e *env) error {
	return demo.Run(ctx, demo.Options{
		Out: e.stdout, Terminal: isTerminal(e.stdout), Addr: c.Addr, Once: c.Once,
		Logger: slog.New(quieter{e.logger.Handler()}),
	})
}
