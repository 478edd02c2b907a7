package schema_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// All queries of the playbooks in docs/operations.md run.
func TestPlaybookQueriesRun(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	db := testdb.New(t)
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(content), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		for _, query := range strings.Split(strings.TrimSpace(block[1]), ";") {
			if query = strings.TrimSpace(query); query != "" {
				_, err := db.Pool.Exec(t.Context(), query)
				require.NoError(t, err, query)
			}
		}
	}
}
