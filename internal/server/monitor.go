package server

import (
	"net/http"

	"github.com/thawline/thaw/internal/access"
)

// NewMonitor returns the handler of a worker-only process. It serves the metrics, protected as in a
// process that serves pages, and the liveness check.
func NewMonitor(adminPassword string, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", live)
	mux.Handle("GET /metrics", access.Guard(adminPassword, metrics))
	return mux
}
