package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

// formSize is the maximum size of a form, in bytes.
const formSize = 64 << 10

// action handles a posted form and redirects to the page that shows the result.
func (s *site) action(do func(*http.Request) (to string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formSize)
		if err := r.ParseForm(); err != nil {
			status, v := s.problem(r, badRequestError{"The form could not be read. It may be larger than 64 KiB; go back and submit it again."})
			s.write(w, r, status, v)
			return
		}
		to, err := do(r)
		if err != nil {
			status, v := s.problem(r, err)
			s.write(w, r, status, v)
			return
		}
		s.Reader.Forget()
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// operate returns the operator who acts through the page.
func (s *site) operate(r *http.Request) *operator.Operator {
	actor := "page"
	if user, _, ok := r.BasicAuth(); ok {
		actor = "page:" + user
	}
	return operator.New(s.Store, readmodel.Everything(), actor)
}

// noticeOf returns the key of the notice for an action, or that of "No change" if it changed
// nothing.
func noticeOf(changed bool, notice string) string {
	if changed {
		return notice
	}
	return "nothing"
}
