package pages

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/thawline/thaw/internal/readmodel"
)

// A list is one page of a list.
type list[T any] struct {
	Items  []T
	Next   string // address of the next page; empty on the last
	First  string // address of the first page; empty on the first
	Export string // address of the whole list as CSV, see exportPath; empty if there is none
}

// listOf reads the page selected by the address.
func listOf[T any](r *http.Request, read func(readmodel.Paging) (readmodel.Page[T], error)) (list[T], error) {
	query := r.URL.Query()
	page, err := read(readmodel.Paging{Cursor: query.Get("cursor")})
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

// address returns the path of the request with another query.
func address(r *http.Request, query url.Values) string {
	query.Del("done")
	if len(query) == 0 {
		return r.URL.EscapedPath()
	}
	return r.URL.EscapedPath() + "?" + query.Encode()
}

// with returns the address of the request with a parameter set, from the first page on. An empty
// value removes the parameter.
func with(r *http.Request, name, value string) string {
	query := r.URL.Query()
	query.Del("cursor")
	query.Del(name)
	if value != "" {
		query.Set(name, value)
	}
	return address(r, query)
}

// exportPath returns the address of the list as CSV, with the filters of the request. The route of
// an export is that of its page with ".csv".
func exportPath(r *http.Request) string {
	query := r.URL.Query()
	query.Del("cursor")
	path := address(r, query)
	before, filters, isFiltered := strings.Cut(path, "?")
	if isFiltered {
		return before + ".csv?" + filters
	}
	return before + ".csv"
}

// A column is the head of a column that the list can be ordered by: the template "column".
type column struct {
	Label    string
	Path     string // address of the list in this order; empty if it has this order
	Order    string // ascending or descending, if the list has this order
	IsNumber bool
}

// columnOf returns the head of a column. The list is ordered by the parameter "order", or by
// standard if there is none.
func columnOf(r *http.Request, label, order, direction, standard string) column {
	chosen := r.URL.Query().Get("order")
	if chosen == "" {
		chosen = standard
	}
	if chosen == order {
		return column{Label: label, Order: direction}
	}
	if order == standard {
		order = ""
	}
	return column{Label: label, Path: with(r, "order", order)}
}

// A share is a part of a whole, shown as a bar: the template "bars" takes a []share.
type share struct {
	Label   string
	Path    string // of the list of what was counted; empty if there is none
	Count   int64
	Percent float64 // length of the bar
}

// sharesOf sets the lengths of the bars, so that the longest one fills its row.
func sharesOf(shares []share) []share {
	most := int64(1)
	for _, s := range shares {
		most = max(most, s.Count)
	}
	for i, s := range shares {
		shares[i].Percent = 100 * float64(s.Count) / float64(most)
	}
	return shares
}

// pathID returns the ID in the path, or [readmodel.ErrNotFound] if it is not a number.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, readmodel.ErrNotFound
	}
	return id, nil
}
