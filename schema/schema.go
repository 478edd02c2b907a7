// Package schema owns the database schema: the migrations, and the queries of the program
// (queries/), from which the code of package dbsqlc is generated.
//
// All objects of Thaw are in the Postgres schema "thaw", including River's tables unless another
// schema is configured for them. Rules that must hold for every writer are SQL functions, created
// by the migrations: receiving signals, pausing, the resume pass, heals. Go calls these functions
// and does not implement the rules again.
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

// Name is the Postgres schema of all of Thaw's objects.
const Name = "thaw"

var (
	// ErrPending is returned by [Migrator.Check] if the database lacks migrations of this program.
	ErrPending = errors.New("schema: migrations are pending")
	// ErrNewer is returned by [Migrator.Check] if the database has migrations that this program
	// does not have.
	ErrNewer = errors.New("schema: the database is newer than this program")
)

// Newest returns the version of the newest migration of this program.
func Newest() int64 {
	entries, err := files.ReadDir("migrations")
	if err != nil {
		return 0 // the folder is embedded, so it can be read
	}
	var newest int64
	for _, entry := range entries {
		if version, err := goose.NumericComponent(entry.Name()); err == nil {
			newest = max(newest, version)
		}
	}
	return newest
}

// A Migrator migrates a database to the schema of this program, and back. Several processes may
// migrate concurrently: a session lock makes them take turns.
type Migrator struct {
	provider *goose.Provider
	db       *sql.DB
	pool     *pgxpool.Pool
	river    string
}

// NewMigrator returns a migrator for pool, which must allow at least two connections: one holds the
// lock while the other migrates. riverSchema is the schema for River's tables, [Name] if empty.
// Close the migrator after use.
func NewMigrator(pool *pgxpool.Pool, riverSchema string, logger *slog.Logger) (*Migrator, error) {
	if limit := pool.Config().MaxConns; limit < 2 {
		return nil, fmt.Errorf("schema: migrations need 2 connections, but the pool allows %d: set pool_max_conns in the database URL to 2 or more", limit)
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

// Up applies all pending migrations and returns those that it applied. If one fails, earlier ones
// stay applied.
func (m *Migrator) Up(ctx context.Context) ([]*goose.MigrationResult, error) {
	if err := m.createSchemas(ctx); err != nil {
		return nil, err
	}
	return m.provider.Up(ctx)
}

// UpByOne applies the next pending migration. It returns [goose.ErrNoNextVersion] if there is none.
func (m *Migrator) UpByOne(ctx context.Context) (*goose.MigrationResult, error) {
	if err := m.createSchemas(ctx); err != nil {
		return nil, err
	}
	return m.provider.UpByOne(ctx)
}

// DownTo reverts all migrations above version. Version 0 reverts all of them and deletes all data.
func (m *Migrator) DownTo(ctx context.Context, version int64) ([]*goose.MigrationResult, error) {
	return m.provider.DownTo(ctx, version)
}

// Version returns the version of the database and the newest version of this program.
func (m *Migrator) Version(ctx context.Context) (current, target int64, err error) {
	return m.provider.GetVersions(ctx)
}

// Applied is a migration of this program, with its state in the database.
type Applied struct {
	Source *goose.Source
	// At is when it was applied. Nil: it is pending.
	At *time.Time
}

// Status lists all migrations and when each was applied. It only reads and takes no lock, so it
// works on a standby, on a read-only database, and through a connection pooler.
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

// Check returns an error that wraps [ErrPending] if a migration is not applied, and one that wraps
// [ErrNewer] if the database has other ones. Like Status, it only reads.
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
		return fmt.Errorf("%w: it has version %d, this program has version %d", ErrNewer, slices.Max(slices.Collect(maps.Keys(applied))), newest)
	}
	return nil
}

// applied returns when each migration was applied, by version. It reads goose's table directly,
// because goose would lock and create it.
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

// createSchemas creates the schemas before goose creates its table in one of them. It checks first:
// CREATE SCHEMA IF NOT EXISTS requires CREATE on the database even if the schema exists, and a role
// that was given its schema does not have that. If two processes create a schema concurrently, one
// of them fails with a conflict and uses the other's. An advisory lock would not help: any role
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

// isCreatedMeanwhile reports whether another process has just created the schema, before the
// statement checked or while it was writing.
func isCreatedMeanwhile(err error) bool {
	const duplicateSchema, uniqueViolation = "42P06", "23505"
	fromPostgres, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (fromPostgres.Code == duplicateSchema || fromPostgres.Code == uniqueViolation)
}

// DatabaseName returns the name of the database.
func (m *Migrator) DatabaseName(ctx context.Context) (name string, err error) {
	return name, m.pool.QueryRow(ctx, "SELECT current_database()").Scan(&name)
}

// HasWorkers reports whether a worker process is running, which reverting migrations would break.
func (m *Migrator) HasWorkers(ctx context.Context) (bool, error) {
	table := pgx.Identifier{m.river, "river_leader"}.Sanitize()
	var isInstalled, elected bool
	if err := m.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&isInstalled); err != nil || !isInstalled {
		return false, err
	}
	err := m.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+" WHERE expires_at > now())").Scan(&elected)
	return elected, err
}

// Fingerprint writes everything that determines the schema to w: equal output means an equal
// migrated database.
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
