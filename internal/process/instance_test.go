package process

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The first process names the instance, and a process that expects another name does not start. A
// copy starts: its pages must be reachable, and the database itself does nothing outward.
func TestProcessStartsOnItsInstanceOnly(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	c := Config{Pools: Pools{Reads: db.Pool}, Instance: "production", Logger: testdb.Logger(t)}
	require.NoError(t, checkInstance(t.Context(), c))
	c.Instance = ""
	require.NoError(t, checkInstance(t.Context(), c))
	c.Instance = "staging"
	require.ErrorContains(t, checkInstance(t.Context(), c), `this database is instance "production", and --instance is "staging"`)

	db.Exec(t, "UPDATE thaw.instance SET database_oid = 1")
	c.Instance = "production"
	require.NoError(t, checkInstance(t.Context(), c))
	require.True(t, testdb.Value[bool](t, db, "SELECT since IS NOT NULL FROM thaw.safety"))
}
