package readmodel

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
)

const pausedAgain = "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'account_issue', paused_at = thaw.now()"

// waiting returns how many prospects are resumable.
func waiting(t *testing.T, f *Reader) int64 {
	t.Helper()
	report, err := f.Fleet(t.Context(), Everything())
	require.NoError(t, err)
	require.NotNil(t, report.Backlog)
	return report.Backlog.Resumable
}

// eventually waits until a forecast made in the background reports the wanted number.
func eventually(t *testing.T, want int64, f *Reader, why string) {
	t.Helper()
	require.Eventually(t, func() bool { return waiting(t, f) == want }, time.Minute, 5*time.Millisecond, why)
}

// A forecast is kept until its tick ends or Forget is called.
func TestForecastIsKeptUntilItsTickIsOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	reader := NewReader(f.store)
	require.EqualValues(t, 1, waiting(t, reader))
	f.Exec(t, activate)
	require.EqualValues(t, 1, waiting(t, reader), "the kept forecast")
	reader.Forget()
	require.EqualValues(t, 0, waiting(t, reader))

	f.Exec(t, pausedAgain)
	require.NoError(t, reader.Renew(t.Context()))
	require.EqualValues(t, 1, waiting(t, reader))
	f.Exec(t, activate)
	f.nextTick(t)
	eventually(t, 0, reader, "a new tick")
	f.Exec(t, pausedAgain)
	f.Exec(t, sweptAlready)
	eventually(t, 1, reader, "the tick has a plan")
}

func TestReaderIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	reader := NewReader(f.store)
	var all errgroup.Group
	for i := range 20 {
		all.Go(func() error {
			if i%5 == 0 {
				reader.Forget()
			}
			_, err := reader.Explainer(Everything()).Explain(t.Context(), []string{ada})
			return err
		})
	}
	require.NoError(t, all.Wait())
}

// blockForecasts prevents forecasts until the returned function is called, by locking a table that
// each of them reads.
func blockForecasts(t *testing.T, f fleet) (unblock func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.Direct)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "BEGIN; LOCK TABLE thaw.waiting_totals IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	unblock = func() { conn.Close(context.WithoutCancel(t.Context())) }
	t.Cleanup(unblock)
	return unblock
}

// If no new forecast can be made, the old one is served with its age, and its ticks are shifted to
// start now.
func TestOldForecastIsServedAsOld(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	account := testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.accounts")
	reader := NewReader(f.store)
	report, err := reader.Fleet(t.Context(), Everything())
	require.NoError(t, err)
	require.False(t, report.Forecast.IsOld)
	at := report.Forecast.At

	unblock := blockForecasts(t, f)
	f.nextTick(t)
	overview, err := reader.Overview(t.Context())
	require.NoError(t, err)
	require.Equal(t, &FleetBacklog{Resumable: 1, Accounts: 1}, overview.Backlog)
	require.Equal(t, &ForecastInfo{At: at, IsOld: true}, overview.Forecast)
	require.Equal(t, f.tick(t).UTC(), *overview.Longest[0].ETA, "shifted to the current tick")
	detail, err := reader.AccountByID(t.Context(), Everything(), account)
	require.NoError(t, err)
	require.True(t, detail.Forecast.IsOld)
	require.Equal(t, []ExpectedTick{{TickAt: f.tick(t).UTC(), Resumes: 1}}, detail.Expected)
	asked, err := reader.Explainer(Everything()).Explain(t.Context(), []string{ada})
	require.NoError(t, err)
	require.True(t, asked[0].Explanations[0].Forecast.IsOld)
	require.Equal(t, f.tick(t).UTC(), *asked[0].Explanations[0].ExpectedAt)

	unblock()
	require.Eventually(t, func() bool {
		report, err := reader.Fleet(t.Context(), Everything())
		return err == nil && !report.Forecast.IsOld && report.Forecast.At.After(at)
	}, time.Minute, 5*time.Millisecond, "waiting for the forecast made in the background")
}

// Without a forecast, answers leave out what depends on it.
func TestAnswersWithoutAForecast(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	account := testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.accounts")
	blockForecasts(t, f)
	reader := NewReader(f.store)
	reader.mu.Lock()
	reader.join(t.Context()).late = true // later callers wait for less time than the first
	reader.mu.Unlock()

	overview, err := reader.Overview(t.Context())
	require.NoError(t, err)
	require.Nil(t, overview.Backlog)
	require.Nil(t, overview.Forecast)
	require.Empty(t, overview.Longest)
	detail, err := reader.AccountByID(t.Context(), Everything(), account)
	require.NoError(t, err)
	require.Empty(t, detail.Expected)
	require.EqualValues(t, 1, detail.Resumable)
	asked, err := reader.Explainer(Everything()).Explain(t.Context(), []string{ada})
	require.NoError(t, err)
	require.Contains(t, asked[0].Explanations[0].Sentence, "number 1 in the queue")
	require.Nil(t, asked[0].Explanations[0].ExpectedAt)
}
