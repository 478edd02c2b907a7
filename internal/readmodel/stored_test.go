package readmodel

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/testdb"
)

// storeForecast stores a forecast, as the job "watch" does after it has folded the counts.
func storeForecast(t *testing.T, f fleet) {
	t.Helper()
	f.Exec(t, "SELECT thaw.fold_counts()")
	require.NoError(t, Store(t.Context(), f.store, 1))
}

// A process without a forecast reads the stored one if it cannot make its own.
func TestStoredForecastIsUsed(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	storeForecast(t, f)
	account := testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.accounts")
	blockForecasts(t, f)

	fleet, err := NewReader(f.store).Fleet(t.Context(), Everything())
	require.NoError(t, err)
	require.Equal(t, &FleetBacklog{Resumable: 1, Accounts: 1}, fleet.Backlog)
	fleet, err = NewReader(f.store).Fleet(t.Context(), OfWorkspace(testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.workspaces")))
	require.NoError(t, err)
	require.Equal(t, &FleetBacklog{Resumable: 1, Accounts: 1}, fleet.Backlog)
	detail, err := NewReader(f.store).AccountByID(t.Context(), Everything(), account)
	require.NoError(t, err)
	require.Equal(t, []ExpectedTick{{TickAt: f.tick(t).UTC(), Resumes: 1}}, detail.Expected)
	explanations, err := Explain(t.Context(), f.store, ada)
	require.NoError(t, err)
	require.Equal(t, f.tick(t).UTC(), *explanations[0].ExpectedAt)

	// Once the tick has a plan, the stored forecast is old and is marked as such.
	f.Exec(t, sweptAlready)
	explanations, err = Explain(t.Context(), f.store, ada)
	require.NoError(t, err)
	require.Equal(t, f.tick(t).UTC(), *explanations[0].ExpectedAt)
	require.True(t, explanations[0].Forecast.IsOld)
	overview, err := NewReader(f.store).Overview(t.Context())
	require.NoError(t, err)
	require.True(t, overview.Forecast.IsOld)
	require.Len(t, overview.Longest, 1)
	report, err := Status(t.Context(), f.store, 30)
	require.NoError(t, err)
	require.Len(t, report.Accounts, 1)
	require.True(t, report.Forecast.IsOld)
}

// A stored forecast equals the one that was made, for every position of every account.
func TestStoredForecastEqualsTheOriginal(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	fill(t, f, rand.New(rand.NewPCG(3, 4)))
	made, err := see(t.Context(), f.store)
	require.NoError(t, err)
	storeForecast(t, f)
	read, err := stored(t.Context(), f.store, time.Time{})
	require.NoError(t, err)
	require.NotNil(t, read)
	require.Equal(t, made.made, read.made)
	require.Equal(t, made.workspaces, read.workspaces)
	require.Equal(t, made.longest, read.longest)
	require.Equal(t, [2]int{made.accounts, made.backlog}, [2]int{read.accounts, read.backlog})
	require.NotEmpty(t, made.longest)
	report, err := Status(t.Context(), f.store, 0)
	require.NoError(t, err)
	few, err := Status(t.Context(), f.store, storedAccounts)
	require.NoError(t, err)
	require.Equal(t, report, few, "the accounts must be the same")
	now, then := made.from(made.made), read.from(made.made)
	for account := range testdb.Value[int64](t, f.DB, "SELECT max(id) FROM thaw.accounts") {
		require.Equal(t, now.next(account), then.next(account))
		require.Equal(t, now.drained(account), then.drained(account))
		for position := range 60 {
			require.Equal(t, now.tickOf(account, position), then.tickOf(account, position))
		}
	}
}

// The stored forecast is ignored if it is too old, in an unknown format, or from before a call of
// Forget. A small fleet has none.
func TestStoredForecastIsIgnored(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	reader := NewReader(f.store)
	storeForecast(t, f)
	f.Exec(t, activate)
	require.EqualValues(t, 1, waiting(t, reader), "the stored forecast")
	reader.Forget()
	require.EqualValues(t, 0, waiting(t, reader), "the stored forecast is from before the call of Forget")

	require.EqualValues(t, 1, waiting(t, NewReader(f.store)))
	f.Exec(t, "UPDATE thaw.forecasts SET content = substr(content, 1, length(content) / 2)")
	require.EqualValues(t, 0, waiting(t, NewReader(f.store)))

	f.Exec(t, pausedAgain)
	storeForecast(t, f)
	f.Exec(t, activate)
	f.Exec(t, "UPDATE thaw.forecasts SET made_at = made_at - interval '6 minutes'")
	require.EqualValues(t, 0, waiting(t, NewReader(f.store)))

	require.NoError(t, Store(t.Context(), f.store, 2))
	_, err := dbsqlc.New(f.Pool).StoredForecast(t.Context(), time.Hour)
	require.ErrorIs(t, err, pgx.ErrNoRows)
}
