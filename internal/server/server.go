// Package server is the HTTP side of a Thaw process: webhooks, health, the operators' pages, and the JSON API.
package server

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/api"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/riverui"
	"github.com/thawline/thaw/schema"
)

// Config of a server.
type Config struct {
	// Store is required.
	Store *store.Store
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
	// Logger is required.
	Logger *slog.Logger
}

// New returns the handler of all routes. What it runs in the background ends with ctx.
func New(ctx context.Context, c Config) (http.Handler, error) {
	mux := http.NewServeMux()

	c.Webhooks.Apply = receive(c.Store)
	c.Webhooks.Logger = c.Logger
	if err := webhook.Register(mux, c.Webhooks); err != nil {
		return nil, err
	}

	health := &health{store: c.Store, migrator: c.Migrator, riverSchema: c.RiverSchema, logger: c.Logger}
	mux.HandleFunc("GET /healthz", health.live)
	mux.HandleFunc("GET /readyz", health.ready)

	jobs, err := riverui.Handler(ctx, c.Client, c.Logger)
	if err != nil {
		return nil, err
	}
	mux.Handle(riverui.Prefix+"/", riverui.Guard(c.AdminPassword, jobs))
	mux.Handle(api.Prefix+"/", api.New(api.Config{Store: c.Store, AdminPassword: c.AdminPassword, Logger: c.Logger}))
	mux.Handle("GET /{$}", http.RedirectHandler(riverui.Prefix+"/", http.StatusFound))
	return mux, nil
}
