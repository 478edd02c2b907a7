package pages

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"path"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/readmodel"
)

//go:embed templates
var templateFiles embed.FS

// templates has one for each page, by the name of its file; all share the layout and the parts.
var templates = func() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(words).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	entries, err := templateFiles.ReadDir("templates/page")
	if err != nil {
		panic(err) // they are part of the program
	}
	pages := make(map[string]*template.Template, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		pages[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, path.Join("templates/page", name)))
	}
	return pages
}()

// A view is one page to show.
type view struct {
	template string // the name of its file
	Title    string
	Data     any
}

// A frame is what the layout shows: the view, and what surrounds it.
type frame struct {
	view
	Path   string // of the request, for the navigation
	Query  string // what was searched for
	Jobs   string // where River UI is
	Notice string // what came of the last decision
}

// A badRequestError says that the request itself is wrong; its text is shown.
type badRequestError struct{ text string }

func (e badRequestError) Error() string { return e.text }

// A redirectError is none: the page is elsewhere.
type redirectError struct{ to string }

func (r redirectError) Error() string { return "it is at " + r.to }

// page serves a view: it is made as a whole, then written, so that nobody sees a half of one.
func (s *site) page(show func(*http.Request) (view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var v view
		err := checkQuery(r.URL.Query())
		if err == nil {
			v, err = show(r)
		}
		var elsewhere redirectError
		if errors.As(err, &elsewhere) {
			http.Redirect(w, r, elsewhere.to, http.StatusSeeOther)
			return
		}
		status := http.StatusOK
		if err != nil {
			status, v = s.problem(r, err)
		}
		s.write(w, r, status, v)
	}
}

// problem is the one place where an error becomes a status and a sentence. What the program did not
// expect is logged, not shown.
func (s *site) problem(r *http.Request, err error) (int, view) {
	status, text := http.StatusInternalServerError, "Something went wrong. The log of the process says what."
	var bad badRequestError
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &bad):
		status, text = http.StatusBadRequest, bad.text
	case errors.Is(err, readmodel.ErrNotFound):
		status, text = http.StatusNotFound, "There is no such thing here, or not any more."
	case errors.Is(err, readmodel.ErrCursor):
		status, text = http.StatusBadRequest, "This page of the list is not there: begin with the first one."
	case errors.As(err, &refused) && refused.Code == "22021": // not UTF-8
		status, text = http.StatusBadRequest, "What was written has characters that are no text."
	case errors.As(err, &refused) && isRefusal(refused.Code):
		status, text = http.StatusConflict, sentence(refused.Message)+" "+refused.Hint
	default:
		s.Logger.ErrorContext(r.Context(), "a page could not be made", "path", r.URL.Path, "error", err)
	}
	return status, view{"error.html", http.StatusText(status), text}
}

// isRefusal says whether a database error is what a function of the schema says to people.
func isRefusal(code string) bool {
	switch code {
	case "22023", "55000", "P0002", "23505", "23514":
		return true
	}
	return false
}

func (s *site) write(w http.ResponseWriter, r *http.Request, status int, v view) {
	var body bytes.Buffer
	f := frame{view: v, Path: r.URL.Path, Query: r.URL.Query().Get("q"), Jobs: s.Jobs, Notice: notices[r.URL.Query().Get("done")]}
	if err := templates[v.template].ExecuteTemplate(&body, "layout", f); err != nil {
		s.Logger.ErrorContext(r.Context(), "a page could not be written", "template", v.template, "error", err)
		http.Error(w, "Something went wrong. The log of the process says what.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}
