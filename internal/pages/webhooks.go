package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/when"
)

type webhooksPage struct {
	Endpoints []readmodel.Endpoint
	Most      int64 // how many deliveries are counted
	Messages  list[readmodel.Message]
	State     string
	States    []string
}

func (s *site) webhooks(r *http.Request) (view, error) {
	p := webhooksPage{State: r.URL.Query().Get("state"), States: enum.Names(enum.DeliveryStates), Most: readmodel.MaxCounted}
	if err := checkOneOf("state", p.State, p.States); err != nil {
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
	enabled, err := s.operate(r).EnableEndpoint(r.Context(), operator.Endpoint{ID: id}, field(r, "reason"))
	return "/messages?done=" + noticeOf(enabled, "endpoint-enabled"), err
}

// replay sends one message again, or all messages of a period whose delivery failed.
func (s *site) replay(r *http.Request) (string, error) {
	replay := operator.Replay{MessageID: field(r, "message")}
	if replay.MessageID == "" {
		since, err := s.timeIn(r, "since", "the period", when.ParsePast)
		switch {
		case err != nil:
			return "", err
		case since == nil:
			return "", badRequestError{"The period is missing. Enter a duration such as 24h or 7d."}
		}
		replay.Since, replay.Failed = *since, true
	}
	total, err := s.operate(r).ReplayMessages(r.Context(), replay, field(r, "reason"))
	return "/messages?done=" + noticeOf(total.Deliveries > 0, "replayed"), err
}
