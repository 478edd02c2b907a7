// Package server is the HTTP side of a Thaw process: webhooks, health, the operators' pages, and the JSON API.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"

	"github.com/thawline/thaw/internal/api"
	"github.com/thawline/thaw/internal/pages"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/riverui"
	"github.com/thawline/thaw/schema"
)

// Config of a server.
type Config struct {
	// Store is for everything but deliveries. Required.
	Store *store.Store
	// Receiver records the deliveries of providers, on connections of its own. Default: Store.
	Receiver *store.Store
	// Notify is told, after the commit, which queues have new jobs. Nil: their workers find out for themselves.
	Notify func(queues ...string)
	// Lag is how long the oldest job of a signal has waited for a worker. Nil: it is never looked at.
	Lag func() time.Duration
	// Client is the queue that River UI shows. Required.
	Client *river.Client[pgx.Tx]
	// RiverSchema is the Postgres schema of River's tables. Required.
	RiverSchema string
	// Migrator says whether the database is up to date. Required.
	Migrator *schema.Migrator
	// Webhooks has the secrets; Apply and Logger are filled in here.
	Webhooks webhook.Config
	// AdminPassword protects the operators' pages. Empty: they are served to loopback names only.
	AdminPassword string
	// Stopping ends when the process is asked to stop, before open requests are waited for. Required.
	Stopping context.Context
	// Metrics are served at /metrics, to those who may see the operators' pages. Nil: the route does not exist.
	Metrics http.Handler
	// Traces gets a trace of every delivery. Nil: none.
	Traces trace.TracerProvider
	// Logger is required.
	Logger *slog.Logger
}

// New returns the handler of all routes. What it runs in the background ends with ctx.
func New(ctx context.Context, c Config) (http.Handler, error) {
	mux := http.NewServeMux()

	if c.Notify == nil {
		c.Notify = func(...string) {}
	}
	if c.Lag == nil {
		c.Lag = func() time.Duration { return 0 }
	}
	if c.Receiver == nil {
		c.Receiver = c.Store
	}
	c.Webhooks.Apply = receive(c.Receiver, c.Notify, newGate(c.Lag), c.Traces)
	c.Webhooks.Logger = c.Logger
	if err := webhook.Register(mux, c.Webhooks); err != nil {
		return nil, err
	}

	health := &health{store: c.Store, migrator: c.Migrator, riverSchema: c.RiverSchema, logger: c.Logger}
	mux.HandleFunc("GET /healthz", live)
	mux.HandleFunc("GET /readyz", health.ready)

	operators := riverui.NewOperators(c.AdminPassword)
	jobs, err := riverui.Handler(ctx, c.Client, c.Logger)
	if err != nil {
		return nil, err
	}
	if c.Metrics != nil {
		mux.Handle("GET /metrics", operators.Guard(c.Metrics))
	}
	mux.Handle(riverui.Prefix+"/", operators.Guard(jobs))
	reader := readmodel.NewReader(c.Store.Pool())
	mux.Handle(api.Prefix+"/", api.New(api.Config{Store: c.Store, Reader: reader, Operators: operators, Logger: c.Logger}))
	shown := pages.Config{Store: c.Store, Reader: reader, Jobs: riverui.Prefix, Stopping: c.Stopping, Logger: c.Logger}
	if err := pages.Register(mux, shown, operators.Guard); err != nil {
		return nil, err
	}
	return mux, nil
}
