// Package tracing makes one trace of a signal, of the job that follows from it, and of the pass of that job, for whoever runs
// an OpenTelemetry collector.
//
// The way between the processes is the database: the transaction of a signal has the setting thaw.traceparent, which
// thaw.enqueue writes into the metadata of the job. A job without one, such as those of a tick, is not traced. Below the
// job, whoever has something to add asks the span in its context; where there is none, that costs nothing.
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

// Scope is the name under which this program traces.
const Scope = "github.com/thawline/thaw"

// New returns a provider that sends traces to a collector at an address such as http://localhost:4318, as OTLP over HTTP. How
// many, with which headers and the like is as the standard variables say (OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS,
// OTEL_RESOURCE_ATTRIBUTES, …). A collector that is away loses traces and nothing else. Shut it down at the end: it sends in
// batches.
func New(ctx context.Context, endpoint, version string) (*sdktrace.TracerProvider, error) {
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of an OpenTelemetry collector: give one like http://localhost:4318", endpoint)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address.JoinPath("v1", "traces").String()))
	if err != nil {
		return nil, fmt.Errorf("setting up traces: %w", err)
	}
	// What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before this.
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "thaw"), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("setting up traces: %w", err)
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

// Jobs makes a client of the queue go on with the traces of the jobs that it works.
func Jobs(provider trace.TracerProvider) rivertype.Plugin {
	tracer := provider.Tracer(Scope)
	return river.WorkerMiddlewareFunc(func(ctx context.Context, job *rivertype.JobRow, doInner func(context.Context) error) (err error) {
		var metadata struct{ Traceparent string }
		_ = json.Unmarshal(job.Metadata, &metadata) // what is no text there is no trace either
		from := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": metadata.Traceparent})
		if !trace.SpanContextFromContext(from).IsValid() {
			return doInner(ctx)
		}
		ctx, span := tracer.Start(from, job.Kind, trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(attribute.String("queue", job.Queue), attribute.Int64("job.id", job.ID), attribute.Int("job.attempt", job.Attempt)))
		defer span.End()
		// One that asks to go on later has not failed.
		var snoozed *river.JobSnoozeError
		if err = doInner(ctx); err != nil && !errors.As(err, &snoozed) {
			span.SetStatus(codes.Error, err.Error())
		}
		return err
	})
}
