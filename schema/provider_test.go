package schema_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

func blockedBy(t testing.TB, db *testdb.DB, account string) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT coalesce(thaw.blocked_by(a), '') FROM thaw.accounts AS a WHERE a.provider_account_id = $1", account)
}

func say(t testing.TB, db *testdb.DB, account, status string) string {
	t.Helper()
	return testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', $1, $2)", account, status)
}

// A lock takes effect at once and does not change the status; no status lifts it.
func TestLockIsIndependentOfStatus(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 1)
	require.Equal(t, "applied", say(t, db, "a1", "locked"))
	require.Equal(t, "account_locked", blockedBy(t, db, "a1"))
	require.Equal(t, "account_locked", testdb.Value[string](t, db, "SELECT thaw.sending_held_by('a1')"))
	require.Equal(t, "connected", statusOf(t, db, "a1"))
	require.Equal(t, "applied", say(t, db, "a1", "connected"))
	require.Equal(t, "account_locked", blockedBy(t, db, "a1"), "a connected signal does not unlock")

	db.Exec(t, "UPDATE thaw.river_job SET state = 'completed', finalized_at = now()")
	require.Equal(t, "applied", say(t, db, "a1", "unlocked"))
	require.Empty(t, blockedBy(t, db, "a1"))
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job WHERE kind = 'resume_account' AND state = 'available'"), "waiting prospects are resumed")
	now := db.Now(t)
	require.Equal(t, "stale", testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', 'a1', 'locked', $1)", now.Add(-time.Minute)))
	require.Empty(t, blockedBy(t, db, "a1"))
}

// A login succeeded, but the account counts as connected only when the provider confirms it.
func TestLoginIsNotAConnection(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 1)
	say(t, db, "a1", "disconnected")
	db.Exec(t, "DELETE FROM thaw.river_job")
	require.Equal(t, "applied", say(t, db, "a1", "reconnected"))
	require.Equal(t, "connecting", statusOf(t, db, "a1"))
	require.True(t, testdb.Value[bool](t, db, "SELECT reconnected_at IS NOT NULL FROM thaw.accounts"))
	require.Empty(t, testdb.Column[string](t, db, "SELECT kind FROM thaw.river_job WHERE kind = 'resume_account'"))
	say(t, db, "a1", "connected")
	require.Equal(t, "connected", statusOf(t, db, "a1"))
	require.Equal(t, []string{"resume_account"}, testdb.Column[string](t, db, "SELECT kind FROM thaw.river_job WHERE kind = 'resume_account'"))
	for _, late := range []string{"reconnected", "connecting"} {
		require.Equal(t, "stale", say(t, db, "a1", late))
		require.Equal(t, "connected", statusOf(t, db, "a1"), "%s after connected", late)
	}
}

// Unipile v1 sends no times: the CREATION_SUCCESS of a login may arrive after the OK that followed
// it.
func TestLateCreationDoesNotDisconnect(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	require.Equal(t, "applied", receive(t, db, delivery{status: "connected", raw: "OK"}))
	require.Equal(t, "stale", receive(t, db, delivery{status: "connecting", raw: "CREATION_SUCCESS", justCreated: true}))
	require.Equal(t, "connected", statusOf(t, db, "ann"))
}

