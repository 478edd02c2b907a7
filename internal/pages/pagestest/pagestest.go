// Package pagestest serves the pages of a fleet on a database of its own, for the tests of package
// pages and for those in a browser, which are in another module.
package pagestest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/server"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
	"github.com/thawline/thaw/schema"
	"github.com/thawline/thaw/worker"
)

// A Dashboard is the pages of a running process on the test's own database, with an HTTP client for
// an operator.
type Dashboard struct {
	*testdb.DB
	worker *worker.Worker
	URL    string
	Web    *http.Client
	Stop   func() // starts to stop the process
}

// fleet has two workspaces. Most prospects wait on Jane's account; her old account was replaced.
// Bob's account is disconnected, Ann's was restricted, and Zoe's workspace has opted out.
const fleet = `
INSERT INTO thaw.workspaces (key, name) VALUES ('acme', 'Acme Corporation'), ('umbrella', 'Umbrella');
SELECT thaw.set_auto_resume('umbrella', false, 'asked by their lawyer, until the audit is over', 'cli:ann');
INSERT INTO thaw.campaigns (workspace_id, key, name, status, paused_reason, paused_at)
SELECT w.id, c.key, c.name, c.status::thaw.campaign_status, c.reason::thaw.pause_reason, CASE WHEN c.status = 'paused' THEN thaw.now() - interval '2 days' END
FROM (VALUES ('acme', 'founders', 'Founders in Berlin', 'running', NULL), ('acme', 'webinar', 'Webinar in May', 'paused', 'paused_by_user'),
	('umbrella', 'winter', 'Winter', 'running', NULL)) AS c (workspace, key, name, status, reason)
JOIN thaw.workspaces AS w ON w.key = c.workspace;
INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name, member_id, status)
SELECT w.id, a.key, a.name, a.member, 'connected'
FROM (VALUES ('acme', 'h_EKCy2lRLef5NzHp0iw4A', 'Jane Doe', 'ACoAA-jane'), ('acme', 'h_old', 'Jane Doe (old)', 'ACoAA-jane'),
	('acme', 'h_bob', 'Bob Roe', 'ACoAA-bob'), ('acme', 'h_ann', 'Ann Poe', 'ACoAA-ann'), ('umbrella', 'h_zoe', 'Zoe Low', 'ACoAA-zoe')) AS a (workspace, key, name, member)
JOIN thaw.workspaces AS w ON w.key = a.workspace;
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, created_at)
SELECT w.id, 'h_stuck', 'connecting', thaw.now() - interval '3 hours' FROM thaw.workspaces AS w WHERE w.key = 'acme';
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, step, status, prospect_url)
SELECT a.workspace_id, c.id, a.id, i % 4, 'active', format('https://www.linkedin.com/in/%s-%s', replace(a.provider_account_id, 'h_', ''), i)
FROM (VALUES ('h_EKCy2lRLef5NzHp0iw4A', 'founders', 700), ('h_old', 'founders', 40), ('h_bob', 'founders', 30), ('h_ann', 'webinar', 20), ('h_zoe', 'winter', 25)) AS backlog (account, campaign, rows)
JOIN thaw.accounts AS a ON a.provider_account_id = backlog.account
JOIN thaw.campaigns AS c ON c.key = backlog.campaign
CROSS JOIN LATERAL generate_series(1, backlog.rows) AS i;`

// Prospects of the fleet.
const (
	// Waits is on Jane's account, in the middle of its queue.
	Waits = "https://www.linkedin.com/in/EKCy2lRLef5NzHp0iw4A-420"
	// OnLost is on Bob's account.
	OnLost = "https://www.linkedin.com/in/bob-7"
	// OfZoe is on Zoe's account.
	OfZoe = "https://www.linkedin.com/in/zoe-9"
)

// Senders lets the fleet send at any time, without gaps: Jane's account and that of Zoe in another
// workspace have a time zone, and belong to one person. A prospect of each waits for an invite.
const Senders = `
	UPDATE thaw.accounts SET timezone = 'Europe/Berlin', tier = 'premium', member_id = 'ACoAA-jane' WHERE provider_account_id IN ('h_EKCy2lRLef5NzHp0iw4A', 'h_zoe');
	UPDATE thaw.settings SET action_gap_from = '0', action_gap_to = '0';
	UPDATE thaw.action_ceilings SET gap_from = '0';
	UPDATE thaw.action_limits SET gap_from = '0', gap_to = '0';
	UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '00:00:01';
	INSERT INTO thaw.sending_windows (weekdays, opens, closes) VALUES ('{1,2,3,4,5,6,7}', '00:00:01', '00:00');
	UPDATE thaw.enrollments SET next_kind = 'invite', next_action_at = thaw.now() WHERE prospect_url IN ('` + Waits + "', '" + OfZoe + `')`

