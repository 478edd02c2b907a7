package schema_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// setSteps replaces the steps of the campaign by these kinds.
func setSteps(kinds ...string) string {
	steps := make([]string, len(kinds))
	for i, kind := range kinds {
		steps[i] = fmt.Sprintf(`{"kind": %q}`, kind)
	}
	return "SELECT thaw.set_campaign_steps('acme', 'spring', '[" + strings.Join(steps, ", ") + "]')"
}

// wrongKinds are the prospects whose next kind is not that of their step.
const wrongKinds = `
	SELECT format('%s, %s at step %s: %s, not %s', e.id, e.status, e.step, e.next_kind, s.kind)
	FROM thaw.enrollments AS e LEFT JOIN thaw.campaign_steps AS s ON s.campaign_id = e.campaign_id AND s.position = e.step
	WHERE e.status IN ('pending', 'active', 'paused') AND e.next_kind IS DISTINCT FROM s.kind ORDER BY e.id`

// New steps and another change of a prospect at the same time: whichever comes first, the kind of
// its next action is that of its step.
func TestStepsAndProspectsChangeAtOnce(t *testing.T) {
	t.Parallel()
	const insert = `INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		VALUES (1, 1, 1, 'active', thaw.now(), 'https://www.linkedin.com/in/new')`
	for name, one := range map[string]struct {
		before, steps, other string
	}{
		"insert":          {"", setSteps("view", "invite"), insert},
		"settle":          {"", setSteps("invite", "view"), "SELECT thaw.settle(1, 'sent', 'ref')"},
		"settle of moved": {"UPDATE thaw.enrollments SET account_id = 2 WHERE id = 1", setSteps("invite", "view"), "SELECT thaw.settle(1, 'sent', 'ref')"},
		"step":            {"", setSteps("invite", "view"), "UPDATE thaw.enrollments SET step = 1 WHERE id = 2"},
		"reactivated":     {"UPDATE thaw.enrollments SET status = 'failed' WHERE id = 2", setSteps("view", "invite"), "UPDATE thaw.enrollments SET status = 'active' WHERE id = 2"},
		"starts over": {"UPDATE thaw.enrollments SET status = 'completed', step = 2, next_kind = NULL WHERE id = 2", setSteps("view", "invite"),
			"UPDATE thaw.enrollments SET status = 'active', step = 0 WHERE id = 2"},
	} {
		for order, both := range map[string][2]string{"steps first": {one.steps, one.other}, "steps last": {one.other, one.steps}} {
			t.Run(name+", "+order, func(t *testing.T) {
				t.Parallel()
				db := withSenders(t)
				db.Exec(t, "SELECT thaw.reserve(1); SELECT thaw.start(1)")
				if one.before != "" {
					db.Exec(t, one.before)
				}
				first, err := db.Pool.Begin(t.Context())
				require.NoError(t, err)
				defer first.Rollback(context.WithoutCancel(t.Context()))
				_, err = first.Exec(t.Context(), both[0])
				require.NoError(t, err)
				second := make(chan error, 1)
				go func() {
					_, err := db.Pool.Exec(t.Context(), both[1])
					second <- err
				}()
				waitsForLock(t, db, both[1])
				require.NoError(t, first.Commit(t.Context()))
				require.NoError(t, <-second)
				require.Empty(t, testdb.Column[string](t, db, wrongKinds))
			})
		}
	}
}

// Steps change again and again beside senders, the scheduler and the platform: no deadlock, no step
// is skipped or done twice, and in the end every prospect has the kind of its step.
func TestStepsChangeBesideSenders(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		UPDATE thaw.action_limits SET per_day = 10000, per_week = NULL;
		UPDATE thaw.action_ceilings SET per_day = 10000, per_week = NULL;
		INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'view', 10000, 'x', 'x')`)
	pick := func(statements ...string) string { return statements[rand.IntN(len(statements))] }
	inserted := 0
	loops := map[string]func(turn int) string{
		"sender": func(turn int) string {
			return []string{
				"SELECT thaw.reserve(e.id) FROM (SELECT e.id FROM thaw.enrollments AS e WHERE e.status = 'active' ORDER BY random() LIMIT 1) AS e",
				"SELECT thaw.start(a.id) FROM (SELECT a.id FROM thaw.actions AS a WHERE a.state = 'reserved' ORDER BY random() LIMIT 1) AS a",
				"SELECT thaw.settle(a.id, '" + pick("sent", "sent", "already", "unknown") + "', 'ref') FROM (SELECT a.id FROM thaw.actions AS a WHERE a.state = 'started' ORDER BY random() LIMIT 1) AS a",
			}[turn%3]
		},
		"scheduler": func(int) string { return pick("SELECT thaw.take_nudges()", "SELECT thaw.claim_actions(10)") },
		"steps": func(int) string {
			return pick(setSteps("view", "message", "view"), setSteps("view", "view", "message", "view"), setSteps("message", "view", "view"), setSteps("view", "view", "view", "view"))
		},
		"platform": func(int) string {
			inserted++
			return pick(fmt.Sprintf(`INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
					VALUES (1, 1, 1 + (random() * 2)::integer, 'active', thaw.now(), 'https://www.linkedin.com/in/new-%d')`, inserted),
				"UPDATE thaw.enrollments SET account_id = 1 + (random() * 2)::integer WHERE id = 1 + (random() * 29)::integer",
				"UPDATE thaw.enrollments SET status = 'failed' WHERE id = 1 + (random() * 29)::integer AND status = 'active'",
				"UPDATE thaw.enrollments SET status = 'active' WHERE id = 1 + (random() * 29)::integer AND status = 'failed'")
		},
	}
	db.Exec(t, setSteps("view", "message", "view"))
	var running sync.WaitGroup
	for name, statement := range loops {
		running.Go(func() {
			for turn := range testdb.Size(120, 1200) {
				_, err := db.Pool.Exec(context.WithoutCancel(t.Context()), statement(turn))
				if failed, ok := errors.AsType[*pgconn.PgError](err); ok && name == "sender" && (failed.Code == pgerrcode.ObjectNotInPrerequisiteState || failed.Code == pgerrcode.SerializationFailure) {
					continue // it was settled before, or the prospect has just moved
				}
				assert.NoError(t, err, name)
			}
		})
	}
	running.Wait()
	require.Empty(t, testdb.Column[string](t, db, wrongKinds))
	require.Positive(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE state = 'sent'"))
	require.Empty(t, testdb.Column[int](t, db, `
		SELECT e.id FROM thaw.enrollments AS e CROSS JOIN generate_series(0, e.step - 1) AS step
		WHERE NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.enrollment_id = e.id AND a.step = step AND a.state IN ('sent', 'already'))`), "a step was skipped")
	require.Empty(t, testdb.Column[int](t, db, "SELECT enrollment_id FROM thaw.actions WHERE is_used GROUP BY enrollment_id, step HAVING count(*) > 1"), "a step was done twice")
	require.Zero(t, violations(t, db))
}
