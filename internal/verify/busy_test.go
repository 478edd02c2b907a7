package verify_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A fleet is a database with all the kinds of rows that checks examine, written by the functions of
// the schema.
type fleet struct {
	*testdb.DB
	t   testing.TB
	job int64
}

// busyFleet is the initial state, before any signal.
const busyFleet = `
-- The identities start at 1: acme is 1, globex 2; its accounts are 1 to 5, and Ann's new one will
-- be 6.
INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('globex');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id)
VALUES (1, 'ann-old', 'ann'), (1, 'bob', 'bob'), (1, 'carl', 'carl'), (1, 'dora', 'dora'), (2, 'gil', 'gil');
-- A campaign that all accounts of a workspace share, and one of each account's own.
INSERT INTO thaw.campaigns (workspace_id, key, status)
SELECT w.id, 'shared', 'running'::thaw.campaign_status FROM thaw.workspaces AS w
UNION ALL
SELECT a.workspace_id, a.provider_account_id, 'running' FROM thaw.accounts AS a;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, step, status, prospect_url)
SELECT a.workspace_id, c.id, a.id, n % 4, 'active', format('https://example.com/in/%s-%s', a.provider_account_id, n)
FROM thaw.accounts AS a
CROSS JOIN generate_series(1, 24) AS n
JOIN thaw.campaigns AS c
    ON c.workspace_id = a.workspace_id AND c.key = CASE n % 2 WHEN 0 THEN 'shared' ELSE a.provider_account_id END;
UPDATE thaw.settings SET account_cap = 10, fleet_cap = 40, signal_cap = 40;
`

