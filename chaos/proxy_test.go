package chaos_test

import (
	"bufio"
	"bytes"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// A proxy is an unreliable connection to Postgres: it drops connections, stalls one direction, and
// cuts connections at a COMMIT.
type proxy struct {
	url string

	network, address string
	mu               sync.Mutex
	links            map[*link]struct{}
	stalls           map[way]chan struct{} // closed when the direction flows again
	// cuts returns where to cut a link on which a transaction with this name is about to commit, or
	// "" for no cut.
	cuts func(transaction string) cut
}

// A way is a direction.
type way string

const (
	toServer way = "from the program to Postgres"
	toClient way = "from Postgres to the program"
)

// A cut is a moment around a COMMIT.
type cut string

const (
	beforeCommit cut = "before COMMIT was sent" // not committed
	afterCommit  cut = "after COMMIT was sent"  // committed or not
	afterAnswer  cut = "after COMMIT was done"  // committed
)

// proxy starts a proxy until the test ends.
func (s *scenario) proxy() *proxy {
	s.Helper()
	to, err := pgx.ParseConfig(s.url)
	require.NoError(s, err)
	p := &proxy{links: map[*link]struct{}{}, stalls: map[way]chan struct{}{}}
	p.network, p.address = pgconn.NetworkAddress(to.Host, to.Port)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s, err)
	from := url.URL{
		Scheme: "postgres", User: url.UserPassword(to.User, to.Password), Host: listener.Addr().String(), Path: "/" + to.Database,
		RawQuery: "sslmode=disable",
	}
	p.url = from.String()
	var links sync.WaitGroup
	links.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			links.Go(func() { p.connect(client) })
		}
	})
	s.Cleanup(func() {
		_ = listener.Close()
		p.flow(toServer)
		p.flow(toClient)
		p.drop(func(int) int { return 0 }, 1<<20)
		links.Wait()
	})
	return p
}

// drop drops at most n connections; pick chooses one of this many.
func (p *proxy) drop(pick func(of int) int, n int) (dropped int) {
	p.mu.Lock()
	var links []*link
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for ; dropped < n && len(links) > 0; dropped++ {
		i := pick(len(links))
		links[i].close()
		links = append(links[:i], links[i+1:]...)
	}
	return dropped
}

// stall blocks one direction until flow.
func (p *proxy) stall(w way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalls[w] = make(chan struct{})
}

func (p *proxy) flow(w way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if stalled := p.stalls[w]; stalled != nil {
		close(stalled)
		delete(p.stalls, w)
	}
}

// silence makes all current connections dead without an error on either side, like a firewall that
// dropped them. New connections work.
func (p *proxy) silence() (silent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.silent.Store(true)
	}
	return len(p.links)
}

// cutWhere sets the function that decides which links to cut; nil cuts none.
func (p *proxy) cutWhere(cuts func(transaction string) cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts = cuts
}

func (p *proxy) cutAt(transaction string) cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cuts == nil {
		return ""
	}
	return p.cuts(transaction)
}

// A link is one connection through a proxy.
type link struct {
	*proxy
	session
	client, server net.Conn
	// afterNext is true if the link is to be cut at the response to the next COMMIT.
	afterNext atomic.Bool
	silent    atomic.Bool
}

func (p *proxy) connect(client net.Conn) {
	server, err := net.Dial(p.network, p.address)
	if err != nil {
		client.Close()
		return
	}
	l := &link{proxy: p, session: session{statements: map[string]string{}}, client: client, server: server}
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { defer l.close(); l.upstream() })
	ways.Go(func() { defer l.close(); l.downstream() })
	ways.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// pass forwards messages as soon as the direction is not stalled.
func (l *link) pass(to net.Conn, w way, messages *bytes.Buffer) error {
	l.mu.Lock()
	stalled := l.stalls[w]
	l.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
	if l.silent.Load() {
		messages.Reset()
		return nil
	}
	_, err := messages.WriteTo(to)
	return err
}

// upstream returns when the link has ended.
func (l *link) upstream() {
	in := bufio.NewReader(l.client)
	var messages bytes.Buffer
	cutting := cut("")
	for first := true; ; first = false { // the first message has no type
		before := messages.Len()
		kind, body, err := forward(in, &messages, first)
		if err != nil {
			return
		}
		if sql, runs := l.statement(kind, body); runs && !first {
			if l.sent(sql) {
				cutting = l.cutAt(l.name())
			}
		}
		switch {
		case cutting == beforeCommit:
			messages.Truncate(before)
			_ = l.pass(l.server, toServer, &messages)
			return
		case cutting == afterAnswer:
			l.afterNext.Store(true)
			cutting = ""
		case cutting == afterCommit && (kind == 'S' || kind == 'Q'): // the transaction is complete
			_ = l.pass(l.server, toServer, &messages)
			return
		}
		if in.Buffered() == 0 && l.pass(l.server, toServer, &messages) != nil {
			return
		}
	}
}

// statement returns the statement that a client message runs, if it runs one.
func (s *session) statement(kind byte, body []byte) (sql string, runs bool) {
	switch kind {
	case 'P': // Parse: statement name and text
		name, text, _ := bytes.Cut(body, []byte{0})
		text, _, _ = bytes.Cut(text, []byte{0})
		s.statements[string(name)] = string(text)
	case 'B': // Bind: portal name and statement name
		_, rest, _ := bytes.Cut(body, []byte{0})
		name, _, _ := bytes.Cut(rest, []byte{0})
		return s.statements[string(name)], true
	case 'Q': // Query: text
		return strings.TrimSuffix(string(body), "\x00"), true
	}
	return "", false
}

// downstream returns when the link has ended.
func (l *link) downstream() {
	in := bufio.NewReader(l.server)
	var messages bytes.Buffer
	for {
		kind, body, err := forward(in, &messages, false)
		if err != nil {
			return
		}
		if kind == 'C' && l.isCommit(body) && l.afterNext.Load() { // CommandComplete
			return
		}
		if in.Buffered() == 0 && l.pass(l.client, toClient, &messages) != nil {
			return
		}
	}
}
