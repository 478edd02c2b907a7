// Package testdb gives every test a database of its own, migrated and empty, on one server for the whole test process.
//
// The server is the one at DATABASE_URL, or a private one that ends with the process. The migrations run once, into a
// template; a test gets a copy of it, in a few hundredths of a second. The copy of a failed test is kept where the server
// outlives the process, and its URL is logged.
//
// Where THAW_TEST_POOLER is the URL of a connection pooler in transaction mode before that server, tests go through it, and
// their workers do without LISTEN. What needs a session of its own goes past it: see [DB.Direct].
//
// The only thing that is not real in these databases is time: thaw.now() is replaced by a clock that a test can move.
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

// fakeClock puts a clock that can be moved in the place of the database's. Every function of the schema asks thaw.now().
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
	// URL connects to it, from pgx and from psql; through the pooler if there is one.
	URL string
	// Direct connects to it past the pooler: for what lasts longer than a transaction (LISTEN, SET, PREPARE, a lock of the
	// session), and for programs that are not to know of a pooler.
	Direct string
	// PollOnly says that there is a pooler, so that workers must do without LISTEN, and pools without prepared statements.
	// Pool does; others begin with its Config.
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

// NewEmpty returns a database without anything in it. It is never behind the pooler: what is done first to such a database
// is to migrate it, under a lock of the session.
func NewEmpty(t testing.TB) *DB {
	t.Helper()
	server, _ := start(t)
	return clone(t, server, "template0", "")
}

// Advance moves the clock of the database; backwards, if by is negative.
func (db *DB) Advance(t testing.TB, by time.Duration) {
	t.Helper()
	_, err := db.Pool.Exec(t.Context(), "UPDATE thaw_test.clock SET ahead = ahead + $1::interval", by)
	require.NoError(t, err)
}

// Now returns the time by the clock of the database.
func (db *DB) Now(t testing.TB) time.Time {
	t.Helper()
	return Value[time.Time](t, db, "SELECT thaw.now()")
}

// Exec runs statements that need no arguments, several separated by semicolons if so wished, or one with arguments.
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

// Logger writes into the log of the test.
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

// start opens the server and makes the template, once a process.
func start(t testing.TB) (*localpg.Server, string) {
	t.Helper()
	once.Do(func() { server, template, errStart = makeTemplate(context.Background()) })
	require.NoError(t, errStart, "the database for tests")
	return server, template
}

func makeTemplate(ctx context.Context) (*localpg.Server, string, error) {
	server, err := localpg.Open(ctx, localpg.Options{InMemory: true})
	if err != nil {
		return nil, "", err
	}
	hash := sha256.New()
	if err := schema.Fingerprint(hash); err != nil {
		return nil, "", err
	}
	hash.Write([]byte(fakeClock))
	name := "thaw_template_" + hex.EncodeToString(hash.Sum(nil))[:16]

	admin, err := pgx.Connect(ctx, server.URL(""))
	if err != nil {
		return nil, "", err
	}
	defer admin.Close(ctx)
	// On a shared server, test processes that start together must not both make it. A template that is not marked as one
	// is what an interrupted process left behind.
	if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", name); err != nil {
		return nil, "", err
	}
	var ready bool
	if err := admin.QueryRow(ctx, "SELECT coalesce(bool_or(datistemplate), false) FROM pg_database WHERE datname = $1", name).Scan(&ready); err != nil {
		return nil, "", err
	}
	if ready {
		return server, name, nil
	}
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			return nil, "", fmt.Errorf("%s: %w", sql, err)
		}
	}
	if err := fillTemplate(ctx, server.URL(name)); err != nil {
		return nil, "", err
	}
	_, err = admin.Exec(ctx, "ALTER DATABASE "+name+" IS_TEMPLATE true")
	return server, name, err
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
	require.False(t, pooler != "" && server.Private(), "%s needs the server behind the pooler in DATABASE_URL", poolerEnv)
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
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // as the program with --poll-only
	}
	db.Pool, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		db.Pool.Close()
		if t.Failed() && !server.Private() {
			t.Logf("the database of this test is kept: %s", db.Direct)
			return
		}
		admin(t, server, "DROP DATABASE "+name+" WITH (FORCE)")
	})
	return db
}

// admin runs one statement outside of any test's database. The test's own context has ended when it cleans up.
func admin(t testing.TB, server *localpg.Server, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.URL(""))
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err)
}
