package chaos_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
)

// A balancer is a platform's load balancer. It asks every process for /readyz, sends requests to
// those that are ready, in turn, and repeats none.
type balancer struct {
	*scenario
	// requests is the URL under which each request goes to some process. connections is the URL under
	// which each connection does, with all of its requests.
	requests, connections string

	ctx        context.Context // ends with the balancer
	background sync.WaitGroup

	mu        sync.Mutex
	processes []*process
	ready     map[*process]bool
	turn      int
}

// asksEvery is how often a balancer asks for /readyz.
const asksEvery = 100 * time.Millisecond

// balancer starts a load balancer without processes until the test ends.
func (s *scenario) balancer() *balancer {
	s.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.Context()))
	b := &balancer{scenario: s, ctx: ctx, ready: map[*process]bool{}}
	byRequest := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.In.Host
			r.SetURL(&url.URL{Scheme: "http", Host: b.next()})
		},
		Transport: unrepeated{&http.Transport{MaxIdleConnsPerHost: 32}},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "balancer: "+err.Error(), http.StatusBadGateway)
		},
	})
	b.requests = byRequest.URL

	byConnection, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s, err)
	b.connections = "http://" + byConnection.Addr().String()
	b.background.Go(func() {
		for {
			client, err := byConnection.Accept()
			if err != nil {
				return
			}
			b.background.Go(func() { b.connect(client) })
		}
	})
	s.Cleanup(func() {
		byRequest.Close()
		_ = byConnection.Close()
		cancel()
		b.background.Wait()
	})
	return b
}

// ask asks a process whether it is ready, until it has ended.
func (b *balancer) ask(p *process) {
	for ticks := time.Tick(asksEvery); ; {
		ready := p.isReady()
		b.mu.Lock()
		b.ready[p] = ready
		b.mu.Unlock()
		select {
		case <-b.ctx.Done():
			return
		case <-p.ended:
			b.mu.Lock()
			delete(b.ready, p)
			b.mu.Unlock()
			return
		case <-ticks:
		}
	}
}

// add adds a process and returns when it gets requests.
func (b *balancer) add(p *process) {
	b.Helper()
	b.mu.Lock()
	b.processes = append(b.processes, p)
	b.mu.Unlock()
	b.background.Go(func() { b.ask(p) })
	require.Eventually(b, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.ready[p]
	}, startPatience, asksEvery/2, "%s did not become ready\n%s", p.name, p.log())
}

// next returns the address of a process that is ready, or one that refuses every connection.
func (b *balancer) next() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.processes {
		b.turn++
		if p := b.processes[b.turn%len(b.processes)]; b.ready[p] {
			return strings.TrimPrefix(p.base, "http://")
		}
	}
	return "127.0.0.1:1"
}

// connect forwards a connection until one side closes it.
func (b *balancer) connect(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", b.next())
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(b.ctx, func() { _ = client.Close(); _ = server.Close() })()
	var ways sync.WaitGroup
	ways.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	})
	ways.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.(*net.TCPConn).CloseWrite()
	})
	ways.Wait()
}

// unrepeated makes a request fail that package http would send again on another connection: other
// clients and balancers do not.
type unrepeated struct{ http.RoundTripper }

var errRepeated = errors.New("the connection was closed before the response")

func (u unrepeated) RoundTrip(r *http.Request) (*http.Response, error) {
	var used atomic.Int32
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { used.Add(1) }}
	response, err := u.RoundTripper.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err == nil && used.Load() > 1 {
		response.Body.Close()
		return nil, errRepeated
	}
	return response, err
}
