package api_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/api"
)

// A document checks responses against openapi.json. The schemas of OpenAPI 3.1 are JSON Schema.
type document struct {
	t      *testing.T
	root   any
	routes *http.ServeMux // its patterns are the documented operations
	// schemas compiles the schema at a JSON pointer into the document.
	schemas *jsonschema.Compiler
}

const documentURL = "file:///openapi.json"

// readDocument reads the document. Unlike clients, which must ignore unknown fields, it rejects
// fields that are not documented.
func readDocument(t *testing.T) *document {
	t.Helper()
	content, err := os.Open("openapi.json")
	require.NoError(t, err)
	defer content.Close()
	root, err := jsonschema.UnmarshalJSON(content)
	require.NoError(t, err)
	rejectOtherFields(root)
	d := &document{t: t, root: root, routes: http.NewServeMux(), schemas: jsonschema.NewCompiler()}
	d.schemas.DefaultDraft(jsonschema.Draft2020)
	d.schemas.AssertFormat()
	require.NoError(t, d.schemas.AddResource(documentURL, root))
	for path, operations := range object(d.at("paths")) {
		for method := range object(operations) {
			if method != "parameters" {
				d.routes.HandleFunc(strings.ToUpper(method)+" "+api.Prefix+path, http.NotFound)
			}
		}
	}
	return d
}

// rejectOtherFields closes every object schema that lists its fields.
func rejectOtherFields(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, open := node["additionalProperties"]; node["type"] == "object" && node["properties"] != nil && !open {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			rejectOtherFields(child)
		}
	case []any:
		for _, child := range node {
			rejectOtherFields(child)
		}
	}
}

// check returns an error if the document does not have the response.
func (d *document) check(request *http.Request, response *http.Response, body string) error {
	_, pattern := d.routes.Handler(request)
	method, path, ok := strings.Cut(pattern, " "+api.Prefix)
	if !ok {
		return fmt.Errorf("%s %s is not documented", request.Method, request.URL.Path)
	}
	place := []string{"paths", path, strings.ToLower(method), "responses", strconv.Itoa(response.StatusCode)}
	described, place := d.follow(place)
	if described == nil {
		return fmt.Errorf("status %d is not documented for %s", response.StatusCode, pattern)
	}
	headers := http.Header{"Content-Type": nil}
	for name := range object(described["headers"]) {
		headers.Set(name, "")
	}
	for name := range response.Header {
		if _, documented := headers[name]; !documented {
			return fmt.Errorf("header %s is not documented for status %d of %s", name, response.StatusCode, pattern)
		}
	}
	kind := response.Header.Get("Content-Type")
	media, ok := object(described["content"])[kind]
	if !ok {
		return fmt.Errorf("content type %q is not documented for status %d of %s", kind, response.StatusCode, pattern)
	}
	if object(media)["schema"] == nil {
		return fmt.Errorf("status %d of %s has no schema", response.StatusCode, pattern)
	}
	schema, err := d.schemas.Compile(documentURL + "#" + pointer(append(place, "content", kind, "schema")))
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// at returns the value at a place in the document, or nil.
func (d *document) at(place ...string) any {
	node := d.root
	for _, key := range place {
		node = object(node)[key]
	}
	return node
}

// follow returns the object at a place in the document, or at the place to which it refers.
func (d *document) follow(place []string) (map[string]any, []string) {
	found := object(d.at(place...))
	if ref, ok := found["$ref"].(string); ok {
		return d.follow(strings.Split(strings.TrimPrefix(ref, "#/"), "/"))
	}
	return found, place
}

// object returns a JSON object, or nil for any other value.
func object(value any) map[string]any {
	fields, _ := value.(map[string]any)
	return fields
}

// pointer returns the JSON pointer of a place, as the fragment of a URL.
func pointer(place []string) string {
	var b strings.Builder
	for _, key := range place {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key))
	}
	return b.String()
}
