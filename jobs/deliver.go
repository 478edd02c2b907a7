package jobs

import (
	"strconv"

	"github.com/riverqueue/river"
)

// DeliverArgs asks to deliver a message to an endpoint. How often it was tried, and what came of it, stands in
// thaw.webhook_deliveries; the SQL function thaw.publish makes that row and this job in one.
type DeliverArgs struct {
	// EndpointID is thaw.webhook_endpoints.id.
	EndpointID int64 `json:"endpoint_id"`
	// MessageID is thaw.outbox.message_id.
	MessageID string `json:"message_id"`
}

// Kind implements [river.JobArgs].
func (DeliverArgs) Kind() string { return "deliver" }

// InsertOpts makes the job unique by its endpoint and message while it is not done: it may be sent again later.
func (a DeliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueWebhooks(a.EndpointID), MaxAttempts: MaxAttempts, Priority: PriorityDefault,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: whileUndone()},
	}
}

// QueueWebhooks names the queue of an endpoint. Each has its own: one that is slow keeps nobody else waiting, and it is worked
// on only by processes that have its secret.
func QueueWebhooks(endpointID int64) string { return "webhooks_" + strconv.FormatInt(endpointID, 10) }
