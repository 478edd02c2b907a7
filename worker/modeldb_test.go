package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/testdb"
)

// modelTest holds one database and its model. Time stands still unless the test advances it.
type modelTest struct {
	fleetModel
	t      *testing.T
	db     *testdb.DB
	client *river.Client[pgx.Tx]
	doomed *pgxpool.Pool // its connections break at COMMIT
	broken *breaker
	keys   int            // how many accounts were inserted
	healed map[int64]bool // by heal
	seen   map[string]int // events over all histories
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

// TraceBatchStart breaks a commit that is sent in one batch with its work: it replaces the commit
// by a statement that fails.
func (b *breaker) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		if b.armed.Load() && query.SQL == "COMMIT" {
			query.SQL = "DO $$ BEGIN RAISE 'the commit failed'; END $$"
		}
	}
	return ctx
}

func (b *breaker) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (b *breaker) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func newModelTest(t *testing.T) *modelTest {
	t.Helper()
	f := &fleet{DB: testdb.New(t)}
	f.Exec(t, `
		CREATE TABLE thaw_test.frozen (at timestamptz NOT NULL);
		INSERT INTO thaw_test.frozen VALUES ('2026-03-01 09:00:00+00');
		CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE RETURN (SELECT frozen.at FROM thaw_test.frozen);
		UPDATE thaw.settings SET account_cap = 3, fleet_cap = 5, signal_cap = 4;`)
	m := &modelTest{t: t, db: f.DB, client: f.client(t), broken: &breaker{}, seen: map[string]int{}}
	config := f.Pool.Config()
	config.ConnConfig.Tracer = m.broken
	var err error
	m.doomed, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(m.doomed.Close)
	return m
}

// reset starts a history: two workspaces, one with jane, whose old account was replaced, and one
// with joe; a running and a paused campaign; per account and campaign one active, two paused and
// one pending prospect.
func (m *modelTest) reset(r *rapid.T) {
	m.exec(r, `TRUNCATE thaw.workspaces, thaw.accounts, thaw.account_products, thaw.campaigns, thaw.enrollments, thaw.enrollment_events,
		thaw.campaign_events, thaw.account_signals, thaw.sweeps, thaw.allocations, thaw.fleet_quotas, thaw.account_quotas,
		thaw.heals, thaw.heal_enrollments, thaw.heal_order, thaw.account_events, thaw.manual_actions, thaw.backlog_samples, thaw.api_tokens, thaw.river_job RESTART IDENTITY CASCADE`)
	m.exec(r, `UPDATE thaw_test.frozen SET at = '2026-03-01 09:00:00+00'`)
	m.exec(r, `UPDATE thaw.safety SET since = NULL, reason = NULL, entered_by = NULL, manual_exit = false, ended_at = NULL`)
	m.exec(r, `INSERT INTO thaw.workspaces (key) VALUES ('w1'), ('w2')`)
	m.exec(r, `INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at)
		SELECT w, 'a' || i, m, s::thaw.account_status, CASE WHEN s = 'connected' THEN thaw.now() END
		FROM (VALUES (1, 1, 'jane', 'disconnected'), (2, 1, 'jane', 'connected'), (3, 1, 'joe', 'connected'),
			(4, 2, 'jane', 'connected')) AS a (i, w, m, s) ORDER BY i`)
	m.exec(r, `INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
		VALUES (1, 'spring', 'running', NULL, NULL), (1, 'summer', 'paused', 'account_issue', thaw.now()), (2, 'spring', 'running', NULL, NULL)`)
	m.exec(r, `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, step, status, paused_reason, paused_at)
		SELECT c.workspace_id, c.id, a.id, format('%s/%s/%s', c.id, a.id, i), i,
			CASE i WHEN 1 THEN 'active' WHEN 4 THEN 'pending' ELSE 'paused' END::thaw.enrollment_status,
			CASE WHEN i IN (2, 3) THEN 'account_disconnected' END::thaw.pause_reason,
			CASE WHEN i IN (2, 3) THEN thaw.now() END
		FROM thaw.campaigns AS c JOIN thaw.accounts AS a USING (workspace_id), generate_series(1, 4) AS i
		ORDER BY c.id, a.id, i`)

	m.keys, m.healed = 4, map[int64]bool{}
	m.fleetModel = fleetModel{
		now:        time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		accountCap: 3, fleetCap: 5, signalCap: 4,
		optedOut: map[int64]bool{}, accounts: map[int64]*modelAccount{}, campaigns: map[int64]*modelCampaign{},
		enrollments: map[int64]*modelEnrollment{}, closedSignals: map[int64]bool{}, allocations: map[allocationKey]*modelAllocation{},
		swept: map[time.Time]bool{}, usedByAccount: map[allocationKey]int{}, usedByLane: map[laneKey]int{},
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
	m.campaigns[2].state, m.campaigns[2].pausedAt = issue, m.now
	for _, e := range m.rows(r, "SELECT ARRAY[id, campaign_id, account_id, step]::text[] FROM thaw.enrollments") {
		row := &modelEnrollment{state: disconnected, pausedAt: m.now}
		_, err := fmt.Sscan(strings.Join(e, " "), &row.id, &row.campaign, &row.account, &row.step)
		m.must(r, err)
		switch row.step {
		case 1:
			row.state, row.pausedAt = "active", time.Time{}
		case 4:
			row.state, row.pausedAt = "pending", time.Time{}
		}
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

func rarely(r *rapid.T, label string) bool { return rapid.IntRange(0, 3).Draw(r, label) == 3 }

func anyOf[V any](r *rapid.T, label string, from map[int64]V) V {
	ids := make([]int64, 0, len(from))
	for id := range from {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return from[rapid.SampledFrom(ids).Draw(r, label)]
}
