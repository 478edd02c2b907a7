package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/outlook"
)

type accountPage struct {
	outlook.AccountDetail
	History  []outlook.Moment
	Signals  []outlook.Signal
	Prospect list[outlook.Enrollment]
}

func (s *site) account(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	var p accountPage
	ctx, db := r.Context(), s.Store.Pool()
	if p.AccountDetail, err = s.Foresight.AccountByID(ctx, outlook.Everything(), id); err != nil {
		return view{}, err
	}
	if p.History, err = outlook.AccountHistory(ctx, db, outlook.Everything(), id); err != nil {
		return view{}, err
	}
	signals, err := outlook.Signals(ctx, db, outlook.Everything(), id, outlook.Paging{Limit: 20})
	if err != nil {
		return view{}, err
	}
	p.Signals = signals.Items
	p.Prospect, err = listOf(r, func(paging outlook.Paging) (outlook.Page[outlook.Enrollment], error) {
		return outlook.Enrollments(ctx, db, outlook.Everything(), id, "paused", paging)
	})
	return view{"account.html", "Account " + p.Account.Account, p}, err
}