// The status of one product does not change the status of the account.
func TestProductStatusDoesNotChangeAccount(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 1)
	product := func(status, product string) string {
		return testdb.Value[string](t, db, "SELECT thaw.receive_signal('linkedin', 'a1', $1, $1, NULL, NULL, NULL, false, NULL, $2)::text", status, product)
	}
	require.Equal(t, "applied", product("disconnected", "sales_navigator"))
	require.Equal(t, "connected", statusOf(t, db, "a1"))
	say(t, db, "a1", "disconnected")
	require.Equal(t, "applied", product("connected", "sales_navigator"))
	require.Equal(t, "applied", product("error", "classic"))
	require.Equal(t, "disconnected", statusOf(t, db, "a1"))
	require.Equal(t, []string{"classic error", "sales_navigator connected"},
		testdb.Column[string](t, db, "SELECT product || ' ' || status FROM thaw.account_products ORDER BY product"))
	const downSince = "SELECT down_since FROM thaw.account_products WHERE product = 'classic'"
	since := testdb.Value[time.Time](t, db, downSince)
	db.Advance(t, time.Hour)
	require.Equal(t, "applied", product("disconnected", "classic"))
	require.Equal(t, since, testdb.Value[time.Time](t, db, downSince), "down since the first signal, not a later one")
	require.Equal(t, "applied", product("connected", "classic"))
	require.Nil(t, testdb.Value[*time.Time](t, db, downSince))
	require.Equal(t, "applied", product("error", "classic"))
	require.True(t, testdb.Value[time.Time](t, db, downSince).After(since))
	for i := range 30 {
		product("error", fmt.Sprint("product_", i))
	}
	require.Equal(t, 16, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_products"), "bounded")
}

// The UPDATE in docs/sql.md also works after a disconnect.
func TestPlainUpdateToConnectedClearsTheError(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 1)
	receive(t, db, delivery{account: "a1", status: "disconnected", raw: "CREDENTIALS"})
	db.Exec(t, "UPDATE thaw.accounts SET status = 'connected'")
	require.Equal(t, "connected", statusOf(t, db, "a1"))
}

func TestSignalTimesAndTextsAreBounded(t *testing.T) {
	t.Parallel()
	db := withAnn(t)
	for _, at := range []string{"infinity", "-infinity", "12000-01-01", "0001-01-01 BC", "1999-12-31 23:59:59+00"} {
		err := violation(t, db.Pool, fmt.Sprintf("SELECT thaw.signal('linkedin', 'ann', 'connected', '%s')", at))
		require.Equal(t, "22023", err.Code, at)
		require.Contains(t, err.Hint, "2000 to 2099")
	}
	for _, status := range []string{strings.Repeat("x", 257), "a\nb", "a\x1b[2Kb"} {
		require.Equal(t, "22023", violation(t, db.Pool, "SELECT thaw.signal('linkedin', 'ann', '"+status+"')").Code)
	}
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.account_signals"))
}

// A fleet moves from the v1 API to v2: the new accounts become siblings of the old ones, as the
// provider reports.
func TestFormerAccountIsASibling(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 3)
	db.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('globex')")
	db.Exec(t, "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'new1'), (2, 'new2')")
	for i := 1; i <= 3; i++ {
		say(t, db, fmt.Sprint("a", i), "removed")
		testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', $1, 'connected', v1_account_id => $2)", fmt.Sprint("new", i), fmt.Sprint("a", i))
	}
	insertedLater := "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'new3')"
	db.Exec(t, insertedLater)

	require.Equal(t, []string{"a1 through new1", "new1 through new1", "a3 through new3", "new3 through new3", "new2 through new2"}, testdb.Column[string](t, db, `
		SELECT s.provider_account_id || ' through ' || g.provider_account_id
		FROM thaw.resume_targets AS w JOIN thaw.accounts AS s ON s.id = w.source_id JOIN thaw.accounts AS g ON g.id = w.target_id
		ORDER BY CASE g.provider_account_id WHEN 'new1' THEN 1 WHEN 'new3' THEN 2 ELSE 3 END, s.provider_account_id`),
		"links stay within a workspace, and an early signal creates one too")
	require.Equal(t, []int64{1, 4}, testdb.Value[[]int64](t, db, "SELECT thaw.sources_of(4)"))
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.manual_actions WHERE what = 'linked' AND actor = 'provider'"))
}

