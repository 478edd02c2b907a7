// Package tracing connects a signal, its job and the pass of that job in one OpenTelemetry trace.
//
// The trace context passes through the database: the transaction of a signal sets thaw.traceparent,
// and thaw.enqueue stores it in the metadata of the job. Jobs without it, such as those of a tick,
// are not traced. Code below the job adds attributes to the span in its context, which costs
// nothing if there is none.
package tracing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the instrumentation scope of the traces.
const Scope = "github.com/thawline/thaw"

// New returns a provider that sends traces to a collector as OTLP over HTTP, for example to
// http://localhost:4318. Sampling, headers and other options come from the standard variables
// (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES, …). If the collector
// is unreachable, only traces are lost. The provider sends in batches, so the caller must shut it
// down.
func New(ctx context.Context, endpoint, version string) (*sdktrace.TracerProvider, error) {
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the URL of an OpenTelemetry collector: use one like http://localhost:4318", endpoint)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address.JoinPath("v1", "traces").String()))
	if err != nil {
		return nil, fmt.Errorf("setting up traces: %w", err)
	}
	// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "thaw"), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("setting up traces: %w", err)
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

// Jobs returns a River plugin that continues the traces of jobs.
func Jobs(provider trace.TracerProvider) rivertype.Plugin {
	tracer := provider.Tracer(Scope)
	return river.WorkerMiddlewareFunc(func(ctx context.Context, job *rivertype.JobRow, doInner func(context.Context) error) (err error) {
		var metadata struct{ Traceparent string }
		_ = json.Unmarshal(job.Metadata, &metadata) // invalid metadata means no trace
		from := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": metadata.Traceparent})
		if !trace.SpanContextFromContext(from).IsValid() {
			return doInner(ctx)
		}
		ctx, span := tracer.Start(from, job.Kind, trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(attribute.String("queue", job.Queue), attribute.Int64("job.id", job.ID), attribute.Int("job.attempt", job.Attempt)))
		defer span.End()
		// A snoozed job has not failed.
		var snoozed *river.JobSnoozeError
		if err = doInner(ctx); err != nil && !errors.As(err, &snoozed) {
			span.SetStatus(codes.Error, err.Error())
		}
		return err
	})
}
