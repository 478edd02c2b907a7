package importer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/testdb"
)

func TestImportLoadsAFleet(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	content := file(
		fields{"step": "3", "next_action_at": "2026-02-03T09:00:00+02:00"},
		waiting(prospect("bob")).with("account", "seat-2").with("account_status", "disconnected").with("member", ""),
		fields{"workspace": "globex", "account": "seat-3", "campaign_status": "paused", "campaign_paused_reason": "subscription_inactive"},
	)
	result := load(t, db, content)
	require.Positive(t, result.Seconds)
	result.Seconds = 0
	require.Equal(t, importer.Result{Rows: 3, Workspaces: 2, Accounts: 3, Campaigns: 2, Enrollments: 3, Inserted: 3}, result)

	require.Equal(t, []string{
		"acme/spring/ada on seat-1: active step 3",
		"acme/spring/bob on seat-2: paused account_disconnected step 0",
		"globex/spring/ada on seat-3: active step 0",
	}, testdb.Column[string](t, db, `
		SELECT format('%s/%s/%s on %s: %s step %s', w.key, c.key, substr(e.prospect_url, 29), a.provider_account_id,
			concat_ws(' ', e.status, e.paused_reason), e.step)
		FROM thaw.enrollments AS e
		JOIN thaw.workspaces AS w ON w.id = e.workspace_id
		JOIN thaw.campaigns AS c ON c.id = e.campaign_id
		JOIN thaw.accounts AS a ON a.id = e.account_id
		ORDER BY 1`))
	require.Equal(t, time.Date(2026, 2, 3, 7, 0, 0, 0, time.UTC), testdb.Value[time.Time](t, db,
		"SELECT next_action_at FROM thaw.enrollments WHERE next_action_at IS NOT NULL").UTC())
	require.Equal(t, time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC), testdb.Value[time.Time](t, db,
		"SELECT paused_at FROM thaw.enrollments WHERE paused_at IS NOT NULL").UTC())

	// There is no signal yet. Connected accounts have been connected since the import.
	require.Equal(t, []string{"seat-1 jane connected t", "seat-2 - disconnected f", "seat-3 jane connected t"},
		testdb.Column[string](t, db, `
			SELECT format('%s %s %s %s', provider_account_id, coalesce(member_id, '-'), status,
				first_connected_at IS NOT NULL AND connected_at = first_connected_at)
			FROM thaw.accounts WHERE provider = 'linkedin' AND status_at IS NULL ORDER BY 1`))
	require.Equal(t, []string{"paused subscription_inactive t", "running  f"}, testdb.Column[string](t, db,
		"SELECT format('%s %s %s', status, paused_reason, paused_at IS NOT NULL) FROM thaw.campaigns ORDER BY 1"))

	// An import sets the state without jobs or events.
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job"))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollment_events"))
}

func TestImportAgainTouchesNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	content := file(
		fields{"next_action_at": "2026-02-03T09:00:00Z"},
		waiting(prospect("bob")),
		fields{"account": "seat-2", "member": "", "campaign": "summer", "campaign_status": "paused", "campaign_paused_reason": "paused_by_user"},
	)
	load(t, db, content)
	rowVersions := `
		SELECT xmin::text || ctid::text FROM thaw.enrollments UNION ALL SELECT xmin::text || ctid::text FROM thaw.campaigns
		UNION ALL SELECT xmin::text || ctid::text FROM thaw.workspaces UNION ALL SELECT ctid::text || status FROM thaw.accounts`
	before := testdb.Column[string](t, db, rowVersions)

	db.Advance(t, time.Hour)
	result := load(t, db, content)
	require.EqualValues(t, 3, result.Unchanged)
	require.Zero(t, result.Inserted+result.Updated)
	require.ElementsMatch(t, before, testdb.Column[string](t, db, rowVersions))
}

