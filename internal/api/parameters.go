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

// invalid returns the problem for an invalid request.
func invalid(format string, args ...any) error {
	return &problem{kind: badRequest, detail: fmt.Sprintf(format, args...)}
}

// readQuery returns the query parameters. Each must be known and occur once; an empty one counts as
// omitted.
func readQuery(raw string, params []string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, invalid("The query is malformed: %s.", err)
	}
	query := make(map[string]string)
	for name, given := range values {
		switch {
		case len(params) == 0:
			return nil, invalid("Unknown query parameter %q: this route has none.", name)
		case !slices.Contains(params, name):
			return nil, invalid("Unknown query parameter %q: this route has %s.", name, known(params))
		case len(given) > 1:
			return nil, invalid("The query parameter %q occurs %d times. Send it once.", name, len(given))
		case given[0] != "":
			if err := checkText(given[0]); err != nil {
				return nil, invalid("The query parameter %q: %s.", name, err)
			}
			query[name] = given[0]
		}
	}
	return query, nil
}

// checkText rejects what Postgres cannot store as text.
func checkText(text string) error {
	if explain.CheckURL(text) != nil {
		return fmt.Errorf("must be at most %d bytes of UTF-8 without control characters, and not blank", explain.MaxURL)
	}
	return nil
}

// paging reads the pagination parameters.
func (r *request) paging() (readmodel.Paging, error) {
	p := readmodel.Paging{Cursor: r.query["cursor"]}
	if given, ok := r.query["limit"]; ok {
		limit, err := strconv.Atoi(given)
		if err != nil || limit < 1 || limit > readmodel.MaxLimit {
			return p, invalid("limit=%s: must be a number from 1 to %d.", given, readmodel.MaxLimit)
		}
		p.Limit = limit
	}
	return p, nil
}

// required returns a required query parameter.
func (r *request) required(name string) (string, error) {
	if r.query[name] == "" {
		return "", invalid("The query parameter %q is missing.", name)
	}
	return r.query[name], nil
}

// oneOf returns an optional query parameter, which must be one of the words.
func oneOf[T ~string](r *request, name string, words []T) (T, error) {
	given := T(r.query[name])
	if given != "" && !slices.Contains(words, given) {
		return "", invalid("%s=%s: must be one of %s.", name, given, known(words))
	}
	return given, nil
}

// id returns the ID in the path. A value that is not a number is not found.
func (r *request) id() (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, readmodel.ErrNotFound
	}
	return id, nil
}

// maxBody is the maximum size of a body in bytes: enough for 200 URLs of the maximum length.
const maxBody = 1 << 20

// body decodes the JSON body of a request. Unknown fields are an error.
func (r *request) body(into any) error {
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || contentType != "application/json" {
		return &problem{kind: notJSON, detail: "The Content-Type is not application/json. Send JSON with Content-Type: application/json."}
	}
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
			return err
		}
		if errors.Is(err, io.EOF) {
			return invalid("The body is empty. Send a JSON object, {} if no field is needed.")
		}
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) && wrong.Field != "" {
			return invalid("The body is not valid: %s must not be a JSON %s.", wrong.Field, wrong.Value)
		}
		return invalid("The body is not valid: %s.", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalid("The body has data after the JSON object. Send one object.")
	}
	return nil
}