func TestLinkAccounts(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 3)
	db.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('globex')")
	db.Exec(t, "INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (2, 'theirs')")
	db.Exec(t, "INSERT INTO thaw.accounts (workspace_id, provider, provider_account_id) VALUES (1, 'email', 'ada@acme.example'), (1, 'email', 'ada@new.example')")
	db.Exec(t, "SELECT thaw.link_accounts('ada@acme.example', 'ada@new.example', 'a new domain', 'ann')")
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.siblings"))
	db.Exec(t, "UPDATE thaw.accounts SET link_id = NULL")
	db.Exec(t, "SELECT thaw.link_accounts('a1', 'a2', 'moved to v2', 'ann')")
	db.Exec(t, "SELECT thaw.link_accounts('a3', 'a2', 'and before that', 'ann')")
	require.Equal(t, []string{"1 2", "1 3", "2 1", "2 3", "3 1", "3 2"},
		testdb.Column[string](t, db, "SELECT account_id || ' ' || sibling_id FROM thaw.siblings ORDER BY 1"))
	for _, sql := range []string{
		"SELECT thaw.link_accounts('a1', 'theirs', 'why', 'ann')", "SELECT thaw.link_accounts('a1', 'a1', 'why', 'ann')",
		"SELECT thaw.link_accounts('a1', 'ada@acme.example', 'why', 'ann')",
		"SELECT thaw.link_accounts('a1', 'a2', ' ', 'ann')",
		"UPDATE thaw.accounts SET member_id = provider_account_id; SELECT thaw.link_accounts('a1', 'a2', 'why', 'ann')",
	} {
		require.Equal(t, "22023", violation(t, db.Pool, sql).Code, sql)
	}
}

// flap disconnects an account and connects it again a minute later.
func flap(t testing.TB, db *testdb.DB, account string, times int) {
	t.Helper()
	for range times {
		db.Advance(t, time.Minute)
		say(t, db, account, "disconnected")
		db.Advance(t, time.Minute)
		say(t, db, account, "connected")
	}
}

// After three losses within an hour, resuming waits until the account has been connected for ten
// minutes.
func TestFlappingAccountWaits(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 1)
	flap(t, db, "a1", 2)
	require.Empty(t, blockedBy(t, db, "a1"))
	flap(t, db, "a1", 1)
	require.Equal(t, "account_flapping", blockedBy(t, db, "a1"))
	require.True(t, testdb.Value[bool](t, db, `
		SELECT job.state = 'scheduled' AND job.scheduled_at > job.created_at + interval '9 minutes'
		FROM thaw.river_job AS job WHERE job.kind = 'resume_account' ORDER BY job.id DESC LIMIT 1`), "its pass comes after the wait")
	db.Advance(t, 9*time.Minute)
	require.Equal(t, "account_flapping", blockedBy(t, db, "a1"))
	db.Advance(t, 2*time.Minute)
	require.Empty(t, blockedBy(t, db, "a1"))
	db.Advance(t, time.Hour)
	flap(t, db, "a1", 2)
	require.Empty(t, blockedBy(t, db, "a1"), "an hour later the count starts over")
	db.Exec(t, "UPDATE thaw.settings SET flap_limit = 0")
	flap(t, db, "a1", 3)
	require.Empty(t, blockedBy(t, db, "a1"), "switched off")
}

// Ten of fifty accounts that flap continuously trigger safety mode once, not for hours.
func TestFlappingAccountsDoNotKeepSafetyModeOn(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 50)
	db.Exec(t, "UPDATE thaw.settings SET safety_window = '10 minutes', safety_calm = '30 minutes'")
	safe := 0
	for range 120 {
		db.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE id <= 10")
		db.Exec(t, "UPDATE thaw.accounts SET status = 'connected' WHERE id <= 10")
		watch(t, db)
		if isSafe(t, db) {
			safe++
		}
		db.Advance(t, time.Minute)
	}
	require.Positive(t, safe)
	require.Less(t, safe, 60, "safety mode ends although the accounts keep flapping")
}

// Nine losses per ten minutes are below the threshold of the short window, but over hours they
// exceed that of the slow window.
func TestSlowLossesEnterSafetyMode(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 100)
	for lost := 9; ; lost += 9 {
		db.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE id > $1::bigint - 9 AND id <= $1", lost)
		watch(t, db)
		if isSafe(t, db) {
			require.LessOrEqual(t, lost, 36)
			break
		}
		require.Less(t, lost, 72, "the losses were not noticed")
		db.Advance(t, 11*time.Minute)
	}
	require.Contains(t, actions(t, db)[0], "of 100 connected accounts were lost within 6 hours")

	// Accounts that stay lost do not keep safety mode on.
	for range 45 {
		db.Advance(t, time.Minute)
		watch(t, db)
	}
	require.False(t, isSafe(t, db))
}

