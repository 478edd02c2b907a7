package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/signing"
	"github.com/thawline/thaw/internal/webhook"
)

const (
	v1Path       = "/webhooks/unipile/v1"
	v2Path       = "/webhooks/unipile/v2"
	standardPath = "/webhooks/standard"

	v1Secret  = "v1-secret-of-the-tests"
	v1Rotated = "v1-secret-before-this-one"
	v2Secret  = "v2-secret-of-the-tests"
	v2Rotated = "v2-secret-before-this-one"

	// The keys are 32 times "a" and 32 times "b".
	standardSecret  = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
	standardRotated = "whsec_YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
	// The key is 32 times "c": valid, but never configured.
	standardForeign = "whsec_Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M="

	v1Body       = `{"AccountStatus":{"account_id":"h_EKCy2lRLef5NzHp0iw4A","account_type":"LINKEDIN","message":"CREDENTIALS"}}`
	v2Body       = `{"id":"evt_1","created_at":"2026-05-07T10:00:00.000Z","account_id":"acc_1","type":"account.status.disconnected","payload":{"timestamp":"2026-05-07T09:59:58.000Z"}}`
	standardBody = `{"type":"account.status","timestamp":"2026-05-07T09:59:58Z","data":{"provider":"linkedin","account":"a-1","status":"connected","member_id":"m-1"}}`
)

// now is the time of the server's clock.
var now = time.Date(2026, 5, 7, 10, 0, 3, 0, time.UTC)

// testServer is an HTTP server with all three routes. It records the signals.
type testServer struct {
	*httptest.Server
	log *syncBuffer

	mu      sync.Mutex
	signals []webhook.Signal
	fail    error // what Apply returns from now on
}

// syncBuffer is a log for concurrent writers.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func setup(t *testing.T) *testServer {
	t.Helper()
	s := &testServer{log: &syncBuffer{}}
	mux := http.NewServeMux()
	require.NoError(t, webhook.Register(mux, webhook.Config{
		Dialects: webhook.Dialects{
			UnipileV1: webhook.UnipileV1{Secrets: []string{v1Secret, v1Rotated}},
			UnipileV2: webhook.UnipileV2{Secrets: []string{v2Secret, v2Rotated}},
			Standard:  webhook.Standard{Secrets: []string{standardSecret, standardRotated}},
		},
		Now:    func() time.Time { return now },
		Apply:  s.apply,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *testServer) apply(_ context.Context, signal webhook.Signal) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return "", s.fail
	}
	s.signals = append(s.signals, signal)
	return "applied", nil
}

func (s *testServer) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *testServer) received() []webhook.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signals
}

// answered is a response.
type answered struct {
	status int
	header http.Header
	body   string
}

// error returns the text of an error response, which must be JSON with only this field.
func (a answered) error(t *testing.T) string {
	t.Helper()
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	var body map[string]string
	require.NoError(t, json.Unmarshal([]byte(a.body), &body))
	require.Len(t, body, 1)
	require.NotEmpty(t, body["error"])
	return body["error"]
}

func (s *testServer) send(t *testing.T, method, path string, header http.Header, body string) answered {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header = header.Clone()
	response, err := s.Client().Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answered{response.StatusCode, response.Header, string(answer)}
}

func (s *testServer) post(t *testing.T, path string, header http.Header, body string) answered {
	t.Helper()
	return s.send(t, http.MethodPost, path, header, body)
}

