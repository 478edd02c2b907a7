package api

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/access"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

// Prefix is the path prefix of the API.
const Prefix = "/api/v1"

// requestTimeout is the time limit for a request. After it, running queries are cancelled.
const requestTimeout = 15 * time.Second

// Config of the API.
type Config struct {
	// Store is required.
	Store *store.Store
	// Reader is shared with the pages. Required.
	Reader *readmodel.Reader
	// Operators authenticates requests that have no token. Required.
	Operators *access.Operators
	// Settings are the settings of this process, for GET /settings.
	Settings []readmodel.ProcessSetting
	// Logger is required.
	Logger *slog.Logger
}

type api struct {
	store     *store.Store
	reader    *readmodel.Reader
	operators *access.Operators
	process   []readmodel.ProcessSetting
	logger    *slog.Logger
}

// A route is one operation.
type route struct {
	method, path string
	// params are the accepted query parameters.
	params []string
	answer func(*api, *request) (reply, error)
	// who may use it.
	who audience
}

// An audience says which tokens a route accepts. Operators may use every route.
type audience int

const (
	forReaders audience = iota // the tokens of a workspace
	forSenders                 // tokens that may only send
	forAll                     // both
)

// routes are all operations. Each is documented in openapi.json.
var routes = []route{
	{http.MethodGet, "/prospects", []string{"url"}, (*api).prospect, forReaders},
	{http.MethodPost, "/prospects/explain", nil, (*api).prospects, forReaders},
	{http.MethodGet, "/accounts", paged("workspace", "account", "status", "blocked", "has_backlog", "order"), (*api).accounts, forReaders},
	{http.MethodGet, "/accounts/{id}", nil, (*api).account, forReaders},
	{http.MethodGet, "/accounts/{id}/enrollments", paged("status"), (*api).enrollments, forReaders},
	{http.MethodGet, "/accounts/{id}/signals", paged(), (*api).signals, forReaders},
	{http.MethodGet, "/accounts/{id}/timeline", paged("part"), (*api).timeline, forReaders},
	{http.MethodGet, "/enrollments", paged("workspace", "account", "campaign", "reason", "paused_for"), (*api).paused, forReaders},
	{http.MethodGet, "/campaigns", paged("workspace", "status"), (*api).campaigns, forReaders},
	{http.MethodGet, "/workspaces", paged("auto_resume"), (*api).workspaces, forReaders},
	{http.MethodGet, "/sweeps", paged("workspace"), (*api).sweeps, forReaders},
	{http.MethodGet, "/heals", paged("workspace", "status"), (*api).heals, forReaders},
	{http.MethodPost, "/heals", nil, (*api).startHeal, forReaders},
	{http.MethodGet, "/heals/{id}", nil, (*api).heal, forReaders},
	{http.MethodPost, "/heals/{id}/stop", nil, (*api).stopHeal, forReaders},
	{http.MethodPost, "/heals/{id}/resume", nil, (*api).resumeHeal, forReaders},
	{http.MethodGet, "/actions", paged("workspace", "what", "actor", "within"), (*api).actions, forReaders},
	{http.MethodGet, "/actions/{id}", nil, (*api).action, forReaders},
	{http.MethodPost, "/actions/{id}/undo", nil, (*api).undo, forReaders},
	{http.MethodGet, "/signals", paged("workspace", "outcome", "provider", "account"), (*api).deliveries, forReaders},
	{http.MethodGet, "/signals/{id}", nil, (*api).delivery, forReaders},
	{http.MethodGet, "/endpoints", nil, (*api).endpoints, forReaders},
	{http.MethodGet, "/messages", paged("state"), (*api).messages, forReaders},
	{http.MethodGet, "/settings", nil, (*api).settings, forReaders},
	{http.MethodGet, "/fleet", []string{"workspace"}, (*api).fleet, forReaders},
	{http.MethodGet, "/search", paged("q", "kind"), (*api).search, forReaders},
	{http.MethodGet, "/events", paged("url"), (*api).events, forReaders},
	{http.MethodGet, "/accounts/{id}/sending", nil, (*api).sending, forAll},
	{http.MethodGet, "/sending/actions", paged("workspace", "account", "state", "kind"), (*api).sendingActions, forAll},
	{http.MethodGet, "/sending/hours", []string{"within"}, (*api).sendingHours, forReaders},
	{http.MethodPost, "/sending/actions/reserve", nil, (*api).reserve, forSenders},
	{http.MethodPost, "/sending/actions/claim", nil, (*api).claim, forSenders},
	{http.MethodPost, "/sending/actions/{id}/start", nil, (*api).start, forSenders},
	{http.MethodPost, "/sending/actions/{id}/settle", nil, (*api).settle, forSenders},
	{http.MethodPost, "/sending/actions/{id}/invite", nil, (*api).closeInvite, forSenders},
	{http.MethodGet, "/sending/limits", paged("workspace"), (*api).limits, forReaders},
	{http.MethodPost, "/sending/limits", nil, (*api).setLimit, forReaders},
	{http.MethodPost, "/sending/ceilings", nil, (*api).setCeiling, forReaders},
	{http.MethodGet, "/sending/windows", paged("workspace"), (*api).windows, forReaders},
	{http.MethodPost, "/sending/windows", nil, (*api).setWindows, forReaders},
	{http.MethodGet, "/openapi.json", nil, (*api).document, forAll},
}

