package worker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/worker"
)

// After any sequence of events the database matches the model of the rules.
func TestFleetMatchesItsModel(t *testing.T) {
	t.Parallel()
	m := newModelTest(t)
	actions := map[string]func(*rapid.T){
		"insert a sibling": m.insertSibling,
		"person pauses":    m.personPauses,
		"opt out or in":    m.optOutOrIn,
		"hold or release":  m.holdForAWhile,
		"safety mode":      m.switchSafety,
		"start a heal":     m.startHeal,
		"crash":            m.crash,
		"retry":            m.retry,
		"":                 m.compare,
	}
	for i := range 3 { // Repeated to make these actions more frequent.
		actions[fmt.Sprint("signal ", i)] = m.sendSignal
		actions[fmt.Sprint("work ", i)] = m.work
		actions[fmt.Sprint("next tick ", i)] = m.nextTick
	}
	actions["clock"] = m.moveClock
	// Rare events may not occur in one round. An event that occurs in no round is no longer possible.
	missing := []string{"paused by signal", "paused by sweep", "resumed by signal", "resumed by sweep", "resumed by heal",
		"moved by signal", "moved by sweep", "signal applied", "signal stale", "signal duplicate", "crash", "retry"}
	for round := 0; round < testdb.Size(1, mostRounds) && len(missing) > 0; round++ {
		rapid.Check(t, func(r *rapid.T) {
			m.reset(r)
			r.Repeat(actions)
			m.bringToRest(r)
			m.count(r)
		})
		missing = slices.DeleteFunc(missing, func(what string) bool { return m.seen[what] > 0 })
	}
	requireEvents(t, missing, m.seen)
}

// sendSignal sends a signal that may be late, early or repeated.
func (m *modelTest) sendSignal(r *rapid.T) {
	a := anyOf(r, "account", m.accounts)
	status := rapid.SampledFrom([]string{"connected", "connected", "connected", "disconnected", "disconnected", "error",
		"connecting", "needs_verification", "restricted", "removed", "reconnected", "locked", "unlocked", "unlocked"}).Draw(r, "status")
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
	key := fmt.Sprint("delivery ", m.ids(r, "SELECT coalesce(max(id), 0) FROM thaw.account_signals"))
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
		r.Skip("enough accounts")
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
	m.advance(r, moment)
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
	m.optedOut[id] = rarely(r, "off")
	m.exec(r, "SELECT thaw.set_auto_resume($1, $2)", fmt.Sprint("w", id), !m.optedOut[id])
}

func (m *modelTest) holdForAWhile(r *rapid.T) {
	a := anyOf(r, "account", m.accounts)
	until := m.now.Add(time.Duration(rapid.SampledFrom([]int{1, 20, 60}).Draw(r, "minutes")) * time.Minute)
	isLonger := !a.holdUntil.After(m.now) || !until.Before(a.holdUntil)
	_, err := m.db.Pool.Exec(m.t.Context(), "UPDATE thaw.accounts SET hold_until = $2, hold_reason = $3 WHERE id = $1", a.id, until, fmt.Sprint(until))
	if (err == nil) != isLonger {
		r.Fatalf("account %d is on hold until %s; a hold until %s: %v", a.id, a.holdUntil, until, err)
	}
	if isLonger {
		a.holdUntil = until
	}
}

func (m *modelTest) switchSafety(r *rapid.T) {
	m.setSafety(rarely(r, "on"))
	if m.isSafety() {
		m.exec(r, `SELECT thaw.enter_safety_mode('an incident', 'a test', true)`)
	} else {
		m.exec(r, `SELECT thaw.exit_safety_mode('it is over', 'a test')`)
	}
}

func (m *modelTest) moveClock(r *rapid.T) {
	m.advance(r, time.Duration(rapid.SampledFrom([]int{1, 5, 15, 15, 60, 150}).Draw(r, "minutes"))*time.Minute)
}

// moment passes between two pauses of one prospect, because a pause is identified by its time.
const moment = time.Millisecond

func (m *modelTest) advance(r *rapid.T, by time.Duration) {
	m.now = m.now.Add(by)
	m.exec(r, "UPDATE thaw_test.frozen SET at = $1", m.now)
}

// nextTick advances to the next tick and starts its sweep.
func (m *modelTest) nextTick(r *rapid.T) {
	m.advance(r, tick)
	m.startSweep(r)
}

func (m *modelTest) startSweep(r *rapid.T) { m.exec(r, "SELECT thaw.sweep()") }

