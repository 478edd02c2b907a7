package pages

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"path"
	"sync"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

//go:embed templates
var templateFiles embed.FS

// templates returns one template per page, keyed by file name. All share the layout and the parts.
// They are parsed on the first call, because most commands show no pages.
var templates = sync.OnceValue(func() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(words).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	entries, err := templateFiles.ReadDir("templates/page")
	if err != nil {
		panic(err) // cannot happen: they are embedded
	}
	pages := make(map[string]*template.Template, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		pages[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, path.Join("templates/page", name)))
	}
	return pages
})

// A view is a page to render.
type view struct {
	template string // file name
	Title    string
	Data     any
}

// A badRequestError means that the request is invalid. Its text is shown to the user.
type badRequestError struct{ text string }

func (e badRequestError) Error() string { return e.text }

// A formError shows a page again whose form has a problem.
type formError struct {
	status int
	view   view
}

func (formError) Error() string { return "the form has a problem" }

// A redirectError is not a failure: it redirects to another page.
type redirectError struct{ to string }

func (r redirectError) Error() string { return "redirect to " + r.to }

// page serves a view. It renders the whole page before it writes, so that users never see half a
// page.
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
		var again formError
		if errors.As(err, &again) {
			status, v = again.status, again.view
		} else if err != nil {
			status, v = s.problem(r, err)
		}
		s.write(w, r, status, v)
	}
}

// problem maps an error to a status and a sentence. Unexpected errors are logged, not shown.
func (s *site) problem(r *http.Request, err error) (int, view) {
	status, text := http.StatusInternalServerError, "The server could not handle this request. Try again; if it fails again, see the log of the server."
	var bad badRequestError
	switch {
	case errors.As(err, &bad):
		status, text = http.StatusBadRequest, bad.text
	case errors.Is(err, readmodel.ErrNotFound):
		return http.StatusNotFound, view{"error.html", "Page not found", "Nothing is at this address. It may have been removed, or the address may be misspelled. Search for a prospect, an account, a campaign or a workspace at the top of the page."}
	case errors.Is(err, readmodel.ErrCursor):
		status, text = http.StatusBadRequest, "This link to a page of the list is invalid. Start from the first page."
	default:
		if problem := operator.AsProblem(err); problem != nil {
			status, text = statusOf[problem.Kind], problem.Sentences()
		}
	}
	if status >= http.StatusInternalServerError {
		s.Logger.ErrorContext(r.Context(), "could not make page", "path", r.URL.Path, "error", err)
	}
	return status, view{"error.html", titleOf[status], text}
}

// titleOf has the title of the page of each HTTP status.
var titleOf = map[int]string{
	http.StatusBadRequest: "Invalid request", http.StatusForbidden: "Not allowed", http.StatusNotFound: "Not found",
	http.StatusConflict: "Not possible now", http.StatusServiceUnavailable: "Unavailable", http.StatusInternalServerError: "Server error",
}

// statusOf has the HTTP status of each kind of problem with an action.
var statusOf = map[operator.Kind]int{
	operator.Invalid: http.StatusBadRequest, operator.NotFound: http.StatusNotFound, operator.Conflict: http.StatusConflict,
	operator.Forbidden: http.StatusForbidden, operator.Unavailable: http.StatusServiceUnavailable,
}

func (s *site) write(w http.ResponseWriter, r *http.Request, status int, v view) {
	var body bytes.Buffer
	if err := templates()[v.template].ExecuteTemplate(&body, "layout", s.frame(r, v)); err != nil {
		s.Logger.ErrorContext(r.Context(), "could not render template", "template", v.template, "error", err)
		http.Error(w, "The server could not handle this request. Try again; if it fails again, see the log of the server.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}
