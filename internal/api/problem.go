package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/readmodel"
)

// A kind is what can be wrong, as the last part of a problem's type.
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

// kinds has the status and the title of each.
var kinds = map[kind]struct {
	status int
	title  string
}{
	badRequest:       {http.StatusBadRequest, "The request cannot be understood"},
	unauthorized:     {http.StatusUnauthorized, "Who asks is not known"},
	forbidden:        {http.StatusForbidden, "Not for who asks"},
	notFound:         {http.StatusNotFound, "There is nothing here, or nothing for who asks"},
	methodNotAllowed: {http.StatusMethodNotAllowed, "Not with this method"},
	conflict:         {http.StatusConflict, "Not while something else is under way"},
	tooLarge:         {http.StatusRequestEntityTooLarge, "The body is too large"},
	notJSON:          {http.StatusUnsupportedMediaType, "The body is not JSON"},
	tooManyRequests:  {http.StatusTooManyRequests, "Too many wrong passwords"},
	unavailable:      {http.StatusServiceUnavailable, "The database cannot answer just now"},
	internalError:    {http.StatusInternalServerError, "Something is wrong here; the log says what"},
}

// A problem is an error that whoever asks may read.
type problem struct {
	kind   kind
	detail string
	tried  []string // spellings of a prospect's URL
	// retryAfter is when to ask again, in seconds.
	retryAfter string
}

func (p *problem) Error() string { return string(p.kind) + ": " + p.detail }

// problemType begins the type of every problem.
const problemType = "urn:thaw:problem:"

// A problemBody is a problem as RFC 9457 writes it.
type problemBody struct {
	Type   string   `json:"type"`
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Detail string   `json:"detail,omitempty"`
	Tried  []string `json:"tried,omitempty"`
}

// asProblem is the one table from errors to problems. The text of an error that is not in it is not shown.
func asProblem(err error) *problem {
	var known *problem
	var fromPostgres *pgconn.PgError
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, readmodel.ErrNotFound):
		return &problem{kind: notFound}
	case errors.Is(err, readmodel.ErrCursor):
		return &problem{kind: badRequest, detail: readmodel.ErrCursor.Error()}
	case errors.Is(err, readmodel.ErrStatus):
		return &problem{kind: badRequest, detail: readmodel.ErrStatus.Error()}
	case errors.As(err, &tooLong):
		return &problem{kind: tooLarge}
	case errors.As(err, &fromPostgres) && fromPostgres.Code == "23505": // a heal runs on the same target
		return &problem{kind: conflict, detail: fromPostgres.Message}
	case errors.As(err, &fromPostgres) && fromPostgres.Code == "TH003": // more than the caps of a tenant's heals
		return &problem{kind: forbidden, detail: "Refused: " + fromPostgres.Message + ". " + fromPostgres.Hint}
	case errors.As(err, &fromPostgres) && fromPostgres.Code[:2] != "57" && fromPostgres.Code[:2] != "53" && fromPostgres.Code != "55P03":
		return &problem{kind: internalError}
	case errors.As(err, &fromPostgres), errors.Is(err, context.DeadlineExceeded), errors.As(err, new(*pgconn.ConnectError)):
		return &problem{kind: unavailable}
	default:
		return &problem{kind: internalError}
	}
}

// fail writes an error, and logs one that is nobody's but ours.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	about := kinds[p.kind]
	// Nobody is there any more to whom a request that was given up would have failed.
	isGivenUp := errors.Is(r.Context().Err(), context.Canceled)
	if about.status >= http.StatusInternalServerError && !isGivenUp {
		a.logger.ErrorContext(r.Context(), "a request failed", "path", r.URL.Path, "error", err)
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
