package store

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// continueTrace is a statement that makes the enqueued jobs of a transaction continue its trace:
// thaw.enqueue reads the setting.
const continueTrace = "SELECT set_config('thaw.traceparent', $1, true)"

// traced starts a span for a query, named by sqlc's query name, if ctx has a span. Call end with
// the result.
func traced(ctx context.Context, sql string) (_ context.Context, end func(error)) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, func(error) {}
	}
	name := "query"
	if words := strings.Fields(sql); len(words) > 2 && words[1] == "name:" {
		name = words[2]
	}
	ctx, span := above.TracerProvider().Tracer("github.com/thawline/thaw").Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// traceparent is the W3C Trace Context header of the span in ctx. Empty: there is no span, or it is
// not sampled.
func traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}
