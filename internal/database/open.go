package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SearchPath is the search path of every session. Other roles cannot create objects in it, and
// temporary objects come last.
const SearchPath = "pg_catalog, pg_temp"

// session has the settings of every connection. The limits of its pool are added.
var session = map[string]string{
	"default_transaction_isolation":  "read committed",
	"default_transaction_deferrable": "off",
	"search_path":                    SearchPath,
	"client_encoding":                "UTF8",
	"standard_conforming_strings":    "on",
	"bytea_output":                   "hex",
	"datestyle":                      "ISO, MDY",
	"intervalstyle":                  "postgres",
	"timezone":                       "UTC",
	"extra_float_digits":             "1",
}

// pooled are the settings that a pooler in transaction mode tracks per client.
var pooled = []string{"client_encoding", "datestyle", "timezone", "standard_conforming_strings"}

// Options of a pool.
type Options struct {
	// URL is the connection string. Required.
	URL string
	// Size is the maximum number of connections. Required.
	Size int
	// PollOnly is for a connection pooler in transaction mode: no prepared statements and no
	// session settings.
	PollOnly bool
	// Writes makes the pool refuse read-only servers (standbys and demoted primaries). With several
	// hosts in the URL it finds the primary.
	Writes bool
	// NoFlush sets synchronous_commit to off, so that commits do not wait for the disk. No effect
	// with PollOnly.
	NoFlush bool
	// Limits apply to transactions that do not set their own. If Statement is set, [HasLimits] is
	// true. No effect with PollOnly.
	Limits Limits
}

// Limits of a transaction, in whole milliseconds. Zero means no limit.
type Limits struct {
	Statement, Lock, Idle time.Duration
}

// settings returns the limits as session settings. Zero limits are set too, because the defaults of
// a role could be too short for a migration.
func (l Limits) settings() map[string]string {
	return map[string]string{
		"statement_timeout":                   strconv.FormatInt(l.Statement.Milliseconds(), 10),
		"lock_timeout":                        strconv.FormatInt(l.Lock.Milliseconds(), 10),
		"idle_in_transaction_session_timeout": strconv.FormatInt(l.Idle.Milliseconds(), 10),
	}
}

// limited marks connections whose session has the limits of its pool.
const limited = "thaw.limited"

// HasLimits reports whether the session has the limits of its pool, so that a transaction need not
// set them. It is false behind a pooler in transaction mode.
func HasLimits(conn *pgx.Conn) bool { return conn.PgConn().CustomData()[limited] == true }

// ErrReadOnly is wrapped by the errors of a pool with [Options.Writes] that finds no writable
// server.
var ErrReadOnly = errors.New("the database server is read-only")

// ErrTransactionMode is returned by [Open] if the database is behind a connection pooler in
// transaction mode.
var ErrTransactionMode = errors.New("the database is behind a connection pooler in transaction mode: set THAW_POLL_ONLY=true (--poll-only), or connect to Postgres itself or through a pool in session mode")

// Open returns a pool after it has connected once. The caller closes it.
func Open(ctx context.Context, o Options) (*pgxpool.Pool, error) {
	config, settings, err := Parse(o.URL)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(o.Size)
	config.MinConns = min(config.MinConns, config.MaxConns)
	config.MinIdleConns = min(config.MinIdleConns, config.MaxConns)
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "thaw"
	}
	if o.Writes {
		config.ConnConfig.ValidateConnect = requireWrites
	}
	closesOn := config.ConnConfig.OnPgError
	config.ConnConfig.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		return closesOn(conn, err) && err.Code != pgerrcode.ReadOnlySQLTransaction
	}

	pool, err := openConfigured(ctx, config, o)
	if err != nil {
		return nil, explain(err, settings.forServer)
	}
	return pool, nil
}

