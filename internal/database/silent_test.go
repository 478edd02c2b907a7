package database_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/testdb"
)

// A relay passes on connections to a server. The connections that exist when it falls silent stay
// open, and nothing passes through them any more.
type relay struct {
	net.Listener
	server  [2]string // network and address
	current atomic.Pointer[atomic.Bool]
	// unanswered counts the queries that were sent into silent connections.
	unanswered atomic.Int32
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	at, err := pgxpool.ParseConfig(server)
	require.NoError(t, err)
	network, address := pgNetwork(at)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{Listener: listener, server: [2]string{network, address}}
	r.current.Store(&atomic.Bool{})
	t.Cleanup(func() { _ = listener.Close() })
	go r.run()
	return r
}

func pgNetwork(at *pgxpool.Config) (network, address string) {
	host, port := at.ConnConfig.Host, at.ConnConfig.Port
	if host[0] == '/' {
		return "unix", host + "/.s.PGSQL." + strconv.Itoa(int(port))
	}
	return "tcp", net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func (r *relay) run() {
	for {
		client, err := r.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(r.server[0], r.server[1])
		if err != nil {
			_ = client.Close()
			continue
		}
		silent := r.current.Load()
		go r.pass(server, client, silent)
		go r.pass(client, server, silent)
	}
}

// silence stops what passes through the connections that exist.
func (r *relay) silence() { r.current.Swap(&atomic.Bool{}).Store(true) }

func (r *relay) pass(to, from net.Conn, silent *atomic.Bool) {
	buffer := make([]byte, 32*1024)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			_ = to.Close()
			return
		}
		if silent.Load() {
			if buffer[0] == 'Q' {
				r.unanswered.Add(1)
			}
			_, _ = io.Copy(io.Discard, from)
			_ = to.Close()
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// One idle connection that does not answer is enough to close all idle connections of a pool.
func TestSilentConnectionsAreClosedTogether(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t) // waits for almost 20 s
	db := testdb.New(t)
	r := newRelay(t, db.Direct)
	through, err := url.Parse(db.Direct)
	require.NoError(t, err)
	query := through.Query()
	query.Del("host")
	query.Del("port")
	query.Set("sslmode", "disable")
	through.RawQuery, through.Host = query.Encode(), r.Addr().String()

	const size = 6
	pool, err := database.Open(t.Context(), database.Options{URL: through.String(), Size: size})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	connections := make([]*pgxpool.Conn, size)
	for i := range connections {
		connections[i], err = pool.Acquire(t.Context())
		require.NoError(t, err)
	}
	for _, c := range connections {
		c.Release()
	}
	released := time.Now()
	r.silence()
	require.Eventually(t, func() bool { return time.Since(released) > database.PingAfter }, time.Minute, 10*time.Millisecond)

	opened := pool.Stat().NewConnsCount()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = pool.Exec(ctx, "SELECT 1")
	require.NoError(t, err)
	require.EqualValues(t, 1, r.unanswered.Load(), "the others were not tried")
	require.Equal(t, opened+1, pool.Stat().NewConnsCount())
	require.Eventually(t, func() bool { return pool.Stat().TotalConns() == 1 }, time.Minute, 10*time.Millisecond, "the other idle connections are closed")
}
