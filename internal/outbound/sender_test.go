package outbound_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/outbound"
)

const (
	secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

var message = outbound.Message{
	ID: "msg_1", Type: "account.drained", At: time.Date(2026, 1, 31, 9, 15, 0, 0, time.UTC),
	Data: json.RawMessage(`{"workspace": "acme"}`),
}

// receiver starts a receiver with the given handler and returns its URL.
func receiver(t *testing.T, answer http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL
}

func sender(t *testing.T, url string, secrets ...string) *outbound.Sender {
	t.Helper()
	if len(secrets) == 0 {
		secrets = []string{secret}
	}
	s, err := outbound.New(outbound.Config{URL: url, Secrets: secrets, AllowPrivate: true})
	require.NoError(t, err)
	return s
}

// The library of the specification verifies what is sent, including its time.
func TestLibraryVerifiesMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signedWith, knows []string
	}{
		"one secret":              {[]string{secret}, []string{secret}},
		"both, during a rotation": {[]string{newSecret, secret}, []string{secret, newSecret}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type got struct {
				header http.Header
				body   []byte
			}
			requests := make(chan got, 1)
			url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				requests <- got{r.Header, body}
				w.WriteHeader(http.StatusNoContent)
			})
			answer := sender(t, url, c.signedWith...).Send(t.Context(), message)
			require.Equal(t, outbound.Answer{Verdict: outbound.Delivered, Status: 204}, answer)

			r := <-requests
			require.Equal(t, `{"type":"account.drained","timestamp":"2026-01-31T09:15:00Z","data":{"workspace":"acme"}}`, string(r.body))
			require.Equal(t, "msg_1", r.header.Get("webhook-id"))
			require.Equal(t, "application/json", r.header.Get("Content-Type"))
			require.Len(t, strings.Fields(r.header.Get("webhook-signature")), len(c.signedWith))
			for _, known := range c.knows {
				verifier, err := standardwebhooks.NewWebhook(known)
				require.NoError(t, err)
				require.NoError(t, verifier.Verify(r.body, r.header))
				require.Error(t, verifier.Verify(append(r.body, ' '), r.header))
			}
			other, err := standardwebhooks.NewWebhook("whsec_plJ3nmyCDGBKInavdOK15jsl")
			require.NoError(t, err)
			require.Error(t, other.Verify(r.body, r.header))
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   outbound.Answer
	}{
		"taken":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }, outbound.Answer{Verdict: outbound.Delivered, Status: 201}},
		"gone":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, outbound.Answer{Verdict: outbound.Gone, Status: 410, Problem: "410: the receiver wants no more messages"}},
		"refused": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, outbound.Answer{Status: 401, Problem: "401"}},
		"error": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no\x00 \xff\x1b[31mroom\n", http.StatusInternalServerError)
		}, outbound.Answer{Status: 500, Problem: "500: no [31mroom"}},
		"busy": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, outbound.Answer{Status: 503, Problem: "503", RetryAfter: 2 * time.Minute}},
		"too many requests": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "-5")
			w.WriteHeader(http.StatusTooManyRequests)
		}, outbound.Answer{Status: 429, Problem: "429"}},
		"Retry-After of other statuses": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusInternalServerError)
		}, outbound.Answer{Status: 500, Problem: "500"}},
		"closes the connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, outbound.Answer{Problem: "no response: EOF"}},
		"large header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
		}, outbound.Answer{Problem: "no response: net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 16384 bytes; aborted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, sender(t, receiver(t, c.answer)).Send(t.Context(), message))
		})
	}
}

func TestRetryAfterCanBeADate(t *testing.T) {
	t.Parallel()
	url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	require.InDelta(t, time.Hour, sender(t, url).Send(t.Context(), message).RetryAfter, float64(time.Minute))
}

// An endless response does not block the sender.
func TestLongResponsesAreNotReadToTheEnd(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		for {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				ended <- err
				return
			}
		}
	})
	require.Equal(t, 500, sender(t, url).Send(t.Context(), message).Status)
	require.Error(t, <-ended)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := receiver(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, status) })
		answer := sender(t, url).Send(t.Context(), message)
		require.Equal(t, outbound.Failed, answer.Verdict)
		require.Equal(t, status, answer.Status)
		require.Contains(t, answer.Problem, "redirects are not followed")
		require.Contains(t, answer.Problem, elsewhere)
	}
}

