package readmodel

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// A fleet is a database whose ticks are run by the test.
type fleet struct {
	*testdb.DB
	*dbsqlc.Queries
	store *store.Store
}

// newFleet returns an empty fleet, one second after a tick began, so that the test ends before the
// next tick begins.
func newFleet(t testing.TB) fleet {
	t.Helper()
	db := testdb.New(t)
	db.Advance(t, testdb.Value[time.Duration](t, db, "SELECT thaw.tick() + s.tick + '1 second' - thaw.now() FROM thaw.settings AS s"))
	return fleet{db, dbsqlc.New(db.Pool), store.New(db.Pool)}
}

// tick returns the current tick.
func (f fleet) tick(t testing.TB) time.Time {
	t.Helper()
	return testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()")
}

// nextTick moves the clock into the next tick.
func (f fleet) nextTick(t testing.TB) {
	t.Helper()
	f.Advance(t, testdb.Value[time.Duration](t, f.DB, "SELECT s.tick FROM thaw.settings AS s"))
}

// plan plans the current tick as its sweep does, and returns the accounts for which the sweep would
// insert jobs.
func (f fleet) plan(t testing.TB) []int64 {
	t.Helper()
	tick := f.tick(t)
	opened, err := f.OpenSweep(t.Context(), tick)
	require.NoError(t, err)
	record, err := f.store.PlanTick(t.Context(), tick, opened)
	require.NoError(t, err)
	recorded, err := f.RecordPlan(t.Context(), record)
	require.NoError(t, err)
	require.True(t, recorded)
	return record.AccountIds
}

// run does the work of the current tick's jobs for the accounts, and returns how many enrollments
// they resumed.
func (f fleet) run(t testing.TB, accounts []int64) int {
	t.Helper()
	tick, resumed := f.tick(t), 0
	for _, account := range accounts {
		resumed += testdb.Value[int](t, f.DB,
			"SELECT pass.resumed FROM thaw.resume_pass('sweep', $1, 1, p_tick_at => $2) AS pass", account, tick)
	}
	return resumed
}

// signal does the work of a connect signal and its job for an account.
func (f fleet) signal(t testing.TB, account int64) {
	t.Helper()
	signal := testdb.Value[int64](t, f.DB, `
		INSERT INTO thaw.account_signals (provider, provider_account_id, account_id, raw_status, status, outcome)
		SELECT a.provider, a.provider_account_id, a.id, 'connected', 'connected', 'applied'
		FROM thaw.accounts AS a WHERE a.id = $1
		RETURNING id`, account)
	f.Exec(t, "SELECT thaw.resume_pass('signal', $1, 1, p_signal_id => $2)", account, signal)
}

// explainOne explains a prospect that is in exactly one campaign.
func (f fleet) explainOne(t testing.TB, url string) Explanation {
	t.Helper()
	explanations, err := Explain(t.Context(), f.store, url)
	require.NoError(t, err)
	require.Len(t, explanations, 1)
	return explanations[0]
}
