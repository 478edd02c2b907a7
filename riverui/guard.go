package riverui

import (
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// User is the name that operators log in with.
const User = "admin"

// Guard lets through what comes from an operator: basic auth as [User] with the password, and no
// request that changes something from another origin. Without a password it serves only requests
// that a program on this machine made to a loopback name; see [NotLocal].
func Guard(password string, next http.Handler) http.Handler {
	return NewOperators(password).Guard(next)
}

// Operators knows who is one. The zero value is not usable: see [NewOperators].
type Operators struct {
	password string
	guesses  *guesses
}

// NewOperators returns the operators of a process: those who know the password, or, where it is
// empty, everybody on this machine. A process has one, so that all of its routes count the same
// guesses.
func NewOperators(password string) *Operators {
	return &Operators{password: password, guesses: newGuesses()}
}

// HasPassword says whether operators log in with a password.
func (o *Operators) HasPassword() bool { return o.password != "" }

// Guard is [Guard] for these operators.
func (o *Operators) Guard(next http.Handler) http.Handler {
	password := o.password
	next = http.NewCrossOriginProtection().Handler(next)
	if password == "" {
		return hardened(func(w http.ResponseWriter, r *http.Request) {
			if why := NotLocal(r); why != "" {
				http.Error(w, why, http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	return hardened(func(w http.ResponseWriter, r *http.Request) {
		ok, wait := o.Admit(r)
		if wait > 0 {
			w.Header().Set("Retry-After", RetryAfter(wait))
			http.Error(w, "Too many wrong passwords came from this address. Wait, then log in.", http.StatusTooManyRequests)
			return
		}
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="Thaw", charset="UTF-8"`)
			http.Error(w, "Log in as "+User+" with THAW_ADMIN_PASSWORD.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Admit says whether a request comes from an operator: with basic auth, or, where there is no
// password, from this machine. After too many wrong passwords from where it comes it is not looked
// at: wait is how long that lasts.
func (o *Operators) Admit(r *http.Request) (ok bool, wait time.Duration) {
	if o.password == "" {
		return NotLocal(r) == "", 0
	}
	user, given, isBasic := r.BasicAuth()
	if !isBasic {
		return false, 0 // not a guess
	}
	return o.guesses.check(r, func() bool {
		want := sha256.Sum256([]byte(User + ":" + o.password))
		got := sha256.Sum256([]byte(user + ":" + given))
		// Of hashes, so that the time taken says nothing about the length either.
		return subtle.ConstantTimeCompare(got[:], want[:]) == 1
	})
}

// RetryAfter writes a time to wait as the header of that name does: in whole seconds.
func RetryAfter(wait time.Duration) string {
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

// Headers that proxies add, beside all that begin with X-Forwarded-, X-Envoy-, X-Amzn-, Cf- or
// Fly-.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For",
	"X-Original-Host", "X-Original-Url", "X-Rewrite-Url", "X-Proxyuser-Ip", "Client-Ip", "Proxy-Connection",
}

var proxyPrefixes = []string{"X-Forwarded-", "X-Envoy-", "X-Amzn-", "X-Azure-", "X-Appengine-", "Cf-", "Fly-", "Fastly-", "Tailscale-"}

// howToServe is what to do about all that [NotLocal] refuses.
const howToServe = "Set THAW_ADMIN_PASSWORD to serve these pages to others, or open them at 127.0.0.1 on this machine, without a proxy."

// NotLocal says why a request cannot be taken for one of an operator where there is no password;
// empty: nothing speaks against it. Everybody who reaches a process without a password is an
// operator, so it answers this machine alone:
//
//   - The host is a loopback name. A page of another site cannot reach it by letting its own name
//     point here.
//   - It did not come through a proxy, behind which anybody may stand. Proxies name the client in a
//     header; those that do not speak HTTP/1.0 (nginx as it is installed), or pass on where the
//     browser's own page was.
//
// A proxy that hides all of this cannot be told from a browser on this machine.
func NotLocal(r *http.Request) string {
	if !Loopback(r.Host) {
		return "These pages are served to this machine only, and this request was made to another name than 127.0.0.1 or localhost. " + howToServe
	}
	for name := range r.Header {
		isProxy := slices.Contains(proxyHeaders, name) ||
			slices.ContainsFunc(proxyPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if isProxy {
			return "These pages are served to this machine only, and this request came through a proxy: it has the header " + name + ". " + howToServe
		}
	}
	if !r.ProtoAtLeast(1, 1) {
		return "These pages are served to this machine only, and this request came through a proxy: it speaks HTTP/1.0. " + howToServe
	}
	for _, name := range []string{"Origin", "Referer"} {
		from, err := url.Parse(r.Header.Get(name))
		isOwnPage := name == "Origin" || r.Header.Get("Sec-Fetch-Site") == "same-origin"
		if isOwnPage && (err != nil || from.Host != "" && !Loopback(from.Host)) {
			return "These pages are served to this machine only, and this request comes from a page at another name: see its header " + name + ". " + howToServe
		}
	}
	return ""
}

// hardened sets what keeps other sites from showing an answer in a frame of theirs, in which they
// could make an operator click, and browsers from keeping it or taking it for another type.
// Handlers may set stricter values.
func hardened(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// Loopback says whether an address, with or without a port, names this machine to itself.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
