package readmodel_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/testdb"
)

// Old applications turn standard_conforming_strings off for their database. Search must not depend
// on it.
func TestSearchWithoutStandardConformingStrings(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('Acme')")
	config := db.Pool.Config().Copy()
	config.ConnConfig.RuntimeParams["standard_conforming_strings"] = "off"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	found, err := readmodel.Search(t.Context(), pool, readmodel.Everything(), "ac")
	require.NoError(t, err)
	require.Len(t, found.Workspaces, 1)
}
