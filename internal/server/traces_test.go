package server_test

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/thawline/thaw/internal/server"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/tracing"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/schema"
)

// A web process and a worker process make one trace of a signal, its job and its pass.
func TestSignalJobAndPassAreOneTrace(t *testing.T) {
	t.Parallel()
	s := setup(t)
	served, worked := tracetest.NewInMemoryExporter(), tracetest.NewInMemoryExporter()
	client, err := river.NewClient(riverpgxv5.New(s.Pool), &river.Config{Schema: schema.Name})
	require.NoError(t, err)
	migrator, err := schema.NewMigrator(s.Pool, schema.Name, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, migrator.Close()) })
	handler, err := server.New(t.Context(), server.Config{
		Store: store.New(s.Pool), Client: client, Migrator: migrator,
		Webhooks: webhook.Config{Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: v1Secrets}}},
		Traces:   sdktrace.NewTracerProvider(sdktrace.WithSyncer(served)), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	traced := &site{DB: s.DB, url: web.URL, client: web.Client()}

	s.insertFleet(t)
	traced.work(t, tracing.Jobs(sdktrace.NewTracerProvider(sdktrace.WithSyncer(worked))))
	require.Empty(t, worked.GetSpans(), "ticks are not traced")
	require.Equal(t, "applied", traced.post(t, unipileV1(t, v1Secrets[0], event{word: "CREDENTIALS"})).outcome(t))
	s.settle(t)
	// A job completes in the transaction of its work. Its span ends a moment later.
	ended := func() bool { return len(worked.GetSpans()) == 2 }
	require.Eventually(t, ended, 30*time.Second, 5*time.Millisecond)
	served.Reset()
	worked.Reset()

	require.Equal(t, "applied", traced.post(t, unipileV1(t, v1Secrets[0], event{word: "OK"})).outcome(t))
	s.settle(t)
	require.Equal(t, 10, s.prospects(t, "active"))
	require.Eventually(t, ended, 30*time.Second, 5*time.Millisecond)

	spans := map[string]tracetest.SpanStub{}
	for _, span := range append(served.GetSpans(), worked.GetSpans()...) {
		spans[span.Name] = span
	}
	require.Len(t, spans, 4)
	for name, above := range map[string]string{
		"ReceiveSignal": "signal", "resume_account": "ReceiveSignal", "ResumeForSignal": "resume_account",
	} {
		require.Equal(t, spans[above].SpanContext.SpanID(), spans[name].Parent.SpanID(), "%s is below %s", name, above)
		require.Equal(t, spans["signal"].SpanContext.TraceID(), spans[name].SpanContext.TraceID(), name)
	}
	require.False(t, spans["signal"].Parent.IsValid())
}

// Without tracing, jobs have no trace context, and an invalid setting is ignored.
func TestJobsWithoutATrace(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	worked := tracetest.NewInMemoryExporter()
	s.work(t, tracing.Jobs(sdktrace.NewTracerProvider(sdktrace.WithSyncer(worked))))
	require.Equal(t, "applied", s.post(t, unipileV1(t, v1Secrets[0], event{word: "CREDENTIALS"})).outcome(t))
	s.settle(t)
	require.Equal(t, "{}", testdb.Value[string](t, s.DB,
		"SELECT (metadata - 'river:log' - 'snoozes')::text FROM thaw.river_job WHERE kind = 'pause_account'"))

	tx, err := s.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SET LOCAL thaw.traceparent = 'nonsense'")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT thaw.signal('linkedin', 'acc_1', 'connected')")
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	s.settle(t)
	require.Equal(t, 10, s.prospects(t, "active"))
	require.Empty(t, worked.GetSpans(), "an invalid trace context is ignored")
}
