// Package server is the HTTP side of a Thaw process: it serves provider webhooks, health checks,
// the operators' pages, and the JSON API. Package process creates the handler and serves it.
//
// Deliveries are recorded on a separate connection pool, so that pages and the API cannot block
// them. While the workers are behind, connect signals are accepted more slowly.
//
// If the database is unavailable, deliveries get 503, so that providers retry, /readyz fails, and
// /metrics reports that the database is down. /healthz still succeeds.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/trace"

	"github.com/thawline/thaw/internal/access"
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
	// Store is used for everything except recording deliveries. Required.
	Store *store.Store
	// Receiver records deliveries from providers, on separate connections. Default: Store.
	Receiver *store.Store
	// Notify is called after a commit with the queues that have new jobs. If it is nil, the workers
	// find the jobs by polling.
	Notify func(queues ...string)
	// Lag returns how long the oldest job of a signal has waited for a worker. If it is nil,
	// deliveries are never slowed down.
	Lag func() time.Duration
	// Client is the River client whose queue River UI shows. Required.
	Client *river.Client[pgx.Tx]
	// Migrator checks the schema version for /readyz. Required.
	Migrator *schema.Migrator
	// Webhooks has the secrets. New sets Apply and Logger.
	Webhooks webhook.Config
	// AdminPassword protects the operators' pages. If it is empty, they are served only to loopback
	// names.
	AdminPassword string
	// Settings are the settings of the process, for the page of settings.
	Settings []readmodel.ProcessSetting
	// Leaving is done when the process was asked to stop. Then /readyz fails, but requests are
	// served until the listener closes. Required.
	Leaving context.Context
	// Stopping is done when the process starts to stop, before it waits for open requests.
	// Required.
	Stopping context.Context
	// Metrics is served at /metrics, protected like the operators' pages. If it is nil, the route
	// does not exist.
	Metrics http.Handler
	// Traces gets a trace of every delivery. Nil disables tracing.
	Traces trace.TracerProvider
	// Logger is required.
	Logger *slog.Logger
}

// New returns the handler of all routes. Its background work stops when ctx is done.
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

	health := &health{store: c.Store, migrator: c.Migrator, leaving: c.Leaving, logger: c.Logger}
	mux.HandleFunc("GET /healthz", live)
	mux.HandleFunc("GET /readyz", health.ready)

	operators := access.NewOperators(c.AdminPassword)
	jobs, err := riverui.Handler(ctx, c.Client, c.Logger)
	if err != nil {
		return nil, err
	}
	if c.Metrics != nil {
		mux.Handle("GET /metrics", operators.Guard(c.Metrics))
	}
	mux.Handle(riverui.Prefix+"/", operators.Guard(recordJobs(c.Store, c.Logger, jobs)))
	reader := readmodel.NewReader(c.Store)
	mux.Handle(api.Prefix+"/", api.New(api.Config{Store: c.Store, Reader: reader, Operators: operators, Settings: c.Settings, Logger: c.Logger}))
	shown := pages.Config{Store: c.Store, Reader: reader, Jobs: riverui.Prefix, Settings: c.Settings, Stopping: c.Stopping, Logger: c.Logger}
	return pages.Register(mux, shown, operators.Guard)
}