func TestImportRecordsTransitionsInHistory(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(
		fields{"prospect_url": prospect("becomes-paused"), "step": "4"},
		waiting(prospect("becomes-active")).with("step", "2"),
		waiting(prospect("replied")),
		fields{"prospect_url": prospect("moved")},
		fields{"prospect_url": prospect("same")},
	))
	result := load(t, db, file(
		waiting(prospect("becomes-paused")).with("step", "5"),
		fields{"prospect_url": prospect("becomes-active"), "account": "seat-2", "step": "3"},
		fields{"prospect_url": prospect("replied"), "status": "replied"},
		fields{"prospect_url": prospect("moved"), "account": "seat-2"},
		fields{"prospect_url": prospect("same")},
		waiting(prospect("new")),
	))
	require.EqualValues(t, 4, result.Updated)
	require.EqualValues(t, 1, result.Unchanged)
	require.EqualValues(t, 1, result.Inserted)

	// The history has transitions, with the previous step. A move to another account alone is not
	// in the history.
	require.Equal(t, []string{
		"becomes-active: resumed paused -> active, account_disconnected, step 2, seat-1 -> seat-2",
		"becomes-paused: paused active -> paused, account_disconnected, step 4, seat-1 -> seat-1",
		"replied: imported paused -> replied, account_disconnected, step 0, seat-1 -> seat-1",
	}, testdb.Column[string](t, db, `
		SELECT format('%s: %s %s -> %s, %s, step %s, %s -> %s', substr(prospect_url, 29), kind, from_status, to_status, reason,
			step, from_account, to_account)
		FROM thaw.history WHERE source = 'import' ORDER BY 1`))
	require.Equal(t, []string{"moved"}, testdb.Column[string](t, db, `
		SELECT substr(e.prospect_url, 29) FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE a.provider_account_id = 'seat-2' AND e.id NOT IN (SELECT enrollment_id FROM thaw.enrollment_events)`))
}

func TestImportChangesAccountLikeNewerSignal(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(fields{"account_status": "connected"}))
	db.Exec(t, "SELECT thaw.signal('linkedin', 'seat-1', 'error')")
	require.True(t, testdb.Value[bool](t, db, "SELECT pause_after IS NOT NULL AND last_error IS NOT NULL FROM thaw.accounts"))
	jobs := testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job")
	firstConnected := testdb.Value[time.Time](t, db, "SELECT first_connected_at FROM thaw.accounts")

	db.Advance(t, time.Hour)
	load(t, db, file(fields{"account_status": "disconnected", "member": ""}))
	require.Equal(t, "disconnected jane", testdb.Value[string](t, db, `
		SELECT format('%s %s', status, member_id) FROM thaw.accounts
		WHERE pause_after IS NULL AND last_error IS NULL AND status_at > first_connected_at + interval '59 minutes'`))

	db.Advance(t, time.Hour)
	load(t, db, file(fields{"account_status": "connected", "member": "janet"}))
	require.Equal(t, "connected janet", testdb.Value[string](t, db, `
		SELECT format('%s %s', status, member_id) FROM thaw.accounts
		WHERE connected_at = status_at AND connected_at > first_connected_at + interval '119 minutes'`))
	require.Equal(t, firstConnected, testdb.Value[time.Time](t, db, "SELECT first_connected_at FROM thaw.accounts"))
	require.Equal(t, jobs, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job"), "an import enqueues no jobs")
}

func TestImportChangesACampaign(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	paused := fields{"campaign_status": "paused", "campaign_paused_reason": "high_failure_rate"}
	load(t, db, file(plain))
	for _, line := range []fields{paused, paused.with("campaign_paused_reason", "subscription_inactive"), plain, {"campaign_status": "completed"}} {
		db.Advance(t, time.Hour)
		load(t, db, file(line))
	}
	require.Equal(t, []string{
		"paused running -> paused, high_failure_rate",
		"resumed paused -> running, subscription_inactive",
		"imported running -> completed, ",
	}, testdb.Column[string](t, db, `
		SELECT format('%s %s -> %s, %s', kind, from_status, to_status, reason) FROM thaw.campaign_events
		WHERE source = 'import' ORDER BY id`))
}