// headers returns a header from alternating names and values.
func headers(namesAndValues ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(namesAndValues); i += 2 {
		h.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return h
}

func signedV2(body string) http.Header {
	return headers("unipile-signature", webhook.SignUnipileV2(v2Secret, now, []byte(body)))
}

func signedStandard(t *testing.T, id, body string) http.Header {
	t.Helper()
	h, err := signing.Sign(standardSecret, id, now, []byte(body))
	require.NoError(t, err)
	return h
}

// dialect is one of the three routes, with a valid delivery for it.
type dialect struct {
	name, path, body string
	sign             func(t *testing.T, body string) http.Header
}

func dialects() []dialect {
	return []dialect{
		{"unipile v1", v1Path, v1Body, func(*testing.T, string) http.Header { return headers("Unipile-Auth", v1Secret) }},
		{"unipile v2", v2Path, v2Body, func(_ *testing.T, body string) http.Header { return signedV2(body) }},
		{"standard", standardPath, standardBody, func(t *testing.T, body string) http.Header { return signedStandard(t, "msg_1", body) }},
	}
}

func TestDeliveryBecomesSignal(t *testing.T) {
	t.Parallel()
	want := map[string]webhook.Signal{
		"unipile v1": {
			Source: "unipile_v1", Provider: "linkedin", AccountID: "h_EKCy2lRLef5NzHp0iw4A",
			Raw: "CREDENTIALS", Status: "disconnected", Body: []byte(v1Body),
		},
		"unipile v2": {
			Source: "unipile_v2", DeliveryKey: "unipile_v2:evt_1", Provider: "linkedin", AccountID: "acc_1",
			Raw: "account.status.disconnected", Status: "disconnected",
			OccurredAt: time.Date(2026, 5, 7, 9, 59, 58, 0, time.UTC), Body: []byte(v2Body),
		},
		"standard": {
			Source: "standard", DeliveryKey: "standard:msg_1", Provider: "linkedin", AccountID: "a-1", MemberID: "m-1",
			Raw: "connected", Status: "connected",
			OccurredAt: time.Date(2026, 5, 7, 9, 59, 58, 0, time.UTC), Body: []byte(standardBody),
		},
	}
	for _, d := range dialects() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)

			answer := s.post(t, d.path, d.sign(t, d.body), d.body)

			require.Equal(t, http.StatusOK, answer.status, answer.body)
			require.JSONEq(t, `{"outcome":"applied"}`, answer.body)
			require.Equal(t, []webhook.Signal{want[d.name]}, s.received())
			require.Empty(t, s.log.String())
		})
	}
}

func TestApplyFailureAsksForRetry(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.failWith(errors.New("dial tcp 10.0.0.7:5432: connection refused"))

			answer := s.post(t, d.path, d.sign(t, d.body), d.body)

			require.Equal(t, http.StatusServiceUnavailable, answer.status)
			require.Equal(t, "30", answer.header.Get("Retry-After"))
			require.NotContains(t, answer.error(t), "10.0.0.7", "the sender must not see internal errors")
			require.Contains(t, s.log.String(), "10.0.0.7", "the operator must see the cause")

			s.failWith(nil)
			require.Equal(t, http.StatusOK, s.post(t, d.path, d.sign(t, d.body), d.body).status)
			require.Len(t, s.received(), 1)
		})
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	for _, d := range dialects() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			largest := d.body + strings.Repeat(" ", limit-len(d.body))
			tooLarge := largest + " "

			require.Equal(t, http.StatusOK, s.post(t, d.path, d.sign(t, largest), largest).status)
			answer := s.post(t, d.path, d.sign(t, tooLarge), tooLarge)

			require.Equal(t, http.StatusRequestEntityTooLarge, answer.status)
			require.Contains(t, answer.error(t), "65536")
			require.Len(t, s.received(), 1)
		})
	}
}