func TestInvalidConfig(t *testing.T) {
	t.Parallel()
	for url, problem := range map[string]string{
		"":                              "must begin with https://",
		"platform.example.com":          "must begin with https://",
		"ftp://platform.example.com":    "must begin with https://",
		"https://":                      "must begin with https://",
		"https:///path":                 "must begin with https://",
		"http://platform.example.com":   "must begin with https:// (http is for private networks",
		"https://example.com/#a":        "must not have a fragment",
		"https://me:pa55@example.com/":  "has a user or a password",
		"https://me@example.com/":       "has a user or a password",
		"https://me:pa55@exa mple.com/": "it is not a URL",
		"https://127.0.0.1/":            "not public",
		"https://[::1]/":                "not public",
		"https://[::ffff:10.0.0.1]/":    "not public",
		"https://169.254.169.254/":      "not public",
	} {
		_, err := outbound.New(outbound.Config{URL: url, Secrets: []string{secret}})
		require.ErrorContains(t, err, problem, url)
		require.NotContains(t, err.Error(), "pa55")
	}
	for _, url := range []string{"https://platform.example.com/thaw?tenant=1", "https://8.8.8.8:8443/"} {
		_, err := outbound.New(outbound.Config{URL: url, Secrets: []string{secret}})
		require.NoError(t, err)
	}
	for _, c := range []struct {
		secrets []string
		problem string
	}{
		{nil, "there are 0: give 1, or 2"},
		{[]string{secret, newSecret, secret}, "there are 3"},
		{[]string{secret, "whsec_c2hvcnQ="}, "webhook secret 2 of 2 has 5 bytes: use a secret of 24 to 64 bytes"},
		{[]string{"s3cret"}, "webhook secret 1 of 1 does not begin with whsec_"},
	} {
		_, err := outbound.New(outbound.Config{URL: "https://platform.example.com", Secrets: c.secrets})
		require.ErrorContains(t, err, c.problem)
		require.NotContains(t, err.Error(), "c2hvcnQ")
		require.NotContains(t, err.Error(), "s3cret")
	}
}

// The query of a receiver's URL may be a secret. Lists, logs and errors do not show it.
func TestURLsAreMasked(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://platform.example.com/thaw":                   "https://platform.example.com/thaw",
		"https://platform.example.com/thaw?token=hunter2":     "https://platform.example.com/thaw?…",
		"https://platform.example.com/thaw?":                  "https://platform.example.com/thaw?…",
		"https://me:hunter2@platform.example.com/#hunter2":    "https://platform.example.com/",
		"https://platform.example.com:8443/?a=hunter2&b=x%zz": "https://platform.example.com:8443/?…",
		"https://hunter2 .example.com/\x7f":                   "(invalid URL)",
	} {
		require.Equal(t, want, outbound.Masked(given), given)
	}
	_, err := outbound.New(outbound.Config{URL: "http://platform.example.com/?token=hunter2", Secrets: []string{secret}})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

// The proxy may have any address and gets the request for the receiver. A private receiver is still
// refused.
func TestProxy(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 4)
	proxy := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		w.WriteHeader(http.StatusBadGateway)
	})
	through := func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
	send := func(to string, allowPrivate bool) outbound.Answer {
		s, err := outbound.New(outbound.Config{URL: to, Secrets: []string{secret}, Proxy: through, AllowPrivate: allowPrivate})
		require.NoError(t, err)
		return s.Send(t.Context(), message)
	}
	answer := send("https://receiver.invalid/hook", false)
	require.Equal(t, "CONNECT receiver.invalid:443", <-asked)
	require.Contains(t, answer.Problem, "through the proxy 127.0.0.1:")
	require.Contains(t, answer.Problem, "Bad Gateway")

	answer = send("https://localhost/hook", false)
	require.Contains(t, answer.Problem, "its address is not public")
	require.Empty(t, asked)
	send("https://localhost/hook", true)
	require.Equal(t, "CONNECT localhost:443", <-asked)

	_, err := outbound.New(outbound.Config{URL: "https://receiver.invalid/hook", Secrets: []string{secret}, Proxy: func(*http.Request) (*url.URL, error) {
		return nil, errors.New("http://user:password@bad")
	}})
	require.ErrorContains(t, err, "HTTPS_PROXY or HTTP_PROXY is not a URL")
	require.NotContains(t, err.Error(), "password")
}