func TestImportKeepsStartOfCampaignPause(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	paused := fields{"campaign_status": "paused", "campaign_paused_reason": "high_failure_rate"}
	load(t, db, file(paused))
	since := testdb.Value[time.Time](t, db, "SELECT paused_at FROM thaw.campaigns")
	db.Advance(t, time.Hour)
	load(t, db, file(paused.with("campaign_paused_reason", "subscription_inactive")))
	require.Equal(t, since, testdb.Value[time.Time](t, db,
		"SELECT paused_at FROM thaw.campaigns WHERE paused_reason = 'subscription_inactive'"))
}

func TestEarlySignalIsAppliedToImportedAccount(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	require.Equal(t, "unknown_account", testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', 'seat-1', 'connected')"))
	load(t, db, file(waiting(prospect("ada")).with("account_status", "disconnected")))
	require.Equal(t, "connected", testdb.Value[string](t, db,
		"SELECT status::text FROM thaw.accounts WHERE status_at IS NOT NULL AND connected_at IS NOT NULL"))
	require.Equal(t, "applied", testdb.Value[string](t, db, "SELECT outcome::text FROM thaw.account_signals"))
	require.Equal(t, []string{"resume_account"}, testdb.Column[string](t, db, "SELECT kind FROM thaw.river_job"), "the signal resumes the prospects")
}

func TestSignalDuringAnImportIsNewerThanTheFile(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(fields{"account_status": "connected"}))

	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := importer.Import(t.Context(), db.Pool, r, importer.Options{})
		done <- err
	}()
	// The header is read inside the transaction. So the transaction has begun once the pipe has
	// accepted the header.
	_, err := io.WriteString(w, file(fields{"account_status": "error"}))
	require.NoError(t, err)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'seat-1', 'disconnected')")
	require.NoError(t, w.Close())
	require.NoError(t, <-done)
	require.Equal(t, "disconnected", testdb.Value[string](t, db, "SELECT status::text FROM thaw.accounts WHERE pause_after IS NOT NULL"))
}

func TestImportAcceptsWhatSpreadsheetsAndDatabasesWrite(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	content := "\ufeffstep,next_action_at,status,prospect_url,paused_reason,paused_at,campaign,campaign_status,campaign_paused_reason,account,account_status,member,workspace\r\n" +
		"1,2026-01-02 03:04:05+00,active,http://example.com/in/ada,,,\"spring, \"\"early\"\"; late\",running,,seat-1,connected,,acme\r\n" +
		",,paused,https://example.com/in/bob,paused_by_user,2026-01-02 03:04:05.678901-03:30,summer,draft,,seat-1,connected,,acme\r\n"
	require.EqualValues(t, 2, load(t, db, content).Inserted)
	require.Equal(t, []string{"spring, \"early\"; late", "summer"}, testdb.Column[string](t, db, "SELECT key FROM thaw.campaigns ORDER BY 1"))
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), testdb.Value[time.Time](t, db,
		"SELECT next_action_at FROM thaw.enrollments WHERE step = 1").UTC())
	require.Equal(t, time.Date(2026, 1, 2, 6, 34, 5, 678901000, time.UTC), testdb.Value[time.Time](t, db,
		"SELECT paused_at FROM thaw.enrollments WHERE step = 0").UTC())
}

// A prospect may be an e-mail address. Two spellings of it are the same prospect.
func TestImportOfMailAddresses(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(fields{"prospect_url": "ada@example.com"}, waiting("mailto:bob@example.com")))
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE prospect_url IN ('ada@example.com', 'mailto:bob@example.com')"))
	_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(file(fields{"prospect_url": "Bob@Example.com"})), importer.Options{})
	require.ErrorContains(t, err, "spelled mailto:bob@example.com")
}

