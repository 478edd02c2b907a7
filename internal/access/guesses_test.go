package access

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newTestOperators returns functions to log in and to advance the clock of the limits.
func newTestOperators(t *testing.T) (try func(from, forwarded, password string) int, wait func(time.Duration)) {
	t.Helper()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	operators := NewOperators("open sesame")
	operators.guesses.clock = func() time.Time { return now }
	handler := operators.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return func(from, forwarded, password string) int {
			r := httptest.NewRequest(http.MethodGet, "https://thaw.example.com/", nil)
			r.RemoteAddr = from
			if forwarded != "" {
				r.Header.Set("X-Forwarded-For", forwarded)
			}
			r.SetBasicAuth(User, password)
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, r)
			if answer.Code == http.StatusTooManyRequests {
				require.NotEmpty(t, answer.Header().Get("Retry-After"))
			}
			return answer.Code
		}, func(d time.Duration) {
			now = now.Add(d)
		}
}

// guess tries wrong passwords and returns how many of them were checked.
func guess(try func(from, forwarded, password string) int, times int, from func(i int) (peer, forwarded string)) (checked int) {
	for i := range times {
		peer, forwarded := from(i)
		if try(peer, forwarded, fmt.Sprint("guess ", i)) == http.StatusUnauthorized {
			checked++
		}
	}
	return checked
}

func TestGuessesFromOneSource(t *testing.T) {
	t.Parallel()
	try, wait := newTestOperators(t)
	require.Equal(t, clientBurst, guess(try, 6000, func(int) (string, string) { return "203.0.113.9:1000", "" }))
	require.Equal(t, http.StatusTooManyRequests, try("203.0.113.9:1001", "", "open sesame"), "the right password is not checked either")
	require.Equal(t, http.StatusOK, try("203.0.113.10:1000", "", "open sesame"), "another source is not limited")
	wait(5 * time.Second)
	require.Equal(t, http.StatusOK, try("203.0.113.9:1001", "", "open sesame"))
	require.Equal(t, 1, guess(try, 100, func(int) (string, string) { return "203.0.113.9:1000", "" }))
	// All addresses of one IPv6 /64 share a limit.
	require.Equal(t, clientBurst, guess(try, 500, func(i int) (string, string) { return fmt.Sprintf("[2001:db8::%x]:1000", i), "" }))
}

func TestGuessesFromBehindAProxy(t *testing.T) {
	t.Parallel()
	try, _ := newTestOperators(t)
	require.Equal(t, clientBurst, guess(try, 1000, func(int) (string, string) { return "10.0.0.2:1000", "203.0.113.9" }))
	require.Equal(t, http.StatusOK, try("10.0.0.2:1000", "203.0.113.10", "open sesame"), "another client of the same proxy")
	// A proxy that invents clients reaches the limit per peer. X-Forwarded-For from the internet is
	// ignored.
	invented := func(peer string) func(i int) (string, string) {
		return func(i int) (string, string) { return peer, fmt.Sprintf("198.51.%d.%d", i/250, i%250) }
	}
	require.Equal(t, peerBurst-clientBurst, guess(try, 6000, invented("10.0.0.2:1000")))
	require.Equal(t, clientBurst, guess(try, 6000, invented("203.0.113.77:1000")))
	require.Equal(t, http.StatusOK, try("10.0.0.3:1000", "203.0.113.10", "open sesame"))
}

// Many sources that guess share a global limit. The right password from another source is always
// accepted.
func TestGuessesFromManySources(t *testing.T) {
	t.Parallel()
	try, _ := newTestOperators(t)
	manySources := func(i int) (string, string) { return fmt.Sprintf("203.%d.%d.9:1000", i%1500/250, i%1500%250), "" }
	checked := guess(try, 30_000, manySources)
	require.LessOrEqual(t, checked, 1500+globalBurst, "one per source, and the global burst")
	require.Equal(t, http.StatusOK, try("198.51.100.1:1000", "", "open sesame"))
}

func TestSourcesAreLimited(t *testing.T) {
	t.Parallel()
	g := newGuesses()
	for i := range 5 * maxSources {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.1:1", i/250, i%250)
		g.check(r, func() bool { return false })
	}
	require.LessOrEqual(t, len(g.now)+len(g.old), 2*maxSources)
}
