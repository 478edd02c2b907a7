package pages

import (
	"fmt"
	"net/http"
	"time"

	"github.com/thawline/thaw/internal/outlook"
	"github.com/thawline/thaw/schema/dbsqlc"
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

// holdAccount takes the end as the browser's own field writes it, in UTC.
func (s *site) holdAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	until, err := time.Parse("2006-01-02T15:04", field(r, "until"))
	if err != nil {
		return "", badRequestError{fmt.Sprintf("The end of a hold must be a time like 2026-03-01T09:00, not %q.", field(r, "until"))}
	}
	_, err = s.Store.Trip().Hold(r.Context(), dbsqlc.HoldParams{
		Account: account.Account.Account, Provider: account.Provider, Until: until, Why: field(r, "why"), DecidedBy: operator(r),
	})
	return to + "held", err
}

// correctHold gives a mistaken hold another end; without one it ends now.
func (s *site) correctHold(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	var until *time.Time
	if given := field(r, "until"); given != "" {
		parsed, err := time.Parse("2006-01-02T15:04", given)
		if err != nil {
			return "", badRequestError{fmt.Sprintf("The end of a hold must be a time like 2026-03-01T09:00, not %q.", given)}
		}
		until = &parsed
	}
	_, err = s.Store.Trip().CorrectHold(r.Context(), dbsqlc.CorrectHoldParams{
		Account: account.Account.Account, Provider: account.Provider, Until: until, Why: field(r, "why"), DecidedBy: operator(r),
	})
	return to + "hold-corrected", err
}

func (s *site) pauseAccount(r *http.Request) (string, error) { return s.decideAccount(r, "paused") }

func (s *site) resumeAccount(r *http.Request) (string, error) { return s.decideAccount(r, "resumed") }

func (s *site) decideAccount(r *http.Request, what string) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	changed, err := s.decideBatches(r.Context(), dbsqlc.DecideParams{
		What: what, Account: account.Account.Account, Provider: account.Provider, Why: field(r, "why"), DecidedBy: operator(r),
	}, field(r, "even_by_user") != "")
	return to + noticeOf(changed > 0, what), err
}

// accountOf is the account in the path, and the page that leads back to it.
func (s *site) accountOf(r *http.Request) (outlook.AccountDetail, string, error) {
	id, err := pathID(r)
	if err != nil {
		return outlook.AccountDetail{}, "", err
	}
	account, err := s.Foresight.AccountByID(r.Context(), outlook.Everything(), id)
	return account, fmt.Sprintf("/accounts/%d?done=", id), err
}
