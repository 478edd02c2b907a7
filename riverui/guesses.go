package riverui

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many wrong passwords are taken, and how fast they are forgotten. A person who mistypes never
// meets these limits.
const (
	clientBurst = 10
	clientRate  = rate.Limit(0.2) // one in five seconds
	// A peer is what the connection comes from: a client, or a proxy in front of many.
	peerBurst = 100
	peerRate  = rate.Limit(10)
	// All that have guessed wrong together.
	globalBurst = 200
	globalRate  = rate.Limit(20)

	// maxSources bounds the memory: of clients and peers, only so many are remembered, and as many
	// of those before them.
	maxSources = 4096
)

// guesses limits how fast passwords can be tried. A password that comes from elsewhere than the
// wrong ones is never refused: what counts is the client, the peer, and, only for those that have
// guessed wrong before, all of them together.
type guesses struct {
	mu       sync.Mutex
	now, old map[string]*rate.Limiter
	global   *rate.Limiter
	clock    func() time.Time
}

func newGuesses() *guesses {
	return &guesses{now: map[string]*rate.Limiter{}, global: rate.NewLimiter(globalRate, globalBurst), clock: time.Now}
}

// check says whether a password is right, or how long its source has to wait before it is looked
// at. A wrong one is counted.
func (g *guesses) check(r *http.Request, isRight func() bool) (ok bool, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.clock()
	client, peer := sources(r)
	limits := []*rate.Limiter{g.limiter("client "+client, clientRate, clientBurst), g.limiter("peer "+peer, peerRate, peerBurst)}
	if limits[0].TokensAt(at) < clientBurst {
		limits = append(limits, g.global)
	}
	for _, limit := range limits {
		if missing := 1 - limit.TokensAt(at); missing > 0 {
			wait = max(wait, time.Duration(missing/float64(limit.Limit())*float64(time.Second)))
		}
	}
	switch {
	case wait > 0:
		return false, wait
	case isRight():
		return true, 0
	}
	for _, limit := range limits {
		limit.AllowN(at, 1)
	}
	return false, 0
}

// limiter finds the budget of a source, which is full if the source is new.
func (g *guesses) limiter(source string, limit rate.Limit, burst int) *rate.Limiter {
	found, ok := g.now[source]
	if !ok {
		if found, ok = g.old[source]; !ok {
			found = rate.NewLimiter(limit, burst)
		}
		if len(g.now) >= maxSources {
			g.now, g.old = map[string]*rate.Limiter{}, g.now
		}
		g.now[source] = found
	}
	return found
}

// sources are the client and the peer of a request. The client of a proxy is believed only where
// the peer is on this machine or in a private network; whoever is there and invents clients still
// meets the limit of the peer.
func sources(r *http.Request) (client, peer string) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host, host
	}
	peer = network(address)
	if !address.Unmap().IsLoopback() && !address.Unmap().IsPrivate() {
		return peer, peer
	}
	forwarded := r.Header.Values("X-Forwarded-For")
	if len(forwarded) == 0 {
		return peer, peer
	}
	list := strings.Split(forwarded[len(forwarded)-1], ",")
	named, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1]))
	if err != nil {
		return peer, peer
	}
	return network(named), peer
}

// network is an IPv4 address, or the /64 of an IPv6 address: a client has a whole one of these.
func network(address netip.Addr) string {
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return prefix.String()
}
