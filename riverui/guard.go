package riverui

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// User is the name that operators log in with.
const User = "admin"

// Guard lets through what comes from an operator: basic auth as [User] with the password, and no request that changes
// something from another origin. Without a password it serves only requests that were made to a loopback name, so that no
// page on another site can reach it by letting its own name point here.
func Guard(password string, next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(unframed(next))
	if password == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !Admits(password, r) {
				http.Error(w, "Without THAW_ADMIN_PASSWORD these pages are served to this machine only: open them at 127.0.0.1.", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Admits(password, r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Thaw", charset="UTF-8"`)
			http.Error(w, "Log in as "+User+" with THAW_ADMIN_PASSWORD.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Admits says whether a request comes from an operator: with basic auth, or, where there is no password, to a loopback name.
func Admits(password string, r *http.Request) bool {
	if password == "" {
		return Loopback(r.Host)
	}
	user, given, _ := r.BasicAuth()
	want := sha256.Sum256([]byte(User + ":" + password))
	got := sha256.Sum256([]byte(user + ":" + given))
	// Of hashes, so that the time taken says nothing about the length either.
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// unframed keeps other sites from showing a page in a frame of theirs, in which they could make an operator click.
func unframed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
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
