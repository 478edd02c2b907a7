package pages

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
)

type accountsPage struct {
	list[readmodel.Account]
	Filter            readmodel.AccountFilter
	Workspace         string
	Statuses, Blocked []string
	Matching          int64
	IsMore            bool
	ByID, ByPaused    column
}

func (s *site) accounts(r *http.Request) (view, error) {
	scope, filter, err := s.wantedAccounts(r)
	if err != nil {
		return view{}, err
	}
	p := accountsPage{
		Filter: filter, Workspace: r.URL.Query().Get("workspace"), Statuses: enum.Names(enum.AccountStatuses), Blocked: readmodel.AccountBlocks,
		ByID: columnOf(r, "Account", "workspace", "ascending", "workspace"), ByPaused: columnOf(r, "Paused", "paused", "descending", "workspace"),
	}
	p.ByPaused.IsNumber = true
	if p.Matching, p.IsMore, err = readmodel.CountAccounts(r.Context(), s.Store, scope, filter); err != nil {
		return view{}, err
	}
	p.list, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Account], error) {
		return readmodel.Accounts(r.Context(), s.Store, scope, filter, paging)
	})
	p.Export = exportPath(r)
	return view{"accounts.html", "Accounts", p}, err
}

// IsFiltered reports whether any filter is set.
func (p accountsPage) IsFiltered() bool {
	return p.Filter.HasBacklog || cmp.Or(p.Filter.Status, p.Filter.Blocked, p.Workspace) != ""
}

// wantedAccounts reads the filter in the address.
func (s *site) wantedAccounts(r *http.Request) (readmodel.Scope, readmodel.AccountFilter, error) {
	query := r.URL.Query()
	f := readmodel.AccountFilter{
		Status: query.Get("status"), HasBacklog: query.Get("backlog") != "", Blocked: query.Get("blocked"),
		MostPausedFirst: query.Get("order") == "paused",
	}
	if f.Status != "" && !slices.Contains(enum.Names(enum.AccountStatuses), f.Status) {
		return readmodel.Scope{}, f, badRequestError{fmt.Sprintf("There is no account status %q. Choose one from the list.", f.Status)}
	}
	if f.Blocked != "" && !slices.Contains(readmodel.AccountBlocks, f.Blocked) {
		return readmodel.Scope{}, f, badRequestError{fmt.Sprintf("There is no block %q. Choose one from the list.", f.Blocked)}
	}
	scope, err := s.scopeOf(r.Context(), query.Get("workspace"))
	return scope, f, err
}

func (s *site) accountsExport(r *http.Request) (*export, error) {
	scope, filter, err := s.wantedAccounts(r)
	if err != nil {
		return nil, err
	}
	return exportOf("accounts",
		[]string{"workspace", "provider", "account", "name", "status", "status_at", "connected_at", "hold_until", "paused", "resumable", "blocked_by"},
		func(paging readmodel.Paging) (readmodel.Page[readmodel.Account], error) {
			return readmodel.Accounts(r.Context(), s.Store, scope, filter, paging)
		},
		func(a readmodel.Account) []string {
			return []string{
				a.Workspace, a.Provider, a.Account, a.Name, a.Status, exported(a.StatusAt), exported(a.ConnectedAt), exported(a.HoldUntil),
				strconv.FormatInt(a.Paused, 10), strconv.FormatInt(a.Resumable, 10), plain(a.BlockedBy),
			}
		}), nil
}

// exported formats a time that may be missing for a CSV file.
func exported(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.Format(time.RFC3339)
}
