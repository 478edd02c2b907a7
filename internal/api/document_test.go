package api_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/api"
)

// The document and the server have the same routes and parameters.
func TestDocumentHasTheRoutes(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	type parameter struct {
		Ref  string `json:"$ref"`
		Name string
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(content, &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	documented := map[string][]string{}
	for path, operations := range doc.Paths {
		for method, raw := range operations {
			if method == "parameters" {
				continue
			}
			var operation struct{ Parameters []parameter }
			require.NoError(t, json.Unmarshal(raw, &operation))
			names := []string{}
			for _, p := range operation.Parameters {
				names = append(names, or(p.Name, p.Ref[strings.LastIndex(p.Ref, "/")+1:]))
			}
			slices.Sort(names)
			documented[strings.ToUpper(method)+" "+path] = names
		}
	}
	served := map[string][]string{}
	for _, r := range api.Routes() {
		served[r.Method+" "+r.Path] = append([]string{}, slices.Sorted(slices.Values(r.Params))...)
	}
	require.Equal(t, documented, served)
}

func TestDocumentIsServed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	content, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	require.JSONEq(t, string(content), s.send(t, call{path: "/openapi.json", token: s.south}).body)
}

// The validator that the other tests use must reject undocumented and missing fields.
func TestValidatorRejectsUndocumentedFields(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	request, err := http.NewRequest(http.MethodGet, "http://localhost/api/v1/workspaces", nil)
	require.NoError(t, err)
	for body, want := range map[string]bool{
		`{"items": [], "next_cursor": null}`:            true,
		`{"items": [], "next_cursor": null, "more": 1}`: false,
		`{"items": []}`:                        false,
		`{"items": [{}], "next_cursor": null}`: false,
		`{"items": null, "next_cursor": null}`: false,
		`{"items": [], "next_cursor": 7}`:      false,
	} {
		response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}}
		require.Equal(t, want, d.check(request, response, body) == nil, body)
	}
}
