package pages

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/thawline/thaw/internal/readmodel"
)

type accountsPage struct {
	list[readmodel.Account]
	Filter    readmodel.AccountFilter
	Workspace string
	Statuses  []string
}

// accountStatuses are the statuses in the filter.
var accountStatuses = []string{"connecting", "connected", "needs_verification", "disconnected", "restricted", "error", "removed"}

func (s *site) accounts(r *http.Request) (view, error) {
	query := r.URL.Query()
	p := accountsPage{
		Filter:    readmodel.AccountFilter{Status: query.Get("status"), HasBacklog: query.Get("backlog") != ""},
		Workspace: query.Get("workspace"), Statuses: accountStatuses,
	}
	scope, err := readmodel.Everything().Workspace(r.Context(), s.Store.Pool(), p.Workspace)
	if errors.Is(err, readmodel.ErrNotFound) {
		return view{}, badRequestError{fmt.Sprintf("There is no workspace %q.", p.Workspace)}
	} else if err != nil {
		return view{}, err
	}
	p.list, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Account], error) {
		return readmodel.Accounts(r.Context(), s.Store.Pool(), scope, p.Filter, paging)
	})
	return view{"accounts.html", "Accounts", p}, err
}
