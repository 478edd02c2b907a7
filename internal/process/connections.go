package process

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of a server. A connection costs about 20 KiB of memory, and as much as its headers while they arrive.
const (
	// maxConnections is how many there may be at once: requests, streams of pages that are kept up to date, and connections
	// that wait for their next request.
	maxConnections = 512
	// maxHeader is how long the headers of a request may be, in bytes. The longest address is that of a prospect.
	maxHeader = 32 << 10
	// headerTimeout is how long they may take to arrive.
	headerTimeout = 10 * time.Second
)

// connections bounds how many connections a server holds. At the bound the one that has waited longest without a request under
// way gives way to a new one: whoever opens connections and sends nothing, or half a header, keeps nobody else out. Only where
// requests run on all of them does a new one wait.
type connections struct {
	net.Listener
	most int

	mu sync.Mutex
	// idle is when each connection without a request began to be so; busy are the others.
	idle map[net.Conn]time.Time
	busy map[net.Conn]bool
	room *sync.Cond
	done bool
}

func boundConnections(listener net.Listener, most int) *connections {
	c := &connections{Listener: listener, most: most, idle: map[net.Conn]time.Time{}, busy: map[net.Conn]bool{}}
	c.room = sync.NewCond(&c.mu)
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
		c.room.Wait()
	}
	c.idle[counted] = time.Now()
	return counted, nil
}

// Close implements [net.Listener].
func (c *connections) Close() error {
	c.mu.Lock()
	c.done = true
	c.room.Broadcast()
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

// Close forgets the connection. The lock may be held by the one who evicts it: it has forgotten it already.
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
	c.room.Broadcast()
}

type connKey struct{}

// context notes the connection of a request, for marking.
func (*connections) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// marking says of a connection that a request is under way on it: the headers are here. It is until answered says otherwise:
// when the handler returns, a part of the answer may still be on its way.
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

// answered is the server's ConnState: a connection that waits for its next request has sent its answer whole. The server tells
// of the first byte of a request too, which is not counted: it may be all that ever comes.
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
		c.room.Broadcast()
	}
}
