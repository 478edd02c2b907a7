package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/outbound"
	"github.com/thawline/thaw/internal/store"
)

// An Endpoint names an endpoint of outbound webhooks, by its ID or by its URL.
type Endpoint struct {
	ID  int64
	URL string
}

// endpoint returns the endpoint that is named, and its URL without secrets.
func (o *Operator) endpoint(ctx context.Context, named Endpoint) (id int64, shown string, err error) {
	row, err := o.store.Read().EndpointURL(ctx, dbsqlc.EndpointURLParams{EndpointID: store.OrNil(named.ID), Url: store.OrNil(named.URL)})
	switch {
	case errors.Is(err, pgx.ErrNoRows) && named.URL == "":
		return 0, "", notFound("Look at the list of receivers.", "there is no receiver %d", named.ID)
	case errors.Is(err, pgx.ErrNoRows):
		return 0, "", notFound("Run \"thaw webhooks list\" to list the receivers (without the query of their URL).",
			"receiver %q does not exist", outbound.Masked(named.URL))
	case err != nil:
		return 0, "", fmt.Errorf("looking for the receiver: %w", err)
	}
	return row.ID, outbound.Masked(row.Url), nil
}

// EnableEndpoint enables an endpoint that was disabled because it answered 410. False: it was
// enabled already.
func (o *Operator) EnableEndpoint(ctx context.Context, endpoint Endpoint, reason string) (bool, error) {
	if err := o.forOperators("enable a receiver"); err != nil {
		return false, err
	}
	id, shown, err := o.endpoint(ctx, endpoint)
	if err != nil {
		return false, err
	}
	return o.store.Trip().EnableEndpoint(ctx, dbsqlc.EnableEndpointParams{EndpointID: id, Shown: shown, Reason: reason, Actor: o.actor})
}

// RemoveEndpoint removes an endpoint and the messages that wait for it.
func (o *Operator) RemoveEndpoint(ctx context.Context, endpoint Endpoint, reason string) error {
	if err := o.forOperators("remove a receiver"); err != nil {
		return err
	}
	id, shown, err := o.endpoint(ctx, endpoint)
	if err != nil {
		return err
	}
	_, err = o.store.Trip().RemoveEndpoint(ctx, dbsqlc.RemoveEndpointParams{EndpointID: id, Shown: shown, Reason: reason, Actor: o.actor})
	return err
}

// A Replay selects messages to the platform: one message, or all since a time.
type Replay struct {
	MessageID string
	Since     time.Time
	// Failed selects only deliveries that failed.
	Failed bool
}

func (r Replay) String() string {
	switch {
	case r.MessageID != "":
		return "message " + r.MessageID
	case r.Failed:
		return "failed messages since " + r.Since.UTC().Format(time.RFC3339)
	default:
		return "messages since " + r.Since.UTC().Format(time.RFC3339)
	}
}

// replayAtOnce is how many messages one transaction of a replay takes.
const replayAtOnce = 1000

// ReplayMessages sends messages again, with their original IDs. It returns how many, and to how
// many endpoints together.
func (o *Operator) ReplayMessages(ctx context.Context, replay Replay, reason string) (total dbsqlc.ReplayRow, err error) {
	if err := o.forOperators("send messages again"); err != nil {
		return total, err
	}
	params := dbsqlc.ReplayParams{Failed: replay.Failed, Size: replayAtOnce}
	if replay.MessageID != "" {
		known, err := o.store.Read().IsMessage(ctx, replay.MessageID)
		switch {
		case err != nil:
			return total, err
		case !known:
			return total, notFound("Look at the list of messages. Old messages are removed.", "message %q does not exist", replay.MessageID)
		}
		params.MessageID = &replay.MessageID
	} else {
		params.Since = &replay.Since
	}
	if _, err := o.store.Trip().StartReplay(ctx, dbsqlc.StartReplayParams{Which: replay.String(), Reason: reason, Actor: o.actor}); err != nil {
		return total, err
	}
	for {
		again, err := o.store.Trip().Replay(ctx, params)
		if err != nil {
			return total, err
		}
		total.Messages += again.Messages
		total.Deliveries += again.Deliveries
		if again.NextBefore == 0 {
			return total, nil
		}
		params.Before = &again.NextBefore
	}
}
