package schema_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// longPast is the data of a long operation, in addition to the fleet of manyRows: ticks with ten
// accounts each, and for each account perAccount status changes, and as many actions of senders and
// manual actions.
const longPast = `
INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, accounts_processed, planned, resumed, started_at, finished_at)
SELECT past.tick_at, 200, 2000, 10, 10, 1000, 1000, past.tick_at, past.tick_at
FROM generate_series({ticks}, 1, -1) AS n
CROSS JOIN LATERAL (SELECT thaw.tick() - n * interval '15 minutes' AS tick_at) AS past;
INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned, resumed, verdict, finished_at)
SELECT s.tick_at, a.id, a.workspace_id, 100, 100, 'resumed', s.finished_at
FROM (SELECT s.*, row_number() OVER (ORDER BY s.tick_at) AS n FROM thaw.sweeps AS s) AS s
CROSS JOIN generate_series(0, 9) AS i
JOIN thaw.accounts AS a ON a.id = 1 + (s.n * 10 + i) % {accounts};
INSERT INTO thaw.backlog_samples (tick_at, paused, waiting, took) SELECT s.tick_at, 2, 1, '1 ms' FROM thaw.sweeps AS s;
INSERT INTO thaw.account_events (account_id, at, from_status, to_status)
SELECT a.id, now() - n * interval '1 hour', 'connected', 'disconnected'
FROM generate_series({per account}, 1, -1) AS n CROSS JOIN thaw.accounts AS a;
INSERT INTO thaw.manual_actions (at, what, actor, reason, workspace_id, account_id)
SELECT now() - n * interval '1 hour', 'paused', 'ann', 'asked by phone', a.workspace_id, a.id
FROM generate_series({per account}, 1, -1) AS n CROSS JOIN thaw.accounts AS a;
INSERT INTO thaw.senders (provider, key)
SELECT a.provider, 'account:' || a.id FROM thaw.accounts AS a ORDER BY a.id
ON CONFLICT DO NOTHING;
INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, state, outcome,
    actor, reserved_at, started_at, settled_at, used_at, local_day, gap, next_of_kind_at)
SELECT a.workspace_id, a.id, s.id, 1, a.id, a.provider, 'https://example.com/in/1-200', n, 'message', 'sent', 'sent',
    'sender', at, at, at, at, at::date, '1 minute', at
FROM generate_series({per account}, 1, -1) AS n
CROSS JOIN LATERAL (SELECT now() - n * interval '1 hour' AS at) AS past
CROSS JOIN thaw.accounts AS a
JOIN thaw.senders AS s ON s.key = 'account:' || a.id AND s.provider = a.provider
ORDER BY n DESC; -- in the order of time, as in a ledger
INSERT INTO thaw.manual_actions (what, actor, reason)
SELECT what.name, 'monitor', 'accounts were lost' FROM generate_series(1, 10), (VALUES ('safety_entered'), ('safety_exited')) AS what (name);
`

// past are the tables that grow without limit. Heals are not among them: they are started manually,
// so there are few.
var past = []string{
	"enrollments", "enrollment_events", "account_signals", "sweeps", "allocations", "backlog_samples", "account_events", "manual_actions",
	"actions",
}

// A read is a node of an executed plan, with the number of rows that it discarded.
type read struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Loops    float64 `json:"Actual Loops"`
	Plans    []read  `json:"Plans"`
}

// maxDiscarded is how many rows a node may read and discard.
const maxDiscarded = 2000

// offences returns the tables in past that a plan scans sequentially, or of which it discards many
// rows: walking along an index in search of a row is a scan too.
func (r read) offences() []string {
	var found []string
	if slices.Contains(past, r.Relation) && (r.Type == "Seq Scan" || r.Removed*max(1, r.Loops) > maxDiscarded) {
		found = append(found, r.Type+" of "+r.Relation)
	}
	for _, below := range r.Plans {
		found = append(found, below.offences()...)
	}
	return found
}

// A watchedPool records the plans of all its statements.
type watchedPool struct {
	*pgxpool.Pool
	mu    sync.Mutex
	plans []string
}

func newWatchedPool(t *testing.T, db *testdb.DB, mode string) *watchedPool {
	t.Helper()
	w := &watchedPool{}
	config, err := pgxpool.ParseConfig(db.Direct)
	require.NoError(t, err)
	config.ConnConfig.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if plan, ok := shownPlan(notice); ok {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.plans = append(w.plans, plan)
		}
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, explaining+`
			SET auto_explain.log_analyze = on;
			SET auto_explain.log_timing = off;
			`+planning(mode))
		return err
	}
	w.Pool, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// offences returns the offences of all statements since the last call, each with its query.
