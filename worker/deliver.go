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

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/outbound"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

// Webhooks is the endpoint that a process delivers to.
type Webhooks struct {
	// EndpointID is thaw.webhook_endpoints.id.
	EndpointID int64
	// Sender has the endpoint's URL and secrets.
	Sender *outbound.Sender
}

// copyDelay is how often a job asks again whether its message may be delivered while the database
// is a copy. That is not an attempt.
const copyDelay = time.Minute

type deliverWorker struct {
	river.WorkerDefaults[jobs.DeliverArgs]
	store    *store.Store
	logger   *slog.Logger
	webhooks *Webhooks
}

// Work makes one delivery attempt and records it. After a crash between the two, the message is
// sent again under the same ID.
//
// A failed attempt is not a job error. The delivery row counts attempts, so crashes and the queue's
// own retries do not count. The time of the next attempt depends on the response, which a retry
// policy does not see, so the job is snoozed.
func (w *deliverWorker) Work(ctx context.Context, job *river.Job[jobs.DeliverArgs]) error {
	args := job.Args
	if w.webhooks == nil || w.webhooks.EndpointID != args.EndpointID {
		return fmt.Errorf("delivering message %s: this process does not deliver to endpoint %d", args.MessageID, args.EndpointID)
	}
	message, err := w.store.Read().ToDeliver(ctx, dbsqlc.ToDeliverParams{EndpointID: args.EndpointID, MessageID: args.MessageID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil // already delivered, given up, or the endpoint was removed
	case err != nil:
		return fmt.Errorf("reading message %s: %w", args.MessageID, err)
	}

	if message.WhyCopy != "" {
		return river.JobSnooze(copyDelay)
	}

	read := time.Now()
	var answer outbound.Answer
	switch {
	case message.DisabledReason != nil:
		answer.Problem = "not sent: the endpoint is disabled"
	case message.EndsIn <= 0:
		answer.Problem = "not sent: the lease of its action has ended"
	default:
		answer = w.webhooks.Sender.Send(ctx, outbound.Message{
			ID: args.MessageID, Type: message.Type, At: message.At, Instance: message.Instance, Data: message.Data,
		})
		if ctx.Err() != nil {
			return fmt.Errorf("delivering message %s: %w", args.MessageID, ctx.Err()) // the process is stopping: this does not count as an attempt
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
	case answer.Verdict == outbound.Failed && message.DisabledReason == nil && message.EndsIn > 0 && attempts < outbound.MaxAttempts:
		next := outbound.Delay(attempts, answer.RetryAfter, rand.Float64()) //nolint:gosec // jitter only
		if time.Since(read)+next < message.EndsIn {
			attempt.State, attempt.NextIn = dbsqlc.ThawDeliveryStateWaiting, &next
		} else {
			answer.Problem += "; not tried again: the lease of its action ends before the next attempt"
		}
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
	w.logger.WarnContext(ctx, "webhook delivery failed", "message_id", args.MessageID, "type", message.Type, "attempt", attempts,
		"problem", answer.Problem, "given_up", attempt.State == dbsqlc.ThawDeliveryStateFailed)
	if attempt.State == dbsqlc.ThawDeliveryStateWaiting {
		return river.JobSnooze(*attempt.NextIn)
	}
	return river.JobCancel(errors.New(answer.Problem))
}

// record stores the result of an attempt. It locks the endpoint first, as the lock order requires.
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

// Timeout leaves time to record an attempt that used its full timeout.
func (*deliverWorker) Timeout(*river.Job[jobs.DeliverArgs]) time.Duration {
	return outbound.Timeout + store.StatementTimeout
}
