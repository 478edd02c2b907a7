package schema_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
)

// A signal that arrives before the row of its account is kept and applied later.
func TestEarlySignalIsAppliedOnAccountInsert(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	now := db.Now(t)
	for i, d := range []delivery{
		{account: "bob", status: "connected", raw: "OK", at: now.Add(-10 * time.Second), member: "bob's"},
		{account: "bob", status: "disconnected", raw: "CREDENTIALS", at: now.Add(-20 * time.Second)},
		{account: "carl", status: "connected", raw: "OK"},
		{account: "carl", status: "error", raw: "ERROR"},
		{account: "dora", status: "connecting", raw: "CREATION_SUCCESS", justCreated: true},
		{account: "elsewhere", status: "connected"},
	} {
		require.Equal(t, "unknown_account", receive(t, db, d), "delivery %d", i+1)
	}
	require.Empty(t, jobs(t, db))

	// Several accounts in one statement, and one that exists already.
	db.Exec(t, `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id)
		SELECT 1, name FROM unnest(ARRAY['ann', 'bob', 'carl', 'dora', 'eve']) AS name
		ON CONFLICT (provider, provider_account_id) DO NOTHING`)

	require.Equal(t, []string{
		"ann connecting", "bob connected bob's", "carl error", "dora connecting", "eve connecting",
	}, testdb.Column[string](t, db, `
		SELECT concat_ws(' ', provider_account_id, status, member_id) FROM thaw.accounts ORDER BY provider_account_id`))
	require.Equal(t, []string{
		"bob OK applied t", "bob CREDENTIALS stale t", "carl OK stale t", "carl ERROR applied t",
		"dora CREATION_SUCCESS applied t", "elsewhere connected unknown_account",
	}, testdb.Column[string](t, db, `
		SELECT concat_ws(' ', s.provider_account_id, s.raw_status, s.outcome, (
			SELECT a.provider_account_id = s.provider_account_id FROM thaw.accounts AS a WHERE a.id = s.account_id))
		FROM thaw.account_signals AS s ORDER BY s.id`))

	var kinds []string
	for _, j := range jobs(t, db) {
		kinds = append(kinds, fmt.Sprintf("%s for signal %d", j.Kind, j.Args["signal_id"]))
	}
	require.Equal(t, []string{"resume_account for signal 1", "pause_account for signal 4"}, kinds)
}

// Early signals are ordered by the same rules as all others.
func TestEarlySignalsWithinOneSecond(t *testing.T) {
	t.Parallel()
	for _, order := range [][2]string{{"connected", "disconnected"}, {"disconnected", "connected"}} {
		t.Run(order[0]+" first", func(t *testing.T) {
			t.Parallel()
			db := withAnn(t)
			now := db.Now(t)
			for _, status := range order {
				require.Equal(t, "unknown_account", receive(t, db, delivery{account: "bob", status: status, at: now}))
			}
			insertAccount(t, db, "bob")
			require.Equal(t, order[1], statusOf(t, db, "bob"), "within one second, the signal received later counts")
		})
	}
}

// A wrong provider clock must not block later signals of an account that has no row yet.
func TestEarlySignalFromTheFuture(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	require.Equal(t, "unknown_account", receive(t, db, delivery{account: "bob", status: "disconnected", at: db.Now(t).AddDate(70, 0, 0)}))
	db.Advance(t, 10*time.Minute)
	require.Equal(t, "unknown_account", receive(t, db, delivery{account: "bob", status: "connected", at: db.Now(t)}))
	insertAccount(t, db, "bob")
	require.Equal(t, "connected", statusOf(t, db, "bob"))
}

// The platform inserts an account in one transaction while its signal arrives in another. Neither
// waits for the other, in either order. The signal is never lost, whether the first transaction
// commits or rolls back: thaw.pick_up_signals applies it.
func TestSignalDuringAccountInsert(t *testing.T) {
	t.Parallel()
	const (
		insert  = "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'bob')"
		deliver = "SELECT thaw.signal('linkedin', 'bob', 'connected')"
	)
	for _, c := range []struct {
		name, first, second string
		commit              bool
		status              string // of bob; empty without a row
	}{
		{"the account is first", insert, deliver, true, "connected"},
		{"the signal is first", deliver, insert, true, "connected"},
		{"the account is first and rolled back", insert, deliver, false, ""},
		{"the signal is first and rolled back", deliver, insert, false, "connecting"},
	} {
		for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
			t.Run(c.name+", "+string(level), func(t *testing.T) {
				t.Parallel()
				db := withAnn(t)
				first, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
				require.NoError(t, err)
				defer first.Rollback(context.WithoutCancel(t.Context()))
				_, err = first.Exec(t.Context(), c.first)
				require.NoError(t, err)

				second, err := db.Pool.Acquire(t.Context())
				require.NoError(t, err)
				defer second.Release()
				_, err = second.Exec(t.Context(), "SET lock_timeout = '1ms'")
				require.NoError(t, err)
				_, err = second.Exec(t.Context(), c.second)
				require.NoError(t, err, "it does not wait")

				if c.commit {
					require.NoError(t, first.Commit(t.Context()))
				} else {
					require.NoError(t, first.Rollback(t.Context()))
				}
				db.Exec(t, "SELECT thaw.pick_up_signals('2 minutes')")

				status := c.status
				if status == "" {
					require.Equal(t, []string{"unknown_account"}, testdb.Column[string](t, db, "SELECT outcome::text FROM thaw.account_signals"))
					insertAccount(t, db, "bob")
					status = "connected"
				}
				require.Equal(t, status, statusOf(t, db, "bob"))
				if status == "connected" {
					require.Equal(t, []string{"applied"}, testdb.Column[string](t, db, "SELECT outcome::text FROM thaw.account_signals"))
					require.Len(t, jobs(t, db), 1)
				}
				require.Zero(t, testdb.Value[int](t, db, "SELECT thaw.pick_up_signals('1 day')"), "no signals remain")
			})
		}
	}
}