// A file with the deprecated reasons is the same file as one with the current ones.
func TestImportAcceptsDeprecatedReasons(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	old := waiting(prospect("bob")).with("paused_reason", "linkedin_account_issue").
		with("campaign_status", "paused").with("campaign_paused_reason", "linkedin_high_failure_rate")
	load(t, db, file(old))
	require.Equal(t, "paused account_issue", statusOf(t, db, "bob"))
	require.Equal(t, "high_failure_rate", testdb.Value[string](t, db, "SELECT paused_reason::text FROM thaw.campaigns"))

	current := old.with("paused_reason", "account_issue").with("campaign_paused_reason", "high_failure_rate")
	require.EqualValues(t, 1, load(t, db, file(current)).Unchanged)
	both := load(t, db, file(old, current.with("prospect_url", prospect("eve"))))
	require.EqualValues(t, 1, both.Unchanged, "lines with both words agree about their campaign")
}

func TestImportOfHeaderOnly(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	result := load(t, db, file())
	result.Seconds = 0
	require.Equal(t, importer.Result{}, result)
}

func TestImportReportsProgress(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	lines := make([]fields, 0, 2500)
	for i := range 2500 {
		lines = append(lines, fields{"prospect_url": prospect("p" + strings.Repeat("x", i%50) + time.Duration(i).String())})
	}
	content := file(lines...)
	var rows, bytes []int64
	_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(content), importer.Options{Progress: func(r, b int64) {
		rows, bytes = append(rows, r), append(bytes, b)
	}})
	require.NoError(t, err)
	require.Equal(t, []int64{1000, 2000, 2500}, rows)
	require.IsNonDecreasing(t, bytes)
	require.EqualValues(t, len(content), bytes[len(bytes)-1])
}

func TestImportCancelledWhileStagingLoadsNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := importer.Import(ctx, db.Pool, generateFleet(t, 20_000), importer.Options{
		Progress: func(rows, _ int64) {
			if rows == 10_000 {
				cancel()
			}
		},
	})
	require.ErrorIs(t, err, context.Canceled)
	requireEmpty(t, db)
}

// Committed slices stay and the waiting slice is rolled back. Importing the same file again loads
// the rest.
func TestCancelledImportIsCompletedBySameFile(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(plain))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	holder, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = holder.Exec(t.Context(), "SELECT FROM thaw.accounts FOR NO KEY UPDATE")
	require.NoError(t, err)

	content := file(waiting(prospect("ada")), fields{"account": "new", "prospect_url": prospect("eve")})
	done := make(chan error, 1)
	go func() {
		_, err := importer.Import(ctx, db.Pool, strings.NewReader(content), importer.Options{})
		done <- err
	}()
	waitUntilBlocked(t, db)
	cancel()
	err = <-done
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "0 of 2 rows are loaded: import the same file again to load the rest")
	require.Equal(t, []string{"active"}, testdb.Column[string](t, db, "SELECT status::text FROM thaw.enrollments"))

	require.NoError(t, holder.Rollback(t.Context()))
	result := load(t, db, content)
	require.EqualValues(t, 1, result.Updated)
	require.EqualValues(t, 1, result.Inserted)
	// The new account is a sibling of an existing one, so it became connected only after its rows
	// were loaded.
	require.Equal(t, []string{"new connected t", "seat-1 connected t"}, testdb.Column[string](t, db,
		"SELECT concat_ws(' ', provider_account_id, status, connected_at IS NOT NULL) FROM thaw.accounts ORDER BY 1"))
}

