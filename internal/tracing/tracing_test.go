package tracing_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/tracing"
)

func TestTracesReachTheCollector(t *testing.T) {
	t.Parallel()
	type request struct{ path, contentType, body string }
	received := make(chan request, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- request{r.URL.Path, r.Header.Get("Content-Type"), string(body)}
	}))
	t.Cleanup(collector.Close)

	traces, err := tracing.New(t.Context(), collector.URL, "v1.2.3")
	require.NoError(t, err)
	_, span := traces.Tracer(tracing.Scope).Start(t.Context(), "signal")
	span.End()
	require.NoError(t, traces.Shutdown(t.Context()))
	got := <-received
	require.Equal(t, "/v1/traces", got.path)
	require.Equal(t, "application/x-protobuf", got.contentType)
	for _, part := range []string{"signal", "service.name", "thaw", "v1.2.3", tracing.Scope} {
		require.Contains(t, got.body, part)
	}
}

func TestNewRejectsInvalidURL(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"localhost:4318", "/traces", "ftp://localhost", "http://", "%"} {
		_, err := tracing.New(t.Context(), address, "")
		require.ErrorContains(t, err, "like http://localhost:4318", address)
	}
}
