// Package schema owns the database schema: its migrations, the queries that the program runs against it (queries/), and the
// code generated from them (dbsqlc/).
//
// Everything of Thaw lies in the Postgres schema "thaw", River's tables too unless another schema is named for them. The
// rules that must hold for every writer, whatever language it is written in, are SQL functions, created by the migrations:
// receiving a signal, pausing, the resume pass, healing. Go calls the same functions; there is no second version of a rule.
package schema

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var files embed.FS

// Name is the Postgres schema in which all of Thaw's objects lie.
const Name = "thaw"

var (
	// ErrPending is returned by [Migrator.Check] when the database lacks migrations that this program has.
	ErrPending = errors.New("schema: migrations are pending")
	// ErrNewer is returned by [Migrator.Check] when the database has migrations that this program does not know.
	ErrNewer = errors.New("schema: the database is newer than this program")
)

// A Migrator brings a database to the schema that this program was built for, and back. Several processes may do so at
// once: a session lock lets one go first.
type Migrator struct {
	provider *goose.Provider
	db       *sql.DB
	pool     *pgxpool.Pool
	river    string
}

// NewMigrator returns a migrator that works through pool, which must allow at least two connections: one holds the lock
// while the other migrates. riverSchema is the schema for River's tables; empty means [Name]. Close it after use.
func NewMigrator(pool *pgxpool.Pool, riverSchema string, logger *slog.Logger) (*Migrator, error) {
	if limit := pool.Config().MaxConns; limit < 2 {
		return nil, fmt.Errorf("schema: migrating takes 2 connections, the pool allows %d: set pool_max_conns in the database URL to 2 or more", limit)
	}
	if riverSchema == "" {
		riverSchema = Name
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations,
		goose.WithTableName(Name+".goose_db_version"),
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(logger),
		goose.WithGoMigrations(riverMigration(pool, riverSchema, logger), enqueueMigration(pool, riverSchema)),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("schema: %w", err), db.Close())
	}
	return &Migrator{provider: provider, db: db, pool: pool, river: riverSchema}, nil
}

// Close releases the migrator. It leaves the pool open.
func (m *Migrator) Close() error { return m.db.Close() }

// Up applies all pending migrations and returns those that it applied. Where one fails, those before it stay applied.
func (m *Migrator) Up(ctx context.Context) ([]*goose.MigrationResult, error) {
	if err := m.createSchemas(ctx); err != nil {
		return nil, err
	}
	return m.provider.Up(ctx)
}

// UpByOne applies the next pending migration; [goose.ErrNoNextVersion] if there is none.
func (m *Migrator) UpByOne(ctx context.Context) (*goose.MigrationResult, error) {
	if err := m.createSchemas(ctx); err != nil {
		return nil, err
	}
	return m.provider.UpByOne(ctx)
}

// DownTo takes back all migrations above version; 0 takes back all of them, data included.
func (m *Migrator) DownTo(ctx context.Context, version int64) ([]*goose.MigrationResult, error) {
	return m.provider.DownTo(ctx, version)
}

// Version returns the version of the database and the newest one that this program has.
func (m *Migrator) Version(ctx context.Context) (current, target int64, err error) {
	return m.provider.GetVersions(ctx)
}

// An Applied migration is one that this program has.
type Applied struct {
	Source *goose.Source
	// At is when it was applied; nil: it is pending.
	At *time.Time
}

// Status lists all migrations with whether and when each was applied. It writes nothing and takes no lock: it works on a
// standby, on a read-only database, and through a connection pooler.
func (m *Migrator) Status(ctx context.Context) ([]Applied, error) {
	applied, err := m.applied(ctx)
	if err != nil {
		return nil, err
	}
	var all []Applied
	for _, source := range m.provider.ListSources() {
		line := Applied{Source: source}
		if at, ok := applied[source.Version]; ok {
			line.At = &at
		}
		all = append(all, line)
	}
	return all, nil
}

