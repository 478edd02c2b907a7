// Package access decides who is an operator: who may see the pages, River UI and the metrics, press
// their buttons, and use the JSON API without a token.
//
// With a password, an operator logs in by basic auth. Wrong passwords are limited by client, so
// that guessing is slow and does not lock out others. Without a password, only programs on this
// host are operators; see [NotLocal].
//
// A process has one [Operators] for all of its routes. [Operators.Guard] protects a handler, also
// from requests of other sites; package api asks [Operators.Admit], because it has tokens too.
package access

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

// User is the user name of operators.
const User = "admin"

// Guard admits only requests from operators: basic auth as [User] with the password, and no unsafe
// requests from other origins. Without a password it serves only requests that a program on this
// host made to a loopback name; see [NotLocal].
func Guard(password string, next http.Handler) http.Handler {
	return NewOperators(password).Guard(next)
}

// Operators authenticates operators. The zero value is not usable; see [NewOperators].
type Operators struct {
	password string
	guesses  *guesses
}

// NewOperators returns the operators of a process: clients that know the password or, if it is
// empty, all programs on this host. A process needs exactly one Operators, so that all of its
// routes count the same wrong passwords.
func NewOperators(password string) *Operators {
	return &Operators{password: password, guesses: newGuesses()}
}

// HasPassword reports whether operators log in with a password.
func (o *Operators) HasPassword() bool { return o.password != "" }

// Guard is like the function [Guard], for these operators.
func (o *Operators) Guard(next http.Handler) http.Handler {
	password := o.password
	next = http.NewCrossOriginProtection().Handler(next)
	if password == "" {
		return hardened(func(w http.ResponseWriter, r *http.Request) {
			if reason := NotLocal(r); reason != "" {
				http.Error(w, reason, http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	return hardened(func(w http.ResponseWriter, r *http.Request) {
		ok, wait := o.Admit(r)
		if wait > 0 {
			w.Header().Set("Retry-After", RetryAfter(wait))
			http.Error(w, "Too many wrong passwords from this address. Wait, then log in.", http.StatusTooManyRequests)
			return
		}
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="Thaw", charset="UTF-8"`)
			http.Error(w, "Authentication required. Log in as "+User+" with the password in THAW_ADMIN_PASSWORD.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Admit reports whether a request comes from an operator: with basic auth or, without a password,
// from this host. After too many wrong passwords from the same source, it does not check the
// password; wait is how long that lasts.
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
		// Compares hashes, so that the duration does not reveal the length of the password.
		return subtle.ConstantTimeCompare(got[:], want[:]) == 1
	})
}

// RetryAfter formats a wait for the Retry-After header: in whole seconds, rounded up.
func RetryAfter(wait time.Duration) string {
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

// Headers that proxies add, in addition to those with one of proxyPrefixes.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For",
	"X-Original-Host", "X-Original-Url", "X-Rewrite-Url", "X-Proxyuser-Ip", "Client-Ip", "Proxy-Connection",
}

var proxyPrefixes = []string{"X-Forwarded-", "X-Envoy-", "X-Amzn-", "X-Azure-", "X-Appengine-", "Cf-", "Fly-", "Fastly-", "Tailscale-"}

// howToServe is the advice in all answers of [NotLocal].
const howToServe = "Without a password, these pages are served only on the server itself. " +
	"Set THAW_ADMIN_PASSWORD, or open them at 127.0.0.1 on the server, without a proxy."

// NotLocal returns why a request cannot be accepted as an operator's without a password, or an
// empty string if it can. Without a password, every client that reaches the process is an operator,
// so the process serves only this host:
//
//   - The host must be a loopback name. This keeps other sites from reaching it with a DNS name
//     that resolves to this host.
//   - The request must not come through a proxy, which could serve any client. Most proxies name
//     the client in a header; others use HTTP/1.0 (nginx by default) or pass on the origin of the
//     browser's page.
//
// A proxy that hides all of this cannot be distinguished from a browser on this host.
func NotLocal(r *http.Request) string {
	if !Loopback(r.Host) {
		return "This request was made to a name other than 127.0.0.1 or localhost. " + howToServe
	}
	for name := range r.Header {
		isProxy := slices.Contains(proxyHeaders, name) ||
			slices.ContainsFunc(proxyPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if isProxy {
			return "This request came through a proxy: it has the header " + name + ". " + howToServe
		}
	}
	if !r.ProtoAtLeast(1, 1) {
		return "This request came through a proxy: it uses HTTP/1.0. " + howToServe
	}
	for _, name := range []string{"Origin", "Referer"} {
		from, err := url.Parse(r.Header.Get(name))
		isOwnPage := name == "Origin" || r.Header.Get("Sec-Fetch-Site") == "same-origin"
		if isOwnPage && (err != nil || from.Host != "" && !Loopback(from.Host)) {
			return "This request comes from a page with another host name, according to its header " + name + ". " + howToServe
		}
	}
	return ""
}

// hardened sets headers that keep other sites from showing a page in a frame, where they could
// trick an operator into clicking, and browsers from caching it or guessing its type. Handlers may
// set stricter values.
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

// Loopback reports whether an address, with or without a port, is a loopback name of this host.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
