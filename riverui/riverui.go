// Package riverui serves River UI, the page on which operators see, retry and cancel jobs. Its
// front end is inside the module; nothing is loaded from elsewhere.
//
// River UI has no authentication of its own, and its API takes POSTs that a browser sends across
// origins without asking first; so it is only ever served behind [Guard].
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

// Prefix is where River UI is served.
const Prefix = "/jobs"

// Handler returns River UI for the queue of client, to be mounted at [Prefix] with the prefix left
// on. What it runs in the background ends with ctx.
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
	return bounded(handler, logger), nil
}

const (
	// maxQuery and maxBody bound what River UI is asked, in bytes. Its front end sends at most a
	// few hundred ids of jobs.
	maxQuery = 4 << 10
	maxBody  = 256 << 10
	// maxLimit is the longest list that River UI is asked for.
	maxLimit = 1000
)

// bounded refuses what River UI does not check itself, and answers where it panics: a list of no
// queues makes it panic, and the connection would end without an answer.
func bounded(next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil || len(r.URL.RawQuery) > maxQuery {
			http.Error(w, "The query of this address cannot be read, or is longer than 4096 bytes.", http.StatusBadRequest)
			return
		}
		for _, text := range query["limit"] {
			if limit, err := strconv.Atoi(text); err != nil || limit < 1 || limit > maxLimit {
				http.Error(w, "limit must be a number from 1 to 1000.", http.StatusBadRequest)
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
				logger.ErrorContext(r.Context(), "River UI failed on a request", "path", r.URL.Path, "panic", failure)
				http.Error(w, "River UI failed on this request; the log of the process says how.", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
