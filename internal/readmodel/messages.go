package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// An Endpoint receives messages from Thaw.
type Endpoint struct {
	ID             int64      `json:"id"`
	URL            string     `json:"url"` // may contain a secret: show it masked
	CreatedAt      time.Time  `json:"created_at"`
	DisabledAt     *time.Time `json:"disabled_at"`
	DisabledReason *string    `json:"disabled_reason"`
	// Waiting and Failed count deliveries, up to MaxCounted.
	Waiting      int64      `json:"waiting"`
	Failed       int64      `json:"failed"`
	WaitingSince *time.Time `json:"waiting_since"` // of the oldest waiting message; nil if none
}

// MaxCounted is how many deliveries of an endpoint are counted.
const MaxCounted = 10_000

// Endpoints returns the endpoints for outbound webhooks, at most 100.
func Endpoints(ctx context.Context, db *store.Store) ([]Endpoint, error) {
	rows, err := db.Read().EndpointPage(ctx, MaxCounted)
	if err != nil {
		return nil, fmt.Errorf("listing webhook endpoints: %w", err)
	}
	endpoints := make([]Endpoint, len(rows))
	for i, r := range rows {
		endpoints[i] = Endpoint{
			ID: r.ID, URL: r.Url, CreatedAt: r.CreatedAt.UTC(), DisabledAt: utc(r.DisabledAt), DisabledReason: r.DisabledReason,
			Waiting: r.Waiting, Failed: r.Failed, WaitingSince: utc(r.WaitingSince),
		}
	}
	return endpoints, nil
}

// A Message is a message to the platform, with its deliveries.
type Message struct {
	ID         int64             `json:"-"`
	MessageID  string            `json:"id"`
	At         time.Time         `json:"at"`
	Type       string            `json:"type"`
	Data       string            `json:"data"` // indented JSON
	AccountID  *int64            `json:"account_id"`
	Account    string            `json:"account"` // the provider account ID
	Deliveries []MessageDelivery `json:"deliveries"`
}

// A MessageDelivery is the delivery of a message to one endpoint.
type MessageDelivery struct {
	URL           string     `json:"url"`   // of the endpoint, may contain a secret: show it masked
	State         string     `json:"state"` // thaw.delivery_state
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	LastAttemptAt *time.Time `json:"last_attempt_at"`
	LastStatus    *int32     `json:"last_status"`
	LastError     *string    `json:"last_error"`
	DeliveredAt   *time.Time `json:"delivered_at"`
}

// Messages returns a page of the messages to the platform, newest first. With a state, it returns
// those with a delivery in this state.
func Messages(ctx context.Context, db *store.Store, state string, p Paging) (Page[Message], error) {
	const list = "messages"
	from, err := after(p, list, beforeAny)
	var rows []dbsqlc.MessagePageRow
	if err == nil {
		rows, err = db.Read().MessagePage(ctx, dbsqlc.MessagePageParams{State: state, BeforeID: from.ID, Size: p.size()})
	}
	if err != nil {
		return Page[Message]{}, fmt.Errorf("listing messages: %w", err)
	}
	var messages []Message
	for _, r := range rows {
		if n := len(messages); n == 0 || messages[n-1].ID != r.ID {
			messages = append(messages, Message{
				ID: r.ID, MessageID: r.MessageID, At: r.At.UTC(), Type: r.Type, Data: r.Data, AccountID: r.AccountID, Account: r.Account,
				Deliveries: []MessageDelivery{},
			})
		}
		if r.Url != "" {
			m := &messages[len(messages)-1]
			m.Deliveries = append(m.Deliveries, MessageDelivery{
				URL: r.Url, State: r.State, Attempts: int(r.Attempts), NextAttemptAt: utc(r.NextAttemptAt), LastAttemptAt: utc(r.LastAttemptAt),
				LastStatus: r.LastStatus, LastError: r.LastError, DeliveredAt: utc(r.DeliveredAt),
			})
		}
	}
	return paged(p, list, messages, func(m Message) Message { return m }, func(m Message) newest { return newest{m.ID} })
}
