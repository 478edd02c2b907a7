package store_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// randomFleet has eight workspaces with four accounts of all kinds: connected or not, siblings, on
// hold, with a partly used cap. Some campaigns let nothing resume.
const randomFleet = `
SELECT setseed(%f);
INSERT INTO thaw.workspaces (key, auto_resume) SELECT 'w' || n, random() < 0.9 FROM generate_series(1, 8) AS n;
INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
SELECT w.id, 'c' || n, s.status, s.reason, CASE WHEN s.status = 'paused' THEN now() END
FROM thaw.workspaces AS w CROSS JOIN generate_series(1, 3) AS n
CROSS JOIN LATERAL (SELECT floor(random() * 5 + 0 * w.id + 0 * n) AS r) AS dice
CROSS JOIN LATERAL (VALUES (
	CASE WHEN dice.r < 3 THEN 'running' WHEN dice.r = 3 THEN 'paused' ELSE 'completed' END::thaw.campaign_status,
	CASE WHEN dice.r = 3 THEN (ARRAY['account_issue', 'paused_by_user']::thaw.pause_reason[])[1 + w.id %% 2] END)) AS s (status, reason);
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, hold_until, hold_reason)
SELECT w.id, format('a%%s-%%s', w.id, n), format('m%%s-%%s', w.id, n / 2),
	(ARRAY['connected', 'connected', 'connected', 'disconnected', 'restricted']::thaw.account_status[])[1 + floor(random() * 5)],
	CASE WHEN n = w.id THEN now() + interval '1 day' END, CASE WHEN n = w.id THEN 'new device' END
FROM thaw.workspaces AS w CROSS JOIN generate_series(1, 4) AS n;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
SELECT a.workspace_id, c.id, a.id, 'paused', 'account_disconnected', now(), format('p%%s-%%s-%%s', a.id, c.id, n)
FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id
CROSS JOIN LATERAL generate_series(1, floor(random() * 9 + 0 * a.id + 0 * c.id)::integer) AS n;
INSERT INTO thaw.account_served (account_id, tick_at)
SELECT a.id, thaw.tick() - interval '15 minutes' * (1 + floor(random() * 3)) FROM thaw.accounts AS a WHERE random() < 0.6;
INSERT INTO thaw.workspace_served (workspace_id, tick_at)
SELECT w.id, thaw.tick() - interval '15 minutes' * (1 + floor(random() * 3)) FROM thaw.workspaces AS w WHERE random() < 0.6;
UPDATE thaw.settings SET account_cap = 9;
INSERT INTO thaw.account_quotas (tick_at, account_id, cap, used)
SELECT thaw.tick(), a.id, 9, floor(random() * 10) FROM thaw.accounts AS a WHERE random() < 0.3;
SELECT thaw.fold_counts(5);
`

// The two steps in SQL give the same plan as all candidates at once, and the candidates match the
// rows.
func TestPlanTickMatchesPlanOfAllCandidates(t *testing.T) {
	t.Parallel()
	for seed := range 6 {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			db.Exec(t, fmt.Sprintf(randomFleet, float64(seed)/10))
			s := store.New(db.Pool)
			opened, err := s.Trip().OpenSweep(t.Context(), testdb.Value[time.Time](t, db, "SELECT thaw.tick()"))
			require.NoError(t, err)
			tick := testdb.Value[time.Time](t, db, "SELECT thaw.tick()")
			rows, err := s.Read().Candidates(t.Context(), tick)
			require.NoError(t, err)
			candidates, backlog := store.Candidates(rows)
			require.Equal(t, testdb.Column[string](t, db, `
				SELECT format('%s %s', line.target_id, sum(rows.waiting))
				FROM thaw.resumable(ARRAY(SELECT a.id FROM thaw.accounts AS a)) AS line
				CROSS JOIN LATERAL (
					SELECT count(*) AS waiting FROM thaw.enrollments AS e
					WHERE e.waits_for_account AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id) AS rows
				GROUP BY line.target_id ORDER BY line.target_id`),
				testdb.Column[string](t, db, "SELECT format('%s %s', account_id, backlog) FROM thaw.candidates() ORDER BY account_id"))
			require.Equal(t,
				testdb.Column[string](t, db, "SELECT l::text FROM thaw.resumable_lines() AS l ORDER BY 1"),
				testdb.Column[string](t, db, `
					SELECT row(line.workspace_id, line.target_id, line.source_id, line.campaign_id, count(*))::text
					FROM thaw.resumable(ARRAY(SELECT a.id FROM thaw.accounts AS a)) AS line
					JOIN thaw.enrollments AS e ON e.waits_for_account AND e.account_id = line.source_id AND e.campaign_id = line.campaign_id
					GROUP BY line.workspace_id, line.target_id, line.source_id, line.campaign_id ORDER BY 1`))

			for quota := 1; quota < 200; quota = quota*3/2 + 1 {
				opened.FleetCap = int32(quota)
				got, err := s.PlanTick(t.Context(), tick, opened)
				require.NoError(t, err)
				require.Equal(t, backlog, int(got.Backlog))
				want := dbsqlc.RecordPlanParams{}
				for _, g := range plan.Allocations(candidates, quota) {
					want.AccountIds = append(want.AccountIds, g.AccountID)
					want.WorkspaceIds = append(want.WorkspaceIds, g.WorkspaceID)
					want.Planned = append(want.Planned, int32(g.Planned))
				}
				require.Equal(t, want.AccountIds, got.AccountIds, "quota %d", quota)
				require.Equal(t, want.WorkspaceIds, got.WorkspaceIds)
				require.Equal(t, want.Planned, got.Planned)
			}
		})
	}
}

