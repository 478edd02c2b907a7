// Package testdb gives every test its own migrated, empty database, on one server per test process.
//
// The server is the one at DATABASE_URL, or a private one that ends with the process. Migrations
// run once per schema, into a template, and each test gets a copy in a few hundredths of a second.
// A private server starts with a copy of the template too, from the user's cache folder. On a
// server that outlives the process, the database of a failed test is kept and its URL is logged.
//
// If THAW_TEST_POOLER is the URL of a connection pooler in transaction mode in front of that
// server, tests use the pooler, and their workers work without LISTEN. Code that needs a session
// bypasses the pooler: see [DB.Direct].
//
// Only time is fake in these databases: thaw.now() reads a clock that tests can move.
package testdb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/localpg"
	"github.com/thawline/thaw/schema"
)

// fakeClock replaces the database's clock with one that tests can move. All functions of the schema
// call thaw.now().
const fakeClock = `
CREATE SCHEMA thaw_test;
CREATE TABLE thaw_test.clock (ahead interval NOT NULL);
INSERT INTO thaw_test.clock VALUES ('0');
GRANT USAGE ON SCHEMA thaw_test TO PUBLIC;
GRANT SELECT ON thaw_test.clock TO PUBLIC;
CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.now() + (SELECT clock.ahead FROM thaw_test.clock);
`

// A DB is one test's database.
type DB struct {
	// URL connects to the database with pgx or psql, through the pooler if there is one.
	URL string
	// Direct bypasses the pooler. Use it for state that outlives a transaction (LISTEN, SET,
	// PREPARE, session locks), and for programs that do not support a pooler.
	Direct string
	// PollOnly is true if there is a pooler: workers must not use LISTEN, and pools must not use
	// prepared statements. Pool is configured accordingly; start other pools from its Config.
	PollOnly bool
	// Pool is closed when the test ends.
	Pool *pgxpool.Pool
}

// poolerEnv is the environment variable with the URL of the pooler.
const poolerEnv = "THAW_TEST_POOLER"

// New returns a migrated, empty database.
func New(t testing.TB) *DB {
	t.Helper()
	server, template := start(t)
	return clone(t, server, template, os.Getenv(poolerEnv))
}

// NewEmpty returns an empty database. It bypasses the pooler, because such a database is first
// migrated, under a session lock.
func NewEmpty(t testing.TB) *DB {
	t.Helper()
	server, _ := start(t)
	return clone(t, server, "template0", "")
}

// Copy returns a copy of the database, on the same server and not behind a pooler. No other
// session may be connected to the database.
func (db *DB) Copy(t testing.TB) *DB {
	t.Helper()
	server, _ := start(t)
	name := db.Pool.Config().ConnConfig.Database
	db.Pool.Reset()
	return clone(t, server, name, "")
}

// Drop ends the database before its test does, for a random test that copies one in each case.
func (db *DB) Drop(t testing.TB) {
	t.Helper()
	server, _ := start(t)
	db.Pool.Close()
	drop(t, server, db.Pool.Config().ConnConfig.Database)
}

func drop(t testing.TB, server *localpg.Server, name string) {
	t.Helper()
	admin(t, server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

// Advance moves the database's clock, backwards if by is negative.
func (db *DB) Advance(t testing.TB, by time.Duration) {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), "UPDATE thaw_test.clock SET ahead = ahead + $1::interval", by)
	require.NoError(t, err)
}

// Now returns the time of the database's clock.
func (db *DB) Now(t testing.TB) time.Time {
	t.Helper()
	return Value[time.Time](t, db, "SELECT thaw.now()")
}

// Exec runs statements without arguments, separated by semicolons, or one statement with arguments.
func (db *DB) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// Value returns the only column of the only row of a query.
func Value[T any](t testing.TB, db *DB, sql string, args ...any) T {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return value
}

// Column returns the only column of all rows of a query.
func Column[T any](t testing.TB, db *DB, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return values
}

// Logger returns a logger that writes to the test's log.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

