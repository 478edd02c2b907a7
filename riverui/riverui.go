// Package riverui serves River UI, the page on which operators see, retry and cancel jobs. Its front end is inside the
// module; nothing is loaded from elsewhere.
//
// River UI has no authentication of its own, and its API takes POSTs that a browser sends across origins without asking
// first; so it is only ever served behind [Guard].
package riverui

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"riverqueue.com/riverui"
)

// Prefix is where River UI is served.
const Prefix = "/jobs"

// Handler returns River UI for the queue of client, to be mounted at [Prefix] with the prefix left on. What it runs in the
// background ends with ctx.
func Handler(ctx context.Context, client *river.Client[pgx.Tx], logger *slog.Logger) (http.Handler, error) {
	handler, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(client, nil),
		Logger:    logger,
		Prefix:    Prefix,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up River UI: %w", err)
	}
	if err := handler.Start(ctx); err != nil {
		return nil, fmt.Errorf("starting River UI: %w", err)
	}
	return handler, nil
}