// Senders of the fleet of LetSend, in the order of their names: one for each state that the pages
// of sending show.
const (
	FullCap  = "h_maria"  // has used the cap of the day; five invites wait
	NoZone   = "h_nils"   // nothing is sent
	Ramping  = "h_olga"   // in ramp week 2
	KindHeld = "h_pete"   // InMails are on hold
	AtNight  = "h_quinn"  // sends from 22:00 to 06:00
	Doubtful = "h_rosa"   // three invites are unknown
	Pending  = "h_stella" // as many open invites as are allowed
)

const senders = `
INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name, member_id, status, tier, timezone)
SELECT w.id, a.key, a.name, 'ACoAA-' || a.key, 'connected', a.tier::thaw.account_tier, a.zone
FROM (VALUES ('h_maria', 'Maria Silva', 'sales_navigator', 'Europe/Lisbon'), ('h_nils', 'Nils Berg', 'premium', NULL),
	('h_olga', 'Olga Sokol', 'premium', 'Europe/Warsaw'), ('h_pete', 'Pete Moss', 'sales_navigator', 'America/New_York'),
	('h_quinn', 'Quinn Ito', 'recruiter', 'Asia/Tokyo'), ('h_rosa', 'Rosa Lind', 'premium', 'Europe/Stockholm'),
	('h_stella', 'Stella Kerr', 'premium', 'Europe/London')) AS a (key, name, tier, zone)
JOIN thaw.workspaces AS w ON w.key = 'acme';
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, step, status, prospect_url, next_kind, next_action_at)
SELECT a.workspace_id, c.id, a.id, 0, 'active', format('https://www.linkedin.com/in/%s-%s', replace(a.provider_account_id, 'h_', ''), i),
	CASE a.provider_account_id WHEN 'h_pete' THEN 'inmail' ELSE 'invite' END, thaw.now() - interval '1 hour'
FROM thaw.accounts AS a
JOIN thaw.campaigns AS c ON c.key = 'founders'
CROSS JOIN LATERAL generate_series(1, CASE a.provider_account_id WHEN 'h_maria' THEN 35 ELSE 8 END) AS i
WHERE a.member_id = 'ACoAA-' || a.provider_account_id;
SELECT thaw.set_ramp(a.provider_account_id, (thaw.now() - interval '400 days')::date, 'has sent for a year', 'cli:ann')
FROM thaw.accounts AS a WHERE a.provider_account_id IN ('h_maria', 'h_quinn', 'h_rosa', 'h_stella');
SELECT thaw.set_ramp('h_olga', (thaw.now() - interval '9 days')::date, 'began last week', 'cli:ann');
SELECT thaw.hold_action_kind('h_pete', 'inmail', thaw.now() + interval '7 days', 'the customer asked to stop InMails for a week', 'cli:ann');
SELECT thaw.set_sending_windows('acme', '[{"weekdays": [1, 2, 3, 4, 5, 6, 7], "opens": "22:00", "closes": "06:00"}]', 'h_quinn', 'sends to customers abroad', 'cli:ann');
UPDATE thaw.settings SET pending_invites = 5`

// LetSend adds an account for each state that the pages of sending show, on top of [Senders].
func (d *Dashboard) LetSend(t *testing.T) {
	t.Helper()
	d.Exec(t, Senders)
	d.Exec(t, senders)
	for _, sender := range []struct {
		account  string
		invites  int
		asUnsure bool
	}{{FullCap, 30, false}, {Ramping, 4, false}, {Doubtful, 3, true}, {Pending, 5, false}} {
		for i := range sender.invites {
			prospect, outcome := Prospect(sender.account, i+1), fmt.Sprintf("'sent', provider_ref => 'invite_%s_%d'", sender.account, i+1)
			if sender.asUnsure {
				outcome = "'unknown', error_code => 'timeout'"
			}
			id := d.Send(t, prospect, outcome)
			if sender.account == FullCap {
				d.Exec(t, fmt.Sprintf("SELECT thaw.close_invite(%d, 'accepted')", id))
			}
		}
	}
	d.Exec(t, "SELECT thaw.count_action_hours()")
}

// Prospect returns a prospect of an account of [Dashboard.LetSend]; the first one is 1.
func Prospect(account string, n int) string {
	return fmt.Sprintf("https://www.linkedin.com/in/%s-%d", strings.TrimPrefix(account, "h_"), n)
}

// Send reserves, starts and settles the invite of a prospect, and returns the ID of the action.
// outcome has the arguments of thaw.settle, in SQL.
func (d *Dashboard) Send(t *testing.T, prospect, outcome string) int64 {
	t.Helper()
	id := testdb.Value[int64](t, d.DB, "SELECT coalesce(r.id, 0) FROM thaw.enrollments AS e, thaw.reserve(e.id, 'invite') AS r WHERE e.prospect_url = $1", prospect)
	require.NotZero(t, id)
	require.Equal(t, "go", testdb.Value[string](t, d.DB, "SELECT coalesce(s.code, 'go') FROM thaw.start($1) AS s", id))
	d.Exec(t, fmt.Sprintf("SELECT thaw.settle(%d, %s)", id, outcome))
	return id
}

