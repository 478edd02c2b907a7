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
	"strings"
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
	// ErrChanged is returned by [Migrator.Check] if the database has applied a migration with
	// another text than this program has.
	ErrChanged = errors.New("schema: the migrations of the database differ from those of this program")
	// ErrWorkers is returned by [Migrator.DownTo] while a worker process is alive.
	ErrWorkers = errors.New("a worker process is alive, or was within the last 15 seconds, and its jobs would fail: stop all Thaw processes, then run this command again")
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
	locker   lock.SessionLocker
	sums     map[int64]string // what each migration of this program should be recorded with
	db       *sql.DB
	pool     *pgxpool.Pool
	river    string
	logger   *slog.Logger
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
	store, err := newVersionStore()
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	provider, err := goose.NewProvider(goose.DialectCustom, db, migrations,
		goose.WithStore(store),
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(logger),
		goose.WithGoMigrations(riverMigration(pool, riverSchema, logger), enqueueMigration(pool, riverSchema)),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("schema: %w", err), db.Close())
	}
	if store.sums, err = checksums(migrations, provider.ListSources()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Migrator{provider: provider, locker: locker, sums: store.sums, db: db, pool: pool, river: riverSchema, logger: logger}, nil
}

// Close releases the migrator. It leaves the pool open.
func (m *Migrator) Close() error { return m.db.Close() }

// Up applies all pending migrations and returns those that it applied. If one fails, earlier ones
// stay applied. It changes nothing if the database is newer or was migrated with other migrations.
func (m *Migrator) Up(ctx context.Context) ([]*goose.MigrationResult, error) {
	if err := m.prepare(ctx); err != nil {
		return nil, err
	}
	var applied []*goose.MigrationResult
	err := m.locking(ctx, func() error {
		results, err := m.provider.Up(ctx)
		if partial, ok := errors.AsType[*goose.PartialError](err); ok {
			results = partial.Applied
		}
		applied = append(applied, results...)
		return err
	})
	return applied, err
}

// UpByOne applies the next pending migration. It returns [goose.ErrNoNextVersion] if there is none.
func (m *Migrator) UpByOne(ctx context.Context) (*goose.MigrationResult, error) {
	if err := m.prepare(ctx); err != nil {
		return nil, err
	}
	var applied *goose.MigrationResult
	err := m.locking(ctx, func() (err error) {
		applied, err = m.provider.UpByOne(ctx)
		return err
	})
	return applied, err
}

func (m *Migrator) prepare(ctx context.Context) error {
	if err := m.Check(ctx); err != nil && !errors.Is(err, ErrPending) {
		return err
	}
	return m.createSchemas(ctx)
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
	// Changed is true if it was applied with another text than this program has.
	Changed bool
}

// Status lists all migrations and when each was applied. It only reads and takes no lock, so it
// works on a standby, on a read-only database, and through a connection pooler.
func (m *Migrator) Status(ctx context.Context) ([]Applied, error) {
	applied, err := m.applied(ctx)
	if err != nil {
		return nil, err
	}
	return m.compare(applied), nil
}

func (m *Migrator) compare(applied map[int64]appliedRow) []Applied {
	var all []Applied
	for _, source := range m.provider.ListSources() {
		line := Applied{Source: source}
		if row, ok := applied[source.Version]; ok {
			line.At = &row.at
			line.Changed = row.sum != "" && row.sum != m.sums[source.Version]
		}
		all = append(all, line)
	}
	return all
}

// Check returns an error that wraps [ErrNewer] if the database has migrations that this program
// lacks, [ErrChanged] if it has others, and [ErrPending] if a migration is not applied. Like
// Status, it only reads.
func (m *Migrator) Check(ctx context.Context) error {
	applied, err := m.applied(ctx)
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		return fmt.Errorf("%w: the database has none of Thaw's tables", ErrPending)
	}
	all := m.compare(applied)
	pending := int64(0)
	for _, one := range all {
		if one.At == nil && pending == 0 {
			pending = one.Source.Version
		}
		delete(applied, one.Source.Version)
	}
	if names := changed(all); len(names) > 0 {
		return fmt.Errorf("%w: %s", ErrChanged, strings.Join(names, ", "))
	}
	if pending != 0 {
		return fmt.Errorf("%w: this program needs version %d, which the database lacks", ErrPending, pending)
	}
	if len(applied) > 0 {
		return fmt.Errorf("%w: it has version %d, this program has version %d",
			ErrNewer, slices.Max(slices.Collect(maps.Keys(applied))), all[len(all)-1].Source.Version)
	}
	return nil
}

// An appliedRow is the state of a migration in the database.
type appliedRow struct {
	at  time.Time
	sum string // empty if it was not recorded
}

// applied returns the applied migrations by version. It reads goose's table directly, because goose
// would lock and create it.
func (m *Migrator) applied(ctx context.Context) (map[int64]appliedRow, error) {
	var installed bool
	if err := m.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", versionsTable).Scan(&installed); err != nil {
		return nil, fmt.Errorf("schema: looking for migrations: %w", err)
	}
	if !installed {
		return nil, nil
	}
	// Databases of builds before the first release lack the column sha256.
	rows, err := m.pool.Query(ctx, `SELECT DISTINCT ON (v.version_id) v.version_id, v.is_applied,
			v.tstamp AT TIME ZONE current_setting('TimeZone'), coalesce(to_jsonb(v) ->> 'sha256', '')
		FROM thaw.goose_db_version AS v WHERE v.version_id > 0 ORDER BY v.version_id, v.id DESC`)
	if err != nil {
		return nil, fmt.Errorf("schema: looking for migrations: %w", err)
	}
	applied := map[int64]appliedRow{}
	var (
		version   int64
		isApplied bool
		row       appliedRow
	)
	_, err = pgx.ForEachRow(rows, []any{&version, &isApplied, &row.at, &row.sum}, func() error {
		if isApplied {
			applied[version] = row
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
func (m *Migrator) HasWorkers(ctx context.Context) (bool, error) { return m.hasWorkers(ctx, m.pool) }

func (m *Migrator) hasWorkers(ctx context.Context, db querier) (bool, error) {
	table := pgx.Identifier{m.river, "river_leader"}.Sanitize()
	var isInstalled, elected bool
	if err := db.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&isInstalled); err != nil || !isInstalled {
		return false, err
	}
	err := db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+" WHERE expires_at > now())").Scan(&elected)
	return elected, err
}

// Fingerprint writes everything that determines the schema to w: equal output means an equal
// migrated database.
func Fingerprint(w io.Writer) error {
	fmt.Fprintf(w, "river %d\n%s\n", riverTarget, addChecksum)
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
