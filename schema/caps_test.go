package schema_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// An operator may change the account cap at any time. It takes effect with the next tick: the
// current quota row has the old cap, which is not exceeded and does not fail the pass.
func TestAccountCapChangeDuringTick(t *testing.T) {
	t.Parallel()
	for name, newCap := range map[string]int{"raised": 30, "lowered": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withAnn(t)
			db.Exec(t, `
				UPDATE thaw.settings SET account_cap = 10;
				INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
				INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
				SELECT 1, 1, 1, 'paused', 'account_issue', now(), 'https://example.com/in/' || n FROM generate_series(1, 100) AS n`)
			resumed := func() int {
				receive(t, db, delivery{status: "connected"})
				return testdb.Value[int](t, db, `
					SELECT (thaw.resume_pass('signal', 1, 1, p_signal_id => (SELECT max(s.id) FROM thaw.account_signals AS s))).resumed`)
			}
			// Early in a tick, so that the first two passes share it.
			db.Exec(t, "UPDATE thaw_test.clock SET ahead = thaw.tick() + interval '16 minutes' - pg_catalog.now()")
			require.Equal(t, 10, resumed())
			db.Exec(t, "UPDATE thaw.settings SET account_cap = $1", newCap)
			require.Zero(t, resumed())
			require.Zero(t, testdb.Value[int](t, db, "SELECT quota FROM thaw.candidates()"))
			db.Advance(t, 15*time.Minute)
			require.Equal(t, newCap, testdb.Value[int](t, db, "SELECT quota FROM thaw.candidates()"))
			require.Equal(t, newCap, resumed())
		})
	}
}
