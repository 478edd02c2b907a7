package schema_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A delivery is one call of thaw.receive_signal. The zero time means that the provider sends no
// time.
type delivery struct {
	account     string // "ann" by default
	status      string
	raw         string // the status by default
	at          time.Time
	member      string
	key         string
	justCreated bool
}

// receive delivers and returns the outcome.
func receive(t testing.TB, db *testdb.DB, d delivery) string {
	t.Helper()
	if d.account == "" {
		d.account = "ann"
	}
	if d.raw == "" {
		d.raw = d.status
	}
	var at *time.Time
	if !d.at.IsZero() {
		at = &d.at
	}
	return testdb.Value[string](t, db,
		"SELECT thaw.receive_signal('linkedin', $1, $2, $3, $4, nullif($5, ''), nullif($6, ''), $7, NULL)::text",
		d.account, d.raw, d.status, at, d.member, d.key, d.justCreated)
}

// withAnn returns a database with the account "ann", id 1, without any signal.
func withAnn(t testing.TB) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('acme')")
	insertAccount(t, db, "ann")
	return db
}

func insertAccount(t testing.TB, db *testdb.DB, name string) {
	t.Helper()
	db.Exec(t, "INSERT INTO thaw.accounts (workspace_id, provider_account_id) SELECT w.id, $1 FROM thaw.workspaces AS w", name)
}

func statusOf(t testing.TB, db *testdb.DB, account string) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT status::text FROM thaw.accounts WHERE provider_account_id = $1", account)
}

// pauseAfter returns nil if no pause is due.
func pauseAfter(t testing.TB, db *testdb.DB) *time.Time {
	t.Helper()
	return testdb.Value[*time.Time](t, db, "SELECT pause_after FROM thaw.accounts WHERE id = 1")
}

type job struct {
	Kind, Queue, State string
	Priority           int
	Args               map[string]int64
	Delay              time.Duration // from its insert to when it is due
}

// jobs returns the inserted jobs, oldest first.
func jobs(t testing.TB, db *testdb.DB) []job {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `
		SELECT kind, queue, state::text AS state, priority, args, scheduled_at - created_at AS delay
		FROM thaw.river_job ORDER BY id`)
	require.NoError(t, err)
	inserted, err := pgx.CollectRows(rows, pgx.RowToStructByName[job])
	require.NoError(t, err)
	return inserted
}

func TestSignalOutcomes(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	now := db.Now(t)
	deliveries := []struct {
		delivery
		outcome string
	}{
		{delivery{status: "disconnected", raw: "CREDENTIALS", at: now, key: "one"}, "applied"},
		{delivery{status: "disconnected", raw: "CREDENTIALS", at: now, key: "one"}, "duplicate"},
		// Only the key makes it a duplicate.
		{delivery{status: "connected", raw: "OK", at: now.Add(time.Second), key: "one"}, "duplicate"},
		{delivery{status: "connected", raw: "OK", at: now.Add(-time.Second), key: "two"}, "stale"},
		{delivery{account: "unknown", status: "connected", raw: "OK"}, "unknown_account"},
		{delivery{status: "", raw: "SHINY_NEW_WORD", key: "three"}, "ignored"},
		{delivery{account: "unknown", status: "", raw: "SHINY_NEW_WORD"}, "ignored"},
	}
	for i, d := range deliveries {
		require.Equal(t, d.outcome, receive(t, db, d.delivery), "delivery %d", i+1)
	}

	require.Equal(t, "disconnected", statusOf(t, db, "ann"), "only the applied signal changed anything")
	require.Len(t, jobs(t, db), 1)
	// Every delivery is recorded.
	require.Equal(t, []string{
		"1 CREDENTIALS disconnected applied account 1",
		"2 CREDENTIALS disconnected duplicate account 1 of 1",
		"3 OK connected duplicate account 1 of 1",
		"4 OK connected stale account 1",
		"5 OK connected unknown_account",
		"6 SHINY_NEW_WORD ignored account 1",
		"7 SHINY_NEW_WORD ignored",
	}, testdb.Column[string](t, db, `
		SELECT concat_ws(' ', row_number() OVER (ORDER BY s.id), s.raw_status, s.status, s.outcome, 'account ' || s.account_id,
			'of ' || rank.original)
		FROM thaw.account_signals AS s
		LEFT JOIN (
			SELECT o.id, row_number() OVER (ORDER BY o.id) AS original FROM thaw.account_signals AS o) AS rank ON rank.id = s.duplicate_of
		ORDER BY s.id`))
}

