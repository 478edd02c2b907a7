package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/thawline/thaw/internal/outlook"
)

// A list is a page of a longer one.
type list[T any] struct {
	Items []T
	Next  string // the address of the next page; empty: this is the last
	First string // the address of the first page; empty: this is it
}

// listOf reads the page that the address asks for.
func listOf[T any](r *http.Request, read func(outlook.Paging) (outlook.Page[T], error)) (list[T], error) {
	query := r.URL.Query()
	page, err := read(outlook.Paging{Cursor: query.Get("cursor")})
	if err != nil {
		return list[T]{}, err
	}
	l := list[T]{Items: page.Items}
	if query.Has("cursor") {
		query.Del("cursor")
		l.First = address(r, query)
	}
	if page.NextCursor != nil {
		query.Set("cursor", *page.NextCursor)
		l.Next = address(r, query)
	}
	return l, nil
}

func address(r *http.Request, query url.Values) string {
	query.Del("done")
	return (&url.URL{Path: r.URL.Path, RawQuery: query.Encode()}).String()
}

// pathID is the number in the path; one that is none names nothing.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, outlook.ErrNotFound
	}
	return id, nil
}

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

func (s *site) sweeps(r *http.Request) (view, error) {
	l, err := listOf(r, func(paging outlook.Paging) (outlook.Page[outlook.SweepEntry], error) {
		return outlook.Sweeps(r.Context(), s.Store.Pool(), outlook.Everything(), paging)
	})
	return view{"sweeps.html", "Sweeps", l}, err
}

func (s *site) workspaces(r *http.Request) (view, error) {
	l, err := listOf(r, func(paging outlook.Paging) (outlook.Page[outlook.Workspace], error) {
		return outlook.Workspaces(r.Context(), s.Store.Pool(), outlook.Everything(), paging)
	})
	return view{"workspaces.html", "Workspaces", l}, err
}

type workspacePage struct {
	outlook.Workspace
	Campaigns list[outlook.Campaign]
	History   []outlook.Moment
}

func (s *site) workspace(r *http.Request) (view, error) {
	var p workspacePage
	scope, err := outlook.Everything().Workspace(r.Context(), s.Store.Pool(), r.PathValue("key"))
	if err != nil {
		return view{}, err
	}
	if p.Workspace, err = s.onlyWorkspace(r.Context(), scope); err != nil {
		return view{}, err
	}
	p.Campaigns, err = listOf(r, func(paging outlook.Paging) (outlook.Page[outlook.Campaign], error) {
		return outlook.Campaigns(r.Context(), s.Store.Pool(), scope, "", paging)
	})
	if err != nil {
		return view{}, err
	}
	p.History, err = outlook.WorkspaceHistory(r.Context(), s.Store.Pool(), p.ID)
	return view{"workspace.html", "Workspace " + p.Workspace.Workspace, p}, err
}

func (s *site) onlyWorkspace(ctx context.Context, scope outlook.Scope) (outlook.Workspace, error) {
	page, err := outlook.Workspaces(ctx, s.Store.Pool(), scope, outlook.Paging{Limit: 1})
	switch {
	case err != nil:
		return outlook.Workspace{}, err
	case len(page.Items) == 0:
		return outlook.Workspace{}, outlook.ErrNotFound
	}
	return page.Items[0], nil
}
