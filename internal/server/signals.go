package server

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/tracing"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/jobs"
)

// receive returns the function that records and applies a delivery and inserts its job, in one
// transaction.
func receive(db *store.Store, notify func(queues ...string), gate *gate, traces trace.TracerProvider) webhook.Apply {
	if traces == nil {
		traces = noop.NewTracerProvider()
	}
	tracer := traces.Tracer(tracing.Scope)
	return func(ctx context.Context, s webhook.Signal) (outcome string, err error) {
		params := SignalParams(s)
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		ctx, span := tracer.Start(ctx, "signal", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("provider", s.Provider), attribute.String("account", s.AccountID), attribute.String("status", s.Raw)))
		defer span.End()
		defer gate.pass(ctx, s.Status)()
		outcome, err = db.Trip().ReceiveSignal(ctx, params)
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
			return "", fmt.Errorf("receiving signal for account %q: %w", s.AccountID, err)
		}
		if outcome == string(jobs.Applied) {
			notify(jobs.QueueResume)
		}
		span.SetAttributes(attribute.String("outcome", outcome))
		return outcome, nil
	}
}

// SignalParams converts a signal to the parameters of thaw.receive_signal.
func SignalParams(s webhook.Signal) dbsqlc.ReceiveSignalParams {
	return dbsqlc.ReceiveSignalParams{
		Provider: s.Provider, ProviderAccountID: s.AccountID, RawStatus: s.Raw, Status: store.OrNil(s.Status),
		OccurredAt: store.OrNil(s.OccurredAt), MemberID: store.OrNil(s.MemberID), DeliveryKey: store.OrNil(s.DeliveryKey),
		JustCreated: s.Fresh, Body: s.Body, Product: store.OrNil(s.Product), V1AccountID: store.OrNil(s.V1AccountID),
	}
}
