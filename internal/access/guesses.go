package access

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits on wrong passwords and how fast they are forgotten. A person who mistypes does not reach
// them.
const (
	clientBurst = 10
	clientRate  = rate.Limit(0.2) // one per five seconds
	// A peer is the other end of the connection: a client, or a proxy for many clients.
	peerBurst = 100
	peerRate  = rate.Limit(10)
	// All clients that have entered wrong passwords, together.
	globalBurst = 200
	globalRate  = rate.Limit(20)

	// maxSources limits memory: this many recent sources are kept, and as many before them.
	maxSources = 4096
)

// guesses limits how fast passwords can be tried. Wrong passwords from some sources never lock out
// others: the limits apply per client, per peer and, only for clients that have entered a wrong
// password before, to all of them together.
type guesses struct {
	mu       sync.Mutex
	now, old map[string]*rate.Limiter
	global   *rate.Limiter
	clock    func() time.Time
}

func newGuesses() *guesses {
	return &guesses{now: map[string]*rate.Limiter{}, global: rate.NewLimiter(globalRate, globalBurst), clock: time.Now}
}

// check reports whether a password is right, or how long its source must wait before another
// password is checked. It counts wrong passwords.
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

// limiter returns the limiter of a source. A new source starts with its full burst.
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

// sources returns the client and the peer of a request. X-Forwarded-For is trusted only if the peer
// is on this host or in a private network; a peer there that invents clients still reaches the
// limit per peer.
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

// network returns an IPv4 address, or the /64 of an IPv6 address, because one client usually has a
// whole /64.
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
