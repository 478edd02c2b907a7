package pages

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/thawline/thaw/internal/readmodel"
)

// A list is one page of a list.
type list[T any] struct {
	Items []T
	Next  string // address of the next page; empty on the last
	First string // address of the first page; empty on the first
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

func address(r *http.Request, query url.Values) string {
	query.Del("done")
	if len(query) == 0 {
		return r.URL.EscapedPath()
	}
	return r.URL.EscapedPath() + "?" + query.Encode()
}

// pathID returns the ID in the path, or [readmodel.ErrNotFound] if it is not a number.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, readmodel.ErrNotFound
	}
	return id, nil
}
