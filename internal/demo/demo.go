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

	"github.com/thawline/thaw/internal/localpg"
	"github.com/thawline/thaw/internal/process"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/riverui"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/schema/dbsqlc"
)

const (
	// tick is long enough for a slow machine to sweep in, and short enough to wait for.
	tick = 5 * time.Second
	// drainFor is how long jobs and requests may go on after Ctrl-C.
	drainFor = 5 * time.Second
	// connections are the workers', the webhooks' and the story's together; River has as many of its own.
	connections = 20
)

// Options of a demo.
type Options struct {
	// Out is where the story is told. Required.
	Out io.Writer
	// Terminal says that Out is one: headlines stand out, and what takes a while has a progress bar.
	Terminal bool
	// Addr is where to listen, a loopback name and a port. Another port is taken if that one is in use.
	Addr string
	// Once ends the demo with the story, instead of serving on until the context ends.
	Once bool
	// Logger gets what the workers and the server have to say. Required.
	Logger *slog.Logger
}

// Run tells the story. It returns an error if a step does not come out as it should, or if ctx ends before the story does.
// Afterwards nothing is left: no process, no folder, no database.
func Run(ctx context.Context, o Options) (err error) {
	if !riverui.Loopback(o.Addr) {
		return fmt.Errorf("--addr=%s can be reached from other machines: the demo has no passwords, so let it listen on 127.0.0.1", o.Addr)
	}
	s := &story{narrator: narrator{out: o.Out, terminal: o.Terminal}, began: time.Now()}
	defer func() {
		// What an interrupted step says about itself is of no interest.
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
	s.secret = rand.Text()

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
				Webhooks: webhook.Config{UnipileV1Secrets: []string{s.secret}},
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

// prepare brings the schema and the fleet into the database.
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
		s.leftLying, err = s.findLeftLying(ctx)
	}
	if err == nil {
		length := tick
		_, err = s.db.Configure(ctx, dbsqlc.ConfigureParams{Tick: &length, ChangedBy: "cli:demo"})
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
		s.say("%s is in use; a free port is taken instead.", addr)
		host, _, _ := net.SplitHostPort(addr)
		listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("listening: %w (--addr names another address)", err)
	}
	return listener, nil
}
