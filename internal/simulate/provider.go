package simulate

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/thawline/thaw/internal/providersim"
)

// rates are the shares of requests that fail: about 2% in all.
const rates = "reset=0.003,provider_error=0.002,gateway_timeout=0.001,no_id=0.002,unavailable=0.001,too_many_requests=0.005," +
	"limit_exceeded=0.001,limit_as_429=0.0003,limit_as_500=0.0002,invalid_recipient=0.005,user_unreachable=0.002," +
	"already_invited_recently=0.003,already_connected=0.003,cannot_resend_yet=0.001,insufficient_credits=0.01,credits_as_402=0.01," +
	"checkpoint=0.001"

// latency is how long an answer takes at most, so that answers arrive in another order than the
// requests.
const latency = 500 * time.Microsecond

// A provider is the product's provider simulator, with the clock of the simulation.
type provider struct {
	*providersim.Server
	url    string
	server *http.Server

	mu      sync.Mutex
	now     time.Time
	members map[string]string // by account
}

// newProvider starts a provider. Without faults it delivers everything.
func newProvider(ctx context.Context, seed uint64, hasFaults bool) (*provider, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the provider: %w", err)
	}
	p := &provider{url: "http://" + listener.Addr().String(), now: start, members: map[string]string{}}
	config := providersim.Config{Seed: seed, Now: p.clock, PersonOf: p.memberOf, ProspectOf: prospectOf, Logger: slog.New(slog.DiscardHandler)}
	if hasFaults {
		if config.Rates, err = providersim.ParseRates(rates); err != nil {
			return nil, err
		}
		config.Latency = latency
	}
	p.Server = providersim.New(config)
	p.server = &http.Server{Handler: p.Server, ReadHeaderTimeout: patience, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return p, nil
}

func (p *provider) close() error {
	p.Close()
	return p.server.Close()
}

func (p *provider) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// prospectOf returns the prospect behind a recipient. The provider ignores case.
func prospectOf(to string) string { return strings.ToLower(to) }

func (p *provider) memberOf(account string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members[account]
}

func (p *provider) setClock(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
}

// know tells the provider whose account it is.
func (p *provider) know(account, member string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members[account] = member
}