// openConfigured opens a pool with the required session settings. It first tries startup
// parameters, then statements.
func openConfigured(ctx context.Context, config *pgxpool.Config, o Options) (*pgxpool.Pool, error) {
	wanted := maps.Clone(session)
	maps.Copy(wanted, o.Limits.settings())
	if o.NoFlush {
		wanted["synchronous_commit"] = "off"
	}
	if !o.PollOnly && o.Limits.Statement > 0 {
		config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
			conn.PgConn().CustomData()[limited] = true
			return nil
		}
	}
	bare := config.Copy()
	if o.PollOnly {
		// QueryExecModeExec would not do: it guesses argument types and sends a body as bytea
		// instead of jsonb.
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		maps.DeleteFunc(wanted, func(name, _ string) bool { return !slices.Contains(pooled, name) })
	}
	maps.Copy(config.ConnConfig.RuntimeParams, wanted)
	pool, err := connect(ctx, config)
	switch {
	case err != nil && !isRefusedByPooler(err, wanted):
		return nil, err
	case err == nil:
		isSet, err := check(ctx, pool, o)
		if err != nil {
			pool.Close()
			return nil, err
		}
		if isSet {
			return pool, nil
		}
		pool.Close() // a pooler has dropped the startup parameters
	}

	if err := refuseTransactionMode(ctx, bare.ConnConfig); err != nil {
		return nil, err
	}
	var statements strings.Builder
	for name, value := range wanted {
		fmt.Fprintf(&statements, "SET %s = '%s';", name, value)
		delete(bare.ConnConfig.RuntimeParams, name)
	}
	// search_path is a list, so it is not quoted.
	statements.WriteString("SET search_path = " + SearchPath)
	bare.ConnConfig.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		return conn.Exec(ctx, statements.String()).Close()
	}
	if pool, err = connect(ctx, bare); err != nil {
		return nil, err
	}
	if _, err = check(ctx, pool, o); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func connect(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	var made atomic.Pointer[pgxpool.Pool]
	checkIdle(config, made.Load)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	made.Store(pool)
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// requireWrites is pgconn.ValidateConnectTargetSessionAttrsReadWrite with a distinct error.
func requireWrites(ctx context.Context, conn *pgconn.PgConn) error {
	result := conn.ExecParams(ctx, "SHOW transaction_read_only", nil, nil, nil, nil).Read()
	if result.Err != nil {
		return result.Err
	}
	if string(result.Rows[0][0]) == "on" {
		return ErrReadOnly
	}
	return nil
}

// An unfitError says why a reachable database cannot be used.
type unfitError struct{ error }

func unfitf(format string, args ...any) error { return unfitError{fmt.Errorf(format, args...)} }

// check rejects databases that would cause less clear errors later. It reports whether the session
// settings are in effect.
func check(ctx context.Context, pool *pgxpool.Pool, o Options) (isSet bool, err error) {
	var encoding, isolation, path string
	var lock time.Duration
	err = pool.QueryRow(ctx, `SELECT current_setting('server_encoding'), current_setting('default_transaction_isolation'),
		current_setting('search_path'), current_setting('lock_timeout')::interval`).Scan(&encoding, &isolation, &path, &lock)
	if err != nil {
		return false, err
	}
	if encoding != "UTF8" {
		return false, unfitf("the encoding of the database is %s, but Thaw requires UTF8 to store all names and messages: create the database with ENCODING 'UTF8'", encoding)
	}
	if o.PollOnly {
		if isolation != "read committed" {
			return false, unfitf("the default isolation level of this role is %s, and Thaw cannot change it through a pooler in transaction mode: run ALTER ROLE … SET default_transaction_isolation = 'read committed' for the role of Thaw", isolation)
		}
		return true, nil
	}
	// A pooler may keep some of the startup parameters and drop others.
	return path == SearchPath && lock == o.Limits.Lock, nil
}

// isRefusedByPooler reports whether PgBouncer refused one of our startup parameters.
func isRefusedByPooler(err error, wanted map[string]string) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, "unsupported startup parameter") {
		return false
	}
	for name := range wanted {
		if strings.Contains(refused.Message, name) {
			return true
		}
	}
	return false
}

// refuseTransactionMode detects a pooler in transaction mode, which would silently break LISTEN,
// session locks and settings. The pooler hands out the most recently released server, so two
// clients get each other's server.
func refuseTransactionMode(ctx context.Context, config *pgx.ConnConfig) error {
	// With a pool of one server the second client waits forever, and the mode cannot be detected.
	waiting, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	isSame, err := swapServers(waiting, config)
	switch {
	case err != nil && waiting.Err() != nil && ctx.Err() == nil:
		return nil
	case err != nil:
		return err
	case isSame:
		return ErrTransactionMode
	default:
		return nil
	}
}

// swapServers reports whether a second client gets the server that the first client had in its
// transaction.
func swapServers(ctx context.Context, config *pgx.ConnConfig) (bool, error) {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	var clients [2]*pgx.Conn
	for i := range clients {
		var err error
		if clients[i], err = pgx.ConnectConfig(ctx, config); err != nil {
			return false, err
		}
		defer clients[i].Close(context.WithoutCancel(ctx))
	}
	server := func(tx pgx.Tx) (pid int32, err error) {
		return pid, tx.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
	}
	var before, after int32
	err := pgx.BeginFunc(ctx, clients[0], func(tx pgx.Tx) (err error) {
		if before, err = server(tx); err != nil {
			return err
		}
		return pgx.BeginFunc(ctx, clients[1], func(other pgx.Tx) error { _, err := server(other); return err })
	})
	if err != nil {
		return false, err
	}
	err = pgx.BeginFunc(ctx, clients[1], func(tx pgx.Tx) (err error) { after, err = server(tx); return err })
	return before == after, err
}

// explain adds what to do to a connection error, if known. After parsing, errors of the driver and
// the server contain no password.
func explain(err error, given []string) error {
	var fromServer *pgconn.PgError
	var unfit unfitError
	switch {
	case errors.Is(err, ErrTransactionMode), errors.As(err, &unfit):
		return err
	case errors.Is(err, ErrReadOnly):
		return fmt.Errorf("%w, because it is a standby or was set to read-only: connect to the primary (a URL may list several hosts: postgres://user@host1,host2/name)", ErrReadOnly)
	case errors.As(err, &fromServer) && fromServer.Code == pgerrcode.TooManyConnections:
		return fmt.Errorf("the database server has no free connections (%s): lower THAW_MAX_CONNECTIONS of each process, or raise max_connections of the server", fromServer.Message)
	case errors.As(err, &fromServer) && (fromServer.Code == pgerrcode.UndefinedObject || strings.Contains(fromServer.Message, "startup parameter")):
		for _, name := range given {
			if strings.Contains(fromServer.Message, name) {
				return fmt.Errorf("the database URL has a parameter that the server does not know: remove %s", name)
			}
		}
		return errors.New("the database URL has a parameter that the server does not know: " + quote)
	}
	return fmt.Errorf("the database cannot be reached: %w", err)
}
