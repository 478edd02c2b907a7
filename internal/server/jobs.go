package server

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

// shownBody is how much of the body of a request is in the audit log, in bytes: the IDs of about a
// hundred jobs, or the name of a queue.
const shownBody = 1000

// recordJobs records what people change in River UI: jobs that they cancel, retry or delete, and
// queues that they pause or resume. Cancelling the job of a heal stops the heal, and a paused queue
// stops its work. River UI asks for no reason, and there is no entry if it refused the request.
func recordJobs(db *store.Store, logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		start, err := io.ReadAll(io.LimitReader(r.Body, shownBody))
		if err != nil {
			http.Error(w, "The body of the request could not be read. Send it again.", http.StatusBadRequest)
			return
		}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(start), r.Body), r.Body}
		answered := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answered, r)
		if answered.status >= http.StatusMultipleChoices {
			return
		}
		actor := "jobs"
		if user, _, ok := r.BasicAuth(); ok {
			actor = "jobs:" + user
		}
		detail := strings.ToValidUTF8(strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(start)), "")
		if _, err := operator.New(db, readmodel.Everything(), actor).Record(r.Context(), enum.ActionJobsChanged, detail, ""); err != nil {
			logger.ErrorContext(r.Context(), "could not record a change in River UI", "actor", actor, "detail", detail, "error", err)
		}
	})
}

// A statusWriter keeps the status of a response.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
