// Command postgres runs a private Postgres for an example, until SIGTERM, and prints its URL.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/thawline/thaw/internal/localpg"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server, err := localpg.Start(ctx, localpg.Options{})
	if err != nil {
		return err
	}
	_, err = fmt.Println(server.URL(""))
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, server.Close())
}
