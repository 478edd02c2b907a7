package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The platform may set a status by a plain UPDATE: connected_at is recorded, and a due pause is
// cleared.
func TestPlainUpdateRecordsConnection(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) VALUES (1, 'a1', 'connected');
		UPDATE thaw.accounts SET status = 'error', pause_after = thaw.now() + interval '2 hours'`)
	const connectedAt = "SELECT connected_at FROM thaw.accounts"
	first := testdb.Value[time.Time](t, db, connectedAt)

	db.Advance(t, time.Hour)
	db.Exec(t, "UPDATE thaw.accounts SET status = 'connected'")
	require.GreaterOrEqual(t, testdb.Value[time.Time](t, db, connectedAt).Sub(first), time.Hour)
	require.True(t, testdb.Value[time.Time](t, db, "SELECT first_connected_at FROM thaw.accounts").Equal(first))
	require.True(t, testdb.Value[bool](t, db, "SELECT pause_after IS NULL FROM thaw.accounts"))

	// The status does not change, so nothing is recorded.
	again := testdb.Value[time.Time](t, db, connectedAt)
	db.Advance(t, time.Hour)
	db.Exec(t, "UPDATE thaw.accounts SET status = 'connected'")
	require.True(t, testdb.Value[time.Time](t, db, connectedAt).Equal(again))
}
