package adopt

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProposals compares the proposal for each fixture with testdata/NAME.yaml.
func TestProposals(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob("testdata/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, fixtures)
	for _, path := range fixtures {
		name := filepath.Base(path[:len(path)-len(".sql")])
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withFixture(t, name)
			got, err := Propose(t.Context(), db.Pool, catalogOf(t, db))
			require.NoError(t, err)
			golden := filepath.Join("testdata", name+".yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got, "run go test ./internal/adopt -run Proposals -update")
			_, err = Parse(got)
			if err != nil {
				require.ErrorContains(t, err, "is not decided", "a proposal has no other problems than question marks")
			}
		})
	}
}

func TestProposalOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	_, err := Propose(t.Context(), nil, &Catalog{})
	require.ErrorIs(t, err, errNoTables)
}
