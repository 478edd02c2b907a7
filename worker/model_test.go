package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/worker"
)

// Whatever happens, in whatever order, the database is where the model of the rules says.
func TestFleetFollowsItsModel(t *testing.T) {
	t.Parallel()
	m := newModelTest(t)
	rapid.Check(t, func(r *rapid.T) {
		m.reset(r)
		r.Repeat(map[string]func(*rapid.T){
			"signal":           m.sendSignal,
			"insert a sibling": m.insertSibling,
			"person pauses":    m.personPauses,
			"opt out or in":    m.optOutOrIn,
			"hold or release":  m.holdOrRelease,
			"safety mode":      m.switchSafety,
			"ask for a sweep":  m.askForSweep,
			"ask for a heal":   m.askForHeal,
			"work":             m.workOne,
			"work again":       m.workOne, // twice as often as anything else
			"crash":            m.crash,
			"retry":            m.retry,
			"clock":            m.moveClock,
			"":                 m.compare,
		})
		m.bringToRest(r)
	})
}

// modelTest holds one database and its model. Time stands still unless the test moves it.
type modelTest struct {
	fleetModel
	t      *testing.T
	db     *testdb.DB
	client *river.Client[pgx.Tx]
	doomed *pgxpool.Pool // its connections break where they would commit
	broken *breaker
	keys   int            // how many accounts there have been
	healed map[int64]bool // by heal
}

// A breaker makes every commit fail while it is armed.
type breaker struct{ armed atomic.Bool }

func (b *breaker) TraceQueryStart(ctx context.Context, _ *pgx.Conn, query pgx.TraceQueryStartData) context.Context {
	if !b.armed.Load() || !strings.EqualFold(query.SQL, "commit") {
		return ctx
	}
	broken, cancel := context.WithCancel(ctx)
	cancel()
	return broken
}

func (b *breaker) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func newModelTest(t *testing.T) *modelTest {
	t.Helper()
	f := &fleet{DB: testdb.New(t)}
	f.Exec(t, `
		CREATE TABLE thaw_test.frozen (at timestamptz NOT NULL);
		INSERT INTO thaw_test.frozen VALUES ('2026-03-01 09:00:00+00');
		CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE RETURN (SELECT frozen.at FROM thaw_test.frozen);
		UPDATE thaw.settings SET account_cap = 3, fleet_cap = 5, signal_cap = 4;`)
	m := &modelTest{t: t, db: f.DB, client: f.client(t), broken: &breaker{}}
	config, err := pgxpool.ParseConfig(f.URL)
	require.NoError(t, err)
	config.ConnConfig.Tracer = m.broken
	m.doomed, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(m.doomed.Close)
	return m
}

// reset begins a history: two workspaces, in one of them jane with an account that was replaced and joe.
func (m *modelTest) reset(r *rapid.T) {
	m.exec(r, `TRUNCATE thaw.workspaces, thaw.accounts, thaw.campaigns, thaw.enrollments, thaw.enrollment_events,
		thaw.campaign_events, thaw.account_signals, thaw.sweeps, thaw.grants, thaw.fleet_budgets, thaw.account_budgets,
		thaw.heals, thaw.heal_enrollments, thaw.river_job RESTART IDENTITY`)
	m.exec(r, `UPDATE thaw_test.frozen SET at = '2026-03-01 09:00:00+00'`)
	m.exec(r, `UPDATE thaw.safety SET since = NULL, reason = NULL`)
	m.exec(r, `INSERT INTO thaw.workspaces (key) VALUES ('w1'), ('w2')`)
	m.exec(r, `INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at)
		SELECT w, 'a' || i, m, s::thaw.account_status, CASE WHEN s = 'connected' THEN thaw.now() END
		FROM (VALUES (1, 1, 'jane', 'disconnected'), (2, 1, 'jane', 'connected'), (3, 1, 'joe', 'connected'),
			(4, 2, 'jane', 'connected')) AS a (i, w, m, s) ORDER BY i`)
	m.exec(r, `INSERT INTO thaw.campaigns (workspace_id, key, status)
		VALUES (1, 'spring', 'running'), (1, 'summer', 'running'), (2, 'spring', 'running')`)
	m.exec(r, `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, step)
		SELECT c.workspace_id, c.id, a.id, format('%s/%s/%s', c.id, a.id, i), 'active', i
		FROM thaw.campaigns AS c JOIN thaw.accounts AS a USING (workspace_id), generate_series(1, 3) AS i
		ORDER BY c.id, a.id, i`)

	m.keys, m.healed = 4, map[int64]bool{}
	m.fleetModel = fleetModel{
		now:        time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		accountCap: 3, fleetCap: 5, signalCap: 4,
		optedOut: map[int64]bool{}, accounts: map[int64]*modelAccount{}, campaigns: map[int64]*modelCampaign{},
		enrollments: map[int64]*modelEnrollment{}, closedSignals: map[int64]bool{}, grants: map[grantKey]*modelGrant{},
		swept: map[time.Time]bool{}, usedByAccount: map[grantKey]int{}, usedByLane: map[laneKey]int{},
	}
	for i, member := range []string{"jane", "jane", "joe", "jane"} {
		a := &modelAccount{id: int64(i + 1), workspace: 1, member: member, status: "connected", connectedAt: m.now}
		m.accounts[a.id] = a
	}
	m.accounts[1].status, m.accounts[1].connectedAt = "disconnected", time.Time{}
	m.accounts[4].workspace = 2
	for i, workspace := range []int64{1, 1, 2} {
		m.campaigns[int64(i+1)] = &modelCampaign{id: int64(i + 1), workspace: workspace, state: "running"}
	}
	for _, e := range m.rows(r, "SELECT ARRAY[id, campaign_id, account_id, step]::text[] FROM thaw.enrollments") {
		row := &modelEnrollment{state: "active"}
		_, err := fmt.Sscan(strings.Join(e, " "), &row.id, &row.campaign, &row.account, &row.step)
		m.must(r, err)
		m.enrollments[row.id] = row
	}
}

