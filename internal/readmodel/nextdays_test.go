package readmodel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/sendforecast"
	"github.com/thawline/thaw/internal/testdb"
)

// The forecast of actions reads limits for weeks to come and windows of days to come. For now, both
// are what the gates apply.
func TestForecastOfActionsAgreesWithGates(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	// Windows open and close at full and half hours: none does so during the test.
	db.Advance(t, testdb.Value[time.Duration](t, db, "SELECT date_trunc('hour', thaw.now()) + interval '70 minutes' - thaw.now()"))
	random := rand.New(rand.NewPCG(3, 3))
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) SELECT 'w' || n FROM generate_series(1, 3) AS n;
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier)
		SELECT 1 + n % 3, 'a' || n, 'm' || n, 'connected', (ARRAY['UTC', 'America/New_York', 'Asia/Kolkata'])[1 + n % 3], (enum_range(NULL::thaw.account_tier))[1 + n % 4]
		FROM generate_series(0, 23) AS n;
		SELECT thaw.ensure_senders(array_agg(a.id)) FROM thaw.accounts AS a;
		UPDATE thaw.senders SET ramp_started_at = thaw.now() - (id % 8) * interval '7 days', last_sent_at = thaw.now() - interval '1 day' WHERE id % 5 > 0;
		INSERT INTO thaw.sending_windows (workspace_id, weekdays, opens, closes) VALUES (2, '{1,2,3,4,5,6,7}', '22:00', '04:00');`)
	for account := 1; account <= 24; account++ {
		workspace := testdb.Value[int64](t, db, "SELECT workspace_id FROM thaw.accounts WHERE id = $1", account)
		if random.IntN(3) > 0 {
			db.Exec(t, `
				INSERT INTO thaw.action_overrides (workspace_id, account_id, kind, per_day, per_week, reason, actor) VALUES ($1, $2, 'invite', $3, $4, 'test', 'test')
				ON CONFLICT DO NOTHING`, workspace, []any{account, nil}[random.IntN(2)], random.IntN(120), random.IntN(300))
		}
		if random.IntN(3) == 0 {
			opens := random.IntN(23)
			db.Exec(t, `
				INSERT INTO thaw.sending_windows (workspace_id, account_id, weekdays, opens, closes) VALUES ($1, $2, '{1,3,5,6}', $3::time, $4::time)`,
				workspace, account, fmt.Sprintf("%02d:00", opens), fmt.Sprintf("%02d:30", opens))
		}
	}
	ids := testdb.Column[int64](t, db, "SELECT id FROM thaw.accounts ORDER BY id")
	q := dbsqlc.New(db.Pool)
	kinds, err := q.ForecastKinds(t.Context(), ids)
	require.NoError(t, err)
	require.Len(t, kinds, 24*5)
	for _, k := range kinds {
		var week int
		var perDay, perWeek int32
		require.NoError(t, db.Pool.QueryRow(t.Context(), `
			SELECT g.ramp_week, g.per_day, coalesce(g.per_week, -1) FROM thaw.kind_gates(ARRAY[$1::bigint], ARRAY[$2]) AS g`, k.AccountID, k.Kind).
			Scan(&week, &perDay, &perWeek))
		require.Equal(t, []int32{perDay, perWeek}, []int32{k.PerDay[week-1], k.PerWeek[week-1]}, "%s of account %d in week %d", k.Kind, k.AccountID, week)
	}
	windows, err := q.ForecastWindows(t.Context(), dbsqlc.ForecastWindowsParams{AccountIds: ids, Days: 20})
	require.NoError(t, err)
	first := map[int64]dbsqlc.ForecastWindowsRow{}
	for _, w := range windows {
		if _, known := first[w.AccountID]; !known {
			first[w.AccountID] = w
		}
		require.True(t, w.ClosesAt.After(w.OpensAt))
	}
	require.Len(t, first, 24)
	for id, w := range first {
		require.True(t, testdb.Value[bool](t, db, `
			SELECT CASE WHEN g.window_closes_at IS NULL THEN g.window_opens_at = $2 ELSE $2 <= thaw.now() AND g.window_closes_at >= $3 END
			FROM thaw.kind_gates(ARRAY[$1::bigint], ARRAY['view']) AS g`, id, w.OpensAt, w.ClosesAt), "account %d: %v", id, w)
	}
}

// A step that was done is over for its prospect, although its kind was changed after that: the
// scheduler would not do it again.
func TestForecastOfActionsSkipsStepsThatWereDoneAsAnotherKind(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone) VALUES (1, 'ann', 'connected', 'UTC');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url, next_kind, next_action_at)
		SELECT 1, 1, 1, 'active', 'https://example.com/in/p' || n, 'invite', thaw.now() FROM generate_series(1, 2) AS n;
		INSERT INTO thaw.sending_windows (workspace_id, weekdays, opens, closes) VALUES (1, '{1,2,3,4,5,6,7}', '00:00', '24:00');
		SELECT thaw.ensure_senders('{1}');
		INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor, state, outcome,
			started_at, settled_at, local_day, gap, next_of_kind_at)
		SELECT 1, 1, s.sender_id, 1, 1, 'linkedin', 'https://example.com/in/p1', 0, 'view', 'sender', 'sent', 'sent', at.at, at.at, '2026-01-01', '0', at.at
		FROM thaw.sending_accounts AS s, (SELECT thaw.now() - interval '1 day') AS at (at);`)
	rows, err := dbsqlc.New(db.Pool).ForecastProspects(t.Context(), dbsqlc.ForecastProspectsParams{AccountIds: []int64{1}, Size: 10})
	require.NoError(t, err)
	states := map[int64]string{}
	for _, r := range rows {
		states[r.ID] = r.State
	}
	require.Equal(t, map[int64]string{1: "sent", 2: ""}, states)
	require.Equal(t, "already_sent", testdb.Value[string](t, db, "SELECT n.code FROM thaw.next_actions('{1}') AS n"), "the gates say the same")
}