// Signals in SQL use the same function; their keys cannot collide with those of a provider.
func TestSignalFunction(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	require.Equal(t, "applied", receive(t, db, delivery{status: "disconnected", key: "one"}))
	for _, outcome := range []string{"applied", "duplicate"} {
		require.Equal(t, outcome, testdb.Value[string](t, db,
			"SELECT thaw.signal('linkedin', 'ann', 'connected', now() + interval '1 second', 'member-7', 'one')"))
	}
	require.Equal(t, "ignored", testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', 'ann', 'paused')"))
	require.Equal(t, "unknown_account", testdb.Value[string](t, db, "SELECT thaw.signal('elsewhere', 'ann', 'connected')"),
		"the same name at another provider is another account")
	require.Equal(t, "connected", statusOf(t, db, "ann"))
	require.Equal(t, "member-7", testdb.Value[string](t, db, "SELECT member_id FROM thaw.accounts WHERE id = 1"))
}

// A signal is part of the caller's transaction: without a commit there is no status, no record and
// no job.
func TestSignalIsRolledBackWithItsTransaction(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT thaw.signal('linkedin', 'ann', 'connected')")
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, "connecting", statusOf(t, db, "ann"))
	require.Empty(t, jobs(t, db))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals"))
}

func TestSignalOrder(t *testing.T) {
	t.Parallel()
	type step struct {
		status string
		// Seconds from now. noTime: the provider sends no time.
		at      int
		outcome string
	}
	const noTime = 1 << 30
	for name, steps := range map[string][]step{
		"newer wins":                        {{"disconnected", -20, "applied"}, {"connected", -10, "applied"}},
		"older is stale":                    {{"connected", -10, "applied"}, {"disconnected", -20, "stale"}},
		"same second, later receipt wins":   {{"connected", -10, "applied"}, {"disconnected", -10, "applied"}},
		"same second, other order":          {{"disconnected", -10, "applied"}, {"connected", -10, "applied"}},
		"connecting never wins a tie":       {{"connected", -10, "applied"}, {"connecting", -10, "stale"}},
		"connected wins over connecting":    {{"connecting", -10, "applied"}, {"connected", -10, "applied"}},
		"connecting without a time":         {{"connected", noTime, "applied"}, {"connecting", noTime, "stale"}},
		"connecting with a later time":      {{"connected", -10, "applied"}, {"connecting", -5, "applied"}},
		"a login after connected":           {{"connected", -10, "applied"}, {"reconnected", -5, "stale"}},
		"connected twice at one time":       {{"connected", -10, "applied"}, {"connected", -10, "applied"}},
		"without a time, by receipt":        {{"disconnected", noTime, "applied"}, {"connected", noTime, "applied"}},
		"without a time after a future one": {{"disconnected", 60, "applied"}, {"connected", noTime, "applied"}},
		"a time before the last receipt":    {{"disconnected", noTime, "applied"}, {"connected", -10, "stale"}},
		"a time after the last receipt":     {{"disconnected", noTime, "applied"}, {"connected", 60, "applied"}},
		"the first may have any age":        {{"connected", -1e6, "applied"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withAnn(t)
			now := db.Now(t)
			last := "connecting"
			for _, s := range steps {
				d := delivery{status: s.status}
				if s.at != noTime {
					d.at = now.Add(time.Duration(s.at) * time.Second)
				}
				require.Equal(t, s.outcome, receive(t, db, d), "%+v", s)
				if s.outcome == "applied" {
					last = s.status
				}
				require.Equal(t, last, statusOf(t, db, "ann"))
			}
		})
	}
}

// Two signals without a time in one transaction have the same clock, and still count in the order
// of receipt.
func TestSignalsWithoutTimeInOneTransaction(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	require.Equal(t, []string{"applied", "applied", "applied"}, testdb.Column[string](t, db, `
		SELECT thaw.signal('linkedin', 'ann', word.status)
		FROM unnest(ARRAY['connected', 'disconnected', 'connected']) WITH ORDINALITY AS word (status, n) ORDER BY word.n`))
	require.Equal(t, "connected", statusOf(t, db, "ann"))
}

