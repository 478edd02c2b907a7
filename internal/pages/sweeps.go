package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/readmodel"
)

func (s *site) sweeps(r *http.Request) (view, error) {
	l, err := listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.SweepEntry], error) {
		return readmodel.Sweeps(r.Context(), s.Store.Pool(), readmodel.Everything(), paging)
	})
	return view{"sweeps.html", "Sweeps", l}, err
}
