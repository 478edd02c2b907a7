package pages_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/pages/pagestest"
)

// A dashboard is the pages of a running process, and what a test asks of them over HTTP.
type dashboard struct{ *pagestest.Dashboard }

// setup returns a dashboard, as pagestest.Setup does.
func setup(t *testing.T) *dashboard {
	t.Helper()
	return &dashboard{pagestest.Setup(t)}
}

// An answer is the response to a request.
type answer struct {
	status int
	header http.Header
	text   string
}

func (d *dashboard) get(t *testing.T, path string) answer {
	t.Helper()
	return d.ask(t, http.MethodGet, path, "", nil)
}

// post submits a form.
func (d *dashboard) post(t *testing.T, path string, form url.Values) answer {
	t.Helper()
	return d.ask(t, http.MethodPost, path, form.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
}

func (d *dashboard) ask(t *testing.T, method, path, body string, header http.Header) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	maps.Copy(request.Header, header)
	response, err := d.Web.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response.StatusCode, response.Header, string(text)}
}
