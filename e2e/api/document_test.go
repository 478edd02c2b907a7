// Package api validates the OpenAPI document of the API.
package api_test

import (
	"os"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"
)

// The document is valid OpenAPI 3.1. That responses match it is tested in package api itself.
func TestDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../internal/api/openapi.json")
	require.NoError(t, err)
	doc, err := libopenapi.NewDocument(content)
	require.NoError(t, err)
	v, errs := validator.NewValidator(doc)
	require.Empty(t, errs)
	t.Cleanup(v.Release)
	ok, problems := v.ValidateDocument()
	for _, problem := range problems {
		t.Log(problem.Message, problem.Reason)
	}
	require.True(t, ok)
}
