// Package process runs the workers and the HTTP servers of a Thaw process, from start to graceful
// shutdown. The commands of cmd/thaw and the demo call [Run].
//
// If one part fails, all parts shut down and Run returns the error. The process also stops if the
// database schema is rolled back below the version that it needs.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/metrics"
	"github.com/thawline/thaw/internal/notifier"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/server"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/tracing"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/worker"
)

// Config of a process.
type Config struct {
	// Pools connect to the database. The caller closes them after Run.
	Pools Pools
	// RiverSchema is the Postgres schema of River's tables. Required.
	RiverSchema string
	// Migrator checks the schema version. Required with Web. If it is nil, the version is not
	// checked.
	Migrator *schema.Migrator
	// Work configures the workers. If it is nil, the process only serves HTTP.
	Work *Work
	// Web configures the HTTP server. If it is nil, the process only works.
	Web *Web
	// Monitor configures a metrics server for a process without Web. If it is nil, there is none.
	Monitor *Monitor
	// Traces gets a trace of every signal, with its job and its pass. Nil disables tracing.
	Traces trace.TracerProvider
	// DrainFor is the time limit for running jobs and requests during shutdown. Required.
	DrainFor time.Duration
	// Instance is the name that the instance must have. The first process on a database gives it this
	// name. If it is empty, any name will do.
	Instance string
	// Logger is required.
	Logger *slog.Logger
}

// Pools are the database connections of a process: one pool per kind of work, so that a burst of
// one kind cannot use up the connections of another. Two fields may be the same pool, except Queue.
type Pools struct {
	// Webhooks records the deliveries of providers. Required with Web.
	Webhooks *pgxpool.Pool
	// Passes is for the work of the workers. Required with Work.
	Passes *pgxpool.Pool
	// Queue is for River's client; see worker.Config. Required.
	Queue *pgxpool.Pool
	// Reads is for pages, the API, metrics and readiness. Required.
	Reads *pgxpool.Pool
}

// named returns the pools that are set, by their names in metrics.
func (p Pools) named() map[string]*pgxpool.Pool {
	named := map[string]*pgxpool.Pool{"webhooks": p.Webhooks, "passes": p.Passes, "queue": p.Queue, "reads": p.Reads}
	maps.DeleteFunc(named, func(_ string, pool *pgxpool.Pool) bool { return pool == nil })
	return named
}

// Work configures the workers. See worker.Config.
type Work struct {
	Concurrency int
	PollOnly    bool
	Webhooks    *worker.Webhooks
}

// Web configures the HTTP server. See server.Config.
type Web struct {
	// Listener is closed by Run. Required.
	Listener net.Listener
	// ShutdownDelay is how long the process continues after it was asked to stop, while /readyz
	// fails, so that load balancers stop sending requests before the listener closes.
	ShutdownDelay time.Duration
	AdminPassword string
	Webhooks      webhook.Config
	// Settings are shown on the page of settings.
	Settings []readmodel.ProcessSetting
}

// Monitor configures the metrics server of a process without Web. See server.NewMonitor.
type Monitor struct {
	// Listener is closed by Run. Required.
	Listener      net.Listener
	AdminPassword string
}