func (w *watchedPool) offences(t *testing.T) (found []string, statements int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range w.plans {
		var plan struct {
			Query string `json:"Query Text"`
			Plan  read
		}
		require.NoError(t, json.Unmarshal([]byte(text), &plan))
		for _, offence := range plan.Plan.offences() {
			found = append(found, offence+" in: "+plan.Query)
		}
	}
	statements = len(w.plans)
	w.plans = nil
	return found, statements
}

// requireNoScansOnPages checks the queries of pages and API, for operators and for API tokens, with
// a long past.
func requireNoScansOnPages(t *testing.T, db *testdb.DB) {
	t.Helper()
	db.Exec(t, atSize(longPast))
	db.Exec(t, "VACUUM ANALYZE")
	const url = "https://example.com/in/1-200" // in the queue, or would be
	giant := testdb.Value[int64](t, db, "SELECT a.id FROM thaw.accounts AS a WHERE a.provider_account_id = 'giant-waiting'")

	// The last of many due actions of an account.
	const scheduled = "https://example.com/in/giant-active-1"
	db.Exec(t, `
		UPDATE thaw.accounts AS a SET timezone = 'Europe/Berlin' WHERE a.provider_account_id = 'giant-active';
		UPDATE thaw.enrollments AS e SET next_kind = 'invite', next_action_at = now() - e.id * interval '1 millisecond'
		FROM thaw.accounts AS a WHERE a.id = e.account_id AND a.provider_account_id = 'giant-active'`)

	// A lost account with pending prospects, which move to its sibling.
	db.Exec(t, `
		UPDATE thaw.accounts AS a SET status = 'removed', member_id = 'moving' WHERE a.provider_account_id = 'account-41';
		UPDATE thaw.accounts AS a SET status = 'connected', member_id = 'moving' WHERE a.provider_account_id = 'account-21';
		UPDATE thaw.enrollments AS e SET status = 'pending' FROM thaw.accounts AS a
		WHERE a.id = e.account_id AND a.provider_account_id = 'account-41' AND e.status = 'active'`)
	moving := testdb.Value[int64](t, db, "SELECT a.id FROM thaw.accounts AS a WHERE a.provider_account_id = 'account-41'")

	for _, mode := range planCacheModes() {
		pool := newWatchedPool(t, db, mode)
		watched := store.New(pool.Pool)
		for _, scope := range []readmodel.Scope{readmodel.Everything(), readmodel.OfWorkspace(2)} {
			account := int64(1) // of workspace 2
			asked := map[string]func(context.Context, readmodel.Paging) error{
				"overview": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.NewReader(watched).Overview(ctx)
					return err
				},
				"fleet": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.NewReader(watched).Fleet(ctx, scope)
					return err
				},
				"accounts":                returns(watched, scope, readmodel.AccountFilter{}, readmodel.Accounts),
				"accounts with a backlog": returns(watched, scope, readmodel.AccountFilter{HasBacklog: true}, readmodel.Accounts),
				"accounts of a status":    returns(watched, scope, readmodel.AccountFilter{Status: "disconnected"}, readmodel.Accounts),
				"accounts after refusals": returns(watched, scope, readmodel.AccountFilter{Blocked: "refusals"}, readmodel.Accounts),
				"account by name":         returns(watched, scope, readmodel.AccountFilter{Account: "account-1"}, readmodel.Accounts),
				"account": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.NewReader(watched).AccountByID(ctx, scope, account)
					return err
				},
				"account with a long queue": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.NewReader(watched).AccountByID(ctx, readmodel.Everything(), giant)
					return err
				},
				"account with moves": func(ctx context.Context, _ readmodel.Paging) error {
					detail, err := readmodel.NewReader(watched).AccountByID(ctx, readmodel.Everything(), moving)
					assert.NotEmpty(t, detail.Moves)
					return err
				},
				"history of an account": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.AccountHistory(ctx, watched, scope, account)
					return err
				},
				"history of a workspace": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.WorkspaceHistory(ctx, watched, 2, readmodel.HistorySize)
					return err
				},
				"safety mode": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.ReadSafety(ctx, watched)
					return err
				},
				"history of safety mode": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.SafetyHistory(ctx, watched, readmodel.HistorySize)
					return err
				},
				"most paused accounts":                returns(watched, scope, readmodel.AccountFilter{MostPausedFirst: true}, readmodel.Accounts),
				"most paused accounts after refusals": returns(watched, scope, readmodel.AccountFilter{MostPausedFirst: true, Blocked: "refusals"}, readmodel.Accounts),
				"number of accounts": func(ctx context.Context, _ readmodel.Paging) error {
					_, _, err := readmodel.CountAccounts(ctx, watched, scope, readmodel.AccountFilter{HasBacklog: true})
					return err
				},
				"counts of workspaces": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.CountWorkspaces(ctx, watched, []int64{1, 2, 3})
					return err
				},
				"timeline of an account": returns(watched, scope, account, timeline("status", "signal", "action", "sweep", "heal")),
				"limits of an account": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.Limits(ctx, watched, giant)
					return err
				},
				"paused prospects":             returns(watched, scope, readmodel.PausedFilter{}, readmodel.PausedProspects),
				"paused prospects of a reason": returns(watched, scope, readmodel.PausedFilter{Reason: "paused_by_user"}, readmodel.PausedProspects),
				"longest paused":               returns(watched, scope, readmodel.PausedFilter{LongestFirst: true}, readmodel.PausedProspects),
				"longest paused of an age": returns(watched, scope,
					readmodel.PausedFilter{LongestFirst: true, OlderThan: time.Hour, AccountIDs: []int64{account}}, readmodel.PausedProspects),
				"number of paused prospects": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.CountPaused(ctx, watched, scope, readmodel.PausedFilter{OlderThan: time.Hour, AccountIDs: []int64{account}})
					return err
				},
				"signals":                 returns(watched, scope, account, readmodel.Signals),
				"paused enrollments":      returns(watched, scope, account, enrollments("paused")),
				"active enrollments":      returns(watched, scope, account, enrollments("active")),
				"campaigns":               returns(watched, scope, "", readmodel.Campaigns),
				"paused campaigns":        returns(watched, scope, "paused", readmodel.Campaigns),
				"workspaces":              returns(watched, scope, "", readmodel.Workspaces),
				"workspaces that are off": returns(watched, scope, "off", readmodel.Workspaces),
				"sweeps":                  of(watched, scope, readmodel.Sweeps),
				"heals":                   returns(watched, scope, "", readmodel.Heals),
				"events":                  returns(watched, scope, url, readmodel.Events),
				"explanation": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.NewExplainer(watched, scope).Explain(ctx, []string{url, "https://example.com/in/unknown"})
					return err
				},
				"search": func(ctx context.Context, _ readmodel.Paging) error {
					for _, text := range []string{
						url, "account-1", "campaign-1", "workspace-1", "account", "jane doe", "giant waiting", "in/1-200", url + " " + url + "0",
						"https://www.linkedin.com/sales/lead/ACwAA1,NAME_SEARCH,x",
					} {
						if _, err := readmodel.Search(ctx, watched, scope, text, readmodel.SearchFilter{}); err != nil {
							return err
						}
					}
					return nil
				},
				"audit log":                     returns(watched, scope, readmodel.AuditFilter{}, readmodel.Audit),
				"audit log of an actor":         returns(watched, scope, readmodel.AuditFilter{Actor: "monitor"}, readmodel.Audit),
				"audit log of a kind":           returns(watched, scope, readmodel.AuditFilter{What: "safety_entered"}, readmodel.Audit),
				"audit log of a workspace":      returns(watched, readmodel.OfWorkspace(2), readmodel.AuditFilter{}, readmodel.Audit),
				"audit log of a day":            returns(watched, scope, readmodel.AuditFilter{Within: 24 * time.Hour}, readmodel.Audit),
				"deliveries":                    deliveries(watched, scope, readmodel.DeliveryFilter{}),
				"deliveries of an outcome":      deliveries(watched, scope, readmodel.DeliveryFilter{Outcome: "unknown_account"}),
				"deliveries of an account":      deliveries(watched, scope, readmodel.DeliveryFilter{Provider: "linkedin", Account: "account-1"}),
				"messages":                      filtered(watched, "", readmodel.Messages),
				"messages that have failed":     filtered(watched, "failed", readmodel.Messages),
				"actions":                       sending(watched, scope, readmodel.SendingFilter{}),
				"unknown actions":               sending(watched, scope, readmodel.SendingFilter{State: "unknown"}),
				"actions of an account":         sending(watched, scope, readmodel.SendingFilter{AccountID: account, State: "sent"}),
				"actions of a prospect":         sending(watched, scope, readmodel.SendingFilter{EnrollmentID: 1}),
				"reserved actions":              sending(watched, scope, readmodel.SendingFilter{State: "reserved"}),
				"actions of a kind":             sending(watched, scope, readmodel.SendingFilter{Kind: "invite"}),
				"unknown actions of an account": sending(watched, scope, readmodel.SendingFilter{AccountID: account, State: "unknown", Kind: "invite"}),
				"action": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.SendingActionByID(ctx, watched, readmodel.Everything(), 1)
					return err
				},
				"limits of sending": of(watched, scope, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (readmodel.Page[readmodel.OwnLimit], error) {
					limits, err := readmodel.LimitsOfSending(ctx, db, s, p)
					return limits.Page, err
				}),
				"windows": returns(watched, scope, account, readmodel.SendingWindows),
				"explanation of an active prospect": func(ctx context.Context, _ readmodel.Paging) error {
					found, err := readmodel.NewExplainer(watched, readmodel.Everything()).Explain(ctx, []string{scheduled})
					if assert.Len(t, found[0].Explanations, 1) {
						assert.NotNil(t, found[0].Explanations[0].Next)
					}
					return err
				},
				"count of action hours": func(ctx context.Context, _ readmodel.Paging) error {
					// The first count reads a month.
					db.Exec(t, "UPDATE thaw.scheduler SET hours_counted_at = thaw.now() - interval '5 minutes'")
					_, err := watched.Pool().Exec(ctx, "SELECT thaw.count_action_hours()")
					return err
				},
				"sending of an account": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.Sending(ctx, watched, readmodel.Everything(), account)
					return err
				},
				"chart of actions": func(ctx context.Context, _ readmodel.Paging) error {
					for _, in := range []readmodel.ChartRange{readmodel.ChartDay, readmodel.ChartWeek, readmodel.ChartMonth} {
						if _, err := readmodel.ActionChart(ctx, watched, in); err != nil {
							return err
						}
					}
					return nil
				},
				"hours of actions": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := readmodel.HoursOfActions(ctx, watched, readmodel.MaxActionHours)
					return err
				},
				"chart": func(ctx context.Context, _ readmodel.Paging) error {
					for _, in := range []readmodel.ChartRange{readmodel.ChartDay, readmodel.ChartWeek, readmodel.ChartMonth} {
						if _, err := readmodel.Chart(ctx, watched, in); err != nil {
							return err
						}
					}
					return nil
				},
				"endpoints and settings": func(ctx context.Context, _ readmodel.Paging) error {
					if _, err := readmodel.FleetSettings(ctx, watched); err != nil {
						return err
					}
					_, err := readmodel.Endpoints(ctx, watched)
					return err
				},
				"fingerprint of a live page": func(ctx context.Context, _ readmodel.Paging) error {
					_, err := watched.Read().Fingerprint(ctx)
					return err
				},
			}
			for name, ask := range asked {
				for _, size := range []int{1, readmodel.MaxLimit} {
					require.NoError(t, ask(t.Context(), readmodel.Paging{Limit: size}), name)
					offences, statements := pool.offences(t)
					assert.Positive(t, statements, "%s: no plan was shown", name)
					assert.Empty(t, offences, "%s, %d, scope %v, %s", name, size, scope, mode)
				}
			}
		}
	}
}

