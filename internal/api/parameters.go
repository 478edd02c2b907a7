package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
)

// bad returns the problem of a request that its sender can fix.
func bad(format string, args ...any) error {
	return &problem{kind: badRequest, detail: fmt.Sprintf(format, args...)}
}

// readQuery returns the query parameters, each of which must be known and come once. An empty one counts as left out.
func readQuery(raw string, params []string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, bad("The query cannot be read: %s.", err)
	}
	query := make(map[string]string)
	for name, given := range values {
		switch {
		case len(params) == 0:
			return nil, bad("There is no query parameter %q: this route has none.", name)
		case !slices.Contains(params, name):
			return nil, bad("There is no query parameter %q: this route has %s.", name, known(params))
		case len(given) > 1:
			return nil, bad("The query parameter %q comes %d times.", name, len(given))
		case given[0] != "":
			if err := checkText(given[0]); err != nil {
				return nil, bad("The query parameter %q: %s.", name, err)
			}
			query[name] = given[0]
		}
	}
	return query, nil
}

// checkText refuses what no text in the database can hold.
func checkText(text string) error {
	if explain.CheckURL(text) != nil {
		return fmt.Errorf("must be at most %d bytes of UTF-8 without control characters, and not blank", explain.MaxURL)
	}
	return nil
}

// paging reads which part of a list is wanted.
func (r *request) paging() (readmodel.Paging, error) {
	p := readmodel.Paging{Cursor: r.query["cursor"]}
	if given, ok := r.query["limit"]; ok {
		limit, err := strconv.Atoi(given)
		if err != nil || limit < 1 || limit > readmodel.MaxLimit {
			return p, bad("limit=%s: must be a number from 1 to %d.", given, readmodel.MaxLimit)
		}
		p.Limit = limit
	}
	return p, nil
}

// required returns a query parameter that must be there.
func (r *request) required(name string) (string, error) {
	if r.query[name] == "" {
		return "", bad("The query parameter %q is missing.", name)
	}
	return r.query[name], nil
}

// oneOf returns a query parameter that, where it is there, is one of the words.
func (r *request) oneOf(name string, words []string) (string, error) {
	given := r.query[name]
	if given != "" && !slices.Contains(words, given) {
		return "", bad("%s=%s: must be one of %s.", name, given, known(words))
	}
	return given, nil
}

// id reads the number in the path. What is no number is the id of nothing.
func (r *request) id() (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, readmodel.ErrNotFound
	}
	return id, nil
}

// maxBody is how long a body may be: 200 URLs of the greatest length, and some room.
const maxBody = 1 << 20

// body reads the JSON of a request; fields that are not known are refused.
func (r *request) body(into any) error {
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || contentType != "application/json" {
		return &problem{kind: notJSON, detail: "Send it with Content-Type: application/json."}
	}
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
			return err
		}
		return bad("The body cannot be read: %s.", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return bad("There is something behind the JSON of the body.")
	}
	return nil
}
