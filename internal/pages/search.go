package pages

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/thawline/thaw/internal/readmodel"
)

type searchPage struct {
	Wanted string
	readmodel.Found
	IsEmpty bool
}

// search redirects to the only result, or lists all results.
func (s *site) search(r *http.Request) (view, error) {
	wanted := r.URL.Query().Get("q")
	found, err := readmodel.Search(r.Context(), s.Store.Pool(), readmodel.Everything(), wanted)
	if err != nil {
		return view{}, err
	}
	if to := onlyOne(found); to != "" {
		return view{}, redirectError{to}
	}
	isEmpty := len(found.Prospects)+len(found.Accounts)+len(found.Campaigns)+len(found.Workspaces) == 0
	return view{"search.html", "Search", searchPage{wanted, found, isEmpty}}, nil
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
