package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// The transaction that began first may be received last.
func TestSignalsWithoutATimeAreOrderedByReceipt(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "a1"})
	var outcome string
	early := f.begin(t)
	require.NoError(t, early.QueryRow(t.Context(), "SELECT ''").Scan(&outcome)) // Starts the transaction.

	f.signal(t, "a1", "disconnected")
	require.NoError(t, early.QueryRow(t.Context(), "SELECT thaw.signal('linkedin', 'a1', 'connected')").Scan(&outcome))
	require.Equal(t, "applied", outcome)
	require.NoError(t, early.Commit(t.Context()))
	require.Equal(t, "connected", testdb.Value[string](t, f.DB, "SELECT status::text FROM thaw.accounts"))
}

func TestSignalWithoutTimeCountsAsNow(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "a1"})
	f.signal(t, "a1", "disconnected")
	require.LessOrEqual(t, testdb.Value[time.Time](t, f.DB, "SELECT status_at FROM thaw.accounts"), f.Now(t))
	// A signal with a time is compared with it.
	require.Equal(t, "applied", testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', 'a1', 'connected', thaw.now())"))
	require.Equal(t, "stale", testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', 'a1', 'removed', thaw.now() - interval '1 minute')"))
}

func TestSignalFromFutureIsClamped(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "a1"})
	require.Equal(t, "applied", testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', 'a1', 'disconnected', thaw.now() + interval '1 year')"))
	f.Advance(t, 6*time.Minute)
	require.Equal(t, "applied", testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', 'a1', 'connected', thaw.now())"))
}

// Of two signals within one second, the one received later counts, but connecting never replaces
// connected.
func TestLaterReceiptWinsWithinASecond(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.account(t, account{key: "a1"})
	send := func(status string) string {
		return testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', 'a1', $1, '2026-01-01 12:00:00+00')", status)
	}
	require.Equal(t, "applied", send("connected"))
	require.Equal(t, "applied", send("disconnected"))
	require.Equal(t, "applied", send("connected"))
	require.Equal(t, "stale", send("connecting"))
}