func TestBodyThatCannotBeStored(t *testing.T) {
	t.Parallel()
	bodies := []struct{ name, body, says string }{
		{"empty", ``, "not valid JSON"},
		{"not JSON", `account_id=1`, "not valid JSON at byte 1"},
		{"truncated", `{"AccountStatus":`, "not valid JSON"},
		{"two documents", `{}{}`, "not valid JSON at byte 3"},
		{"array", `[]`, "send an object"},
		{"null", `null`, "is missing"},
		{"invalid UTF-8", "{\"note\":\"\xff\"}", "not valid UTF-8"},
		{"NUL", `{"note":"a\u0000b"}`, "NUL"},
		{"NUL in a key", `{"\u0000":1}`, "NUL"},
		{"NUL after a backslash", `{"note":"\\\u0000"}`, "NUL"},
		{"high surrogate alone", `{"note":"\ud83d"}`, "surrogate"},
		{"low surrogate alone", `{"note":"\uDE00"}`, "surrogate"},
		{"surrogates in the wrong order", `{"note":"\ude00\ud83d"}`, "surrogate"},
		{"huge exponent", `{"n":1e200000}`, "number"},
		{"tiny exponent", `{"n":[1E-20000]}`, "number"},
		{"endless fraction", `{"n":0.` + strings.Repeat("1", 20000) + `}`, "number"},
	}
	for _, d := range dialects() {
		s := setup(t)
		for _, b := range bodies {
			t.Run(d.name+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				answer := s.post(t, d.path, d.sign(t, b.body), b.body)

				require.Equal(t, http.StatusBadRequest, answer.status)
				require.Contains(t, answer.error(t), b.says)
				require.Empty(t, s.received())
			})
		}
	}
}

