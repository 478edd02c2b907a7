package pages

import (
	"context"
	"net/http"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// formSize is the maximum size of a form, in bytes.
const formSize = 64 << 10

// actionBatchSize is how many prospects one transaction pauses or requeues.
const actionBatchSize = 1000

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

// operator returns the actor for the audit log.
func operator(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return "page:" + user
	}
	return "page"
}

// applyActionBatches continues after the browser has disconnected, so that an action is not left
// half done.
func (s *site) applyActionBatches(ctx context.Context, action dbsqlc.StartActionParams, evenByUser bool) (total int, err error) {
	ctx = context.WithoutCancel(ctx)
	id, err := s.Store.Trip().StartAction(ctx, action)
	for changed := int32(actionBatchSize); err == nil && changed == actionBatchSize; total += int(changed) {
		changed, err = s.Store.Trip().ApplyActionBatch(ctx, dbsqlc.ApplyActionBatchParams{ActionID: id, Size: actionBatchSize, EvenByUser: evenByUser})
	}
	return total, err
}

// noticeOf returns the key of the notice for an action, or that of "No change" if it changed
// nothing.
func noticeOf(changed bool, notice string) string {
	if changed {
		return notice
	}
	return "nothing"
}
