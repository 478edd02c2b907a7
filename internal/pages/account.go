package pages

import (
	"fmt"
	"net/http"
	"time"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

type accountPage struct {
	readmodel.AccountDetail
	History  []readmodel.HistoryEntry
	Signals  []readmodel.Signal
	Prospect list[readmodel.Enrollment]
}

func (s *site) account(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	var p accountPage
	ctx, db := r.Context(), s.Store.Pool()
	if p.AccountDetail, err = s.Reader.AccountByID(ctx, readmodel.Everything(), id); err != nil {
		return view{}, err
	}
	if p.History, err = readmodel.AccountHistory(ctx, db, readmodel.Everything(), id); err != nil {
		return view{}, err
	}
	signals, err := readmodel.Signals(ctx, db, readmodel.Everything(), id, readmodel.Paging{Limit: 20})
	if err != nil {
		return view{}, err
	}
	p.Signals = signals.Items
	p.Prospect, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Enrollment], error) {
		return readmodel.Enrollments(ctx, db, readmodel.Everything(), id, "paused", paging)
	})
	return view{"account.html", "Account " + p.Account.Account, p}, err
}

// holdAccount parses the end in the format of a datetime-local input, in UTC.
func (s *site) holdAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	until, err := time.Parse("2006-01-02T15:04", field(r, "until"))
	if err != nil {
		return "", badRequestError{invalidEnd(field(r, "until"))}
	}
	_, err = s.operate(r).Hold(r.Context(), account, until, field(r, "reason"))
	return to + "held", err
}

// correctHold changes the end of a mistaken hold. Without a new end, the hold ends now.
func (s *site) correctHold(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	var until *time.Time
	if given := field(r, "until"); given != "" {
		parsed, err := time.Parse("2006-01-02T15:04", given)
		if err != nil {
			return "", badRequestError{invalidEnd(given)}
		}
		until = &parsed
	}
	_, err = s.operate(r).CorrectHold(r.Context(), account, until, field(r, "reason"))
	return to + "hold-corrected", err
}

// invalidEnd explains a time that cannot be parsed.
func invalidEnd(given string) string {
	return fmt.Sprintf("Cannot read the end of the hold: %q is not a time. Enter it like 2026-03-01T09:00.", given)
}

func (s *site) pauseAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	changed, err := s.operate(r).PauseAccount(r.Context(), account, field(r, "reason"), nil)
	return to + noticeOf(changed > 0, "paused"), err
}

func (s *site) resumeAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	changed, err := s.operate(r).ReleaseAccount(r.Context(), account, field(r, "reason"), field(r, "even_by_user") != "", nil)
	return to + noticeOf(changed > 0, "resumed"), err
}

// accountOf returns the account in the path, and the start of the redirect back to its page.
func (s *site) accountOf(r *http.Request) (operator.Account, string, error) {
	id, err := pathID(r)
	if err != nil {
		return operator.Account{}, "", err
	}
	account, err := s.Reader.AccountByID(r.Context(), readmodel.Everything(), id)
	named := operator.Account{ID: account.Account.Account, Provider: account.Provider, Workspace: account.Workspace}
	return named, fmt.Sprintf("/accounts/%d?done=", id), err
}
