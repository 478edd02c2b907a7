// Package localpg runs a private Postgres server that ends with the current process. It is used by
// the demo, the benchmarks and the tests, and needs only the server binaries of Postgres.
//
// A private server has one temporary folder with its data and a unix socket, which only its own
// user and root can access. If the path of the folder is too long for a socket, the server listens
// on a free loopback port with a random password, because every local user can connect to that
// port. Postgres refuses to run as root. If the current user is root, the server runs as user
// postgres, or as nobody if there is no such user.
//
// The server and its folder are removed when the process ends, even after kill -9; see watcher.
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

// minMajor is the oldest supported major version of Postgres.
const minMajor = 15

// readyTimeout limits the time from the start of a server to its first answer, which is usually
// below a tenth of a second.
const readyTimeout = time.Minute

// Options of a private server. The zero value is a disposable server that is tuned for speed.
type Options struct {
	// Durable keeps fsync, synchronous_commit and full_page_writes on, as in the defaults of
	// Postgres, for realistic measurements. By default all three are off.
	Durable bool
	// InMemory puts the folder of the server on a file system in memory, if there is one with
	// enough space and TMPDIR is not set. It is for tests, which constantly create and drop
	// databases with many small files. Do not use it for a server that outlives the login session
	// of its user: some systems then delete the user's files there.
	InMemory bool
	// Settings are additional server settings by name, as in postgresql.conf. They override the
	// defaults of this package, except for the address of the server.
	Settings map[string]string
	// Contents are what the server contains when Start returns. By default it is empty.
	Contents *Contents
	// Environment has additional environment variables of the server, like "NAME=value".
	Environment []string
	// Log receives the server log. It need not be safe for concurrent use, and is not written to
	// after Close. By default the log is discarded. If the server does not start, the error
	// contains the last lines of the log in either case.
	Log io.Writer
}

// Server is a Postgres server that is ready for connections.
type Server struct {
	connString string // to the maintenance database
	version    string
	cluster    *cluster // nil for the server in DATABASE_URL
	close      func() error
}

// Open returns the server in the environment variable DATABASE_URL (a URL or a keyword/value
// string), or starts a private one if the variable is unset or empty. It fails if the server does
// not answer or is older than Postgres 15. Options apply to a private server only.
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
		return nil, fmt.Errorf("the server in DATABASE_URL is Postgres %s: use version %d or later", v, minMajor)
	}
	return &Server{connString: connString, version: reported, close: func() error { return nil }}, nil
}

// Start starts a private server and returns when it answers. The context limits the start only:
// the server runs until Close, or until this process ends. Start returns ErrNoBinaries if Postgres
// 15 or later is not installed.
func Start(ctx context.Context, o Options) (*Server, error) {
	return startIn(ctx, tempDir(o.InMemory), o)
}

// startIn is Start with the folder of the server in tempDir.
func startIn(ctx context.Context, tempDir string, o Options) (*Server, error) {
	bin, err := thisHost().newestBinaries()
	if err != nil {
		return nil, err
	}
	c, err := newCluster(tempDir, bin)
	if err != nil {
		return nil, err
	}
	version, err := c.startWith(ctx, o)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return &Server{connString: c.connString(), version: version, cluster: c, close: sync.OnceValue(c.close)}, nil
}

// URL returns a connection string for a database of this server, for pgx and psql. The name ""
// means the maintenance database: postgres on a private server, otherwise the database in
// DATABASE_URL. The database need not exist.
func (s *Server) URL(database string) string {
	if database == "" {
		return s.connString
	}
	return withDatabase(s.connString, database)
}

// Private reports whether this process started the server, so that Close stops it.
func (s *Server) Private() bool { return s.cluster != nil }

// Version returns the version that the server reports, without the suffix of the package, for
// example "15.18".
func (s *Server) Version() string { return s.version }

// Close stops a private server immediately, even if clients are connected, and removes its folder.
// It does nothing for a server from DATABASE_URL. Later calls return the result of the first call.
func (s *Server) Close() error { return s.close() }

// serverVersion connects once and returns the version of the server.
func serverVersion(ctx context.Context, connString string) (string, error) {
	conn, err := pgx.Connect(ctx, connString)
	if err != nil {
		return "", err
	}
	version, _, _ := strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	return version, conn.Close(ctx)
}
