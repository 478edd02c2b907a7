package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/readmodel"
)

type fleetPage struct {
	readmodel.Overview
	Chart chart
}

func (s *site) fleet(r *http.Request) (view, error) {
	o, err := s.Reader.Overview(r.Context())
	return view{"fleet.html", "Fleet", fleetPage{Overview: o, Chart: chartOf(o.Ticks)}}, err
}