// A signal that takes a connection away does not count all earlier losses.
func TestLossCostIsConstant(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 3000)
	watch(t, db)
	db.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE id <= 500")
	require.False(t, testdb.Value[bool](t, db, "SELECT (thaw.losses()).is_breach"))
	db.Advance(t, time.Second)
	watch(t, db)
	db.Advance(t, 11*time.Minute)
	watch(t, db)
	lose(t, db, 501, 501)
	require.False(t, testdb.Value[bool](t, db, "SELECT thaw.may_be_breach()"))
	db.Exec(t, "UPDATE thaw.accounts SET status = 'disconnected' WHERE id BETWEEN 502 AND 1100")
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.may_be_breach()"), "true if there is a breach")
	require.True(t, testdb.Value[bool](t, db, "SELECT (thaw.losses()).is_breach"))
}

// A provider is silent for longer than its usual gaps.
func TestProviderSilence(t *testing.T) {
	t.Parallel()
	db := withConnected(t, 1)
	deliver := func() {
		testdb.Value[string](t, db, "SELECT thaw.receive_signal('linkedin', 'a1', 'OK', 'connected', NULL, NULL, NULL, false, '{}')::text")
	}
	silent := func() bool {
		db.Exec(t, "SELECT thaw.learn_silence()")
		return testdb.Value[bool](t, db, "SELECT coalesce((SELECT is_silent FROM thaw.provider_silence WHERE provider = 'linkedin'), false)")
	}
	require.False(t, silent(), "nothing is learned yet")
	for range 20 { // Two signals a day, twelve hours apart.
		deliver()
		require.False(t, silent())
		db.Advance(t, 12*time.Hour)
	}
	db.Advance(t, 11*time.Hour)
	require.False(t, silent(), "twice as long is not unusual yet")
	db.Advance(t, 2*time.Hour)
	require.True(t, silent())
	say(t, db, "a1", "connected")
	require.True(t, silent(), "signals in SQL do not count as webhook signals")
	db.Exec(t, "UPDATE thaw.settings SET silence_factor = 0")
	require.False(t, silent(), "switched off")
	db.Exec(t, "UPDATE thaw.settings SET silence_factor = 2")
	deliver()
	require.False(t, silent())
}

// An outage is reported once, with the number of paused prospects, and its end is reported too.
func TestOutageIsReportedOnce(t *testing.T) {
	t.Parallel()
	db := withReceiver(t)
	types := func() []string {
		return testdb.Column[string](t, db, "SELECT type FROM thaw.outbox WHERE type LIKE 'account.%' AND type <> 'account.drained' ORDER BY id")
	}
	receive(t, db, delivery{status: "connected"})
	receive(t, db, delivery{status: "disconnected"})
	pause := func() {
		for testdb.Value[string](t, db, "SELECT verdict FROM thaw.pause_batch(1, 10, 3, NULL, 1)") == "more" {
		}
	}
	pause()
	receive(t, db, delivery{status: "error"})
	db.Exec(t, "UPDATE thaw.accounts SET pause_after = thaw.now()")
	pause()
	require.Equal(t, []string{"account.needs_reconnect"}, types())
	require.True(t, testdb.Value[bool](t, db, `
		SELECT (o.data ->> 'paused')::integer = (SELECT count(*) FROM thaw.enrollments WHERE waits_for_account) AND o.data ->> 'since' <> ''
			AND o.data ->> 'status' = 'disconnected' AND o.data ->> 'advice' = 'The owner has to reconnect the account in the platform.'
		FROM thaw.outbox AS o WHERE o.type = 'account.needs_reconnect'`))
	receive(t, db, delivery{status: "connected"})
	require.Equal(t, []string{"account.needs_reconnect", "account.recovered"}, types())
	receive(t, db, delivery{status: "connected"})
	require.Len(t, types(), 2)
}
