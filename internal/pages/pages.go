package pages

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

//go:embed static
var static embed.FS

// Config of the pages.
type Config struct {
	// Store is required.
	Store *store.Store
	// Reader is shared with other handlers. Required.
	Reader *readmodel.Reader
	// Jobs is the path where River UI is served, such as "/jobs". Required.
	Jobs string
	// Settings are the settings of this process, for the page of settings.
	Settings []readmodel.ProcessSetting
	// Stopping is cancelled when the process starts to stop. Connections that keep pages up to date
	// end then, because a graceful shutdown waits for all connections. Required.
	Stopping context.Context
	// Logger is required.
	Logger *slog.Logger
}

// site is the shared state of the handlers.
type site struct {
	Config
	live *live
}

// Register adds the pages to mux, each behind guard. It returns the handler to serve in place of
// mux: that has a page for addresses that do not exist.
func Register(mux *http.ServeMux, c Config, guard func(http.Handler) http.Handler) (http.Handler, error) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	templates() // a broken template ends the process here, not on the first request
	s := &site{Config: c, live: newLive(c)}
	handle := func(pattern string, handler http.HandlerFunc) {
		mux.Handle(pattern, guard(secured(handler)))
	}
	s.routes(handle)
	handle("GET /live", s.live.ServeHTTP)
	handle("GET /static/", http.StripPrefix("/static", http.FileServerFS(files)).ServeHTTP)
	return s.orMissing(mux, guard), nil
}

// routes passes each page, export and form to handle, with its pattern.
func (s *site) routes(handle func(pattern string, handler http.HandlerFunc)) {
	page := func(pattern string, show func(*http.Request) (view, error)) { handle(pattern, s.page(show)) }
	csv := func(pattern string, of func(*http.Request) (*export, error)) { handle(pattern, s.export(of)) }
	post := func(pattern string, act func(*http.Request) (to string, err error)) {
		handle(pattern, s.action(act))
	}

	page("GET /{$}", s.fleet)
	page("GET /accounts", s.accounts)
	page("GET /accounts/{id}", s.account)
	csv("GET /accounts.csv", s.accountsExport)
	page("GET /prospects", s.prospects)
	csv("GET /prospects.csv", s.prospectsExport)
	handle("GET /prospects/check", s.checkProspects)
	handle("POST /prospects/check", s.checkProspects)
	page("GET /sending", s.ledger)
	csv("GET /sending.csv", s.ledgerExport)
	page("GET /sending/{id}", s.ledgerAction)
	page("GET /sending/{id}/settle", s.confirmSettle)
	page("GET /sweeps", s.sweeps)
	csv("GET /sweeps.csv", s.sweepsExport)
	page("GET /heals", s.heals)
	page("GET /heals/{id}", s.heal)
	page("GET /heals/new", s.dryRun)
	page("GET /actions/{id}", s.manualAction)
	page("GET /workspaces", s.workspaces)
	csv("GET /workspaces.csv", s.workspacesExport)
	page("GET /workspaces/{key}", s.workspace)
	page("GET /safety", s.safety)
	page("GET /search", s.search)
	page("GET /audit", s.audit)
	csv("GET /audit.csv", s.auditExport)
	page("GET /signals", s.signals)
	page("GET /signals/{id}", s.signal)
	page("GET /messages", s.webhooks)
	page("GET /settings", s.settings)

	post("POST /heals", s.startHeal)
	post("POST /heals/{id}/stop", s.stopHeal)
	post("POST /heals/{id}/resume", s.resumeHeal)
	post("POST /actions/{id}/undo", s.undo)
	post("POST /sending/{id}/settle", s.settleAction)
	post("POST /safety/enter", s.enterSafety)
	post("POST /safety/exit", s.exitSafety)
	post("POST /accounts/{id}/hold", s.holdAccount)
	post("POST /accounts/{id}/hold/correct", s.correctHold)
	post("POST /accounts/{id}/limit", s.limitAccount)
	post("POST /accounts/{id}/pause", s.pauseAccount)
	post("POST /accounts/{id}/resume", s.resumeAccount)
	post("POST /prospects/pause", s.pauseProspect)
	post("POST /prospects/resume", s.resumeProspect)
	post("POST /campaigns/pause", s.pauseCampaign)
	post("POST /campaigns/resume", s.resumeCampaign)
	post("POST /workspaces/auto-resume", s.setAutoResume)
	post("POST /messages/replay", s.replay)
	post("POST /messages/endpoints/{id}/enable", s.enableEndpoint)
}

// policy allows only the content of the pages themselves.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
