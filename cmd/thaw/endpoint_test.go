package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The record that test endpoints serve, and the secrets that no error may show.
const (
	served      = `{"route":"unipile/v1","received_at":"2026-01-01T10:00:00Z","body":{}}` + "\n"
	recordToken = "t0ken-of-the-tests"
	inQuery     = "qu3ry-of-the-tests"
	withQuery   = "?key=" + inQuery
)

func endpointAt(t *testing.T, address string) endpoint {
	t.Helper()
	to, err := parseEndpoint(address)
	require.NoError(t, err)
	return endpoint{url: to, header: "Authorization", secret: "Bearer " + recordToken, within: time.Minute, max: 1 << 16}
}

// serve starts a loopback server that runs until the test ends.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// respond returns a handler that responds with a content type and a body.
func respond(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body)
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"application/x-ndjson", "application/json; charset=utf-8", "text/csv", "text/plain"} {
		in, err := endpointAt(t, serve(t, respond(kind, served))).fetch(t.Context())
		require.NoError(t, err, kind)
		content, err := io.ReadAll(in)
		require.NoError(t, err)
		require.Equal(t, served, string(content))
		require.NoError(t, in.Close())
		require.NoFileExists(t, in.(tempFile).Name())
	}
}

func TestFetchSendsTheToken(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{"Authorization": "Bearer " + recordToken, "X-Api-Key": recordToken} {
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get(header) != want || r.URL.Query().Get("key") != inQuery:
				w.WriteHeader(http.StatusUnauthorized)
			case r.URL.Path == "/old":
				http.Redirect(w, r, "/new"+withQuery, http.StatusFound)
			default:
				respond("text/csv", served)(w, r)
			}
		})
		from := endpointAt(t, address+"/old"+withQuery)
		from.header, from.secret = header, want
		in, err := from.fetch(t.Context())
		require.NoError(t, err, "%s is also sent after a redirect within the host", header)
		require.NoError(t, in.Close())
	}
}

// An invalid response is an error that says what to do, shows no secret, and leaves no file.
func TestFetchRejectsInvalidResponses(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	reached := false
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { reached = true })
	status := func(code int) http.HandlerFunc {
		// Some servers echo the request.
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, r.Header.Get("Authorization")+r.URL.String())
		}
	}
	flushed := func(w http.ResponseWriter, body string) {
		_, _ = io.WriteString(w, body)
		_ = http.NewResponseController(w).Flush()
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		change  func(*endpoint)
		want    string
	}{
		{"a wrong token", status(http.StatusUnauthorized), nil, "it answered 401 Unauthorized: check the token"},
		{"a forbidden token", status(http.StatusForbidden), nil, "it answered 403 Forbidden: check the token"},
		{"a wrong path", status(http.StatusNotFound), nil, "it answered 404 Not Found: check the URL"},
		{"too many requests", status(http.StatusTooManyRequests), nil, "it answered 429 Too Many Requests: try again later"},
		{"a server error", status(http.StatusBadGateway), nil, "it answered 502 Bad Gateway: try again later"},
		{"a bad request", status(http.StatusBadRequest), nil, "it answered 400 Bad Request: it must answer 200"},
		{"no content", status(http.StatusNoContent), nil, "it answered 204 No Content: it must answer 200"},
		{"an HTML page", respond("text/html; charset=utf-8", "<html>"+recordToken), nil, `content type "text/html; charset=utf-8": it must send JSON Lines`},
		{"an invalid content type", respond("x;;", served), nil, `content type "x;;"`},
		{"too large, by Content-Length", respond("text/csv", strings.Repeat("x", 2000)), func(p *endpoint) { p.max = 1999 }, "more than 1999 bytes"},
		{
			"too large, without Content-Length",
			func(w http.ResponseWriter, _ *http.Request) {
				flushed(w, strings.Repeat("x", 1000))
				flushed(w, strings.Repeat("x", 1000))
			},
			func(p *endpoint) { p.max = 1999 }, "more than 1999 bytes",
		},
		{
			"an interrupted transfer",
			func(w http.ResponseWriter, _ *http.Request) {
				flushed(w, served)
				panic(http.ErrAbortHandler)
			},
			nil, "the transfer was interrupted and nothing was applied",
		},
		{
			"no response in time", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			func(p *endpoint) { p.within = 50 * time.Millisecond }, "within 50ms",
		},
		{
			"an unfinished response",
			func(w http.ResponseWriter, r *http.Request) {
				flushed(w, served)
				<-r.Context().Done()
			},
			func(p *endpoint) { p.within = 200 * time.Millisecond }, "within 200ms",
		},
		{
			"a redirect to another host",
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere+withQuery, http.StatusFound)
			},
			nil, "it redirects to " + elsewhere + ", and redirects to another host are not followed",
		},
		{
			"a redirect loop",
			func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) },
			nil, "it redirected more than 5 times",
		},
	}
	for _, tt := range tests { //nolint:paralleltest // share TMPDIR
		t.Run(tt.name, func(t *testing.T) {
			from := endpointAt(t, serve(t, tt.handler)+"/deliveries"+withQuery)
			if tt.change != nil {
				tt.change(&from)
			}
			_, err := from.fetch(t.Context())
			require.ErrorContains(t, err, tt.want)
			requireNoSecret(t, err)
			require.NotContains(t, from.name(), inQuery)
			left, err := os.ReadDir(folder)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
	require.False(t, reached, "no request is sent to another host")
}

func requireNoSecret(t *testing.T, err error) {
	t.Helper()
	require.NotContains(t, err.Error(), recordToken)
	require.NotContains(t, err.Error(), inQuery)
}

func TestFetchFromUnreachableHostShowsNoSecret(t *testing.T) {
	t.Parallel()
	address, err := freeAddress()
	require.NoError(t, err)
	_, err = endpointAt(t, "http://"+address+"/"+withQuery).fetch(t.Context())
	require.ErrorContains(t, err, "refused")
	requireNoSecret(t, err)
}

func TestFetchCanBeInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := endpointAt(t, address).fetch(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestParseEndpointRejectsInvalidURLs(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"ftp://example.com/" + withQuery:            "must begin with https:// or http://",
		"platform.example.com/" + withQuery:         "must begin with https:// or http://",
		"https:///deliveries" + withQuery:           "have a host",
		"https://u:" + recordToken + "@example.com": "must not contain a user name or a password",
		"https://example.com/%zz" + withQuery:       "not a valid URL",
	} {
		_, err := parseEndpoint(address)
		require.ErrorContains(t, err, want)
		requireNoSecret(t, err)
	}
	require.Equal(t, "https://example.com/a", endpoint{url: &url.URL{Scheme: "https", Host: "example.com", Path: "/a", RawQuery: inQuery}}.name())
}

func TestSecretOf(t *testing.T) {
	t.Setenv("RECORD_TOKEN", " "+recordToken+"\n")
	secret, err := secretOf("RECORD_TOKEN")
	require.NoError(t, err)
	require.Equal(t, recordToken, secret)
	t.Setenv("RECORD_TOKEN", recordToken+"\r\nX-Other: 1")
	_, err = secretOf("RECORD_TOKEN")
	require.ErrorContains(t, err, "RECORD_TOKEN cannot be sent in a header")
	requireNoSecret(t, err)
	t.Setenv("RECORD_TOKEN", "")
	_, err = secretOf("RECORD_TOKEN")
	require.ErrorContains(t, err, "RECORD_TOKEN, named by --token-env, is not set")
}
