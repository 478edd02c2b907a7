package schema_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
)

// A signal that is faster than the row of its account waits for it.
func TestEarlySignalIsAppliedWhenTheAccountAppears(t *testing.T) {
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

	// Several at once, and one that is there already.
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

// Early signals are put in order by the rules of all others.
func TestEarlySignalsAtOneMoment(t *testing.T) {
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
			require.Equal(t, "disconnected", statusOf(t, db, "bob"), "at the same moment holding back wins")
		})
	}
}

// A wrong clock of the provider must not make an account deaf before it is there either.
func TestEarlySignalFromTheFuture(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	require.Equal(t, "unknown_account", receive(t, db, delivery{account: "bob", status: "disconnected", at: db.Now(t).AddDate(70, 0, 0)}))
	db.Advance(t, 10*time.Minute)
	require.Equal(t, "unknown_account", receive(t, db, delivery{account: "bob", status: "connected", at: db.Now(t)}))
	insertAccount(t, db, "bob")
	require.Equal(t, "connected", statusOf(t, db, "bob"))
}

// The platform inserts an account in one transaction while its signal arrives in another. Whichever is first, and however
// the first one ends, the signal is not lost.
func TestSignalWhileItsAccountIsInserted(t *testing.T) {
	t.Parallel()
	const (
		insert  = "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'bob')"
		deliver = "SELECT thaw.signal('linkedin', 'bob', 'connected')"
	)
	for _, c := range []struct {
		name, first, second string
		commit              bool
		status              string // of bob; "" without a row
	}{
		{"the account is first", insert, deliver, true, "connected"},
		{"the signal is first", deliver, insert, true, "connected"},
		{"the account is first and rolled back", insert, deliver, false, ""},
		{"the signal is first and rolled back", deliver, insert, false, "connecting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := withAnn(t)
			first, err := db.Pool.Begin(t.Context())
			require.NoError(t, err)
			defer first.Rollback(context.WithoutCancel(t.Context()))
			_, err = first.Exec(t.Context(), c.first)
			require.NoError(t, err)

			second := make(chan error, 1)
			go func() {
				_, err := db.Pool.Exec(t.Context(), c.second)
				second <- err
			}()
			require.Eventually(t, func() bool {
				return testdb.Value[bool](t, db, `
					SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
						AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`)
			}, 10*time.Second, 5*time.Millisecond, "the second waits for the first")

			if c.commit {
				require.NoError(t, first.Commit(t.Context()))
			} else {
				require.NoError(t, first.Rollback(t.Context()))
			}
			require.NoError(t, <-second)

			if c.status == "" {
				require.Equal(t, []string{"unknown_account"}, testdb.Column[string](t, db, "SELECT outcome::text FROM thaw.account_signals"))
				insertAccount(t, db, "bob")
				c.status = "connected"
			}
			require.Equal(t, c.status, statusOf(t, db, "bob"))
			if c.status == "connected" {
				require.Equal(t, []string{"applied"}, testdb.Column[string](t, db, "SELECT outcome::text FROM thaw.account_signals"))
				require.Len(t, jobs(t, db), 1)
			}
		})
	}
}

// Without anybody waiting for anybody in particular: a hundred accounts and their signals, all at once.
func TestManyAccountsAndTheirSignalsAtOnce(t *testing.T) {
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
	require.Equal(t, 100, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.accounts WHERE status = 'connected'"))
	require.Equal(t, 100, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals WHERE outcome = 'applied'"))
	require.Len(t, jobs(t, db), 100)
}

func TestOneDeliveryManyTimesAtOnce(t *testing.T) {
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

// Whatever the order in which they get the lock, the newest word stands.
func TestSignalsOfOneAccountAtOnce(t *testing.T) {
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
