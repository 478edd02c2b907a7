package riverui_test

import (
	"net/http"
	"net/http/httptest"
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

// A page that shows ours in a frame could make an operator click in it.
func TestGuardForbidsFrames(t *testing.T) {
	t.Parallel()
	answer := ask("", http.MethodGet, "http://127.0.0.1:8080/jobs/", nil)
	require.Equal(t, "frame-ancestors 'none'", answer.Header().Get("Content-Security-Policy"))
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
