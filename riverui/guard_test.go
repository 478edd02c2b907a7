package riverui_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/riverui"
)

// ask sends a request through a guard to a page that says yes, and returns the answer.
func ask(password, method, url string, change func(*http.Request)) *httptest.ResponseRecorder {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("yes")) })
	request := httptest.NewRequest(method, url, nil)
	if change != nil {
		change(request)
	}
	recorder := httptest.NewRecorder()
	riverui.Guard(password, page).ServeHTTP(recorder, request)
	return recorder
}

func TestGuardAsksForThePassword(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"right":           {func(r *http.Request) { r.SetBasicAuth("admin", "open sesame") }, http.StatusOK},
		"wrong":           {func(r *http.Request) { r.SetBasicAuth("admin", "open barley") }, http.StatusUnauthorized},
		"a part of it":    {func(r *http.Request) { r.SetBasicAuth("admin", "open") }, http.StatusUnauthorized},
		"empty":           {func(r *http.Request) { r.SetBasicAuth("admin", "") }, http.StatusUnauthorized},
		"another user":    {func(r *http.Request) { r.SetBasicAuth("root", "open sesame") }, http.StatusUnauthorized},
		"missing":         {nil, http.StatusUnauthorized},
		"not basic auth":  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer open sesame") }, http.StatusUnauthorized},
		"shifted a colon": {func(r *http.Request) { r.SetBasicAuth("admin:open sesame", "") }, http.StatusUnauthorized},
	} {
		answer := ask("open sesame", http.MethodGet, "https://thaw.example.com/jobs/", test.change)
		require.Equal(t, test.status, answer.Code, name)
		if test.status != http.StatusOK {
			require.NotContains(t, answer.Body.String(), "yes", name)
			require.Contains(t, answer.Header().Get("WWW-Authenticate"), "Basic", name)
		}
	}
}

func TestGuardWithoutAPasswordServesThisMachineOnly(t *testing.T) {
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

func TestGuardRefusesWhatComesFromAnotherOrigin(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method string
		header map[string]string
		status int
	}{
		"a page of another site": {
			http.MethodPost, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}, http.StatusForbidden},
		"a page of a neighbour": {
			http.MethodPost, map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"}, http.StatusForbidden},
		"a form in a sandbox": {
			http.MethodPost, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "null"}, http.StatusForbidden},
		"an old browser, another site": {
			http.MethodPost, map[string]string{"Origin": "https://evil.example.com"}, http.StatusForbidden},
		"another site puts": {
			http.MethodPut, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"our own page": {
			http.MethodPost, map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8080"}, http.StatusOK},
		"an old browser, our own page": {
			http.MethodPost, map[string]string{"Origin": "http://127.0.0.1:8080"}, http.StatusOK},
		"no browser": {
			http.MethodPost, nil, http.StatusOK},
		"a link from another site": {
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

// A page that shows ours in a frame could make an operator click in it; a browser's cache outlives
// a session.
func TestGuardSetsHeaders(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", "open sesame"} { // the second is answered with 401
		header := ask(password, http.MethodGet, "http://127.0.0.1:8080/jobs/", nil).Header()
		require.Equal(t, "frame-ancestors 'none'", header.Get("Content-Security-Policy"))
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	}
}

// Behind a proxy everybody looks like this machine. A real proxy of each kind is put in front.
func TestGuardWithoutAPasswordRefusesProxies(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("yes")) })
	behind := httptest.NewServer(riverui.Guard("", page))
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL)
	require.NoError(t, err)
	for name, rewrite := range map[string]func(*httputil.ProxyRequest){
		"X-Forwarded-For":      func(r *httputil.ProxyRequest) { r.SetXForwarded() },
		"only the address":     func(r *httputil.ProxyRequest) { r.Out.Header.Set("X-Real-IP", "203.0.113.9") },
		"only the protocol":    func(r *httputil.ProxyRequest) { r.Out.Header.Set("X-Forwarded-Proto", "https") },
		"RFC 7239":             func(r *httputil.ProxyRequest) { r.Out.Header.Set("Forwarded", "for=203.0.113.9") },
		"a cache":              func(r *httputil.ProxyRequest) { r.Out.Header.Set("Via", "1.1 cache") },
		"a cloud":              func(r *httputil.ProxyRequest) { r.Out.Header.Set("CF-Connecting-IP", "203.0.113.9") },
		"the name of the site": func(r *httputil.ProxyRequest) { r.Out.Host = "thaw.example.com" },
		"a form of the site":   func(r *httputil.ProxyRequest) { r.Out.Header.Set("Origin", "https://thaw.example.com") },
		"a page of the site": func(r *httputil.ProxyRequest) {
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
	// nginx as it is installed names nobody; it speaks HTTP/1.0, and calls the host by its loopback
	// address.
	require.Equal(t, http.StatusForbidden, ask("", http.MethodGet, "http://127.0.0.1:8080/", func(r *http.Request) {
		r.Proto, r.ProtoMinor = "HTTP/1.0", 0
	}).Code)
	// With a password a proxy is welcome.
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
		require.Equal(t, want, riverui.Loopback(address), address)
	}
}
