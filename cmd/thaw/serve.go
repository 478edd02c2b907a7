package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/alecthomas/kong"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/thawline/thaw/internal/access"
	"github.com/thawline/thaw/internal/process"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/tracing"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/internal/when"
	"github.com/thawline/thaw/schema"
)

// drainFor is how long running jobs and requests may take to finish after SIGTERM.
const drainFor = 25 * time.Second

type serveCmd struct {
	longRunning `embed:""`
	fleet       `embed:""`
	workFlag    `embed:""`
	webhookFlag `embed:""`
	httpFlag    `embed:""`
}

func (serveCmd) Help() string {
	return settingsHelp + "\n\nExample:\n  THAW_DATABASE_URL=postgres://localhost/platform THAW_UNIPILE_V1_SECRET=… thaw serve --migrate"
}

// Validate calls the Validate methods of embedded types, which kong does not find.
func (c *serveCmd) Validate() error {
	return errors.Join(c.fleet.Validate(), c.workFlag.Validate(), c.webhookFlag.Validate(), c.httpFlag.Validate())
}

func (c *serveCmd) Run(ctx context.Context, parsed *kong.Context, e *env) error {
	c.shown = processSettings(parsed)
	return c.run(ctx, e, &c.fleet, &c.workFlag, &c.webhookFlag, &c.httpFlag, nil)
}

type workCmd struct {
	longRunning `embed:""`
	fleet       `embed:""`
	workFlag    `embed:""`
	webhookFlag `embed:""`
	metricsFlag `embed:""`
}

func (workCmd) Help() string {
	return settingsHelp + "\n\nExample:\n  thaw work --concurrency 16 --metrics-addr 127.0.0.1:9090"
}

// Validate calls the Validate methods of embedded types, which kong does not find.
func (c *workCmd) Validate() error {
	return errors.Join(c.fleet.Validate(), c.workFlag.Validate(), c.webhookFlag.Validate(), c.metricsFlag.Validate())
}

func (c *workCmd) Run(ctx context.Context, e *env) error {
	return c.run(ctx, e, &c.fleet, &c.workFlag, &c.webhookFlag, nil, &c.metricsFlag)
}

type webCmd struct {
	longRunning `embed:""`
	httpFlag    `embed:""`
}

func (webCmd) Help() string {
	return "Example:\n  THAW_ADMIN_PASSWORD=… thaw web --addr :8080"
}

// Validate calls the Validate methods of embedded types, which kong does not find.
func (c *webCmd) Validate() error { return c.httpFlag.Validate() }

func (c *webCmd) Run(ctx context.Context, parsed *kong.Context, e *env) error {
	c.shown = processSettings(parsed)
	return c.run(ctx, e, nil, nil, nil, &c.httpFlag, nil)
}

// workFlag has the flags of a worker process.
type workFlag struct {
	Concurrency int `help:"Maximum number of signal jobs that run concurrently in this process. In addition, up to half as many jobs of sweeps run at the same time." default:"8" env:"THAW_CONCURRENCY"`
}

func (f *workFlag) Validate() error {
	if f.Concurrency < 1 || f.Concurrency > 1000 {
		return fmt.Errorf("--concurrency=%d: must be between 1 and 1000", f.Concurrency)
	}
	return nil
}

// httpFlag has the flags of a process that serves HTTP.
type httpFlag struct {
	shown         []readmodel.ProcessSetting
	adminFlag     `embed:""`
	Addr          string           `help:"Address to listen on." default:"127.0.0.1:8080" env:"THAW_ADDR"`
	ShutdownDelay time.Duration    `help:"How long the process continues after SIGTERM while /readyz fails, at most 5m. Set it to longer than a load balancer takes to notice." default:"0s" placeholder:"DURATION" env:"THAW_SHUTDOWN_DELAY"`
	Webhooks      webhook.Dialects `embed:""`
}

func (f *httpFlag) Validate() error {
	if f.ShutdownDelay < 0 || f.ShutdownDelay > maxShutdownDelay {
		return fmt.Errorf("--shutdown-delay=%s: must be between 0s and %s", when.Duration(f.ShutdownDelay), when.Duration(maxShutdownDelay))
	}
	return f.requireFor("--addr", f.Addr)
}

const maxShutdownDelay = 5 * time.Minute

// metricsFlag has the HTTP flags of a process that only works.
type metricsFlag struct {
	adminFlag   `embed:""`
	MetricsAddr string `help:"Address on which thaw work serves /metrics and /healthz. Disabled if empty." placeholder:"ADDR" env:"THAW_METRICS_ADDR"`
}

