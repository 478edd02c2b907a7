package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema"
)

// database has the flags of every command that works on one.
type database struct {
	DatabaseURL string `help:"Postgres to work on, like postgres://user:password@host:5432/name." placeholder:"URL" env:"THAW_DATABASE_URL,DATABASE_URL"`
	RiverSchema string `help:"Postgres schema of River's tables. Chosen once, at the first migration." default:"thaw" env:"THAW_RIVER_SCHEMA"`
	PollOnly    bool   `help:"Work through a connection pooler in transaction mode: without LISTEN and without prepared statements." env:"THAW_POLL_ONLY"`
}

// open returns a pool of at most size connections that has reached the database. The caller closes it.
func (d database) open(ctx context.Context, size int32) (*pgxpool.Pool, error) {
	return d.openWith(ctx, size, nil)
}

// openForQueue returns the pool of River's client, as open. What River writes by itself is bookkeeping: a crash of the server that
// takes back the last of it leaves jobs to be handed out once more. So it does not wait for the disk. A pooler does not
// let connections have settings of their own.
func (d database) openForQueue(ctx context.Context, size int32) (*pgxpool.Pool, error) {
	if d.PollOnly {
		return d.open(ctx, size)
	}
	return d.openWith(ctx, size, map[string]string{"synchronous_commit": "off"})
}

// openWith is open with settings of the server for each connection.
func (d database) openWith(ctx context.Context, size int32, settings map[string]string) (*pgxpool.Pool, error) {
	if d.DatabaseURL == "" {
		return nil, errors.New("no database: set THAW_DATABASE_URL or --database-url, like postgres://user:password@host:5432/name (to look around without one, run \"thaw demo\")")
	}
	config, err := pgxpool.ParseConfig(d.DatabaseURL)
	if err != nil {
		return nil, fmt.Errorf("the database URL cannot be used: %w", err)
	}
	config.MaxConns = size
	// A connection that has idled is asked whether it is still there; one that was silently forgotten on the way never says.
	config.PingTimeout = 2 * time.Second
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "thaw"
	}
	maps.Copy(config.ConnConfig.RuntimeParams, settings)
	if d.PollOnly {
		// Not QueryExecModeExec, which guesses the types of arguments and so sends a body as bytea, not as jsonb.
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("the database cannot be reached: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("the database cannot be reached: %w", err)
	}
	return pool, nil
}

// openStore returns a store on a database whose migrations are all applied. The caller closes its pool.
func (d database) openStore(ctx context.Context, logger *slog.Logger) (*store.Store, error) {
	pool, err := d.open(ctx, 4)
	if err != nil {
		return nil, err
	}
	if err := d.checkMigrations(ctx, pool, logger); err != nil {
		pool.Close()
		return nil, err
	}
	return store.New(pool), nil
}

func (d database) checkMigrations(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) error {
	migrator, err := schema.NewMigrator(pool, d.RiverSchema, logger)
	if err != nil {
		return err
	}
	return errors.Join(migrator.Check(ctx), migrator.Close())
}