// Check returns an error that wraps [ErrPending] unless every migration is applied, and one that wraps [ErrNewer] where there
// are others. As Status, it writes nothing.
func (m *Migrator) Check(ctx context.Context) error {
	applied, err := m.applied(ctx)
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		return fmt.Errorf("%w: the database has none of Thaw's tables", ErrPending)
	}
	var newest int64
	for _, source := range m.provider.ListSources() {
		if _, ok := applied[source.Version]; !ok {
			return fmt.Errorf("%w: this program needs version %d, which the database lacks", ErrPending, source.Version)
		}
		delete(applied, source.Version)
		newest = max(newest, source.Version)
	}
	if len(applied) > 0 {
		return fmt.Errorf("%w: it has version %d and this program knows %d", ErrNewer, slices.Max(slices.Collect(maps.Keys(applied))), newest)
	}
	return nil
}

// applied returns when each migration was applied, by version: goose's table, read without goose, which would lock and create it.
func (m *Migrator) applied(ctx context.Context) (map[int64]time.Time, error) {
	var installed bool
	if err := m.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", Name+".goose_db_version").Scan(&installed); err != nil {
		return nil, fmt.Errorf("schema: looking for migrations: %w", err)
	}
	if !installed {
		return nil, nil
	}
	rows, err := m.pool.Query(ctx, `SELECT DISTINCT ON (version_id) version_id, is_applied, tstamp AT TIME ZONE current_setting('TimeZone')
		FROM thaw.goose_db_version WHERE version_id > 0 ORDER BY version_id, id DESC`)
	if err != nil {
		return nil, fmt.Errorf("schema: looking for migrations: %w", err)
	}
	applied := map[int64]time.Time{}
	var (
		version   int64
		isApplied bool
		at        time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&version, &isApplied, &at}, func() error {
		if isApplied {
			applied[version] = at
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("schema: looking for migrations: %w", err)
	}
	return applied, nil
}

// createSchemas makes the schemas before goose puts its own table into one of them. One that is there is left alone: CREATE
// SCHEMA IF NOT EXISTS needs CREATE on the database even then, which a role that was given its schema does not have. Of two
// processes that create a schema at once one collides in the catalog, and takes what the other made. No advisory lock: any role
// with CONNECT could take it first.
func (m *Migrator) createSchemas(ctx context.Context) error {
	for _, name := range []string{Name, m.river} {
		var exists bool
		err := m.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname = $1)", name).Scan(&exists)
		if err == nil && !exists {
			_, err = m.pool.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{name}.Sanitize())
		}
		if err != nil && !isCreatedMeanwhile(err) {
			return fmt.Errorf("schema: creating schema %s: %w", name, err)
		}
	}
	return nil
}

// isCreatedMeanwhile says whether another process has just created the schema: before the statement looked, or while it wrote.
func isCreatedMeanwhile(err error) bool {
	const duplicateSchema, uniqueViolation = "42P06", "23505"
	fromPostgres, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (fromPostgres.Code == duplicateSchema || fromPostgres.Code == uniqueViolation)
}

// DatabaseName returns the name of the database.
func (m *Migrator) DatabaseName(ctx context.Context) (name string, err error) {
	return name, m.pool.QueryRow(ctx, "SELECT current_database()").Scan(&name)
}

// HasWorkers says whether a worker process is alive, which taking migrations back would break.
func (m *Migrator) HasWorkers(ctx context.Context) (bool, error) {
	table := pgx.Identifier{m.river, "river_leader"}.Sanitize()
	var isInstalled, elected bool
	if err := m.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&isInstalled); err != nil || !isInstalled {
		return false, err
	}
	err := m.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+" WHERE expires_at > now())").Scan(&elected)
	return elected, err
}

// Fingerprint writes all that shapes the schema into w: where it is the same, so is the migrated database.
func Fingerprint(w io.Writer) error {
	fmt.Fprintf(w, "river %d\n", riverTarget)
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s %d\n%s", path, len(content), content)
		return nil
	})
}
