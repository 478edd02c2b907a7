package store

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// continueTrace is a statement that makes the jobs which a transaction enqueues go on with its trace: thaw.enqueue reads the
// setting.
const continueTrace = "SELECT set_config('thaw.traceparent', $1, true)"

// traced begins a span for a query, of the name that sqlc gives it, if there is one above it. Call end with what became of it.
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

// traceparent is what W3C Trace Context says of the span in ctx; empty: there is none, or it is not kept.
func traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}
