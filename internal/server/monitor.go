package server

import (
	"net/http"

	"github.com/thawline/thaw/riverui"
)

// NewMonitor returns the handler of a process that only works: its metrics, behind the same guard as in a process that serves
// pages, and whether it lives.
func NewMonitor(adminPassword string, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", live)
	mux.Handle("GET /metrics", riverui.Guard(adminPassword, metrics))
	return mux
}
