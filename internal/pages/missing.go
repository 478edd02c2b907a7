package pages

import (
	"net/http"
	"strings"

	"github.com/thawline/thaw/internal/readmodel"
)

// orMissing serves mux, and shows a page to a browser that asks for an address that mux does not
// have. Programs get the plain answer of mux. The page is behind guard like all others.
func (s *site) orMissing(mux *http.ServeMux, guard func(http.Handler) http.Handler) http.Handler {
	missing := guard(secured(s.page(func(*http.Request) (view, error) { return view{}, readmodel.ErrNotFound })))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		if pattern == "" && r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
			missing.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
