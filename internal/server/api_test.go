package server_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPIIsServed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.insertFleet(t)
	workspaces := s.get(t, "/api/v1/workspaces")
	require.Equal(t, http.StatusOK, workspaces.status)
	require.Contains(t, workspaces.body, `"workspace":"acme"`)
	require.Equal(t, http.StatusOK, s.get(t, "/api/v1/prospects?url=linkedin.com/in/3/").status)
	require.Equal(t, http.StatusNotFound, s.get(t, "/api/v1/nothing").status)
}
