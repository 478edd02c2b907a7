package worker_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
)

// Persons are erased and a workspace is removed while signals, passes, a heal of the fleet, sweeps
// and the platform's writes go on: no deadlock, and nothing is left of either. Every account,
// campaign and heal mentions a person, so that the erasures lock them all.
func TestErasureAndRemovalDoNotDeadlock(t *testing.T) {
	t.Parallel()
	const accounts, campaigns, prospects = 8, 4, 12
	turns := testdb.Size(2, 10)
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET safety_accounts = 1000000, flap_limit = 0, account_cap = 1000000, fleet_cap = 10000000, signal_cap = 10000000")
	f.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('globex')")
	for _, workspace := range []string{"acme", "globex"} {
		for i := range accounts {
			f.account(t, account{key: fmt.Sprint(workspace, i), workspace: workspace, member: fmt.Sprint(workspace, i/2)})
		}
		for i := range campaigns {
			f.campaign(t, campaign{key: fmt.Sprint("c", i), workspace: workspace})
		}
	}
	f.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
		SELECT a.workspace_id, c.id, a.id, 'paused', 'account_disconnected', thaw.now() - interval '1 hour', format('https://example.com/p/%s', 1 + (a.id + c.id + i) % $1)
		FROM thaw.accounts AS a JOIN thaw.campaigns AS c USING (workspace_id), generate_series(1, 8) AS i`, prospects)
	f.launch(t)
	var all errgroup.Group
	var over atomic.Bool
	loop := func(sql string, args func(i int) []any) {
		all.Go(func() error {
			for i := 0; !over.Load(); i++ {
				if _, err := f.Pool.Exec(t.Context(), sql, args(i)...); err != nil {
					return fmt.Errorf("%s: %w", sql, err)
				}
			}
			return nil
		})
	}
	one := func(i int) []any { return []any{fmt.Sprint([]string{"acme", "globex"}[i%2], i/2%accounts)} }
	loop("SELECT thaw.signal('linkedin', $1, 'disconnected')", one)
	loop("SELECT thaw.signal('linkedin', $1, 'connected')", func(i int) []any { return one(i * 5) })
	loop("UPDATE thaw.accounts SET display_name = format('like https://example.com/p/%s', 1 + (id + $1) % 12) WHERE id = $2", func(i int) []any { return []any{i, 1 + i%(2*accounts)} })
	loop("UPDATE thaw.campaigns SET name = format('like https://example.com/p/%s', 1 + (id + $1) % 12) WHERE id = $2", func(i int) []any { return []any{i, 1 + i%(2*campaigns)} })
	loop("UPDATE thaw.enrollments SET step = step + 1 WHERE account_id = (SELECT id FROM thaw.accounts WHERE provider_account_id = $1) AND status = 'active'", one)
	remove := func() (done bool) {
		require.NoError(t, f.Pool.QueryRow(t.Context(), "SELECT done FROM thaw.remove_workspace('globex', 'the contract ended', 'jo', 100)").Scan(&done))
		return done
	}
	removed := false
	for turn := range turns {
		var heal int64
		err := f.Pool.QueryRow(t.Context(), `
			SELECT thaw.start_heal(NULL, NULL, ARRAY(SELECT id FROM thaw.enrollments ORDER BY id DESC), 1000, false, $1)
			WHERE EXISTS (SELECT FROM thaw.enrollments)`,
			fmt.Sprintf("for https://example.com/p/%d", 1+turn%prospects)).Scan(&heal)
		// All prospects may be erased by now, and the last heal may still run on the same ones.
		var refused *pgconn.PgError
		if !errors.Is(err, pgx.ErrNoRows) && (!errors.As(err, &refused) || refused.Code != "23505") {
			require.NoError(t, err)
		}
		f.Advance(t, tick)
		f.Exec(t, "SELECT thaw.sweep()")
		for n := range 3 {
			f.Exec(t, "SELECT thaw.erase_prospect($1, 'request 17', 'jo')", fmt.Sprintf("https://example.com/p/%d", 1+(3*turn+n)%prospects))
		}
		for range 8 {
			removed = removed || remove()
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for !removed {
		require.True(t, time.Now().Before(deadline), "the removal does not end")
		removed = remove()
	}
	over.Store(true)
	require.NoError(t, all.Wait())
	f.settle(t)
	for n := range prospects {
		f.Exec(t, "SELECT thaw.erase_prospect($1, 'request 17', 'jo')", fmt.Sprintf("https://example.com/p/%d", 1+n))
		require.Zero(t, testdb.Value[int](t, f.DB, "SELECT sum(mentions) FROM thaw.count_mentions(ARRAY[$1])", fmt.Sprintf("https://example.com/p/%d", 1+n)))
	}
	require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollments"))
	require.Equal(t, []string{"acme"}, testdb.Column[string](t, f.DB, "SELECT key FROM thaw.workspaces"))
	f.noDeadlock(t)
	f.verify(t)
}
