package pages

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Patterns returns the patterns of all pages, exports and forms.
func Patterns() (all []string) {
	(&site{}).routes(func(pattern string, _ http.HandlerFunc) { all = append(all, pattern) })
	return all
}

// apiRoutes has the routes of the API that return what a page shows.
var apiRoutes = map[string][]string{
	"GET /{$}":                 {"/fleet", "/sweeps", "/actions", "/sending/actions"},
	"GET /accounts":            {"/accounts"},
	"GET /accounts/{id}":       {"/accounts/{id}", "/accounts/{id}/timeline", "/accounts/{id}/enrollments", "/accounts/{id}/sending"},
	"GET /prospects":           {"/enrollments", "/prospects", "/sending/actions"},
	"GET /prospects/check":     {"/prospects/explain"},
	"GET /sending":             {"/sending/actions"},
	"GET /sending/{id}":        {"/sending/actions"},
	"GET /sending/{id}/settle": {"/sending/actions"},
	"GET /sweeps":              {"/sweeps"},
	"GET /heals":               {"/heals"},
	"GET /heals/{id}":          {"/heals/{id}"},
	"GET /heals/new":           {"/heals"}, // dry_run
	"GET /actions/{id}":        {"/actions/{id}"},
	"GET /workspaces":          {"/workspaces"},
	"GET /workspaces/{key}":    {"/workspaces", "/campaigns", "/actions"},
	"GET /safety":              {"/fleet", "/actions"},
	"GET /search":              {"/search"},
	"GET /audit":               {"/actions"},
	"GET /signals":             {"/signals"},
	"GET /signals/{id}":        {"/signals/{id}"},
	"GET /messages":            {"/endpoints", "/messages"},
	"GET /settings":            {"/settings"},
}

// Whatever a page shows, the API returns. An export has the content of its page.
func TestEveryPageHasAnAPIRoute(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../api/openapi.json")
	require.NoError(t, err)
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(content, &document))
	pages := map[string]bool{}
	for _, pattern := range Patterns() {
		pages[pattern] = true
		if strings.HasPrefix(pattern, "POST ") || strings.HasSuffix(pattern, ".csv") {
			continue
		}
		require.NotEmpty(t, apiRoutes[pattern], "add the routes of the API that return what %s shows", pattern)
		for _, route := range apiRoutes[pattern] {
			require.Contains(t, document.Paths, route, pattern)
		}
	}
	for pattern := range apiRoutes {
		require.True(t, pages[pattern], "%s is not a page", pattern)
	}
}
