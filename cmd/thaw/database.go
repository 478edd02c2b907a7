package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	dbconn "github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema"
)

// database has the flags of every command that connects to a database.
type database struct {
	DatabaseURL string `help:"Postgres database, for example postgres://user:password@host:5432/name." placeholder:"URL" env:"THAW_DATABASE_URL,DATABASE_URL"`
	RiverSchema string `help:"Postgres schema of River's tables. Fixed by the first migration." default:"thaw" env:"THAW_RIVER_SCHEMA"`
	PollOnly    bool   `help:"Use no LISTEN and no prepared statements. Required behind a connection pooler in transaction mode." env:"THAW_POLL_ONLY"`
}

// commandConnections is the number of connections of a command that is not long-running.
const commandConnections = 3

// open returns a pool of at most size connections after it has connected once. The caller closes
// it.
func (d database) open(ctx context.Context, size int) (*pgxpool.Pool, error) {
	return dbconn.Open(ctx, dbconn.Options{URL: d.DatabaseURL, Size: size, PollOnly: d.PollOnly})
}

// openStore returns a store, and fails if migrations are pending. The caller closes its pool.
func (d database) openStore(ctx context.Context, logger *slog.Logger) (*store.Store, error) {
	pool, err := d.open(ctx, commandConnections)
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
