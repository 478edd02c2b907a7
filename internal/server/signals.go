package server

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/tracing"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// receive gives a delivery to the database, in one transaction: recorded, applied, and its job inserted, or none of it.
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

// SignalParams is a signal as thaw.receive_signal takes it.
func SignalParams(s webhook.Signal) dbsqlc.ReceiveSignalParams {
	return dbsqlc.ReceiveSignalParams{
		Provider: s.Provider, ProviderAccountID: s.AccountID, RawStatus: s.Raw, Status: orNull(s.Status),
		OccurredAt: orNull(s.OccurredAt), MemberID: orNull(s.MemberID), DeliveryKey: orNull(s.DeliveryKey),
		JustCreated: s.Fresh, Body: s.Body, Product: orNull(s.Product), V1AccountID: orNull(s.V1AccountID),
	}
}

// orNull is the way from Go's "not said" to SQL's.
func orNull[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}