// Run runs the configured parts until ctx is done, which is not an error, or until one of them
// fails. It then waits for running jobs and requests, and returns.
func Run(ctx context.Context, c Config) error {
	if err := checkInstance(ctx, c); err != nil {
		return err
	}
	// ctx only asks for the shutdown, so running jobs and requests use a context that outlives it.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	shutdown := ctx
	if c.Web != nil {
		shutdown = delayed(running, ctx, c.Web.ShutdownDelay)
		if c.Web.ShutdownDelay > 0 {
			context.AfterFunc(ctx, func() {
				c.Logger.InfoContext(ctx, "asked to stop: /readyz fails from now on", "shutdown_delay", c.Web.ShutdownDelay)
			})
		}
	}
	group, stopping := errgroup.WithContext(shutdown)
	if c.Web != nil {
		defer c.Web.Listener.Close()
	}
	if c.Monitor != nil {
		defer c.Monitor.Listener.Close()
	}

	var numbers *metrics.Metrics
	var plugins []rivertype.Plugin
	var err error
	if c.Web != nil || c.Monitor != nil {
		numbers, err = metrics.New(running, metrics.Config{
			Store: store.New(c.Pools.Reads), Logger: c.Logger, Pools: c.Pools.named(),
		})
		if err != nil {
			return err
		}
		plugins = append(plugins, numbers.Plugin())
	}
	if c.Traces != nil {
		plugins = append(plugins, tracing.Jobs(c.Traces))
	}

	var client *river.Client[pgx.Tx]
	var workers *worker.Worker
	var notify func(queues ...string)
	var lag func() time.Duration
	if c.Work != nil {
		workers, err = worker.New(ctx, worker.Config{
			Pool: c.Pools.Passes, RiverPool: c.Pools.Queue, RiverSchema: c.RiverSchema,
			Concurrency: c.Work.Concurrency, PollOnly: c.Work.PollOnly, Webhooks: c.Work.Webhooks, Plugins: plugins, Logger: c.Logger,
		})
		if err != nil {
			return err
		}
		client, notify, lag = workers.Client(), workers.Notify, workers.Lag
	} else {
		if client, err = insertOnly(c); err != nil {
			return err
		}
		events := notifier.New(notifier.Config{Pool: c.Pools.Queue, RiverSchema: c.RiverSchema, Measured: jobs.QueueResume, Logger: c.Logger})
		notify, lag = events.Notify, events.Lag
		group.Go(func() error { events.Run(stopping); return nil })
	}

	var handler http.Handler
	if c.Web != nil {
		handler, err = server.New(running, server.Config{
			Store: store.New(c.Pools.Reads), Receiver: store.New(c.Pools.Webhooks), Notify: notify, Lag: lag, Client: client, Migrator: c.Migrator,
			Webhooks: c.Web.Webhooks, AdminPassword: c.Web.AdminPassword, Metrics: numbers.Handler(),
			Settings: c.Web.Settings, Traces: c.Traces, Leaving: ctx, Stopping: stopping, Logger: c.Logger,
		})
		if err != nil {
			return err
		}
	}

	if workers != nil {
		if err := workers.Start(running); err != nil {
			return err
		}
		group.Go(func() error {
			<-stopping.Done()
			drain, cancel := context.WithTimeout(running, c.DrainFor)
			defer cancel()
			return workers.Stop(drain)
		})
		c.Logger.InfoContext(ctx, "working", "concurrency", c.Work.Concurrency)
	}
	if c.Web != nil {
		serve(running, stopping, group, c.Web.Listener, closing(ctx, handler), readTimeout, c.DrainFor)
		c.Logger.InfoContext(ctx, "serving", "url", "http://"+c.Web.Listener.Addr().String()+"/")
	}
	if c.Monitor != nil {
		handler := server.NewMonitor(c.Monitor.AdminPassword, numbers.Handler())
		serve(running, stopping, group, c.Monitor.Listener, handler, readTimeout, c.DrainFor)
		c.Logger.InfoContext(ctx, "serving metrics", "url", "http://"+c.Monitor.Listener.Addr().String()+"/metrics")
	}

	if c.Migrator != nil {
		group.Go(func() error { return watchSchema(stopping, c.Migrator, schemaEvery, c.Logger) })
	}

	<-stopping.Done()
	c.Logger.InfoContext(ctx, "stopping: finishing running jobs and requests")
	return group.Wait()
}

// delayed returns a context that ends with running, or a while after ctx.
func delayed(running, ctx context.Context, while time.Duration) context.Context {
	later, end := context.WithCancel(running)
	context.AfterFunc(ctx, func() { time.AfterFunc(while, end) })
	return later
}

// closing closes connections after their next response once leaving is done. A client that keeps a
// connection open then moves to another process before this one closes it, perhaps in the moment in
// which the client sends a request.
func closing(leaving context.Context, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leaving.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}

// readTimeout is the time limit for reading a request. It is shorter than DrainFor, so that a
// client that sends one byte per second cannot make a graceful shutdown fail.
const readTimeout = 20 * time.Second

// serve serves HTTP until stopping is done, then waits for open requests.
func serve(running, stopping context.Context, group *errgroup.Group, listener net.Listener, handler http.Handler, readTimeout, drainFor time.Duration) {
	bounded := boundConnections(listener, maxConnections)
	web := &http.Server{
		Handler: bounded.marking(handler), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader, ConnContext: bounded.context, ConnState: bounded.answered,
		BaseContext: func(net.Listener) context.Context { return running },
	}
	group.Go(func() error {
		if err := web.Serve(bounded); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-stopping.Done()
		drain, cancel := context.WithTimeout(running, drainFor)
		defer cancel()
		return web.Shutdown(drain)
	})
}

// schemaEvery is how often a process checks the schema version.
const schemaEvery = 15 * time.Second

// watchSchema returns an error, which stops the process, if migrations that the process needs are
// rolled back: its jobs would fail one by one. It ignores a newer schema, which is a rolling
// upgrade, and a database that does not respond.
func watchSchema(ctx context.Context, migrator *schema.Migrator, every time.Duration, logger *slog.Logger) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		look, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := migrator.Check(look)
		cancel()
		switch {
		case errors.Is(err, schema.ErrPending):
			return fmt.Errorf("stopping: the database schema was rolled back below the version that this process needs: %w", err)
		case err != nil && !errors.Is(err, schema.ErrNewer) && ctx.Err() == nil:
			logger.DebugContext(ctx, "checking the schema version failed", "error", err)
		}
	}
}

// insertOnly returns a client that works no jobs, for the pages of a process without workers.
func insertOnly(c Config) (*river.Client[pgx.Tx], error) {
	client, err := river.NewClient(riverpgxv5.New(c.Pools.Queue), &river.Config{Schema: c.RiverSchema, Logger: c.Logger})
	if err != nil {
		return nil, fmt.Errorf("setting up the queue: %w", err)
	}
	return client, nil
}