func (m *modelTest) startHeal(r *rapid.T) {
	_, err := m.db.Pool.Exec(m.t.Context(), "SELECT thaw.heal($1, cap => $2, even_if_off => $3)",
		fmt.Sprint("w", rapid.IntRange(1, 2).Draw(r, "workspace")), rapid.IntRange(1, 20).Draw(r, "cap"), rapid.Bool().Draw(r, "even if off"))
	isRefused := err != nil && strings.Contains(err.Error(), "safety mode has been on since")
	if isRefused && !m.isSafety() || err == nil && m.isSafety() {
		r.Fatalf("safety mode is on: %t, but starting a heal returned: %v", m.isSafety(), err)
	}
	if err != nil && !isRefused && !strings.Contains(err.Error(), "is running on the same target") {
		r.Fatal(err)
	}
}

const toDo = "SELECT id FROM thaw.river_job WHERE state IN ('available', 'scheduled') ORDER BY id"

// work runs some of the jobs, in any order.
func (m *modelTest) work(r *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(r, "jobs") {
		if ids := m.ids(r, toDo); len(ids) > 0 {
			m.workOne(r, rapid.SampledFrom(ids).Draw(r, "job"))
		}
	}
}

// retry retries a finished job, as an operator does, or the queue after a process died between
// commit and completion.
func (m *modelTest) retry(r *rapid.T) {
	if ids := m.ids(r, "SELECT id FROM thaw.river_job WHERE state IN ('completed', 'cancelled') ORDER BY id"); len(ids) > 0 {
		m.seen["retry"]++
		_, err := m.client.JobRetry(m.t.Context(), rapid.SampledFrom(ids).Draw(r, "job"))
		m.must(r, err)
	}
}

// crash runs a job up to its first commit, which fails. Nothing may have changed.
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
	m.seen["crash"]++
	m.exec(r, "UPDATE thaw.river_job SET state = 'available' WHERE id = $1", id)
}

func (m *modelTest) run(r *rapid.T, id int64, pool *pgxpool.Pool) error {
	m.exec(r, "UPDATE thaw.river_job SET state = 'running', finalized_at = NULL WHERE id = $1", id)
	row, err := m.client.JobGet(m.t.Context(), id)
	m.must(r, err)
	return worker.WorkByHand(m.t, pool, m.client, row)
}

// workOne runs a job in the database and in the model.
func (m *modelTest) workOne(r *rapid.T, id int64) {
	m.advance(r, moment)
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
			m.passOfAllocation(args.TickAt.Time, m.accounts[args.AccountID])
		}
	case "sweep":
		if args.TickAt.Equal(tick) && !m.swept[tick] {
			m.stranded()
			m.readPlan(r, demand)
		}
	case "heal":
		m.healOf(r, args.HealID)
	}
}

// readPlan copies the plan of the tick into the model. It checks the total, not the distribution,
// which other tests cover.
func (m *modelTest) readPlan(r *rapid.T, demand int) {
	m.swept[m.tick()] = true
	for _, g := range m.allocations {
		g.closed = true
	}
	for _, g := range m.rows(r, "SELECT ARRAY[account_id, planned]::text[] FROM thaw.allocations WHERE tick_at = $1", m.tick()) {
		allocation := &modelAllocation{}
		var account int64
		_, err := fmt.Sscan(g[0]+" "+g[1], &account, &allocation.planned)
		m.must(r, err)
		m.allocations[allocationKey{m.tick(), account}] = allocation
		demand -= allocation.planned
	}
	if demand != 0 {
		r.Fatalf("the plan of the tick resumes %d too few", demand)
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

// compare fails if the database and the model differ.
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

// bringToRest runs all jobs and enough sweeps. Then no prospect is paused that could be resumed,
// and every invariant holds.
func (m *modelTest) bringToRest(r *rapid.T) {
	m.advance(r, 3*time.Hour) // Ends every hold, grace period and wait of a flapping account.
	for range 8 {
		m.advance(r, tick)
		m.startSweep(r)
		for ids := m.ids(r, toDo); len(ids) > 0; ids = m.ids(r, toDo) {
			m.workOne(r, ids[0])
		}
		m.compare(r)
	}
	for _, a := range m.accounts {
		if line := m.line(a, false); len(line) > 0 {
			r.Fatalf("%d prospects of account %d can still be resumed", len(line), a.id)
		}
		if movable := m.movable(a, false); len(movable) > 0 {
			r.Fatalf("%d pending prospects can still be moved to account %d", len(movable), a.id)
		}
	}
	report, err := verify.Run(m.t.Context(), m.db.Pool, verify.Options{})
	m.must(r, err)
	for _, check := range report.Checks {
		if check.Violations > 0 {
			r.Fatalf("%s: %q", check.About, check.Examples)
		}
	}
}

// count records which events the history contained.
func (m *modelTest) count(r *rapid.T) {
	for _, what := range m.rows(r, `
		SELECT ARRAY[kind || ' by ' || source] FROM thaw.enrollment_events
		UNION ALL SELECT ARRAY['signal ' || outcome] FROM thaw.account_signals`) {
		m.seen[what[0]]++
	}
}