// A wrong provider clock must not block later signals.
func TestFutureTimeIsClamped(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	now := db.Now(t)
	require.Equal(t, "applied", receive(t, db, delivery{status: "disconnected", at: now.AddDate(70, 0, 0)}))
	at := testdb.Value[time.Time](t, db, "SELECT status_at FROM thaw.accounts WHERE id = 1")
	require.WithinRange(t, at, now, now.Add(6*time.Minute))

	require.Equal(t, "applied", receive(t, db, delivery{status: "connected"}), "without a time")
	require.Equal(t, "applied", receive(t, db, delivery{status: "disconnected", at: now.AddDate(70, 0, 0)}))
	db.Advance(t, 10*time.Minute)
	require.Equal(t, "applied", receive(t, db, delivery{status: "connected", at: db.Now(t)}), "with a correct time, some minutes later")
}

func TestSignalUpdatesAccount(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	account := func() string {
		return testdb.Value[string](t, db, `
			SELECT concat_ws(' ', a.status, coalesce(a.last_error, '-'),
				'first ' || extract(epoch FROM a.first_connected_at) - 1e9, 'since ' || extract(epoch FROM a.connected_at) - 1e9)
			FROM thaw.accounts AS a WHERE a.id = 1`)
	}
	at := func(second int) time.Time { return time.Unix(1e9+int64(second), 0) }

	receive(t, db, delivery{status: "error", raw: "ERROR", at: at(1)})
	require.Equal(t, "error ERROR", account())
	receive(t, db, delivery{status: "connected", raw: "OK", at: at(2)})
	require.Equal(t, "connected - first 2.000000 since 2.000000", account())
	receive(t, db, delivery{status: "connected", raw: "SYNC_SUCCESS", at: at(3)})
	require.Equal(t, "connected - first 2.000000 since 2.000000", account(), "it has been connected since")
	receive(t, db, delivery{status: "disconnected", raw: "CREDENTIALS", at: at(4)})
	require.Equal(t, "disconnected CREDENTIALS first 2.000000 since 2.000000", account())
	receive(t, db, delivery{status: "connecting", raw: "CONNECTING", at: at(5)})
	require.Equal(t, "connecting - first 2.000000 since 2.000000", account())
	receive(t, db, delivery{status: "connected", raw: "OK", at: at(6)})
	require.Equal(t, "connected - first 2.000000 since 6.000000", account())
}

// Any signal may set the member, but none overwrites it.
func TestSignalSetsMember(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	member := func() string {
		return testdb.Value[string](t, db, "SELECT coalesce(member_id, 'unknown') FROM thaw.accounts WHERE id = 1")
	}
	receive(t, db, delivery{status: "connected"})
	require.Equal(t, "unknown", member())
	receive(t, db, delivery{status: "connected", member: "m1"})
	require.Equal(t, "m1", member())
	receive(t, db, delivery{status: "connected", member: "m2"})
	require.Equal(t, "m1", member())
	receive(t, db, delivery{status: "connected"})
	require.Equal(t, "m1", member())
}

func TestSignalJob(t *testing.T) {
	t.Parallel()
	const gracePeriod = 2 * time.Hour
	now := map[string]int64{"account_id": 1, "signal_id": 1}
	for status, want := range map[string]job{
		"connected":          {Kind: "resume_account", Queue: "resume", State: "available", Priority: 1, Args: now},
		"disconnected":       {Kind: "pause_account", Queue: "resume", State: "available", Priority: 1, Args: now},
		"removed":            {Kind: "pause_account", Queue: "resume", State: "available", Priority: 1, Args: now},
		"restricted":         {Kind: "pause_account", Queue: "resume", State: "available", Priority: 1, Args: now},
		"needs_verification": {Kind: "pause_account", Queue: "resume", State: "available", Priority: 1, Args: now},
		"error":              {Kind: "pause_account", Queue: "resume", State: "scheduled", Priority: 1, Args: now, Delay: gracePeriod},
		"connecting":         {Kind: "pause_account", Queue: "resume", State: "scheduled", Priority: 1, Args: now, Delay: gracePeriod},
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			db := withAnn(t)
			require.Equal(t, "applied", receive(t, db, delivery{status: status}))
			require.Equal(t, []job{want}, jobs(t, db))
			if want.Kind == "pause_account" {
				require.Equal(t, want.Delay, testdb.Value[time.Duration](t, db,
					"SELECT a.pause_after - s.received_at FROM thaw.accounts AS a, thaw.account_signals AS s"))
			} else {
				require.Nil(t, pauseAfter(t, db))
			}
		})
	}
}

