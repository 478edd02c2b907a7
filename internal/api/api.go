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

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/riverui"
)

// Prefix is where the API is served.
const Prefix = "/api/v1"

// answerWithin is how long an answer may take; then the database is asked no more.
const answerWithin = 15 * time.Second

// Config of the API.
type Config struct {
	// Store is required.
	Store *store.Store
	// Reader is shared with others who answer from it. Required.
	Reader *readmodel.Reader
	// Operators are let in without a token. Required.
	Operators *riverui.Operators
	// Logger is required.
	Logger *slog.Logger
}

type api struct {
	store     *store.Store
	reader    *readmodel.Reader
	operators *riverui.Operators
	logger    *slog.Logger
}

// A route is one operation.
type route struct {
	method, path string
	// params are the query parameters that it knows.
	params []string
	answer func(*api, *request) (reply, error)
}

// routes are all operations; openapi.json documents each.
var routes = []route{
	{http.MethodGet, "/prospects", []string{"url"}, (*api).prospect},
	{http.MethodPost, "/prospects/explain", nil, (*api).prospects},
	{http.MethodGet, "/accounts", paged("workspace", "account", "status", "has_backlog"), (*api).accounts},
	{http.MethodGet, "/accounts/{id}", nil, (*api).account},
	{http.MethodGet, "/accounts/{id}/enrollments", paged("status"), (*api).enrollments},
	{http.MethodGet, "/accounts/{id}/signals", paged(), (*api).signals},
	{http.MethodGet, "/campaigns", paged("workspace", "status"), (*api).campaigns},
	{http.MethodGet, "/workspaces", paged(), (*api).workspaces},
	{http.MethodGet, "/sweeps", paged("workspace"), (*api).sweeps},
	{http.MethodGet, "/heals", paged("workspace"), (*api).heals},
	{http.MethodPost, "/heals", nil, (*api).startHeal},
	{http.MethodGet, "/heals/{id}", nil, (*api).heal},
	{http.MethodGet, "/fleet", []string{"workspace"}, (*api).fleet},
	{http.MethodGet, "/search", []string{"q"}, (*api).search},
	{http.MethodGet, "/events", paged("url"), (*api).events},
	{http.MethodGet, "/openapi.json", nil, (*api).document},
}

// paged adds the parameters of a list that is read page by page.
func paged(params ...string) []string { return append(params, "cursor", "limit") }

// New returns the handler of all routes, to be mounted at [Prefix] with the prefix left on.
func New(c Config) http.Handler {
	a := &api{store: c.Store, reader: c.Reader, operators: c.Operators, logger: c.Logger}
	mux := http.NewServeMux()
	methods := make(map[string][]string)
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+Prefix+r.path, func(w http.ResponseWriter, raw *http.Request) { a.serve(w, raw, r) })
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		mux.HandleFunc(Prefix+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			a.fail(w, r, &problem{kind: methodNotAllowed, detail: r.Method + " is not one of " + strings.Join(allowed, ", ") + "."})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, &problem{kind: notFound, detail: "There is no such route; " + Prefix + "/openapi.json has those that are."})
	})

	// A page of another site must not make a browser, which knows the password, start something here.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, &problem{kind: forbidden, detail: "A browser may change something only from a page of this server."})
	}))
	return guard.Handler(mux)
}

// A request is one that was let in.
type request struct {
	*http.Request
	caller
	query map[string]string
}

// A reply is what goes back with a status; status 0: 200.
type reply struct {
	status   int
	body     any
	location string
}

// serve answers one request of a route.
func (a *api) serve(w http.ResponseWriter, raw *http.Request, r route) {
	ctx, cancel := context.WithTimeout(raw.Context(), answerWithin)
	defer cancel()
	raw = raw.WithContext(ctx)
	who, err := a.caller(raw)
	if err != nil {
		a.fail(w, raw, err)
		return
	}
	query, err := readQuery(raw.URL.RawQuery, r.params)
	if err != nil {
		a.fail(w, raw, err)
		return
	}
	answer, err := r.answer(a, &request{Request: raw, caller: who, query: query})
	if err != nil {
		a.fail(w, raw, err)
		return
	}
	if answer.location != "" {
		w.Header().Set("Location", answer.location)
	}
	a.write(w, raw, "application/json", max(answer.status, http.StatusOK), answer.body)
}

// write writes a whole answer, or none of it.
func (a *api) write(w http.ResponseWriter, r *http.Request, contentType string, status int, body any) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		a.logger.ErrorContext(r.Context(), "an answer could not be written", "path", r.URL.Path, "error", err)
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

// known says which of the words are known, for an error.
func known(words []string) string { return strings.Join(slices.Sorted(slices.Values(words)), ", ") }