// These bodies look like those above, but are valid.
func TestUnusualBodyIsAccepted(t *testing.T) {
	t.Parallel()
	for _, extra := range []string{
		`"note":"a backslash and then u0000: \\u0000"`,
		`"note":"a pair: \ud83d\uDE00, and itself: 😀"`,
		`"note":"\ufffd \ufffe \u00e9 \" \/"`,
		`"n":[0, -0, 1.5e+308, 1e-999, 12345678901234567890]`,
		`"deep":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
	} {
		t.Run(extra[:min(20, len(extra))], func(t *testing.T) {
			t.Parallel()
			for _, d := range dialects() {
				s := setup(t)
				body := strings.TrimSuffix(d.body, "}") + "," + extra + "}"

				answer := s.post(t, d.path, d.sign(t, body), body)

				require.Equal(t, http.StatusOK, answer.status, answer.body)
				require.Equal(t, body, string(s.received()[0].Body))
			}
		})
	}
}

// A sender that closes the connection early is told to retry. Nothing it sent is used.
func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	s := setup(t)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: thaw\r\nUnipile-Auth: %s\r\nContent-Length: %d\r\n\r\n%s",
		v1Path, v1Secret, len(v1Body)+1, v1Body)
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())

	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()

	require.Equal(t, http.StatusBadRequest, response.StatusCode)
	require.Empty(t, s.received())
}

func TestOtherMethods(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, d := range dialects() {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			answer := s.send(t, method, d.path, d.sign(t, d.body), d.body)

			require.Equal(t, http.StatusMethodNotAllowed, answer.status)
			require.Equal(t, http.MethodPost, answer.header.Get("Allow"))
		}
	}
	require.Empty(t, s.received())
}

// A wrong secret is logged, without the secret, so that the operator can fix the configuration.
func TestRefusalIsLogged(t *testing.T) {
	t.Parallel()
	s := setup(t)

	s.post(t, v1Path, headers("Unipile-Auth", "guess-4711"), v1Body)

	require.Contains(t, s.log.String(), "unipile v1")
	require.Contains(t, s.log.String(), "status=401")
	require.NotContains(t, s.log.String(), "guess-4711")
	require.NotContains(t, s.log.String(), v1Secret)
}

func TestRouteExistsOnlyWithSecret(t *testing.T) {
	t.Parallel()
	configs := map[string]webhook.Config{
		v1Path:       {Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: []string{v1Secret}}}},
		v2Path:       {Dialects: webhook.Dialects{UnipileV2: webhook.UnipileV2{Secrets: []string{v2Secret}}}},
		standardPath: {Dialects: webhook.Dialects{Standard: webhook.Standard{Secrets: []string{standardSecret}}}},
		"none":       {},
	}
	for only, config := range configs {
		t.Run(only, func(t *testing.T) {
			t.Parallel()
			s := &testServer{}
			mux := http.NewServeMux()
			config.Apply = s.apply
			config.Now = func() time.Time { return now }
			require.NoError(t, webhook.Register(mux, config))
			s.Server = httptest.NewServer(mux)
			t.Cleanup(s.Close)

			for _, d := range dialects() {
				want := http.StatusNotFound
				if d.path == only {
					want = http.StatusOK
				}
				require.Equal(t, want, s.post(t, d.path, d.sign(t, d.body), d.body).status, d.path)
			}
		})
	}
}

func TestRegisterRejectsInvalidConfig(t *testing.T) {
	t.Parallel()
	apply := new(testServer).apply
	tests := []struct {
		name   string
		config webhook.Config
		says   string
		secret string // must not be in the error
	}{
		{"no Apply", webhook.Config{Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: []string{v1Secret}}}}, "Config.Apply is missing", v1Secret},
		{"three secrets", webhook.Config{Apply: apply, Dialects: webhook.Dialects{UnipileV2: webhook.UnipileV2{Secrets: []string{"one-secret", "two", "three"}}}}, "unipile v2 has 3 secrets", "one-secret"},
		{"v1 empty", webhook.Config{Apply: apply, Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: []string{v1Secret, ""}}}}, "unipile v1 secret 2 of 2", v1Secret},
		{"v1 with a line break", webhook.Config{Apply: apply, Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: []string{"from-a-file\n"}}}}, "unipile v1 secret 1 of 1", "from-a-file"},
		{"v1 header", webhook.Config{Apply: apply, Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: []string{v1Secret}, Header: "X-Secret:"}}}, `header name "X-Secret:"`, v1Secret},
		{"v1 too short", webhook.Config{Apply: apply, Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: []string{v1Secret, "fifteen-letters"}}}}, "unipile v1 secret 2 of 2 has 15 characters: use at least 16; a comma separates two secrets", "fifteen-letters"},
		{"v2 too short", webhook.Config{Apply: apply, Dialects: webhook.Dialects{UnipileV2: webhook.UnipileV2{Secrets: []string{"x"}}}}, "unipile v2 secret 1 of 1 has 1 characters", v1Secret},
		{"v2 empty", webhook.Config{Apply: apply, Dialects: webhook.Dialects{UnipileV2: webhook.UnipileV2{Secrets: []string{""}}}}, "unipile v2 secret 1 of 1", v1Secret},
		{"v2 with a line break", webhook.Config{Apply: apply, Dialects: webhook.Dialects{UnipileV2: webhook.UnipileV2{Secrets: []string{"from-a-file\n"}}}}, "unipile v2 secret 1 of 1", "from-a-file"},
		{"standard without prefix", webhook.Config{Apply: apply, Dialects: webhook.Dialects{Standard: webhook.Standard{Secrets: []string{standardSecret, standardRotated[6:]}}}}, "standard secret 2 of 2 does not begin with whsec_", standardRotated[6:]},
		{"standard not base64", webhook.Config{Apply: apply, Dialects: webhook.Dialects{Standard: webhook.Standard{Secrets: []string{"whsec_correct-horse"}}}}, "standard secret 1 of 1 is not base64", "correct-horse"},
		{"standard too short", webhook.Config{Apply: apply, Dialects: webhook.Dialects{Standard: webhook.Standard{Secrets: []string{"whsec_YWFhYWFhYWE="}}}}, "has 8 bytes: use a secret of 24 to 64", "YWFhYWFhYWE="},
		{"standard too long", webhook.Config{Apply: apply, Dialects: webhook.Dialects{Standard: webhook.Standard{Secrets: []string{"whsec_" + strings.Repeat("YWFh", 22)}}}}, "has 66 bytes", "YWFh"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			// A valid secret for another route: nothing must be registered.
			if test.config.UnipileV1.Secrets == nil {
				test.config.UnipileV1.Secrets = []string{v1Secret}
			}

			err := webhook.Register(mux, test.config)

			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), test.secret)
			_, pattern := mux.Handler(httptest.NewRequest(http.MethodPost, v1Path, nil))
			require.Empty(t, pattern)
		})
	}
}
