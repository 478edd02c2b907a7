package worker_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// tenantHeal starts a heal of workspace acme as its tenant, runs it, and returns how many prospects
// it resumed. A limit of 0 requests all prospects.
func (f *fleet) tenantHeal(t *testing.T, limit int) (resumed int) {
	t.Helper()
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal(1, NULL, NULL, nullif($1::integer, 0), false, 'a tenant', 1)", limit)
	for f.healBatch(t, heal, 30).Verdict != "done" {
	}
	return testdb.Value[int](t, f.DB, "SELECT resumed FROM thaw.heals WHERE id = $1", heal)
}

// A tenant cannot exceed the caps of a tick with heals, however many it starts.
func TestTenantHealsKeepCaps(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 20, fleet_cap = 45, signal_cap = 15")
	var accounts []int64
	for _, key := range []string{"a1", "a2", "a3"} {
		a := f.account(t, account{key: key})
		f.waiting(t, a, 50)
		accounts = append(accounts, a)
	}
	// The pass of a signal has used part of one account's cap.
	got, err := passOfSignal(t.Context(), f.Pool, accounts[0], f.connect(t, "a1"))
	require.NoError(t, err)
	require.Equal(t, 15, got.Resumed)

	require.Equal(t, 45, f.tenantHeal(t, 0), "5, 20 and 20: the caps of the accounts, together exactly the fleet's")
	_, err = f.Pool.Exec(t.Context(), "SELECT thaw.start_heal(1, NULL, NULL, 1, false, 'a tenant', 1)")
	var refused *pgconn.PgError
	require.True(t, errors.As(err, &refused))
	require.Equal(t, "TH003", refused.Code)
	require.Equal(t, `heals started by workspace "acme" may resume 0 more prospects in this tick, not 1`, refused.Message)
	require.Equal(t, []int{20, 20, 20}, testdb.Column[int](t, f.DB, "SELECT used FROM thaw.account_quotas ORDER BY account_id"))

	f.Advance(t, tick)
	require.Equal(t, 30, f.tenantHeal(t, 30))
	require.Equal(t, 15, f.tenantHeal(t, 15))
}

// What a finished heal did not resume can be requested again in the same tick.
func TestTenantHealsCountOnlyResumed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET fleet_cap = 45")
	f.waiting(t, f.account(t, account{key: "a1"}), 10)
	require.Equal(t, 10, f.tenantHeal(t, 45))
	f.Exec(t, "SELECT thaw.start_heal(1, NULL, NULL, NULL, false, 'a tenant', 1)")
	require.Equal(t, []int{45, 35}, testdb.Column[int](t, f.DB, "SELECT cap FROM thaw.heals ORDER BY id"))
}

// An operator can allow more.
func TestTenantHealsWithOwnCap(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET account_cap = 20, fleet_cap = 45")
	f.waiting(t, f.account(t, account{key: "a1"}), 150)
	f.Exec(t, "SELECT thaw.set_heal_cap('acme', 100, 'their backlog', 'an operator')")
	require.Equal(t, 60, f.tenantHeal(t, 60))
	require.Equal(t, 40, f.tenantHeal(t, 0))
	_, err := f.Pool.Exec(t.Context(), "SELECT thaw.start_heal(1, NULL, NULL, 1, false, 'a tenant', 1)")
	require.ErrorContains(t, err, "may resume 0 more")
	require.Equal(t, []string{"heal_cap_set by an operator: their backlog"},
		testdb.Column[string](t, f.DB, "SELECT format('%s by %s: %s', what, actor, reason) FROM thaw.manual_actions WHERE what LIKE 'heal_cap%'"))

	// An operator's heal has only its own cap.
	id := testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme', cap => 50)")
	for f.healBatch(t, id, 30).Verdict != "done" {
	}
	require.Equal(t, [3]int{50, 0, 0}, f.left(t, id))
}