func (f *metricsFlag) Validate() error {
	if f.MetricsAddr == "" {
		return nil
	}
	return f.requireFor("--metrics-addr", f.MetricsAddr)
}

// adminFlag has the password for the operators' pages and metrics.
type adminFlag struct {
	AdminPassword string `help:"Password of user admin for the operators' pages and /metrics. Required to listen on a non-loopback address." placeholder:"PASSWORD" env:"THAW_ADMIN_PASSWORD"`
}

func (f *adminFlag) requireFor(flag, addr string) error {
	if f.AdminPassword == "" && !access.Loopback(addr) {
		return fmt.Errorf("%s=%s is reachable from other hosts without a password: set THAW_ADMIN_PASSWORD, or listen on 127.0.0.1", flag, addr)
	}
	return nil
}

// longRunning has the flags of every long-running command.
type longRunning struct {
	database        `embed:""`
	connectionsFlag `embed:""`
	Instance        string `help:"Required name of the instance (the database as Thaw knows it). The process refuses to start if the database has a different instance name. Without this flag, any name is accepted. The first process names the instance: with this flag, or after its database." placeholder:"NAME" env:"THAW_INSTANCE"`
	Migrate         bool   `help:"Apply pending migrations at the start." env:"THAW_MIGRATE"`
	OtelEndpoint    string `help:"OpenTelemetry collector that receives traces as OTLP over HTTP, for example http://localhost:4318. Disabled if empty." placeholder:"URL" env:"THAW_OTEL_ENDPOINT,OTEL_EXPORTER_OTLP_ENDPOINT"`
}

// run runs the given parts of a process until ctx ends, then drains jobs and requests.
func (p *longRunning) run(ctx context.Context, e *env, settings *fleet, work *workFlag, hooks *webhookFlag, web *httpFlag, monitor *metricsFlag) error {
	if p.Migrate && p.PollOnly {
		return errPooled
	}
	share, err := p.share(ctx, p.database, web != nil, work != nil, e.logger)
	if err != nil {
		return err
	}
	pools, err := p.openPools(ctx, share)
	if err != nil {
		return err
	}
	defer closePools(pools)
	migrator, err := schema.NewMigrator(pools.Reads, p.RiverSchema, e.logger)
	if err != nil {
		return err
	}
	defer migrator.Close()
	if p.Migrate {
		if _, err := migrator.Up(ctx); err != nil {
			return err
		}
	}
	if err := migrator.Check(ctx); err != nil {
		return err
	}

	c := process.Config{
		Pools: pools, RiverSchema: p.RiverSchema, Migrator: migrator, Instance: p.Instance, DrainFor: drainFor, Logger: e.logger,
	}
	if p.OtelEndpoint != "" {
		traces, err := tracing.New(ctx, p.OtelEndpoint, version())
		if err != nil {
			return fmt.Errorf("--otel-endpoint: %w", err)
		}
		defer endTraces(traces, e.logger)
		c.Traces = traces
	}
	if web != nil {
		listener, err := listen(ctx, "--addr", web.Addr)
		if err != nil {
			return err
		}
		defer listener.Close()
		c.Web = &process.Web{
			Listener: listener, ShutdownDelay: web.ShutdownDelay, AdminPassword: web.AdminPassword, Settings: web.shown,
			Webhooks: webhook.Config{Dialects: web.Webhooks},
		}
	}
	if monitor != nil && monitor.MetricsAddr != "" {
		listener, err := listen(ctx, "--metrics-addr", monitor.MetricsAddr)
		if err != nil {
			return err
		}
		defer listener.Close()
		c.Monitor = &process.Monitor{Listener: listener, AdminPassword: monitor.AdminPassword}
	}
	if work != nil {
		if err := settings.apply(ctx, store.New(pools.Reads), e); err != nil {
			return err
		}
		webhooks, err := hooks.register(ctx, store.New(pools.Reads), e)
		if err != nil {
			return err
		}
		c.Work = &process.Work{Concurrency: work.Concurrency, PollOnly: p.PollOnly, Webhooks: webhooks}
	}
	return process.Run(ctx, c)
}

// listen listens on the address of a flag.
func listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening: %w (use %s to choose another address)", err, flag)
	}
	return listener, nil
}

// endTraces sends the last traces. An unreachable collector delays the shutdown by at most 5 s.
func endTraces(traces *sdktrace.TracerProvider, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := traces.Shutdown(ctx); err != nil {
		logger.WarnContext(ctx, "sending the last traces failed", "error", err)
	}
}
