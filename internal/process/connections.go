package process

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of a server. A connection uses about 20 KiB of memory, plus its headers while they arrive.
const (
	// maxConnections is the maximum number of connections: with running requests, with streams of
	// live pages, and idle.
	maxConnections = 512
	// maxHeader is the maximum size of the headers of a request, in bytes. The longest path is that
	// of a prospect.
	maxHeader = 32 << 10
	// headerTimeout is the time limit for reading the headers.
	headerTimeout = 10 * time.Second
)

// connections limits the number of open connections. At the limit, a new connection replaces the
// one that has been idle longest, so that clients that open connections and send nothing, or half a
// header, do not block others. If all connections have running requests, a new one waits.
type connections struct {
	net.Listener
	most int

	mu sync.Mutex
	// idle has the connections without a running request, with the time since when. busy has the
	// others.
	idle  map[net.Conn]time.Time
	busy  map[net.Conn]bool
	freed *sync.Cond
	done  bool
}

func boundConnections(listener net.Listener, most int) *connections {
	c := &connections{Listener: listener, most: most, idle: map[net.Conn]time.Time{}, busy: map[net.Conn]bool{}}
	c.freed = sync.NewCond(&c.mu)
	return c
}

// Accept implements [net.Listener].
func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: conn, of: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.idle)+len(c.busy) >= c.most && !c.done {
		if oldest := c.oldest(); oldest != nil {
			delete(c.idle, oldest)
			_ = oldest.Close()
			break
		}
		c.freed.Wait()
	}
	c.idle[counted] = time.Now()
	return counted, nil
}

// Close implements [net.Listener].
func (c *connections) Close() error {
	c.mu.Lock()
	c.done = true
	c.freed.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

func (c *connections) oldest() (oldest net.Conn) {
	for conn, since := range c.idle {
		if oldest == nil || since.Before(c.idle[oldest]) {
			oldest = conn
		}
	}
	return oldest
}

type countedConn struct {
	net.Conn
	of *connections
}

// Close removes the connection. It does so in a goroutine, because Accept holds the lock when it
// closes an idle connection.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	go c.of.forget(c)
	return err
}

func (c *connections) forget(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.idle, conn)
	delete(c.busy, conn)
	c.freed.Broadcast()
}

type connKey struct{}

// context stores the connection in the context of its requests, for marking.
func (*connections) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// marking marks a connection as busy when the headers of a request have arrived. It stays busy
// until answered is called, because part of the response may still be unsent when the handler
// returns.
func (c *connections) marking(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, ok := r.Context().Value(connKey{}).(net.Conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		c.mark(conn, true)
		next.ServeHTTP(w, r)
	})
}

// answered is the ConnState of the server. A connection becomes idle when its response is sent. The
// state for the first byte of a request is ignored, because no more bytes may follow.
func (c *connections) answered(conn net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		c.mark(conn, false)
	}
}

func (c *connections) mark(conn net.Conn, isBusy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, wasIdle := c.idle[conn]
	switch {
	case isBusy && wasIdle:
		delete(c.idle, conn)
		c.busy[conn] = true
	case !isBusy && c.busy[conn]:
		delete(c.busy, conn)
		c.idle[conn] = time.Now()
		c.freed.Broadcast()
	}
}
