package pages

import (
	"errors"
	"net/http"

	"github.com/thawline/thaw/internal/outlook"
)

type accountsPage struct {
	list[outlook.Account]
	Filter    outlook.AccountFilter
	Workspace string
	Statuses  []string
}

// accountStatuses are what accounts can be filtered by.
var accountStatuses = []string{"connecting", "connected", "needs_verification", "disconnected", "restricted", "error", "removed"}

func (s *site) accounts(r *http.Request) (view, error) {
	query := r.URL.Query()
	p := accountsPage{
		Filter:    outlook.AccountFilter{Status: query.Get("status"), HasBacklog: query.Get("backlog") != ""},
		Workspace: query.Get("workspace"), Statuses: accountStatuses,
	}
	scope, err := outlook.Everything().Workspace(r.Context(), s.Store.Pool(), p.Workspace)
	if errors.Is(err, outlook.ErrNotFound) {
		return view{}, badRequestError{"There is no workspace \"" + p.Workspace + "\"."}
	} else if err != nil {
		return view{}, err
	}
	p.list, err = listOf(r, func(paging outlook.Paging) (outlook.Page[outlook.Account], error) {
		return outlook.Accounts(r.Context(), s.Store.Pool(), scope, p.Filter, paging)
	})
	return view{"accounts.html", "Accounts", p}, err
}