var (
	once     sync.Once
	server   *localpg.Server
	template string
	errStart error
	clones   atomic.Int64
	// Several test processes can share one server.
	pid = os.Getpid()
)

// start opens the server and creates the template, once per process.
func start(t testing.TB) (*localpg.Server, string) {
	t.Helper()
	once.Do(func() { server, template, errStart = makeTemplate(context.Background()) })
	require.NoError(t, errStart, "starting the test database")
	return server, template
}

func makeTemplate(ctx context.Context) (*localpg.Server, string, error) {
	hash := sha256.New()
	if err := schema.Fingerprint(hash); err != nil {
		return nil, "", err
	}
	hash.Write([]byte(fakeClock))
	name := "thaw_template_" + hex.EncodeToString(hash.Sum(nil))[:16]
	create := func(ctx context.Context, server *localpg.Server) error { return createTemplate(ctx, server, name) }

	server, err := localpg.Open(ctx, localpg.Options{InMemory: true, Contents: &localpg.Contents{Key: name, Fill: create}})
	if err != nil || server.Private() {
		return server, name, err
	}
	return server, name, create(ctx, server)
}

// createTemplate creates the template unless the server has it.
func createTemplate(ctx context.Context, server *localpg.Server, name string) error {
	admin, err := pgx.Connect(ctx, server.URL(""))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	// On a shared server, test processes that start together must not both create it. A template
	// that is not marked as one was left by an interrupted process.
	if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", name); err != nil {
		return err
	}
	var ready bool
	if err := admin.QueryRow(ctx, "SELECT coalesce(bool_or(datistemplate), false) FROM pg_database WHERE datname = $1", name).Scan(&ready); err != nil {
		return err
	}
	if ready {
		return nil
	}
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	if err := fillTemplate(ctx, server.URL(name)); err != nil {
		return err
	}
	_, err = admin.Exec(ctx, "ALTER DATABASE "+name+" IS_TEMPLATE true")
	return err
}

func fillTemplate(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	migrator, err := schema.NewMigrator(pool, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer migrator.Close()
	if _, err := migrator.Up(ctx); err != nil {
		return err
	}
	_, err = pool.Exec(ctx, fakeClock, pgx.QueryExecModeSimpleProtocol)
	return err
}

func clone(t testing.TB, server *localpg.Server, template, pooler string) *DB {
	t.Helper()
	require.False(t, pooler != "" && server.Private(), "%s requires DATABASE_URL to be the server behind the pooler", poolerEnv)
	name := fmt.Sprintf("thaw_test_%d_%d", pid, clones.Add(1))
	admin(t, server, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", name, template))

	db := &DB{URL: server.URL(name), Direct: server.URL(name), PollOnly: pooler != ""}
	if db.PollOnly {
		address, err := url.Parse(pooler)
		require.NoError(t, err, poolerEnv)
		db.URL = address.JoinPath(name).String()
	}
	config, err := pgxpool.ParseConfig(db.URL)
	require.NoError(t, err)
	config.MaxConns = 20
	if db.PollOnly {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // like the program with --poll-only
	}
	db.Pool, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		db.Pool.Close()
		if t.Failed() && !server.Private() {
			t.Logf("kept the database of this test: %s", db.Direct)
			return
		}
		drop(t, server, name)
	})
	return db
}

// adminConn is open until the process ends: a connection costs as much as the copy of a database.
var adminConn struct {
	sync.Mutex
	*pgx.Conn
}

// admin runs one statement outside of the test databases, one at a time. It has its own context:
// the test's has ended during cleanup.
func admin(t testing.TB, server *localpg.Server, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	adminConn.Lock()
	defer adminConn.Unlock()
	if adminConn.Conn == nil || adminConn.IsClosed() {
		var err error
		adminConn.Conn, err = pgx.Connect(ctx, server.URL(""))
		require.NoError(t, err)
	}
	_, err := adminConn.Exec(ctx, sql)
	require.NoError(t, err)
}