// Every connect signal enqueues a pass, also a repeated one, so that prospects that were paused
// during the first pass are resumed.
func TestEveryConnectEnqueuesAJob(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	for range 3 {
		require.Equal(t, "applied", receive(t, db, delivery{status: "connected"}))
	}
	require.Equal(t, []string{"resume_account 1", "resume_account 2", "resume_account 3"}, testdb.Column[string](t, db,
		"SELECT kind || ' ' || (args ->> 'signal_id') FROM thaw.river_job ORDER BY id"))
}

func TestPauseDue(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	t.Run("the grace period starts with the first signal", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		start := db.Now(t)
		receive(t, db, delivery{status: "error", at: start.Add(-30 * time.Minute)})
		require.Equal(t, start.Add(-30*time.Minute).Add(2*hour), *pauseAfter(t, db))
		db.Advance(t, hour)
		receive(t, db, delivery{status: "connecting"})
		receive(t, db, delivery{status: "error"})
		require.Equal(t, start.Add(-30*time.Minute).Add(2*hour), *pauseAfter(t, db))
		require.Len(t, jobs(t, db), 1, "one job is enough")
	})
	t.Run("a pause for an old transient error is due", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		start := db.Now(t)
		receive(t, db, delivery{status: "error", at: start.Add(-3 * hour)})
		require.Equal(t, start.Add(-hour), *pauseAfter(t, db))
		require.Equal(t, "available", jobs(t, db)[0].State)
	})
	t.Run("the grace period of a future signal starts now", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		receive(t, db, delivery{status: "error", at: db.Now(t).AddDate(1, 0, 0)})
		require.Equal(t, 2*hour, testdb.Value[time.Duration](t, db,
			"SELECT a.pause_after - s.received_at FROM thaw.accounts AS a, thaw.account_signals AS s"))
	})
	t.Run("the grace period is a setting", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		start := db.Now(t)
		db.Exec(t, "UPDATE thaw.settings SET grace_period = '10 minutes'")
		receive(t, db, delivery{status: "error", at: start})
		require.Equal(t, start.Add(10*time.Minute), *pauseAfter(t, db))
	})
	t.Run("a hard disconnect ends the grace period", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		receive(t, db, delivery{status: "error"})
		receive(t, db, delivery{status: "disconnected"})
		require.WithinDuration(t, db.Now(t), *pauseAfter(t, db), time.Minute)
		require.Len(t, jobs(t, db), 2)
		require.Equal(t, "available", jobs(t, db)[1].State)
	})
	t.Run("a transient error does not postpone a due pause", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		receive(t, db, delivery{status: "disconnected"})
		due := pauseAfter(t, db)
		receive(t, db, delivery{status: "connecting"})
		receive(t, db, delivery{status: "disconnected"})
		require.Equal(t, due, pauseAfter(t, db))
		require.Len(t, jobs(t, db), 1)
	})
	t.Run("connected cancels a pause", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		receive(t, db, delivery{status: "error"})
		receive(t, db, delivery{status: "connected"})
		require.Nil(t, pauseAfter(t, db))
		receive(t, db, delivery{status: "error"})
		require.Equal(t, 2*hour, jobs(t, db)[2].Delay, "the next transient error has a new grace period")
	})
	t.Run("a new account has nothing to pause", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		receive(t, db, delivery{status: "connecting", justCreated: true})
		require.Nil(t, pauseAfter(t, db))
		require.Empty(t, jobs(t, db))
		receive(t, db, delivery{status: "connecting"})
		require.NotNil(t, pauseAfter(t, db), "a later transient error counts as usual")
	})
	t.Run("a creation does not cancel a due pause", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		receive(t, db, delivery{status: "error"})
		due := pauseAfter(t, db)
		receive(t, db, delivery{status: "connecting", justCreated: true})
		require.Equal(t, due, pauseAfter(t, db))
	})
	t.Run("a stale signal changes nothing", func(t *testing.T) {
		t.Parallel()
		db := withAnn(t)
		start := db.Now(t)
		receive(t, db, delivery{status: "connected", at: start})
		require.Equal(t, "stale", receive(t, db, delivery{status: "disconnected", at: start.Add(-hour)}))
		require.Nil(t, pauseAfter(t, db))
		require.Len(t, jobs(t, db), 1)
	})
}