// An insert in an older snapshot does not see a signal that arrived in the meantime; it is picked
// up later.
func TestSignalInvisibleToOlderSnapshot(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		for by, call := range map[string]string{"pick_up_signals": "SELECT thaw.pick_up_signals('2 minutes')", "watch": "SELECT thaw.watch()"} {
			t.Run(string(level)+", by "+by, func(t *testing.T) {
				t.Parallel()
				db := withAnn(t)
				platform, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
				require.NoError(t, err)
				defer platform.Rollback(context.WithoutCancel(t.Context()))
				_, err = platform.Exec(t.Context(), "SELECT count(*) FROM thaw.workspaces")
				require.NoError(t, err)
				require.Equal(t, "unknown_account", receive(t, db, delivery{account: "bob", status: "disconnected", raw: "CREDENTIALS"}))
				_, err = platform.Exec(t.Context(), "INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) VALUES (1, 'bob', 'connected')")
				require.NoError(t, err)
				require.NoError(t, platform.Commit(t.Context()))
				require.Equal(t, "connected", statusOf(t, db, "bob"))

				db.Exec(t, call)
				require.Equal(t, "disconnected", statusOf(t, db, "bob"))
			})
		}
	}
}

// A kept signal is older than all signals received after it.
func TestPickedUpSignalIsOlderThanLaterSignals(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	db.Exec(t, "INSERT INTO thaw.account_signals (provider, provider_account_id, raw_status, status, outcome) VALUES ('linkedin', 'ann', 'CREDENTIALS', 'disconnected', 'unknown_account')")
	require.Equal(t, "applied", receive(t, db, delivery{status: "connected"}))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT thaw.pick_up_signals('2 minutes')"))
	require.Equal(t, "connected", statusOf(t, db, "ann"))
}

// No lock that another role can take blocks a signal.
func TestSignalsWaitForNoAdvisoryLock(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	other, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer other.Rollback(context.WithoutCancel(t.Context()))
	_, err = other.Exec(t.Context(), "SELECT pg_advisory_xact_lock(hashtextextended('thaw.accounts', 0))")
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'carl')")
	require.NoError(t, err)

	one, err := db.Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer one.Release()
	_, err = one.Exec(t.Context(), "SET lock_timeout = '1ms'")
	require.NoError(t, err)
	for account, outcome := range map[string]string{"ann": "applied", "carl": "unknown_account", "unknown": "unknown_account"} {
		var got string
		require.NoError(t, one.QueryRow(t.Context(), "SELECT thaw.signal('linkedin', $1, 'connected')", account).Scan(&got), account)
		require.Equal(t, outcome, got)
	}
}

// A hundred accounts and their signals, all concurrently.
func TestManyAccountsAndSignalsConcurrently(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range 100 {
		name := fmt.Sprintf("account-%d", i)
		statements := []string{
			"INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, $1)",
			"SELECT thaw.signal('linkedin', $1, 'connected')",
		}
		if i%2 == 0 {
			statements[0], statements[1] = statements[1], statements[0]
		}
		for _, statement := range statements {
			group.Go(func() error {
				_, err := db.Pool.Exec(t.Context(), statement, name)
				return err
			})
		}
	}
	require.NoError(t, group.Wait())
	db.Exec(t, "SELECT thaw.pick_up_signals('2 minutes')")
	require.Equal(t, 100, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.accounts WHERE status = 'connected'"))
	require.Equal(t, 100, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals WHERE outcome = 'applied'"))
	require.Len(t, jobs(t, db), 100)
}

func TestRepeatedDeliveryConcurrently(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	var group errgroup.Group
	for range 20 {
		group.Go(func() error {
			_, err := db.Pool.Exec(t.Context(), "SELECT thaw.signal('linkedin', 'ann', 'connected', delivery_key => 'the one')")
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, []string{"1 applied", "19 duplicate"}, testdb.Column[string](t, db,
		"SELECT count(*) || ' ' || outcome FROM thaw.account_signals GROUP BY outcome ORDER BY 1"))
	require.Len(t, jobs(t, db), 1)
}

// In whatever order they get the lock, the newest signal counts.
func TestSignalsOfOneAccountConcurrently(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	now := db.Now(t)
	words := []string{"connected", "disconnected", "error", "needs_verification"}
	var group errgroup.Group
	group.SetLimit(16)
	for i := range 100 {
		group.Go(func() error {
			_, err := db.Pool.Exec(t.Context(), "SELECT thaw.signal('linkedin', 'ann', $1, $2)",
				words[(i+1)%len(words)], now.Add(-time.Duration((i*37)%100)*time.Second))
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, words[1], statusOf(t, db, "ann"), "i = 0 has the newest time")
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals WHERE outcome NOT IN ('applied', 'stale')"))
}