// slow makes planning for all accounts exceed the timeout, but not planning for a part of them.
const slow = `
ALTER FUNCTION thaw.plan_workspaces(timestamptz, integer, bigint, bigint) RENAME TO quick;
CREATE FUNCTION thaw.plan_workspaces(tick_at timestamptz, quota integer, after bigint, until bigint)
RETURNS TABLE (workspace_id bigint, demand integer, served_at timestamptz, total_waiting bigint) LANGUAGE plpgsql AS $$
BEGIN
	IF after < 0 THEN
		PERFORM pg_sleep(60);
	END IF;
	RETURN QUERY SELECT * FROM thaw.quick(tick_at, quota, after, until);
END;
$$`

// A plan that would take too long covers a part of the accounts, and the next sweep covers another
// part.
func TestSlowPlanIsPartial(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, fmt.Sprintf(randomFleet, 0.1)+"SELECT thaw.fold_counts(); "+slow)
	s := store.New(db.Pool)
	tick := testdb.Value[time.Time](t, db, "SELECT thaw.tick()")
	opened, err := s.Trip().OpenSweep(t.Context(), tick)
	require.NoError(t, err)
	record, err := s.PlanTick(t.Context(), tick, opened)
	require.NoError(t, err)
	require.True(t, record.IsPartial)
	require.NotEmpty(t, record.AccountIds)

	db.Exec(t, "ANALYZE thaw.waiting_totals")
	seen := testdb.Column[int](t, db, `
		SELECT DISTINCT t.account_id
		FROM generate_series(1, 40) AS n
		CROSS JOIN LATERAL thaw.plan_part(thaw.tick() + n * interval '15 minutes', 3) AS part
		JOIN thaw.waiting_totals AS t ON t.account_id > part.after_id AND t.account_id <= part.until_id`)
	require.Len(t, seen, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.waiting_totals"))
}

// Requeueing pauses that would take too long does less and says so.
func TestSlowRequeueIsPartial(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) VALUES (1, 'ann', 'disconnected'), (1, 'bob', 'disconnected');
		UPDATE thaw.accounts SET pause_after = CASE provider_account_id WHEN 'ann' THEN thaw.now() - interval '1 hour' END;
		ALTER FUNCTION thaw.is_gone(thaw.account_status) RENAME TO quick;
		CREATE FUNCTION thaw.is_gone(p_status thaw.account_status) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN true; END; $$`)
	isPartial, err := store.New(db.Pool).RequeuePauses(t.Context(), testdb.Value[time.Time](t, db, "SELECT thaw.tick()"))
	require.NoError(t, err)
	require.True(t, isPartial)
	require.Equal(t, []string{"1"}, testdb.Column[string](t, db, "SELECT args ->> 'account_id' FROM thaw.river_job WHERE kind = 'pause_account'"))
}
