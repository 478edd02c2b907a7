package schema_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Every pass looks up the source accounts of its target: the cost must not grow with the number of
// accounts, or with the number of removed ones.
func TestSourcesOfAnAccountDoNotCostTheFleet(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) SELECT 'w' || n FROM generate_series(1, 20) AS n;
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at)
		SELECT 1 + n % 20, 'a' || n, 'm' || n, CASE WHEN n % 5 = 0 THEN 'removed' ELSE 'connected' END::thaw.account_status, now()
		FROM generate_series(1, 20000) AS n;
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status)
		SELECT a.workspace_id, 'old', a.member_id, 'disconnected' FROM thaw.accounts AS a WHERE a.provider_account_id = 'a51';`)
	db.Exec(t, "VACUUM ANALYZE thaw.accounts")
	of := fmt.Sprintf("SELECT thaw.sources_of(%d)", testdb.Value[int64](t, db, "SELECT id FROM thaw.accounts WHERE provider_account_id = 'a51'"))
	require.Len(t, testdb.Value[[]int64](t, db, of), 2)

	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	require.NoError(t, json.Unmarshal(testdb.Value[json.RawMessage](t, db, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+of), &plans))
	require.Less(t, plans[0].Plan.Hit+plans[0].Plan.Read, 200)
}