// An import locks an account for one slice at a time, so a signal does not wait for the whole
// import. A pause that ended before the last rows of its account were loaded is queued again.
func TestSignalsDoNotWaitForAnImport(t *testing.T) {
	t.Parallel()
	const accounts, rows = 40, 12_000
	db := testdb.New(t)
	lines := make([]fields, 0, rows+1)
	for i := range rows {
		// The first account has the greatest ID, so the slice that waits below has not locked it
		// yet.
		account := "z"
		if i*accounts/rows > 0 {
			account = fmt.Sprint("seat-", i*accounts/rows)
		}
		lines = append(lines, fields{"account": account, "member": "", "prospect_url": prospect(fmt.Sprint("p", i))})
	}
	load(t, db, file(lines[0], lines[rows-1]))
	lines = append(lines, lines[0].with("prospect_url", prospect("late")))

	holder, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = holder.Exec(t.Context(), "SELECT FROM thaw.accounts WHERE provider_account_id = $1 FOR NO KEY UPDATE", fmt.Sprint("seat-", accounts-1))
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(file(lines...)), importer.Options{})
		done <- err
	}()
	waitUntilBlocked(t, db)
	require.Greater(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments"), 1000, "slices are committed")
	db.Exec(t, "SET lock_timeout = '2s'; SELECT thaw.signal('linkedin', 'z', 'disconnected')")
	db.Exec(t, `SELECT thaw.pause_batch(a.id, 1000, s.id, NULL, 1)
		FROM thaw.accounts AS a JOIN thaw.account_signals AS s ON s.account_id = a.id WHERE a.provider_account_id = 'z'`)
	require.Equal(t, rows/accounts, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'"))

	require.NoError(t, holder.Rollback(t.Context()))
	require.NoError(t, <-done)
	require.Equal(t, rows+1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments"))
	require.Equal(t, []string{"late"}, testdb.Column[string](t, db, `
		SELECT substr(e.prospect_url, 29) FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE a.provider_account_id = 'z' AND e.status = 'active'`))
	// The signal is newer than the file, and the next sweep pauses the account again.
	require.Equal(t, "disconnected", testdb.Value[string](t, db, "SELECT status::text FROM thaw.accounts WHERE pause_after IS NOT NULL"))
}

// A new account of the same person could resume paused prospects. So it becomes connected only
// after all rows are loaded.
func TestNothingIsResumedByHalfAnImport(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	load(t, db, file(waiting(prospect("ada")).with("account_status", "disconnected")))
	holder, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = holder.Exec(t.Context(), "SELECT FROM thaw.accounts FOR NO KEY UPDATE")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := importer.Import(t.Context(), db.Pool, strings.NewReader(file(
			waiting(prospect("ada")).with("account_status", "disconnected").with("paused_reason", "paused_by_user"),
			fields{"account": "new", "prospect_url": prospect("eve")})), importer.Options{})
		done <- err
	}()
	waitUntilBlocked(t, db)
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.resume_targets"))
	require.NoError(t, holder.Rollback(t.Context()))
	require.NoError(t, <-done)
	require.Equal(t, "paused paused_by_user", statusOf(t, db, "ada"))
	require.Equal(t, "connected", testdb.Value[string](t, db, "SELECT status::text FROM thaw.accounts WHERE provider_account_id = 'new'"))
}

func TestImportReportsReadError(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	broken := errors.New("the disk is gone")
	_, err := importer.Import(t.Context(), db.Pool,
		io.MultiReader(strings.NewReader(file(plain)), iotest.ErrReader(broken)), importer.Options{})
	require.ErrorIs(t, err, broken)
	requireEmpty(t, db)
}

func TestResultIsJSONInSnakeCase(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(importer.Result{Rows: 1, Seconds: 0.5})
	require.NoError(t, err)
	require.JSONEq(t, `{"rows":1,"newer_enrollments":0,"newer_campaigns":0,"newer_accounts":0,"workspaces":0,"accounts":0,"campaigns":0,"enrollments":0,"inserted":0,"updated":0,"unchanged":0,
		"kept_enrollments":0,"kept_campaigns":0,"kept_accounts":0,"resumed_since":0,"seconds":0.5}`, string(text))
}

// waitUntilBlocked waits until a connection to the database waits for a lock.
func waitUntilBlocked(t testing.TB, db *testdb.DB) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	require.Eventually(t, func() bool {
		var blocked bool
		err := conn.QueryRow(t.Context(), `
			SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&blocked)
		return err == nil && blocked
	}, 20*time.Second, 5*time.Millisecond)
}
