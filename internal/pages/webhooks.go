package pages

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/readmodel"
)

type webhooksPage struct {
	Endpoints []readmodel.Endpoint
	Most      int64 // how many deliveries are counted
	Messages  list[readmodel.Message]
	State     string
	States    []string
}

// deliveryStates are the states in the filter: those of thaw.delivery_state.
var deliveryStates = []string{"waiting", "delivered", "failed"}

func (s *site) webhooks(r *http.Request) (view, error) {
	p := webhooksPage{State: r.URL.Query().Get("state"), States: deliveryStates, Most: readmodel.MaxCounted}
	if err := checkOneOf("state", p.State, deliveryStates); err != nil {
		return view{}, err
	}
	var err error
	if p.Endpoints, err = readmodel.Endpoints(r.Context(), s.Store); err != nil {
		return view{}, err
	}
	p.Messages, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Message], error) {
		return readmodel.Messages(r.Context(), s.Store, p.State, paging)
	})
	return view{"webhooks.html", "Webhooks", p}, err
}

// enableEndpoint identifies the endpoint by its ID, because its URL may contain a secret.
func (s *site) enableEndpoint(r *http.Request) (string, error) {
	id, err := pathID(r)
	if err != nil {
		return "", err
	}
	endpoints, err := readmodel.Endpoints(r.Context(), s.Store)
	if err != nil {
		return "", err
	}
	for _, e := range endpoints {
		if e.ID == id {
			_, err := s.Store.Trip().EnableEndpoint(r.Context(), e.URL)
			return "/messages?done=" + noticeOf(e.DisabledAt != nil, "endpoint-enabled"), err
		}
	}
	return "", readmodel.ErrNotFound
}

// replayAtOnce is how many messages one transaction of a replay takes.
const replayAtOnce = 1000

// replay sends one message again, or all messages of a period whose delivery failed.
func (s *site) replay(r *http.Request) (string, error) {
	ctx := r.Context()
	params := dbsqlc.ReplayParams{Size: replayAtOnce}
	if id := field(r, "message"); id != "" {
		known, err := s.Store.Read().IsMessage(ctx, id)
		if err != nil {
			return "", err
		} else if !known {
			return "", badRequestError{fmt.Sprintf("There is no message %q. Old messages are removed.", id)}
		}
		params.MessageID = &id
	} else {
		hours, err := strconv.Atoi(field(r, "hours"))
		if err != nil || hours < 1 || hours > 24*365 {
			return "", badRequestError{fmt.Sprintf("The number of hours must be from 1 to 8760, not %q.", field(r, "hours"))}
		}
		now, err := s.Store.Read().Clock(ctx)
		if err != nil {
			return "", err
		}
		since := now.Add(-time.Duration(hours) * time.Hour)
		params.Since, params.Failed = &since, true
	}
	total := int64(0)
	for {
		again, err := s.Store.Trip().Replay(ctx, params)
		if err != nil {
			return "", err
		}
		total += again.Deliveries
		if again.NextBefore == 0 {
			return "/messages?done=" + noticeOf(total > 0, "replayed"), nil
		}
		params.Before = &again.NextBefore
	}
}