// Days are computed after the snapshot has ended, as far as the budget suffices: the sender with
// fewer prospects is first. Without days, the explanation names the earliest time.
func TestDaysOfActionsHaveABudget(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, connected_at, timezone)
		SELECT 1, 'a' || n, 'connected', thaw.now() - interval '1 day', 'UTC' FROM generate_series(1, 2) AS n;
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url, next_kind, next_action_at)
		SELECT 1, 1, CASE WHEN n <= 40 THEN 1 ELSE 2 END, 'active', 'https://example.com/in/p' || n, 'invite', thaw.now() - interval '1 hour' + n * interval '1 second'
		FROM generate_series(1, 45) AS n;
		SELECT thaw.ensure_senders('{1,2}');
		SELECT thaw.take_nudges();`)
	asked := []string{"https://example.com/in/p40", "https://example.com/in/p45"}
	read := func() (found facts) {
		require.NoError(t, f.store.Snapshot(t.Context(), func(q *dbsqlc.Queries) (err error) {
			found, err = readFacts(t.Context(), q, asked, Everything())
			return err
		}))
		require.Len(t, found.next, 2)
		for id, next := range found.next {
			require.Nil(t, next.ExpectedOn, "enrollment %d, inside of the snapshot", id)
		}
		return found
	}
	days := func(found facts) (named []int64) {
		for _, id := range []int64{40, 45} {
			if found.next[id].ExpectedOn != nil {
				named = append(named, id)
			}
		}
		return named
	}
	sentence := func(found facts, id int) string {
		return found.explain(nil)[fmt.Sprintf("https://example.com/in/p%d", id)][0].Sentence
	}
	found := read()
	all := &sendforecast.Budget{Steps: expectedSteps}
	require.NoError(t, found.expectActions(t.Context(), all))
	require.Equal(t, []int64{40, 45}, days(found))
	require.Regexp(t, `The invite is expected (on|between) 20`, sentence(found, 40))

	found = read()
	require.NoError(t, found.expectActions(t.Context(), &sendforecast.Budget{Steps: expectedSteps - all.Steps - 1}))
	require.Equal(t, []int64{45}, days(found))
	require.Regexp(t, `39 other invites are due before it\.$`, sentence(found, 40))
	require.NotRegexp(t, `is expected (on|between)`, sentence(found, 40))

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, read().expectActions(canceled, all), context.Canceled)
}

// In shadow mode no day is named, and prospects of a workspace in shadow mode delay no other one of
// the same person: Thaw gives none of them out.
func TestShadowModeHasNoDays(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('globex');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at, timezone)
		SELECT n, 'a' || n, 'ann', 'connected', thaw.now() - interval '1 day', 'UTC' FROM generate_series(1, 2) AS n;
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running'), (2, 'spring', 'running');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url, next_kind, next_action_at)
		SELECT w, w, w, 'active', format('https://example.com/in/p%s-%s', w, n), 'invite', thaw.now() - interval '1 hour' * w
		FROM generate_series(1, 2) AS w, generate_series(1, 40) AS n;
		SELECT thaw.ensure_senders('{1,2}');
		SELECT thaw.take_nudges()`)
	day := func(url string) string {
		found, err := Explain(t.Context(), f.store, url)
		require.NoError(t, err)
		if found[0].Next.ExpectedOn == nil {
			require.Nil(t, found[0].Next.ExpectedAt)
			return string(found[0].Code)
		}
		return found[0].Next.ExpectedOn.To
	}
	const last, other = "https://example.com/in/p1-40", "https://example.com/in/p2-40"
	shared := day(last)
	f.Exec(t, "UPDATE thaw.workspaces SET shadow = true WHERE id = 2")
	require.Less(t, day(last), shared)
	require.Equal(t, "shadow_mode", day(other))
}
