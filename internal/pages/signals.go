package pages

import (
	"fmt"
	"net/http"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
)

type signalsPage struct {
	list[readmodel.Delivery]
	Filter     readmodel.DeliveryFilter
	Outcomes   []string
	SearchedTo any // of readmodel.DeliveryPage
}

func (s *site) signals(r *http.Request) (view, error) {
	query := r.URL.Query()
	p := signalsPage{
		Filter:   readmodel.DeliveryFilter{Outcome: query.Get("outcome"), Provider: query.Get("provider"), Account: query.Get("account")},
		Outcomes: enum.Names(enum.SignalOutcomes),
	}
	var err error
	if p.Filter.Account != "" && p.Filter.Provider == "" {
		if p.Filter.Provider, err = readmodel.ProviderOf(r.Context(), s.Store, p.Filter.Account); err != nil {
			return view{}, err
		}
	}
	p.list, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Delivery], error) {
		page, err := readmodel.Deliveries(r.Context(), s.Store, readmodel.Everything(), p.Filter, paging)
		if page.SearchedTo != nil {
			p.SearchedTo = *page.SearchedTo
		}
		return page.Page, err
	})
	return view{"signals.html", "Signals", p}, err
}

func (s *site) signal(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	d, err := readmodel.DeliveryByID(r.Context(), s.Store, readmodel.Everything(), id)
	return view{"signal.html", fmt.Sprint("Signal ", id), d}, err
}
