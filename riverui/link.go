package riverui

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// back is a link to the pages of Thaw. River UI has none. It is outside the element that the front
// end of River UI renders into, so that this does not remove it.
const back = `<a href="/" style="position:fixed;right:12px;bottom:12px;z-index:50;padding:6px 12px;border-radius:6px;` +
	`background:#0b5394;color:#fff;font:600 14px/1.4 system-ui,sans-serif;text-decoration:none">Back to Thaw</a>`

// linked adds the link to HTML answers.
func linked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := &pageWriter{ResponseWriter: w}
		next.ServeHTTP(page, r)
		page.finish()
	})
}

// A pageWriter keeps an HTML page until it is complete, and passes on all other answers.
type pageWriter struct {
	http.ResponseWriter
	isPage bool
	page   bytes.Buffer
}

func (w *pageWriter) WriteHeader(status int) {
	if status == http.StatusOK && strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		w.isPage = true
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *pageWriter) Write(content []byte) (int, error) {
	if w.isPage {
		return w.page.Write(content)
	}
	return w.ResponseWriter.Write(content)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *pageWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pageWriter) finish() {
	if !w.isPage {
		return
	}
	content := bytes.Replace(w.page.Bytes(), []byte("</body>"), []byte(back+"</body>"), 1)
	if w.Header().Get("Content-Length") != "" && w.page.Len() > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	}
	w.ResponseWriter.WriteHeader(http.StatusOK)
	_, _ = w.ResponseWriter.Write(content)
}