// of and returns give all lists the same signature.
func of[T any](db *store.Store, s readmodel.Scope, list func(context.Context, *store.Store, readmodel.Scope, readmodel.Paging) (readmodel.Page[T], error)) func(context.Context, readmodel.Paging) error {
	return func(ctx context.Context, p readmodel.Paging) error {
		_, err := list(ctx, db, s, p)
		return err
	}
}

func returns[T, F any](db *store.Store, s readmodel.Scope, filter F, list func(context.Context, *store.Store, readmodel.Scope, F, readmodel.Paging) (readmodel.Page[T], error)) func(context.Context, readmodel.Paging) error {
	return func(ctx context.Context, p readmodel.Paging) error {
		_, err := list(ctx, db, s, filter, p)
		return err
	}
}

func timeline(parts ...string) func(context.Context, *store.Store, readmodel.Scope, int64, readmodel.Paging) (readmodel.Page[readmodel.TimelineEntry], error) {
	return func(ctx context.Context, db *store.Store, s readmodel.Scope, account int64, p readmodel.Paging) (readmodel.Page[readmodel.TimelineEntry], error) {
		return readmodel.Timeline(ctx, db, s, account, parts, p)
	}
}

func filtered[T, F any](db *store.Store, filter F, list func(context.Context, *store.Store, F, readmodel.Paging) (readmodel.Page[T], error)) func(context.Context, readmodel.Paging) error {
	return func(ctx context.Context, p readmodel.Paging) error {
		_, err := list(ctx, db, filter, p)
		return err
	}
}

func deliveries(db *store.Store, s readmodel.Scope, filter readmodel.DeliveryFilter) func(context.Context, readmodel.Paging) error {
	return func(ctx context.Context, p readmodel.Paging) error {
		_, err := readmodel.Deliveries(ctx, db, s, filter, p)
		return err
	}
}

func sending(db *store.Store, s readmodel.Scope, filter readmodel.SendingFilter) func(context.Context, readmodel.Paging) error {
	return func(ctx context.Context, p readmodel.Paging) error {
		_, err := readmodel.SendingActions(ctx, db, s, filter, p)
		return err
	}
}

func enrollments(status string) func(context.Context, *store.Store, readmodel.Scope, int64, readmodel.Paging) (readmodel.Page[readmodel.Enrollment], error) {
	return func(ctx context.Context, db *store.Store, s readmodel.Scope, account int64, p readmodel.Paging) (readmodel.Page[readmodel.Enrollment], error) {
		return readmodel.Enrollments(ctx, db, s, account, status, p)
	}
}
