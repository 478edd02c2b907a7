package jobs

import (
	"strconv"

	"github.com/riverqueue/river"
)

// DeliverArgs delivers a message to an endpoint. thaw.webhook_deliveries stores the attempts and
// the outcome. The SQL function thaw.publish inserts that row together with this job.
type DeliverArgs struct {
	// EndpointID is thaw.webhook_endpoints.id.
	EndpointID int64 `json:"endpoint_id"`
	// MessageID is thaw.outbox.message_id.
	MessageID string `json:"message_id"`
}

// Kind implements [river.JobArgs].
func (DeliverArgs) Kind() string { return "deliver" }

// InsertOpts makes the job unique by endpoint and message until it is done, so that a message can
// be sent again later.
func (a DeliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueWebhooks(a.EndpointID), MaxAttempts: MaxAttempts, Priority: PriorityDefault,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: whileUndone()},
	}
}

// QueueWebhooks returns the queue of an endpoint. Each endpoint has its own queue, so that a slow
// endpoint does not delay others, and so that only processes with its secret work the queue.
func QueueWebhooks(endpointID int64) string { return "webhooks_" + strconv.FormatInt(endpointID, 10) }
