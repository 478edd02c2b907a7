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
	// mark is the comment on a database that a demo made. One without it is somebody else's, whatever its name.
	mark = "made by thaw demo, which removes it"
)

// database is an empty database for the length of a demo, on a private server or on the one in DATABASE_URL.
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
		return nil, errors.Join(fmt.Errorf("making database %s: %w", databaseName, err), admin.Close(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// create makes the database. One that a killed demo left behind is removed first; that fails if it is in use, because then
// that demo is still running.
func (d *database) create(ctx context.Context) error {
	var exists, ours bool
	err := d.admin.QueryRow(ctx, `
		SELECT count(*) > 0, coalesce(bool_and(shobj_description(oid, 'pg_database') = $2), false)
		FROM pg_database WHERE datname = $1`, databaseName, mark).Scan(&exists, &ours)
	if err != nil {
		return err
	}
	if exists && !ours {
		return errors.New("there is one on this server that no demo made: drop or rename it, or unset DATABASE_URL to have a private server")
	}
	if exists {
		if err := d.execute(ctx, "DROP DATABASE "+databaseName); err != nil {
			return fmt.Errorf("there is one of another demo, which may be running (unset DATABASE_URL to have a private server): %w", err)
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
		return fmt.Sprintf("Postgres %s: a private server, which is gone when this program is.", d.server.Version())
	}
	return fmt.Sprintf("Postgres %s: the server in DATABASE_URL, with a new database %s, which is removed at the end.", d.server.Version(), databaseName)
}

// psql returns the command line that looks inside. It shows nobody's password.
func (d *database) psql() string {
	if d.server.Private() {
		return "psql '" + d.server.URL(databaseName) + "'"
	}
	return "psql on database " + databaseName + " of the server in DATABASE_URL"
}

// close removes the database, whoever is looking inside.
func (d *database) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return errors.Join(d.execute(ctx, "DROP DATABASE "+databaseName+" WITH (FORCE)"), d.admin.Close(ctx))
}
