package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/outbound"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// Webhooks is the receiver to which a process delivers.
type Webhooks struct {
	// EndpointID is thaw.webhook_endpoints.id.
	EndpointID int64
	// Sender has the endpoint's URL and secrets.
	Sender *outbound.Sender
}

type deliverWorker struct {
	river.WorkerDefaults[jobs.DeliverArgs]
	store    *store.Store
	logger   *slog.Logger
	webhooks *Webhooks
}

// Work makes one attempt and records it. Between the two a crash may lie: then the message is sent again under the same id.
//
// A failed attempt is no error of the job. Attempts are counted in the delivery, where neither a crash nor the queue's own
// retries count, and when the next one is due depends on the answer, which a retry policy never sees: the job is put off.
func (w *deliverWorker) Work(ctx context.Context, job *river.Job[jobs.DeliverArgs]) error {
	args := job.Args
	if w.webhooks == nil || w.webhooks.EndpointID != args.EndpointID {
		return fmt.Errorf("delivering message %s: this process does not deliver to endpoint %d", args.MessageID, args.EndpointID)
	}
	message, err := w.store.ToDeliver(ctx, dbsqlc.ToDeliverParams{EndpointID: args.EndpointID, MessageID: args.MessageID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil // delivered by somebody else, given up, or the endpoint was removed
	case err != nil:
		return fmt.Errorf("reading message %s: %w", args.MessageID, err)
	}

	answer := outbound.Answer{Problem: "not sent: the endpoint is disabled"}
	if message.DisabledReason == nil {
		answer = w.webhooks.Sender.Send(ctx, outbound.Message{ID: args.MessageID, Type: message.Type, At: message.At, Data: message.Data})
		if ctx.Err() != nil {
			return fmt.Errorf("delivering message %s: %w", args.MessageID, ctx.Err()) // the process stops: that was no attempt
		}
	}
	attempt := dbsqlc.RecordAttemptParams{
		State: dbsqlc.ThawDeliveryStateFailed, JobID: job.ID, OutboxID: message.OutboxID, EndpointID: args.EndpointID,
	}
	if answer.Status != 0 {
		status := int32(answer.Status)
		attempt.Status = &status
	}
	attempts := int(message.Attempts) + 1
	switch {
	case answer.Verdict == outbound.Delivered:
		attempt.State = dbsqlc.ThawDeliveryStateDelivered
	case answer.Verdict == outbound.Failed && message.DisabledReason == nil && attempts < outbound.MaxAttempts:
		attempt.State = dbsqlc.ThawDeliveryStateWaiting
		next := outbound.Delay(attempts, answer.RetryAfter, rand.Float64()) //nolint:gosec // It spreads; nobody gains by a guess.
		attempt.NextIn = &next
		fallthrough
	default:
		attempt.Error = &answer.Problem
	}
	if err := w.record(ctx, attempt, answer); err != nil {
		return fmt.Errorf("recording an attempt to deliver message %s: %w", args.MessageID, err)
	}

	if attempt.State == dbsqlc.ThawDeliveryStateDelivered {
		return nil
	}
	w.logger.WarnContext(ctx, "a webhook was not delivered", "message_id", args.MessageID, "type", message.Type, "attempt", attempts,
		"problem", answer.Problem, "given_up", attempt.State == dbsqlc.ThawDeliveryStateFailed)
	if attempt.State == dbsqlc.ThawDeliveryStateWaiting {
		return river.JobSnooze(*attempt.NextIn)
	}
	return river.JobCancel(errors.New(answer.Problem))
}

// record writes what came of an attempt. The endpoint goes first: that is the lock order.
func (w *deliverWorker) record(ctx context.Context, attempt dbsqlc.RecordAttemptParams, answer outbound.Answer) error {
	if answer.Verdict != outbound.Gone {
		_, err := w.store.Trip().RecordAttempt(ctx, attempt)
		return err
	}
	return w.store.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		err := q.DisableEndpoint(ctx, dbsqlc.DisableEndpointParams{EndpointID: attempt.EndpointID, Reason: answer.Problem})
		if err != nil {
			return err
		}
		_, err = q.RecordAttempt(ctx, attempt)
		return err
	})
}

// Timeout leaves time to record an attempt that took its own to the end.
func (*deliverWorker) Timeout(*river.Job[jobs.DeliverArgs]) time.Duration {
	return outbound.Timeout + store.StatementTimeout
}
