package access_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/access"
)

// ask sends a request through a guard to a page that answers "yes", and returns the response.
func ask(password, method, url string, change func(*http.Request)) *httptest.ResponseRecorder {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("yes")) })
	request := httptest.NewRequest(method, url, nil)
	if change != nil {
		change(request)
	}
	recorder := httptest.NewRecorder()
	access.Guard(password, page).ServeHTTP(recorder, request)
	return recorder
}

func TestGuardRequiresThePassword(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"right":          {func(r *http.Request) { r.SetBasicAuth("admin", "open sesame") }, http.StatusOK},
		"wrong":          {func(r *http.Request) { r.SetBasicAuth("admin", "open barley") }, http.StatusUnauthorized},
		"prefix":         {func(r *http.Request) { r.SetBasicAuth("admin", "open") }, http.StatusUnauthorized},
		"empty":          {func(r *http.Request) { r.SetBasicAuth("admin", "") }, http.StatusUnauthorized},
		"another user":   {func(r *http.Request) { r.SetBasicAuth("root", "open sesame") }, http.StatusUnauthorized},
		"missing":        {nil, http.StatusUnauthorized},
		"not basic auth": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer open sesame") }, http.StatusUnauthorized},
		"shifted colon":  {func(r *http.Request) { r.SetBasicAuth("admin:open sesame", "") }, http.StatusUnauthorized},
	} {
		answer := ask("open sesame", http.MethodGet, "https://thaw.example.com/jobs/", test.change)
		require.Equal(t, test.status, answer.Code, name)
		if test.status != http.StatusOK {
			require.NotContains(t, answer.Body.String(), "yes", name)
			require.Contains(t, answer.Header().Get("WWW-Authenticate"), "Basic", name)
		}
	}
}

func TestGuardWithoutAPasswordServesThisHostOnly(t *testing.T) {
	t.Parallel()
	for host, status := range map[string]int{
		"127.0.0.1:8080":        http.StatusOK,
		"127.0.0.1":             http.StatusOK,
		"127.8.9.10:8080":       http.StatusOK,
		"localhost:8080":        http.StatusOK,
		"localhost":             http.StatusOK,
		"[::1]:8080":            http.StatusOK,
		"[::1]":                 http.StatusOK,
		"thaw.example.com":      http.StatusForbidden,
		"evil.example.com:8080": http.StatusForbidden,
		"127.0.0.1.example.com": http.StatusForbidden,
		"localhost.example.com": http.StatusForbidden,
		"192.168.0.7:8080":      http.StatusForbidden,
		"[2001:db8::1]:8080":    http.StatusForbidden,
		"":                      http.StatusForbidden,
	} {
		answer := ask("", http.MethodGet, "http://127.0.0.1:8080/jobs/", func(r *http.Request) { r.Host = host })
		require.Equal(t, status, answer.Code, "host %q", host)
	}
}

func TestGuardRejectsOtherOrigins(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method string
		header map[string]string
		status int
	}{
		"another site": {
			http.MethodPost, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}, http.StatusForbidden},
		"another port": {
			http.MethodPost, map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"}, http.StatusForbidden},
		"sandboxed form": {
			http.MethodPost, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "null"}, http.StatusForbidden},
		"old browser, another site": {
			http.MethodPost, map[string]string{"Origin": "https://evil.example.com"}, http.StatusForbidden},
		"PUT from another site": {
			http.MethodPut, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"own page": {
			http.MethodPost, map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8080"}, http.StatusOK},
		"old browser, own page": {
			http.MethodPost, map[string]string{"Origin": "http://127.0.0.1:8080"}, http.StatusOK},
		"no browser": {
			http.MethodPost, nil, http.StatusOK},
		"link from another site": {
			http.MethodGet, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusOK},
	} {
		for _, password := range []string{"", "open sesame"} {
			answer := ask(password, test.method, "http://127.0.0.1:8080/jobs/api/jobs/cancel", func(r *http.Request) {
				r.SetBasicAuth("admin", password)
				for key, value := range test.header {
					r.Header.Set(key, value)
				}
			})
			require.Equal(t, test.status, answer.Code, "%s, with password %q", name, password)
		}
	}
}

// A page in a frame of another site could trick an operator into clicking; a browser's cache
// outlives a session.
func TestGuardSetsHeaders(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", "open sesame"} { // the second answers 401
		header := ask(password, http.MethodGet, "http://127.0.0.1:8080/jobs/", nil).Header()
		require.Equal(t, "frame-ancestors 'none'", header.Get("Content-Security-Policy"))
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	}
}

// Behind a proxy, every client seems to be on this host. Each case puts a real proxy in front.
func TestGuardWithoutAPasswordRejectsProxies(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("yes")) })
	behind := httptest.NewServer(access.Guard("", page))
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL)
	require.NoError(t, err)
	for name, rewrite := range map[string]func(*httputil.ProxyRequest){
		"X-Forwarded-For":   func(r *httputil.ProxyRequest) { r.SetXForwarded() },
		"only the address":  func(r *httputil.ProxyRequest) { r.Out.Header.Set("X-Real-IP", "203.0.113.9") },
		"only the protocol": func(r *httputil.ProxyRequest) { r.Out.Header.Set("X-Forwarded-Proto", "https") },
		"RFC 7239":          func(r *httputil.ProxyRequest) { r.Out.Header.Set("Forwarded", "for=203.0.113.9") },
		"cache":             func(r *httputil.ProxyRequest) { r.Out.Header.Set("Via", "1.1 cache") },
		"cloud":             func(r *httputil.ProxyRequest) { r.Out.Header.Set("CF-Connecting-IP", "203.0.113.9") },
		"host of the site":  func(r *httputil.ProxyRequest) { r.Out.Host = "thaw.example.com" },
		"form of the site":  func(r *httputil.ProxyRequest) { r.Out.Header.Set("Origin", "https://thaw.example.com") },
		"page of the site": func(r *httputil.ProxyRequest) {
			r.Out.Header.Set("Referer", "https://thaw.example.com/accounts")
			r.Out.Header.Set("Sec-Fetch-Site", "same-origin")
		},
	} {
		proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			rewrite(r)
		}})
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy.URL, nil)
		require.NoError(t, err)
		response, err := proxy.Client().Do(request)
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusForbidden, response.StatusCode, name)
		require.Contains(t, string(text), "Set THAW_ADMIN_PASSWORD", name)
		proxy.Close()
	}
	// nginx by default does not name the client. It uses HTTP/1.0 and a loopback address as the
	// host.
	require.Equal(t, http.StatusForbidden, ask("", http.MethodGet, "http://127.0.0.1:8080/", func(r *http.Request) {
		r.Proto, r.ProtoMinor = "HTTP/1.0", 0
	}).Code)
	// With a password, a proxy is allowed.
	require.Equal(t, http.StatusOK, ask("open sesame", http.MethodGet, "http://thaw.example.com/", func(r *http.Request) {
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		r.SetBasicAuth("admin", "open sesame")
	}).Code)
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:8080": true, "[::1]:8080": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "10.0.0.1:8080": false, "thaw.example.com:8080": false, "": false,
	} {
		require.Equal(t, want, access.Loopback(address), address)
	}
}
