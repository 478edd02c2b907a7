package chart_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The objects of the chart fit the OpenAPI schemas of the oldest Kubernetes that the chart accepts
// and of the newest: required fields are there, types are right, and no field is unknown. The
// source of Kubernetes, which has the schemas, is a Go module.
func TestChartFitsTheSchemasOfKubernetes(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.25.16", "1.37.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			schemas := schemasOf(t, version)
			for _, values := range [][]string{nil, everyValue} {
				text, err := runHelm(t, append(append([]string{"template", "fleet", folder, "--kube-version", version}, required...), values...)...)
				require.NoError(t, err, text)
				documents := 0
				for document := range strings.SplitSeq(text, "\n---\n") {
					if schemas.check(t, document) {
						documents++
					}
				}
				require.Equal(t, len(rendered(t, values...)), documents)
			}

			for _, wrong := range []string{
				"apiVersion: v1\nkind: Service\nspec: {ports: [{name: http}]}",             // no port
				"apiVersion: v1\nkind: Service\nspec: {ports: [{port: http}]}",             // not a number
				"apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80, target: 8080}]}", // unknown
			} {
				require.Error(t, schemas.validate(t, wrong), wrong)
			}
		})
	}
}

// schemas are the OpenAPI documents of a version of Kubernetes: one per API group.
type schemas struct{ folder string }

func schemasOf(t *testing.T, version string) schemas {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "k8s.io/kubernetes@v"+version)
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	command.Dir = t.TempDir()
	out, err := command.Output()
	require.NoError(t, err, "%s", out)
	var module struct{ Dir string }
	require.NoError(t, json.Unmarshal(out, &module))
	return schemas{filepath.Join(module.Dir, "api", "openapi-spec", "v3")}
}

// check requires that a YAML document fits its schema. It reports whether it is an object.
func (s schemas) check(t *testing.T, document string) bool {
	t.Helper()
	var meta metav1.TypeMeta
	require.NoError(t, yaml.Unmarshal([]byte(document), &meta))
	if meta.Kind == "" {
		return false
	}
	require.NoError(t, s.validate(t, document), document)
	return true
}

func (s schemas) validate(t *testing.T, document string) error {
	t.Helper()
	var meta metav1.TypeMeta
	require.NoError(t, yaml.Unmarshal([]byte(document), &meta))
	kind := meta.GroupVersionKind()
	file := "api__" + kind.Version
	if kind.Group != "" {
		file = "apis__" + kind.Group + "__" + kind.Version
	}
	content, err := os.ReadFile(filepath.Join(s.folder, file+"_openapi.json"))
	require.NoError(t, err)
	var api map[string]any
	require.NoError(t, json.Unmarshal(content, &api))
	types := api["components"].(map[string]any)["schemas"].(map[string]any)
	name := ""
	for candidate, schema := range types {
		schema := schema.(map[string]any)
		// The server rejects or drops fields that it does not know.
		if _, open := schema["additionalProperties"]; schema["properties"] != nil && !open {
			schema["additionalProperties"] = false
		}
		kinds, _ := schema["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) == 1 && fmt.Sprint(kinds[0]) == fmt.Sprint(map[string]any{"group": kind.Group, "version": kind.Version, "kind": kind.Kind}) {
			name = candidate
		}
	}
	require.NotEmpty(t, name, "Kubernetes does not know %s", kind)

	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("api.json", api))
	schema, err := compiler.Compile("api.json#/components/schemas/" + name)
	require.NoError(t, err)
	object, err := yaml.YAMLToJSON([]byte(document))
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(object)))
	require.NoError(t, err)
	return schema.Validate(value)
}