func (m *modelTest) exec(r *rapid.T, sql string, args ...any) {
	_, err := m.db.Pool.Exec(m.t.Context(), sql, args...)
	m.must(r, err)
}

func (m *modelTest) rows(r *rapid.T, sql string, args ...any) [][]string {
	rows, err := m.db.Pool.Query(m.t.Context(), sql, args...)
	m.must(r, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
	m.must(r, err)
	return all
}

func (m *modelTest) ids(r *rapid.T, sql string, args ...any) []int64 {
	rows, err := m.db.Pool.Query(m.t.Context(), sql, args...)
	m.must(r, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	m.must(r, err)
	return all
}

func (m *modelTest) must(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

func anyOf[V any](r *rapid.T, label string, from map[int64]V) V {
	ids := make([]int64, 0, len(from))
	for id := range from {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return from[rapid.SampledFrom(ids).Draw(r, label)]
}

// sendSignal sends one that may be late, early or repeated.
func (m *modelTest) sendSignal(r *rapid.T) {
	a := anyOf(r, "account", m.accounts)
	status := rapid.SampledFrom([]string{"connected", "connected", "disconnected", "error", "connecting", "needs_verification",
		"restricted", "removed"}).Draw(r, "status")
	var occurredAt *time.Time
	var modelled time.Time
	if rapid.Bool().Draw(r, "says its time") {
		minutes := rapid.SampledFrom([]int{-180, -1, 0, 0, 4, 60}).Draw(r, "minutes from now")
		modelled = m.now.Add(time.Duration(minutes) * time.Minute)
		occurredAt = &modelled
	}
	want := "stale"
	if m.signal(a, status, modelled) {
		want = "applied"
	}
	key := fmt.Sprint("delivery ", len(m.ids(r, "SELECT id FROM thaw.account_signals")))
	for range rapid.IntRange(1, 2).Draw(r, "deliveries") {
		var got string
		m.must(r, m.db.Pool.QueryRow(m.t.Context(), "SELECT thaw.signal('linkedin', $1, $2, $3, NULL, $4)",
			fmt.Sprint("a", a.id), status, occurredAt, key).Scan(&got))
		if got != want {
			r.Fatalf("%s for account %d: %s, not %s", status, a.id, got, want)
		}
		want = "duplicate"
	}
}

func (m *modelTest) insertSibling(r *rapid.T) {
	if m.keys >= 8 {
		r.Skip("there are enough accounts")
	}
	of := anyOf(r, "sibling of", m.accounts)
	a := &modelAccount{workspace: of.workspace, member: of.member, status: "connecting"}
	if rapid.Bool().Draw(r, "connected") {
		a.status, a.connectedAt = "connected", m.now
	}
	m.keys++
	m.must(r, m.db.Pool.QueryRow(m.t.Context(), `
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at)
		VALUES ($1, $2, $3, $4::thaw.account_status, CASE WHEN $4 = 'connected' THEN thaw.now() END) RETURNING id`,
		a.workspace, fmt.Sprint("a", m.keys), a.member, a.status).Scan(&a.id))
	m.accounts[a.id] = a
}

func (m *modelTest) personPauses(r *rapid.T) {
	e := anyOf(r, "enrollment", m.enrollments)
	if e.state == byUser {
		e.state, e.pausedAt = "active", time.Time{}
		m.exec(r, "UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL WHERE id = $1", e.id)
		return
	}
	e.state, e.pausedAt = byUser, m.now
	m.exec(r, "UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = thaw.now() WHERE id = $1", e.id)
}

func (m *modelTest) optOutOrIn(r *rapid.T) {
	id := rapid.Int64Range(1, 2).Draw(r, "workspace")
	m.optedOut[id] = !m.optedOut[id]
	m.exec(r, "SELECT thaw.set_auto_resume($1, $2)", fmt.Sprint("w", id), !m.optedOut[id])
}

func (m *modelTest) holdOrRelease(r *rapid.T) {
	a := anyOf(r, "account", m.accounts)
	a.holdUntil = m.now.Add(time.Duration(rapid.SampledFrom([]int{0, 20, 60}).Draw(r, "minutes")) * time.Minute)
	m.exec(r, "UPDATE thaw.accounts SET hold_until = $2, hold_reason = 'a test' WHERE id = $1", a.id, a.holdUntil)
}

func (m *modelTest) switchSafety(r *rapid.T) {
	m.safety = !m.safety
	m.exec(r, `UPDATE thaw.safety SET since = CASE WHEN $1 THEN thaw.now() END, reason = CASE WHEN $1 THEN 'a test' END`, m.safety)
}

func (m *modelTest) moveClock(r *rapid.T) {
	m.advance(r, time.Duration(rapid.SampledFrom([]int{1, 5, 15, 15, 60, 150}).Draw(r, "minutes"))*time.Minute)
}

func (m *modelTest) advance(r *rapid.T, by time.Duration) {
	m.now = m.now.Add(by)
	m.exec(r, "UPDATE thaw_test.frozen SET at = $1", m.now)
}

func (m *modelTest) askForSweep(r *rapid.T) { m.exec(r, "SELECT thaw.sweep()") }

func (m *modelTest) askForHeal(r *rapid.T) {
	_, err := m.db.Pool.Exec(m.t.Context(), "SELECT thaw.heal($1, cap => $2, even_if_off => $3)",
		fmt.Sprint("w", rapid.IntRange(1, 2).Draw(r, "workspace")), rapid.IntRange(1, 20).Draw(r, "cap"), rapid.Bool().Draw(r, "even if off"))
	if err != nil && !strings.Contains(err.Error(), "is running on the same target") {
		r.Fatal(err)
	}
}

const toDo = "SELECT id FROM thaw.river_job WHERE state IN ('available', 'scheduled') ORDER BY id"

func (m *modelTest) workOne(r *rapid.T) {
	if ids := m.ids(r, toDo); len(ids) > 0 {
		m.work(r, rapid.SampledFrom(ids).Draw(r, "job"))
	}
}

// retry is what an operator does, or the queue with a job whose process has died after it committed.
func (m *modelTest) retry(r *rapid.T) {
	if ids := m.ids(r, "SELECT id FROM thaw.river_job WHERE state IN ('completed', 'cancelled') ORDER BY id"); len(ids) > 0 {
		_, err := m.client.JobRetry(m.t.Context(), rapid.SampledFrom(ids).Draw(r, "job"))
		m.must(r, err)
	}
}

// crash does a job up to its first commit, which fails. Nothing may have happened.
func (m *modelTest) crash(r *rapid.T) {
	ids := m.ids(r, toDo)
	if len(ids) == 0 {
		return
	}
	id := rapid.SampledFrom(ids).Draw(r, "job")
	m.broken.armed.Store(true)
	err := m.run(r, id, m.doomed)
	m.broken.armed.Store(false)
	if err == nil {
		r.Fatal("the job did not notice that its commit failed")
	}
	m.exec(r, "UPDATE thaw.river_job SET state = 'available' WHERE id = $1", id)
}

func (m *modelTest) run(r *rapid.T, id int64, pool *pgxpool.Pool) error {
	m.exec(r, "UPDATE thaw.river_job SET state = 'running', finalized_at = NULL WHERE id = $1", id)
	row, err := m.client.JobGet(m.t.Context(), id)
	m.must(r, err)
	return worker.WorkByHand(m.t, pool, m.client, row)
}

// work does a job in the database and in the model.
func (m *modelTest) work(r *rapid.T, id int64) {
	demand, tick := m.demand(), m.tick()
	err := m.run(r, id, m.db.Pool)
	var cancelled *river.JobCancelError
	if errors.As(err, &cancelled) {
		m.exec(r, "UPDATE thaw.river_job SET state = 'cancelled', finalized_at = now() WHERE id = $1", id)
	} else {
		m.must(r, err)
	}

	row, err := m.client.JobGet(m.t.Context(), id)
	m.must(r, err)
	var args struct {
		AccountID int64     `json:"account_id"`
		SignalID  int64     `json:"signal_id"`
		HealID    int64     `json:"heal_id"`
		TickAt    jobs.Tick `json:"tick_at"`
	}
	m.must(r, json.Unmarshal(row.EncodedArgs, &args))
	switch row.Kind {
	case "pause_account":
		m.pause(m.accounts[args.AccountID])
	case "resume_account":
		if args.SignalID != 0 {
			m.passOfSignal(args.SignalID, m.accounts[args.AccountID])
		} else {
			m.passOfGrant(args.TickAt.Time, m.accounts[args.AccountID])
		}
	case "sweep":
		if args.TickAt.Equal(tick) && !m.swept[tick] {
			m.readPlan(r, demand)
		}
	case "heal":
		m.healOf(r, args.HealID)
	}
}

// readPlan takes over the plan of the tick: who gets how much is another rule's business, how much it is in all is not.
func (m *modelTest) readPlan(r *rapid.T, demand int) {
	m.swept[m.tick()] = true
	for _, g := range m.grants {
		g.closed = true
	}
	for _, g := range m.rows(r, "SELECT ARRAY[account_id, planned]::text[] FROM thaw.grants WHERE tick_at = $1", m.tick()) {
		grant := &modelGrant{}
		var account int64
		_, err := fmt.Sscan(g[0]+" "+g[1], &account, &grant.planned)
		m.must(r, err)
		m.grants[grantKey{m.tick(), account}] = grant
		demand -= grant.planned
	}
	if demand != 0 {
		r.Fatalf("the plan of the tick wakes %d too few", demand)
	}
}

func (m *modelTest) healOf(r *rapid.T, id int64) {
	if m.healed[id] {
		return
	}
	m.healed[id] = true
	var workspace int64
	var cap int
	var evenIfOff bool
	m.must(r, m.db.Pool.QueryRow(m.t.Context(), "SELECT workspace_id, cap, even_if_off FROM thaw.heals WHERE id = $1", id).
		Scan(&workspace, &cap, &evenIfOff))
	m.heal(workspace, cap, evenIfOff)
}

// compare looks for a difference between the database and the model.
func (m *modelTest) compare(r *rapid.T) {
	want := []string{}
	for _, a := range m.accounts {
		want = append(want, fmt.Sprint("account ", a.id, " ", a.status, " due ", !a.pauseAfter.IsZero()))
	}
	for _, c := range m.campaigns {
		want = append(want, fmt.Sprint("campaign ", c.id, " ", c.state))
	}
	for _, e := range m.enrollments {
		want = append(want, fmt.Sprint("enrollment ", e.id, " on ", e.account, " ", e.state, " at step ", e.step))
	}
	slices.Sort(want)
	rows, err := m.db.Pool.Query(m.t.Context(), `
		SELECT format('account %s %s due %s', id, status, CASE WHEN pause_after IS NULL THEN 'false' ELSE 'true' END) FROM thaw.accounts
		UNION ALL SELECT format('campaign %s %s', id, coalesce(paused_reason::text, status::text)) FROM thaw.campaigns
		UNION ALL SELECT format('enrollment %s on %s %s at step %s', id, account_id, coalesce(paused_reason::text, status::text), step)
			FROM thaw.enrollments`)
	m.must(r, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	m.must(r, err)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("model (-) and database (+):\n%s", diff)
	}
}

// bringToRest does all jobs and enough sweeps: then nobody waits who could be woken, and every invariant holds.
func (m *modelTest) bringToRest(r *rapid.T) {
	for range 20 {
		m.advance(r, tick)
		m.askForSweep(r)
		for ids := m.ids(r, toDo); len(ids) > 0; ids = m.ids(r, toDo) {
			m.work(r, ids[0])
		}
		m.compare(r)
	}
	for _, a := range m.accounts {
		if line := m.line(a, false); len(line) > 0 {
			r.Fatalf("%d still wait for account %d", len(line), a.id)
		}
	}
	report, err := verify.Run(m.t.Context(), m.db.Pool)
	m.must(r, err)
	for _, check := range report.Checks {
		if check.Violations > 0 {
			r.Fatalf("%s: %q", check.About, check.Examples)
		}
	}
}
