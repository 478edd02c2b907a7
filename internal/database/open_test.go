package database_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/testdb"
)

// odd are database settings that would change what a session reads and writes.
const odd = `
	ALTER DATABASE % SET default_transaction_isolation = 'serializable';
	ALTER DATABASE % SET default_transaction_deferrable = on;
	ALTER DATABASE % SET search_path = public, thaw;
	ALTER DATABASE % SET client_encoding = 'LATIN1';
	ALTER DATABASE % SET standard_conforming_strings = off;
	ALTER DATABASE % SET bytea_output = 'escape';
	ALTER DATABASE % SET DateStyle = 'German, DMY';
	ALTER DATABASE % SET IntervalStyle = 'iso_8601';
	ALTER DATABASE % SET TimeZone = 'Asia/Kathmandu';
	ALTER DATABASE % SET extra_float_digits = -3;
	ALTER DATABASE % SET statement_timeout = '1ms';
	ALTER DATABASE % SET lock_timeout = '1ms';
	ALTER DATABASE % SET idle_in_transaction_session_timeout = '1ms';`

func open(t *testing.T, o database.Options) *pgxpool.Pool {
	t.Helper()
	o.Size = 2
	pool, err := database.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// Session settings do not depend on the settings of the database.
func TestSessionsIgnoreDatabaseSettings(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	read := func() map[string]string {
		pool := open(t, database.Options{URL: db.Direct, NoFlush: true})
		rows, err := pool.Query(t.Context(), `SELECT name, current_setting(name) FROM unnest(ARRAY[
			'default_transaction_isolation', 'default_transaction_deferrable', 'search_path', 'client_encoding',
			'standard_conforming_strings', 'bytea_output', 'DateStyle', 'IntervalStyle', 'TimeZone', 'extra_float_digits',
			'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'synchronous_commit']) AS name`)
		require.NoError(t, err)
		settings := map[string]string{}
		var name, value string
		_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error { settings[name] = value; return nil })
		require.NoError(t, err)
		return settings
	}
	plain := read()
	require.Equal(t, "read committed", plain["default_transaction_isolation"])
	require.Equal(t, database.SearchPath, plain["search_path"])
	require.Equal(t, "off", plain["synchronous_commit"])
	makeOdd(t, db)
	require.Equal(t, plain, read())
}

// Sessions have the limits of their pool. With PollOnly they have none, and HasLimits is false, as
// for sessions whose statements have no limit.
func TestSessionsHaveTheLimitsOfTheirPool(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	makeOdd(t, db)
	for _, c := range []struct {
		options database.Options
		has     bool
		want    string
	}{
		{database.Options{}, false, "0 0 0"},
		{database.Options{Limits: database.Limits{Statement: 3 * time.Second, Lock: 2 * time.Second}}, true, "3s 2s 0"},
		{database.Options{Limits: database.Limits{Idle: 3 * time.Second}}, false, "0 0 3s"},
		{database.Options{Limits: database.Limits{Statement: 3 * time.Second}, PollOnly: true}, false, ""},
	} {
		if c.options.PollOnly {
			db.Exec(t, "ALTER DATABASE "+testdb.Value[string](t, db, "SELECT current_database()")+" RESET ALL")
		}
		c.options.URL = db.Direct
		conn, err := open(t, c.options).Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
		require.Equal(t, c.has, database.HasLimits(conn.Conn()))
		if c.want == "" {
			continue
		}
		var got string
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT concat_ws(' ', current_setting('statement_timeout'),
			current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'))`).Scan(&got))
		require.Equal(t, c.want, got)
	}
}

func makeOdd(t *testing.T, db *testdb.DB) {
	t.Helper()
	name := testdb.Value[string](t, db, "SELECT current_database()")
	_, err := db.Pool.Exec(t.Context(), strings.ReplaceAll(odd, "DATABASE %", "DATABASE "+name), pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

// When a server becomes read-only, for example in a failover behind one address, failing
// connections are closed, and new ones are checked before use.
func TestReadOnlyConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	name := testdb.Value[string](t, db, "SELECT current_database()")
	pool := open(t, database.Options{URL: db.Direct, Writes: true})
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SET default_transaction_read_only = on")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "INSERT INTO thaw.workspaces (key) VALUES ('acme')")
	var readOnly *pgconn.PgError
	require.ErrorAs(t, err, &readOnly)
	require.Equal(t, "25006", readOnly.Code)
	require.True(t, conn.Conn().IsClosed())
	conn.Release()
	_, err = pool.Exec(t.Context(), "INSERT INTO thaw.workspaces (key) VALUES ('acme')")
	require.NoError(t, err)

	db.Exec(t, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	_, err = database.Open(t.Context(), database.Options{URL: db.Direct, Size: 1, Writes: true})
	require.ErrorIs(t, err, database.ErrReadOnly)
	open(t, database.Options{URL: db.Direct}) // reading is allowed
}

func TestOpenRefusesOtherEncodings(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		name := testdb.Value[string](t, db, "SELECT current_database()") + "_" + strings.ToLower(encoding)
		db.Exec(t, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING '"+encoding+"' LOCALE 'C'")
		t.Cleanup(func() { _, _ = db.Pool.Exec(context.Background(), "DROP DATABASE "+name) })
		address, err := url.Parse(db.Direct)
		require.NoError(t, err)
		address.Path = "/" + name
		_, err = database.Open(t.Context(), database.Options{URL: address.String(), Size: 1})
		require.ErrorContains(t, err, encoding)
		require.ErrorContains(t, err, "ENCODING 'UTF8'")
	}
}

func TestOpenNamesUnknownServerParameter(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(testdb.New(t).Direct)
	require.NoError(t, err)
	query := address.Query()
	query.Set("not_a_setting", "1")
	address.RawQuery = query.Encode()
	_, err = database.Open(t.Context(), database.Options{URL: address.String(), Size: 1})
	require.EqualError(t, err, "the database URL has a parameter that the server does not know: remove not_a_setting")
}

func TestPollOnlyRequiresReadCommitted(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	open(t, database.Options{URL: db.Direct, PollOnly: true})
	db.Exec(t, "ALTER DATABASE "+testdb.Value[string](t, db, "SELECT current_database()")+" SET default_transaction_isolation = 'repeatable read'")
	_, err := database.Open(t.Context(), database.Options{URL: db.Direct, Size: 1, PollOnly: true})
	require.ErrorContains(t, err, "repeatable read")
	require.ErrorContains(t, err, "ALTER ROLE")
}
