package pages

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/thawline/thaw/internal/lookup"
	"github.com/thawline/thaw/internal/readmodel"
)

type searchPage struct {
	Wanted string
	readmodel.Found
	Kind string            // of a page after the first one
	More map[string]string // by kind: the address of the next page
}

// search redirects to the only result, or lists all results.
func (s *site) search(r *http.Request) (view, error) {
	query := r.URL.Query()
	wanted, kind := query.Get("q"), query.Get("kind")
	if kind != "" && !slices.Contains(readmodel.SearchKinds, kind) {
		return view{}, badRequestError{fmt.Sprintf("%q is not a kind of result. Search again.", kind)}
	}
	if err := lookup.Check(wanted); err != nil {
		return view{}, badRequestError{sentence(err.Error())}
	}
	found, err := readmodel.Search(r.Context(), s.Store, readmodel.Everything(), wanted,
		readmodel.SearchFilter{Kind: kind, Paging: readmodel.Paging{Cursor: query.Get("cursor")}})
	if err != nil {
		return view{}, err
	}
	if to := onlyOne(found); to != "" && kind == "" {
		return view{}, redirectError{to}
	}
	p := searchPage{Wanted: wanted, Found: found, Kind: kind, More: map[string]string{}}
	for kind, next := range map[string]*string{
		"prospects": found.Next.Prospects, "accounts": found.Next.Accounts, "campaigns": found.Next.Campaigns, "workspaces": found.Next.Workspaces,
	} {
		if next != nil {
			p.More[kind] = "/search?" + url.Values{"q": {wanted}, "kind": {kind}, "cursor": {*next}}.Encode()
		}
	}
	return view{"search.html", "Search", p}, nil
}

// onlyOne returns the address of the only result, or an empty string if there are none or several.
// A prospect in several campaigns is one result.
func onlyOne(f readmodel.Found) string {
	var addresses []string
	seen := map[string]bool{}
	add := func(address string) {
		if !seen[address] {
			seen[address] = true
			addresses = append(addresses, address)
		}
	}
	for _, p := range f.Prospects {
		add("/prospects?" + url.Values{"url": {p.ProspectURL}}.Encode())
	}
	for _, a := range f.Accounts {
		add(fmt.Sprint("/accounts/", a.ID))
	}
	for _, c := range f.Campaigns {
		add(pathTo("workspaces", c.Workspace) + "#campaign-" + url.PathEscape(c.Campaign))
	}
	for _, w := range f.Workspaces {
		add(pathTo("workspaces", w.Workspace))
	}
	if len(addresses) != 1 {
		return ""
	}
	return addresses[0]
}
