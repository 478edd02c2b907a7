package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/outlook"
)

func (s *site) sweeps(r *http.Request) (view, error) {
	l, err := listOf(r, func(paging outlook.Paging) (outlook.Page[outlook.SweepEntry], error) {
		return outlook.Sweeps(r.Context(), s.Store.Pool(), outlook.Everything(), paging)
	})
	return view{"sweeps.html", "Sweeps", l}, err
}
