package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/access"
	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/localpg"
	"github.com/thawline/thaw/internal/process"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/schema"
)

const (
	// tick is long enough for a sweep on a slow host, and short enough to wait for.
	tick = 5 * time.Second
	// drainFor is how long running jobs and requests may take to finish after Ctrl-C.
	drainFor = 5 * time.Second
	// connections is the size of the pool that workers, webhooks and the story share. River has
	// another pool of this size.
	connections = 20
)

// Options of a demo.
type Options struct {
	// Out receives the story. Required.
	Out io.Writer
	// Terminal enables bold headlines and progress bars. Set it if Out is a terminal.
	Terminal bool
	// Addr is the address to listen on: a loopback name and a port. If the port is in use, a free
	// one is taken.
	Addr string
	// Once ends the demo after the story. Otherwise it serves until the context ends.
	Once bool
	// Logger receives the log of the workers and the server. Required.
	Logger *slog.Logger
}

// Run runs the story. It returns an error if a step fails, or if ctx ends before the story does. It
// always removes its processes, folders and databases.
func Run(ctx context.Context, o Options) (err error) {
	if !access.Loopback(o.Addr) {
		return fmt.Errorf("--addr=%s is reachable from other hosts, and the demo has no password: listen on 127.0.0.1", o.Addr)
	}
	s := &story{narrator: narrator{out: o.Out, terminal: o.Terminal}, logger: o.Logger, began: time.Now()}
	defer func() {
		// An interrupt is reported as such, not as the error of the interrupted step.
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()

	s.headline("Thaw demo")
	server, err := localpg.Open(ctx, localpg.Options{})
	if err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	database, err := newDatabase(ctx, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.close(context.WithoutCancel(ctx))) }()
	s.database = database
	s.say("%s", database.description())

	pool, err := database.pool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	riverPool, err := database.pool(ctx)
	if err != nil {
		return err
	}
	defer riverPool.Close()
	s.db = store.New(pool)

	migrator, err := s.prepare(ctx, pool, o.Logger)
	if err != nil {
		return err
	}
	defer migrator.Close()

	listener, err := s.listen(ctx, o.Addr)
	if err != nil {
		return err
	}
	s.url = "http://" + listener.Addr().String()
	s.secret, s.standardSecret = rand.Text(), newStandardSecret()

	group, groupCtx := errgroup.WithContext(ctx)
	running, stop := context.WithCancel(groupCtx)
	defer stop()
	group.Go(func() error {
		return process.Run(running, process.Config{
			Pools:       process.Pools{Webhooks: pool, Passes: pool, Queue: riverPool, Reads: pool},
			RiverSchema: schema.Name, Migrator: migrator,
			Work: &process.Work{Concurrency: 8},
			Web: &process.Web{
				Listener: listener,
				Webhooks: webhook.Config{Dialects: webhook.Dialects{
					UnipileV1: webhook.UnipileV1{Secrets: []string{s.secret}}, Standard: webhook.Standard{Secrets: []string{s.standardSecret}},
				}},
			},
			DrainFor: drainFor, Logger: o.Logger,
		})
	})
	group.Go(func() error {
		defer stop()
		if err := s.tell(groupCtx); err != nil {
			return err
		}
		if !o.Once {
			s.leaveOpen()
			<-groupCtx.Done()
		}
		return nil
	})
	return group.Wait()
}

// prepare applies the migrations and imports the fleet.
func (s *story) prepare(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) (*schema.Migrator, error) {
	migrator, err := schema.NewMigrator(pool, schema.Name, logger)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	applied, err := migrator.Up(ctx)
	if err == nil {
		s.say("Schema: %d migrations in %s.", len(applied), since(began))
		err = s.importFleet(ctx)
	}
	if err == nil {
		s.existing, err = s.findBacklog(ctx)
	}
	if err == nil {
		length := tick
		_, err = s.db.Trip().Configure(ctx, dbsqlc.ConfigureParams{Tick: &length, ChangedBy: "cli:demo"})
	}
	if err != nil {
		return nil, errors.Join(err, migrator.Close())
	}
	return migrator, nil
}

// listen listens on an address, or on a free port of the same host.
func (s *story) listen(ctx context.Context, addr string) (net.Listener, error) {
	config := net.ListenConfig{}
	listener, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		s.say("%s is in use, so the demo takes a free port.", addr)
		host, _, _ := net.SplitHostPort(addr)
		listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("listening: %w (use --addr to choose another address)", err)
	}
	return listener, nil
}
