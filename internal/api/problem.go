package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

// A kind is an error code: the last part of a problem's type.
type kind string

const (
	badRequest       kind = "bad_request"
	unauthorized     kind = "unauthorized"
	forbidden        kind = "forbidden"
	notFound         kind = "not_found"
	methodNotAllowed kind = "method_not_allowed"
	conflict         kind = "conflict"
	tooLarge         kind = "too_large"
	notJSON          kind = "not_json"
	tooManyRequests  kind = "too_many_requests"
	unavailable      kind = "unavailable"
	internalError    kind = "internal_error"
)

// kinds has the HTTP status and the title of each kind.
var kinds = map[kind]struct {
	status int
	title  string
}{
	badRequest:       {http.StatusBadRequest, "Invalid request"},
	unauthorized:     {http.StatusUnauthorized, "Authentication required"},
	forbidden:        {http.StatusForbidden, "Not allowed"},
	notFound:         {http.StatusNotFound, "Not found, or not visible to you"},
	methodNotAllowed: {http.StatusMethodNotAllowed, "Method not allowed"},
	conflict:         {http.StatusConflict, "The current state does not allow the request"},
	tooLarge:         {http.StatusRequestEntityTooLarge, "The body is too large"},
	notJSON:          {http.StatusUnsupportedMediaType, "The body is not JSON"},
	tooManyRequests:  {http.StatusTooManyRequests, "Too many wrong passwords"},
	unavailable:      {http.StatusServiceUnavailable, "The database is unavailable"},
	internalError:    {http.StatusInternalServerError, "Internal error; see the server log"},
}

// A problem is an error whose text is shown to the client.
type problem struct {
	kind   kind
	detail string
	tried  []string // the spellings of a prospect's URL that were tried
	// retryAfter is the Retry-After header, in seconds.
	retryAfter string
}

func (p *problem) Error() string { return string(p.kind) + ": " + p.detail }

// problemType is the prefix of every problem's type.
const problemType = "urn:thaw:problem:"

// A problemBody is a problem in the format of RFC 9457.
type problemBody struct {
	Type   string   `json:"type"`
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Detail string   `json:"detail,omitempty"`
	Tried  []string `json:"tried,omitempty"`
}

// asProblem maps errors to problems. The text of any other error is not shown to the client.
func asProblem(err error) *problem {
	var known *problem
	var tooLong *http.MaxBytesError
	var workspace *readmodel.UnknownWorkspaceError
	var ofKind *readmodel.UnknownKindError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &ofKind):
		found := operator.Problem{Message: fmt.Sprintf("there is no kind of action %q", ofKind.Kind), Fix: "Use one of " + strings.Join(ofKind.Kinds, ", ") + "."}
		return &problem{kind: badRequest, detail: found.Sentences()}
	case errors.As(err, &workspace):
		found := operator.Problem{Message: workspace.Error(), Fix: "Use the key of a workspace."}
		return &problem{kind: notFound, detail: found.Sentences()}
	case errors.Is(err, readmodel.ErrNotFound):
		return &problem{kind: notFound}
	case errors.Is(err, readmodel.ErrCursor):
		return &problem{kind: badRequest, detail: readmodel.ErrCursor.Error()}
	case errors.Is(err, readmodel.ErrStatus):
		return &problem{kind: badRequest, detail: readmodel.ErrStatus.Error()}
	case errors.As(err, &tooLong):
		return &problem{kind: tooLarge}
	}
	found := operator.AsProblem(err)
	if found == nil {
		return &problem{kind: internalError}
	}
	return &problem{kind: kindOf[found.Kind], detail: found.Sentences()}
}

// kindOf has the kind of each kind of problem with an action.
var kindOf = map[operator.Kind]kind{
	operator.Invalid: badRequest, operator.NotFound: notFound, operator.Conflict: conflict, operator.Forbidden: forbidden,
	operator.Unavailable: unavailable,
}

// fail writes an error, and logs server errors.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	about := kinds[p.kind]
	// A request that the client gave up is not a failure of the server.
	isGivenUp := errors.Is(r.Context().Err(), context.Canceled)
	if about.status >= http.StatusInternalServerError && !isGivenUp {
		a.logger.ErrorContext(r.Context(), "API request failed", "path", r.URL.Path, "error", err)
	}
	if p.kind == unavailable {
		w.Header().Set("Retry-After", "5")
	}
	if p.retryAfter != "" {
		w.Header().Set("Retry-After", p.retryAfter)
	}
	if p.kind == unauthorized {
		w.Header().Add("WWW-Authenticate", `Bearer realm="Thaw"`)
		if a.operators.HasPassword() {
			w.Header().Add("WWW-Authenticate", `Basic realm="Thaw", charset="UTF-8"`)
		}
	}
	a.write(w, r, "application/problem+json", about.status, problemBody{
		Type: problemType + string(p.kind), Title: about.title, Status: about.status, Detail: p.detail, Tried: p.tried,
	})
}
