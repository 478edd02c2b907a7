// Package localpg runs a private Postgres server for the length of one process: for the demo, the
// benchmark and the tests, on a machine that has the server's binaries and nothing else set up.
//
// A private server lives in one temporary folder: its data, and a unix socket that only its own
// user (and root) can reach. Where the folder's path is too long for a socket it listens on a free
// loopback port instead and asks for a random password, because there every local user could knock.
// Postgres refuses to run as root; for root it runs as user postgres, else as nobody.
//
// Nothing of it outlives the process that started it, even one that is ended by kill -9: see watcher.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// minMajor is the oldest major version of Postgres that is accepted.
const minMajor = 15

// readyTimeout bounds the time from starting a server to its first answer. A machine that needs
// longer than this is broken rather than slow: the usual time is below a tenth of a second.
const readyTimeout = time.Minute

// Options of a private server. The zero value is a throw-away server tuned for speed.
type Options struct {
	// Durable keeps fsync, synchronous_commit and full_page_writes on, which are Postgres' own
	// defaults: for measurements that shall be true of a real server. Default: all three are off.
	Durable bool
	// InMemory puts the server's folder on a file system in memory, where the system has one with
	// room and TMPDIR is not set: for tests, which make and drop databases of many small files all
	// the time. Do not use it for a server that shall outlive the login of its user: some systems
	// then remove what the user has there.
	InMemory bool
	// Settings are further server settings by name, as in postgresql.conf. They win over the ones
	// chosen here, except for those that say where the server listens.
	Settings map[string]string
	// Environment has further variables of the server's environment, like "NAME=value".
	Environment []string
	// Log receives the server's log as it is written. It need not be safe for concurrent use, and
	// is not written to after Close. Default: the log is dropped. The last lines are part of the
	// error in either case when the server does not start.
	Log io.Writer
}

// Server is a Postgres server that is ready for connections.
type Server struct {
	connString string // to the maintenance database
	version    string
	cluster    *cluster // nil: the server is somebody else's
	close      func() error
}

// Open returns the server that the environment variable DATABASE_URL names (a URL or a
// keyword/value string), or a private one from Start when the variable is unset or empty. It
// fails when that server does not answer or is older than Postgres 15. Options apply to a private
// server only.
func Open(ctx context.Context, o Options) (*Server, error) {
	connString := os.Getenv("DATABASE_URL")
	if connString == "" {
		return Start(ctx, o)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	reported, err := serverVersion(ctx, connString)
	if err != nil {
		return nil, fmt.Errorf("connecting to the server in DATABASE_URL: %w", err)
	}
	v, err := parseVersion(reported)
	if err != nil {
		return nil, fmt.Errorf("version of the server in DATABASE_URL: %w", err)
	}
	if v.major < minMajor {
		return nil, fmt.Errorf("the server in DATABASE_URL is Postgres %s: version %d or later is needed", v, minMajor)
	}
	return &Server{connString: connString, version: reported, close: func() error { return nil }}, nil
}

// Start starts a private server and returns when it answers. The context bounds the start only:
// the server runs until Close, or until this process ends. The error is ErrNoBinaries where the
// machine has no Postgres 15 or later.
func Start(ctx context.Context, o Options) (*Server, error) {
	return startIn(ctx, tempDir(o.InMemory), o)
}

// startIn is Start with the server's folder below tempDir.
func startIn(ctx context.Context, tempDir string, o Options) (*Server, error) {
	bin, err := thisHost().newestBinaries()
	if err != nil {
		return nil, err
	}
	c, err := newCluster(tempDir, bin)
	if err != nil {
		return nil, err
	}
	version, err := c.start(ctx, o)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return &Server{connString: c.connString(), version: version, cluster: c, close: sync.OnceValue(c.close)}, nil
}

// URL returns a connection string for a database of this server, usable by pgx and by psql. The
// name "" means the maintenance database: "postgres" of a private server, and the database that
// DATABASE_URL names otherwise. The database need not exist.
func (s *Server) URL(database string) string {
	if database == "" {
		return s.connString
	}
	return withDatabase(s.connString, database)
}

// Private tells whether this process started the server, so that it ends with Close.
func (s *Server) Private() bool { return s.cluster != nil }

// Version returns the version that the server reports, without its packager's suffix: "15.18".
func (s *Server) Version() string { return s.version }

// Close stops a private server at once, whoever is still connected, and removes its folder. A
// server from DATABASE_URL is left alone. Later calls return what the first one returned.
func (s *Server) Close() error { return s.close() }

// serverVersion connects once and returns the version that the server reports.
func serverVersion(ctx context.Context, connString string) (string, error) {
	conn, err := pgx.Connect(ctx, connString)
	if err != nil {
		return "", err
	}
	version, _, _ := strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	return version, conn.Close(ctx)
}
