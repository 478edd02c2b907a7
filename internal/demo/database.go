package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/localpg"
)

const (
	databaseName = "thaw_demo"
	// mark is the comment on databases of a demo. A database without it is never dropped.
	mark = "made by thaw demo, which removes it"
)

// database is a temporary database for a demo, on a private server or on the one in DATABASE_URL.
type database struct {
	server *localpg.Server
	admin  *pgx.Conn // to the maintenance database
}

func newDatabase(ctx context.Context, server *localpg.Server) (*database, error) {
	admin, err := pgx.Connect(ctx, server.URL(""))
	if err != nil {
		return nil, fmt.Errorf("connecting to postgres: %w", err)
	}
	d := &database{server: server, admin: admin}
	if err := d.create(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("creating database %s: %w", databaseName, err), admin.Close(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// create creates the database. It first removes the database of a killed demo. This fails if the
// database is in use, because then another demo is still running.
func (d *database) create(ctx context.Context) error {
	var exists, ours bool
	err := d.admin.QueryRow(ctx, `
		SELECT count(*) > 0, coalesce(bool_and(shobj_description(oid, 'pg_database') = $2), false)
		FROM pg_database WHERE datname = $1`, databaseName, mark).Scan(&exists, &ours)
	if err != nil {
		return err
	}
	if exists && !ours {
		return errors.New("a database of this name exists that was not created by a demo: drop or rename it, or unset DATABASE_URL to use a private server")
	}
	if exists {
		if err := d.execute(ctx, "DROP DATABASE "+databaseName); err != nil {
			return fmt.Errorf("the database of another demo exists, which may be running (unset DATABASE_URL to use a private server): %w", err)
		}
	}
	return d.execute(ctx, "CREATE DATABASE "+databaseName, "COMMENT ON DATABASE "+databaseName+" IS '"+mark+"'")
}

func (d *database) execute(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := d.admin.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func (d *database) pool(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(d.server.URL(databaseName))
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	return pgxpool.NewWithConfig(ctx, config)
}

func (d *database) description() string {
	if d.server.Private() {
		return fmt.Sprintf("Postgres %s: a private server, removed when this program ends.", d.server.Version())
	}
	return fmt.Sprintf("Postgres %s: the server in DATABASE_URL, with a new database %s, removed when this program ends.", d.server.Version(), databaseName)
}

// psql returns the command line to inspect the database, without a password.
func (d *database) psql() string {
	if d.server.Private() {
		return "psql '" + d.server.URL(databaseName) + "'"
	}
	return "psql on database " + databaseName + " of the server in DATABASE_URL"
}

// close drops the database, even if other sessions use it.
func (d *database) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return errors.Join(d.execute(ctx, "DROP DATABASE "+databaseName+" WITH (FORCE)"), d.admin.Close(ctx))
}