// newBusyFleet has paused and resumed prospects in all lanes. All rows that Thaw writes were
// written by Thaw's functions, except for the plans of its sweeps.
func newBusyFleet(t testing.TB) *fleet {
	t.Helper()
	f := &fleet{DB: testdb.New(t), t: t}
	f.Exec(t, busyFleet)
	for _, account := range []string{"ann-old", "bob", "carl", "dora", "gil"} {
		f.connect(account)
	}

	// Ann's account is lost and reconnects as a new one, whose signal arrives before its row:
	// prospects are moved, within the cap.
	f.disconnect("ann-old", "disconnected")
	f.Exec(t, `UPDATE thaw.enrollments SET paused_reason = 'paused_by_user' WHERE prospect_url = 'https://example.com/in/ann-old-1'`)
	require.Equal(t, "unknown_account", f.signal("ann-new", "connected"))
	f.Exec(t, `INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id)
		SELECT w.id, 'ann-new', 'ann' FROM thaw.workspaces AS w WHERE w.key = 'acme'`)
	require.Equal(t, "resumed", f.resumeBySignal("ann-new"))

	// The next sweep resumes more of them and starts Carl's campaigns; Bob is on hold.
	f.disconnect("bob", "disconnected")
	f.disconnect("carl", "needs_verification")
	f.Advance(t, 15*time.Minute)
	f.Exec(t, `UPDATE thaw.accounts SET hold_until = thaw.now() + '1 hour', hold_reason = 'cooling down'
		WHERE provider_account_id = 'bob'`)
	require.Equal(t, "applied", f.signal("bob", "connected"))
	require.Equal(t, "applied", f.signal("carl", "connected"))
	f.plan("ann-new", "bob", "carl")
	require.Equal(t, "resumed", f.resumeBySweep("ann-new"))
	require.Equal(t, "account_on_hold", f.resumeBySweep("bob"))
	require.Equal(t, "resumed", f.resumeBySweep("carl"))
	require.Equal(t, "already_done", f.resumeBySweep("carl"))
	require.Equal(t, "resumed", f.resumeBySignal("carl"), "the sweep has used up the account's quota in this tick")
	require.Equal(t, "account_on_hold", f.resumeBySignal("bob"))

	// Resumed prospects continue: some finish, some move to the next step, and their account is
	// lost again.
	f.Exec(t, `UPDATE thaw.enrollments SET step = step + 1 WHERE status = 'active'`)
	f.Exec(t, `UPDATE thaw.enrollments SET status = 'replied' WHERE id IN (
		SELECT min(e.id) FROM thaw.enrollments AS e WHERE e.status = 'active' GROUP BY e.account_id)`)
	f.Advance(t, 15*time.Minute)
	f.disconnect("carl", "disconnected")
	f.connect("carl")
	require.Equal(t, "already_done", f.resumeBySignal("carl"))
	require.Equal(t, "applied", f.signal("carl", "connected"))
	require.Equal(t, "resumed", f.resumeBySignal("carl"), "another signal, the remaining quota")

	// Dora's account is restricted after some of its prospects were paused for another reason.
	f.disconnect("dora", "error")
	f.disconnect("dora", "restricted")

	// Globex has auto-resume off; heals run anyway, for the workspace, by account and by
	// list.
	f.Exec(t, "SELECT thaw.set_auto_resume('globex', false, 'asked by mail')")
	f.disconnect("gil", "disconnected")
	require.Equal(t, "applied", f.signal("gil", "connected"))
	require.Equal(t, "auto_resume_off", f.resumeBySignal("gil"))
	f.heal("SELECT thaw.heal('globex', cap => 9, even_if_off => true)")
	f.heal("SELECT thaw.heal('globex', 'gil', cap => 5, even_if_off => true)")
	f.heal(`SELECT thaw.start_heal(NULL, NULL, ARRAY(
		SELECT e.id FROM thaw.enrollments AS e
		JOIN thaw.accounts AS a ON a.id = e.account_id AND a.provider_account_id = 'ann-old'
		WHERE e.waits_for_account), 100, false, 'support')`)
	testdb.Value[int64](t, f.DB, "SELECT thaw.heal('globex', cap => 7)")

	f.send("gil")

	// Deliveries that change nothing, and a tick that is still running.
	require.Equal(t, "ignored", f.signal("carl", "paused"))
	require.Equal(t, "stale", testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', 'carl', 'disconnected', thaw.now() - interval '1 day')"))
	for _, outcome := range []string{"applied", "duplicate"} {
		require.Equal(t, outcome, testdb.Value[string](t, f.DB, "SELECT thaw.signal('linkedin', 'carl', 'connected', delivery_key => 'again')"))
	}
	f.Advance(t, 15*time.Minute)
	f.plan("ann-new", "carl")
	require.Equal(t, "resumed", f.resumeBySweep("carl"))
	f.Advance(t, 15*time.Minute)
	f.plan()
	return f
}

func (f *fleet) signal(account, status string) string {
	f.t.Helper()
	return testdb.Value[string](f.t, f.DB, "SELECT thaw.signal('linkedin', $1, $2)", account, status)
}

func (f *fleet) connect(account string) {
	f.t.Helper()
	require.Equal(f.t, "applied", f.signal(account, "connected"))
	require.Contains(f.t, []string{"resumed", "auto_resume_off"}, f.resumeBySignal(account))
}

// disconnect applies the signal and runs its job in batches; for a transient error it pauses only
// half a batch.
func (f *fleet) disconnect(account, status string) {
	f.t.Helper()
	require.Equal(f.t, "applied", f.signal(account, status))
	if status == "error" {
		f.Advance(f.t, 3*time.Hour)
		require.Equal(f.t, "more", f.pause(account))
		return
	}
	for {
		verdict := f.pause(account)
		if verdict == "done" {
			return
		}
		require.Equal(f.t, "more", verdict)
	}
}

func (f *fleet) pause(account string) string {
	f.t.Helper()
	f.job++
	return testdb.Value[string](f.t, f.DB, `
		SELECT (thaw.pause_batch(a.id, 7, (SELECT max(s.id) FROM thaw.account_signals AS s WHERE s.account_id = a.id), NULL, $2)).verdict
		FROM thaw.accounts AS a WHERE a.provider_account_id = $1`, account, f.job)
}

// resumeBySignal runs the pass of the newest connect signal of an account.
func (f *fleet) resumeBySignal(account string) string {
	f.t.Helper()
	f.job++
	return testdb.Value[string](f.t, f.DB, `
		SELECT (thaw.resume_pass('signal', a.id, $2, p_signal_id => (
			SELECT max(s.id) FROM thaw.account_signals AS s WHERE s.account_id = a.id AND s.status = 'connected'))).verdict
		FROM thaw.accounts AS a WHERE a.provider_account_id = $1`, account, f.job)
}

// plan writes the sweep of the current tick, with 6 prospects per account.
func (f *fleet) plan(accounts ...string) {
	f.t.Helper()
	f.Exec(f.t, `
		INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, planned, finished_at)
		SELECT thaw.tick(), s.account_cap, s.fleet_cap, $1::integer, 6 * $1, CASE WHEN $1 = 0 THEN thaw.now() END
		FROM thaw.settings AS s`, len(accounts))
	f.Exec(f.t, `
		INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
		SELECT thaw.tick(), a.id, a.workspace_id, 6 FROM thaw.accounts AS a WHERE a.provider_account_id = ANY ($1)`, accounts)
}

func (f *fleet) resumeBySweep(account string) string {
	f.t.Helper()
	f.job++
	return testdb.Value[string](f.t, f.DB, `
		SELECT (thaw.resume_pass('sweep', a.id, $2, thaw.tick())).verdict
		FROM thaw.accounts AS a WHERE a.provider_account_id = $1`, account, f.job)
}

// heal starts a heal and runs all of its batches.
func (f *fleet) heal(start string) {
	f.t.Helper()
	id := testdb.Value[int64](f.t, f.DB, start)
	for {
		f.job++
		if testdb.Value[string](f.t, f.DB, "SELECT (thaw.heal_batch($1, 4, $2)).verdict", id, f.job) == "done" {
			break
		}
	}
	require.Positive(f.t, testdb.Value[int](f.t, f.DB, "SELECT resumed FROM thaw.heals WHERE id = $1", id), "the heal resumed prospects")
}

// sending lets accounts send at any time, without gaps, so that only caps limit them. A lease lasts
// for the whole test.
const sending = `
UPDATE thaw.settings SET action_gap_from = '0', action_gap_to = '0', action_lease = '1 day';
UPDATE thaw.action_ceilings SET gap_from = '0';
UPDATE thaw.action_limits SET gap_from = '0', gap_to = '0';
UPDATE thaw.accounts SET timezone = 'Asia/Tokyo';
UPDATE thaw.enrollments SET next_action_at = thaw.now() WHERE status = 'active';
SELECT thaw.set_sending_windows(NULL, '[{"weekdays": [1, 2, 3, 4, 5, 6, 7], "opens": "00:00", "closes": "12:00"},
	{"weekdays": [1, 2, 3, 4, 5, 6, 7], "opens": "12:00", "closes": "24:00"}]', reason => 'all day');
`

// send makes actions in every state through an account.
func (f *fleet) send(account string) {
	f.t.Helper()
	f.Exec(f.t, sending)
	active := testdb.Column[int64](f.t, f.DB, `SELECT e.id FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE a.provider_account_id = $1 AND e.status = 'active' ORDER BY e.id`, account)
	for i, action := range []struct{ kind, settlement string }{
		{"message", "'sent', provider_ref => 'm1'"}, {"message", "'sent', provider_ref => 'm2'"}, {"message", "'unknown'"},
		{"invite", "'sent', provider_ref => 'i1'"}, {"invite", "'sent', provider_ref => 'i2'"}, {"invite", "'already'"},
		{"message", "'refused', if_refused => 'keep'"}, {"view", "'sent'"}, {"message", "'throttled'"},
	} {
		id := f.reserve(active[i], action.kind)
		require.Equal(f.t, "", testdb.Value[string](f.t, f.DB, "SELECT coalesce(r.code, '') FROM thaw.start($1) AS r", id))
		f.Exec(f.t, fmt.Sprintf("SELECT thaw.settle(%d, %s)", id, action.settlement))
	}
	f.Exec(f.t, "SELECT thaw.close_invite(min(a.id), 'accepted') FROM thaw.actions AS a WHERE a.kind = 'invite'")
	f.Exec(f.t, fmt.Sprintf("SELECT thaw.settle(%d, 'released')", f.reserve(active[9], "message")))
	testdb.Value[int64](f.t, f.DB, "SELECT id FROM thaw.reserve($1, 'message', interval '10 seconds')", active[10])
	f.Advance(f.t, 11*time.Second)
	require.Equal(f.t, 1, testdb.Value[int](f.t, f.DB, "SELECT thaw.expire_actions()"))
	f.Exec(f.t, "SELECT thaw.start($1)", f.reserve(active[10], "message"))
	f.reserve(active[11], "message")
}

func (f *fleet) reserve(enrollment int64, kind string) int64 {
	f.t.Helper()
	var id *int64
	var code *string
	require.NoError(f.t, f.Pool.QueryRow(f.t.Context(), "SELECT r.id, r.code FROM thaw.reserve($1, $2) AS r", enrollment, kind).Scan(&id, &code))
	if id == nil {
		f.t.Fatalf("%s of enrollment %d: %s", kind, enrollment, *code)
	}
	return *id
}