// Setup returns a dashboard whose clock is at the start of a tick, for a fleet that disconnected
// two days ago. When the test ends, it checks every invariant at full size.
func Setup(t *testing.T) *Dashboard {
	t.Helper()
	db := testdb.New(t)
	t.Cleanup(func() {
		if !testdb.Full() {
			return
		}
		report, err := verify.Run(context.Background(), db.Pool, verify.Options{})
		require.NoError(t, err)
		require.Zero(t, report.Violations(), "%+v", report)
	})
	db.Exec(t, "UPDATE thaw_test.clock SET ahead = thaw.tick(pg_catalog.now()) + '15 minutes' - pg_catalog.now() - interval '2 days'")
	db.Exec(t, fleet)

	riverPool, err := pgxpool.NewWithConfig(t.Context(), db.Pool.Config())
	require.NoError(t, err)
	t.Cleanup(riverPool.Close)
	w, err := worker.New(t.Context(), worker.Config{
		Pool: db.Pool, RiverPool: riverPool, RiverSchema: schema.Name, PollOnly: db.PollOnly, Logger: testdb.Logger(t),
	})
	require.NoError(t, err)
	migrator, err := schema.NewMigrator(db.Pool, schema.Name, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, migrator.Close()) })
	stopping, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	handler, err := server.New(t.Context(), server.Config{
		Store: store.New(db.Pool), Client: w.Client(), Migrator: migrator, Leaving: stopping, Stopping: stopping,
		Logger: testdb.Logger(t),
	})
	require.NoError(t, err)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	t.Cleanup(stop)
	d := &Dashboard{DB: db, worker: w, URL: web.URL, Web: web.Client(), Stop: stop}
	// Do not follow redirects: the tests check them.
	d.Web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return d
}

// Work runs the worker until the test ends.
func (d *Dashboard) Work(t *testing.T) {
	t.Helper()
	require.NoError(t, d.worker.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, d.worker.Stop(ctx))
	})
	d.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE tick_at = thaw.tick()")
	d.Settle(t)
}

// Settle waits until no job is left except those scheduled for later.
func (d *Dashboard) Settle(t *testing.T) {
	t.Helper()
	d.eventually(t, 0, "SELECT count(*) FROM thaw.river_job WHERE state IN ('available', 'running', 'retryable', 'pending')")
}

func (d *Dashboard) eventually(t *testing.T, want int, sql string) {
	t.Helper()
	require.Eventually(t, func() bool { return testdb.Value[int](t, d.DB, sql) == want }, 30*time.Second,
		5*time.Millisecond, "waiting for %d from: %s", want, sql)
}

// Story lets two days pass: all accounts are lost, Jane's reconnects without a signal, and Ann's is
// restricted.
func (d *Dashboard) Story(t *testing.T) {
	t.Helper()
	d.Work(t)
	for account, status := range map[string]string{
		"h_EKCy2lRLef5NzHp0iw4A": "disconnected", "h_old": "removed", "h_bob": "disconnected", "h_ann": "restricted", "h_zoe": "error",
	} {
		d.Signal(t, account, status)
	}
	d.Settle(t)
	d.Advance(t, 47*time.Hour)
	d.Tick(t)
	d.Exec(t, "UPDATE thaw.accounts SET status = 'connected', last_error = NULL WHERE provider_account_id IN ('h_EKCy2lRLef5NzHp0iw4A', 'h_zoe')")
	for range 2 {
		d.Tick(t)
	}
}

// Signal applies a status to an account.
func (d *Dashboard) Signal(t *testing.T, account, status string) {
	t.Helper()
	require.Equal(t, "applied", testdb.Value[string](t, d.DB, "SELECT thaw.signal('linkedin', $1, $2)", account, status))
}

// Tick advances to the next tick and waits until its sweep and its watch job are done.
func (d *Dashboard) Tick(t *testing.T) {
	t.Helper()
	d.Advance(t, 15*time.Minute)
	d.Exec(t, "SELECT thaw.request_watch(), thaw.sweep()")
	d.eventually(t, 1, "SELECT count(*) FROM thaw.sweeps WHERE tick_at = thaw.tick() AND finished_at IS NOT NULL")
	d.Settle(t)
}

// Account returns the path of an account's page.
func (d *Dashboard) Account(t *testing.T, key string) string {
	t.Helper()
	return fmt.Sprint("/accounts/", testdb.Value[int64](t, d.DB, "SELECT id FROM thaw.accounts WHERE provider_account_id = $1", key))
}
