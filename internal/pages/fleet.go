package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/outlook"
)

type fleetPage struct {
	outlook.Overview
	Chart chart
}

func (s *site) fleet(r *http.Request) (view, error) {
	o, err := s.Foresight.Overview(r.Context())
	return view{"fleet.html", "Fleet", fleetPage{Overview: o, Chart: chartOf(o.Ticks)}}, err
}
