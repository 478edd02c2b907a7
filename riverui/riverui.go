// Package riverui serves River UI, where operators see, retry and cancel jobs. Its front end is
// embedded in the module; nothing is loaded from other sites.
//
// River UI has no authentication of its own, and its API accepts POSTs that browsers send across
// origins without a preflight request. Serve it only behind a guard of package access.
package riverui

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"riverqueue.com/riverui"
)

// Prefix is the path where River UI is served.
const Prefix = "/jobs"

// Handler returns River UI for the queue of client. Mount it at [Prefix] without stripping the
// prefix. Its background work ends with ctx.
func Handler(ctx context.Context, client *river.Client[pgx.Tx], logger *slog.Logger) (http.Handler, error) {
	handler, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(client, nil),
		Logger:    logger,
		Prefix:    Prefix,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up River UI: %w", err)
	}
	if err := handler.Start(ctx); err != nil {
		return nil, fmt.Errorf("starting River UI: %w", err)
	}
	return linked(bounded(handler, logger)), nil
}

const (
	// maxQuery and maxBody limit requests to River UI, in bytes. Its front end sends at most a few
	// hundred job IDs.
	maxQuery = 4 << 10
	maxBody  = 256 << 10
	// maxLimit is the maximum length of a list.
	maxLimit = 1000
)

// bounded rejects requests that River UI does not validate, and answers if it panics. An empty list
// of queues makes it panic, and the connection would end without an answer.
func bounded(next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil || len(r.URL.RawQuery) > maxQuery {
			http.Error(w, "The query of this address is invalid or longer than 4096 bytes.", http.StatusBadRequest)
			return
		}
		for _, text := range query["limit"] {
			if limit, err := strconv.Atoi(text); err != nil || limit < 1 || limit > maxLimit {
				http.Error(w, "limit must be a whole number from 1 to 1000.", http.StatusBadRequest)
				return
			}
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		defer func() {
			switch failure := recover(); failure {
			case nil:
			case http.ErrAbortHandler:
				panic(failure)
			default:
				logger.ErrorContext(r.Context(), "River UI panicked", "path", r.URL.Path, "panic", failure)
				http.Error(w, "River UI could not handle this request. See the log of the server for the reason.", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