// paged adds the parameters of a paginated list.
func paged(params ...string) []string { return append(params, "cursor", "limit") }

// New returns the handler of all routes. Mount it at [Prefix] without stripping the prefix.
func New(c Config) http.Handler {
	a := &api{store: c.Store, reader: c.Reader, operators: c.Operators, process: c.Settings, logger: c.Logger}
	mux := http.NewServeMux()
	methods := make(map[string][]string)
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+Prefix+r.path, func(w http.ResponseWriter, raw *http.Request) { a.serve(w, raw, r) })
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		mux.HandleFunc(Prefix+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			a.fail(w, r, &problem{kind: methodNotAllowed, detail: r.Method + " is not allowed here. Use " + strings.Join(allowed, " or ") + "."})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, &problem{kind: notFound, detail: "There is no such route. See " + Prefix + "/openapi.json for all routes."})
	})

	// Browsers remember the password: a page of another site must not be able to use it.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, &problem{kind: forbidden, detail: "The browser sent this request from another site. Send it from a page of this server."})
	}))
	return guard.Handler(mux)
}

// A request is an authenticated request.
type request struct {
	*http.Request
	caller
	query map[string]string
}

// A reply is a successful response. Status 0 means 200.
type reply struct {
	status   int
	body     any
	location string
}

// serve handles one request to a route.
func (a *api) serve(w http.ResponseWriter, raw *http.Request, r route) {
	ctx, cancel := context.WithTimeout(raw.Context(), requestTimeout)
	defer cancel()
	raw = raw.WithContext(ctx)
	client, err := a.caller(raw)
	if err != nil {
		a.fail(w, raw, err)
		return
	}
	if err := client.may(r); err != nil {
		a.fail(w, raw, err)
		return
	}
	query, err := readQuery(raw.URL.RawQuery, r.params)
	if err != nil {
		a.fail(w, raw, err)
		return
	}
	answer, err := r.answer(a, &request{Request: raw, caller: client, query: query})
	if err != nil {
		a.fail(w, raw, err)
		return
	}
	if answer.location != "" {
		w.Header().Set("Location", answer.location)
	}
	a.write(w, raw, "application/json", max(answer.status, http.StatusOK), answer.body)
}

// write encodes the whole body before it writes, so that a client never receives a part of it.
func (a *api) write(w http.ResponseWriter, r *http.Request, contentType string, status int, body any) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		a.logger.ErrorContext(r.Context(), "encoding a response failed", "path", r.URL.Path, "error", err)
		http.Error(w, `{"type":"about:blank","title":"Internal Server Error","status":500}`, http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes())
	}
}

// known lists the allowed words in an error.
func known[T ~string](words []T) string {
	return strings.Join(slices.Sorted(slices.Values(enum.Names(words))), ", ")
}
