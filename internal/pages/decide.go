package pages

import (
	"context"
	"net/http"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// formSize bounds what a form may have, in bytes.
const formSize = 64 << 10

// actionBatchSize is how many prospects one transaction pauses or gives back.
const actionBatchSize = 1000

// decide does what a form asks for, and leads to the page that shows what came of it.
func (s *site) decide(do func(*http.Request) (to string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formSize)
		if err := r.ParseForm(); err != nil {
			status, v := s.problem(r, badRequestError{"The form could not be read."})
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

// operator names who decides, for the record.
func operator(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return "page:" + user
	}
	return "page"
}

// applyActionBatches goes on when the browser has gone: a half of a pause is worth less than the
// whole.
func (s *site) applyActionBatches(ctx context.Context, action dbsqlc.StartActionParams, evenByUser bool) (total int, err error) {
	ctx = context.WithoutCancel(ctx)
	id, err := s.Store.Trip().StartAction(ctx, action)
	for changed := int32(actionBatchSize); err == nil && changed == actionBatchSize; total += int(changed) {
		changed, err = s.Store.Trip().ApplyActionBatch(ctx, dbsqlc.ApplyActionBatchParams{ActionID: id, Size: actionBatchSize, EvenByUser: evenByUser})
	}
	return total, err
}

// noticeOf is what to say of a decision: nothing was changed where it was so already.
func noticeOf(changed bool, notice string) string {
	if changed {
		return notice
	}
	return "nothing"
}
