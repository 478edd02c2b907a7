package schema_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Senders, the scheduler, signals, passes, manual actions and the platform's own writes beside each
// other: no deadlock, and each step is given out at most once.
func TestSendingAndPassesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		UPDATE thaw.action_limits SET per_day = 1000, per_week = NULL;
		UPDATE thaw.settings SET flap_limit = 0, safety_accounts = 1000000, account_cap = 1000000, fleet_cap = 1000000, signal_cap = 1000000;
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone) VALUES (1, 'ann-2', 'm-ann', 'connected', 'Europe/Berlin');
		INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 1000, 'x', 'x')`)
	pick := func(statements ...string) string { return statements[rand.IntN(len(statements))] }
	// Senders also start and settle what others have reserved.
	sender := func() func() string {
		turn := 0
		return func() string {
			turn++
			return []string{
				"SELECT thaw.settle(a.id, '" + pick("sent", "sent", "sent", "unknown", "throttled", "account_lost") + "', 'ref') FROM (SELECT a.id FROM thaw.actions AS a WHERE a.state = 'started' ORDER BY random() LIMIT 1) AS a",
				"SELECT thaw.reserve(1 + (random() * 29)::integer)",
				"SELECT thaw.start(a.id) FROM (SELECT a.id FROM thaw.actions AS a WHERE a.state = 'reserved' ORDER BY random() LIMIT 1) AS a",
			}[turn%3]
		}
	}
	loops := map[string]func() string{
		"sender":         sender(),
		"another sender": sender(),
		"claim":          func() string { return "SELECT thaw.claim_actions(10)" },
		"schedule": func() string {
			return pick("SELECT thaw.take_nudges()", "SELECT thaw.expire_actions()", "SELECT thaw.look_at('{1,2,3,4}')")
		},
		"signals": func() string {
			return "SELECT thaw.signal('linkedin', '" + pick("ann", "bob", "cyd", "ann-2") + "', '" + pick("connected", "connected", "connected", "connected", "connected", "disconnected") + "')"
		},
		"passes": func() string {
			return pick(`SELECT thaw.resume_pass('signal', s.account_id, 1, p_signal_id => s.id) FROM thaw.account_signals AS s WHERE s.status = 'connected' AND s.finished_at IS NULL LIMIT 1`,
				`SELECT thaw.pause_batch(s.account_id, 5, s.id, NULL, 1) FROM thaw.account_signals AS s WHERE s.status = 'disconnected' AND s.finished_at IS NULL LIMIT 1`)
		},
		"people": func() string {
			return pick("SELECT thaw.pause_account('bob', 'x')", "SELECT thaw.resume_account('bob', 'x', even_by_user => true)",
				"SELECT thaw.pause_prospect('https://www.linkedin.com/in/p1-3', 'x')", "SELECT thaw.hold('cyd', thaw.now() + interval '1 second', 'x')")
		},
		"campaigns": func() string {
			const resume = "SELECT thaw.resume_campaign('acme', 'spring', 'x')"
			return pick("SELECT thaw.pause_campaign('acme', 'spring', 'x')", resume, resume, resume, resume, resume)
		},
		"heals": func() string {
			return pick("SELECT thaw.heal('acme', even_if_off => true)", "SELECT thaw.heal_batch(h.id, 5, 1) FROM thaw.heals AS h WHERE h.status = 'running' LIMIT 1")
		},
		"platform": func() string {
			return pick("UPDATE thaw.enrollments SET next_action_at = thaw.now() WHERE id = (SELECT 1 + (random() * 29)::integer)",
				"UPDATE thaw.accounts SET member_id = CASE WHEN member_id IS NULL THEN 'm-ann' END WHERE id = 4",
				"UPDATE thaw.action_overrides SET per_day = 1001", "UPDATE thaw.accounts SET timezone = 'Europe/Paris' WHERE id = (SELECT 1 + (random() * 3)::integer)")
		},
	}
	// A sender alone gets something done: its statements are right.
	alone := sender()
	for range 12 {
		db.Exec(t, alone())
	}
	require.Positive(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE started_at IS NOT NULL"))
	var running sync.WaitGroup
	for name, statement := range loops {
		running.Go(func() {
			turns := testdb.Size(60, 600)
			if strings.HasSuffix(name, "sender") {
				turns *= 5
			}
			for range turns {
				_, err := db.Pool.Exec(context.WithoutCancel(t.Context()), statement())
				failed, ok := errors.AsType[*pgconn.PgError](err)
				switch {
				case err == nil:
				case !ok:
					assert.NoError(t, err, name)
					return
				case strings.HasSuffix(name, "sender") && failed.Code == pgerrcode.ObjectNotInPrerequisiteState: // It was settled before.
				case strings.HasSuffix(name, "sender") && failed.Code == pgerrcode.SerializationFailure: // The prospect has just moved.
				case name == "people" && failed.Code == pgerrcode.CheckViolation: // A hold is not shortened.
				case name == "heals" && failed.Code == pgerrcode.UniqueViolation: // One is running.
				default:
					assert.NoError(t, err, "%s: %s", name, failed.Detail)
				}
			}
		})
	}
	running.Wait()
	require.Empty(t, testdb.Column[int](t, db, "SELECT enrollment_id FROM thaw.actions WHERE is_used GROUP BY enrollment_id, step HAVING count(*) > 1"))
}

// A prospect that moves to another account while its reservation waits for the first one is not
// reserved: the lock of the other account would come too late.
func TestProspectThatMovesIsNotReserved(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	moving, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer moving.Rollback(context.WithoutCancel(t.Context()))
	_, err = moving.Exec(t.Context(), "SELECT id FROM thaw.accounts WHERE id = 1 FOR NO KEY UPDATE; UPDATE thaw.enrollments SET account_id = 2 WHERE id = 1", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	const sql = "SELECT thaw.reserve(1)"
	reserved := make(chan error, 1)
	go func() {
		_, err := db.Pool.Exec(t.Context(), sql)
		reserved <- err
	}()
	waitsForLock(t, db, sql)
	require.NoError(t, moving.Commit(t.Context()))
	failed, ok := errors.AsType[*pgconn.PgError](<-reserved)
	require.True(t, ok)
	require.Equal(t, pgerrcode.SerializationFailure, failed.Code)
	require.Equal(t, "Reserve it again.", failed.Hint)
	require.Equal(t, "1", reserve(t, db, 1))
}
