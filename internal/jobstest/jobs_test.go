package jobstest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema"
)

// For the same work, SQL and a client insert the same job.
func TestJobsFromSQLAndFromGoAreTheSame(t *testing.T) {
	t.Parallel()
	exec := func(sql string) func(t *testing.T, tx pgx.Tx) {
		return func(t *testing.T, tx pgx.Tx) {
			t.Helper()
			_, err := tx.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
	}
	for name, c := range map[string]struct {
		sql  func(t *testing.T, tx pgx.Tx)
		args func(tick jobs.Tick, signal int64) river.JobArgs
	}{
		"sweep": {
			exec("SELECT thaw.sweep()"),
			func(tick jobs.Tick, _ int64) river.JobArgs { return jobs.SweepArgs{TickAt: tick} },
		},
		"heal": {
			exec("SELECT thaw.heal('acme')"),
			func(jobs.Tick, int64) river.JobArgs { return jobs.HealArgs{HealID: 1} },
		},
		"schedule": {
			exec(`
				UPDATE thaw.settings SET push_actions = true;
				INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com');
				SELECT thaw.request_schedule((SELECT tick FROM thaw.settings))`),
			func(tick jobs.Tick, _ int64) river.JobArgs { return jobs.ScheduleArgs{At: tick} },
		},
		"resume_account by a signal": {
			exec("SELECT thaw.signal('linkedin', 'a1', 'connected')"),
			func(_ jobs.Tick, signal int64) river.JobArgs {
				return jobs.ResumeAccountArgs{AccountID: 1, SignalID: signal}
			},
		},
		"pause_account by a signal": {
			exec("SELECT thaw.signal('linkedin', 'a1', 'disconnected')"),
			func(_ jobs.Tick, signal int64) river.JobArgs {
				return jobs.PauseAccountArgs{AccountID: 1, SignalID: signal}
			},
		},
		"pause_account by a sweep": {
			func(t *testing.T, tx pgx.Tx) {
				t.Helper()
				exec("UPDATE thaw.accounts SET status = 'error', pause_after = thaw.now() - interval '1 hour'")(t, tx)
				var tick time.Time
				require.NoError(t, tx.QueryRow(t.Context(), "SELECT thaw.tick()").Scan(&tick))
				_, err := dbsqlc.New(tx).RequeueOverduePauses(t.Context(), dbsqlc.RequeueOverduePausesParams{TickAt: tick, Size: 10, WithLate: true})
				require.NoError(t, err)
			},
			func(tick jobs.Tick, _ int64) river.JobArgs {
				return jobs.PauseAccountArgs{AccountID: 1, TickAt: tick}
			},
		},
		"prune by a sweep": {
			func(t *testing.T, tx pgx.Tx) {
				t.Helper()
				var tick time.Time
				require.NoError(t, tx.QueryRow(t.Context(), "SELECT thaw.tick()").Scan(&tick))
				recorded, err := dbsqlc.New(tx).RecordPlan(t.Context(), dbsqlc.RecordPlanParams{
					TickAt: tick, StartedAt: tick, AccountIds: []int64{}, WorkspaceIds: []int64{}, Planned: []int32{},
				})
				require.NoError(t, err)
				require.True(t, recorded)
			},
			func(tick jobs.Tick, _ int64) river.JobArgs { return jobs.PruneArgs{TickAt: tick} },
		},
		"deliver": {
			exec(`
				INSERT INTO thaw.webhook_endpoints (id, url) OVERRIDING SYSTEM VALUE VALUES (1, 'https://platform.example.com');
				INSERT INTO thaw.outbox (id, message_id, type, data) OVERRIDING SYSTEM VALUE VALUES (1, 'msg_1', 'test.ping', '{}');
				SELECT thaw.deliver(1)`),
			func(jobs.Tick, int64) river.JobArgs { return jobs.DeliverArgs{EndpointID: 1, MessageID: "msg_1"} },
		},
		"resume_account by a sweep": {
			exec(`SELECT thaw.enqueue_many('resume_account', 'tick', 3::smallint, ARRAY[jsonb_build_object('account_id', 1,
				'tick_at', to_char(thaw.tick() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))])`),
			func(tick jobs.Tick, _ int64) river.JobArgs {
				return jobs.ResumeAccountArgs{AccountID: 1, TickAt: tick}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			// The clock is at the start of a tick, so that the tick does not end during the test.
			db.Exec(t, `
				UPDATE thaw_test.clock SET ahead = thaw.tick(pg_catalog.now()) + '15 minutes' - pg_catalog.now();
				INSERT INTO thaw.workspaces (key) VALUES ('acme');
				INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) VALUES (1, 'a1', 'connecting');`)
			client := insertOnly(t)
			ctx := t.Context()
			args := func(tx pgx.Tx) (args river.JobArgs) {
				var tick time.Time
				var signal int64
				require.NoError(t, tx.QueryRow(ctx, "SELECT thaw.tick(), (SELECT coalesce(max(id), 1) FROM thaw.account_signals)").Scan(&tick, &signal))
				return c.args(jobs.TickAt(tick), signal)
			}

			// SQL inserts first: the job of the client is a duplicate.
			bySQL := inTx(t, db, func(tx pgx.Tx) job {
				c.sql(t, tx)
				inserted := theOnlyJob(t, tx)
				result, err := client.InsertTx(ctx, tx, args(tx), nil)
				require.NoError(t, err)
				require.True(t, result.UniqueSkippedAsDuplicate)
				require.Equal(t, inserted.ID, result.Job.ID)
				require.Equal(t, inserted, theOnlyJob(t, tx))
				return inserted
			})
			// The client inserts first: the job of SQL is a duplicate. Both name the first heal and
			// the first signal.
			byClient := inTx(t, db, func(tx pgx.Tx) job {
				_, err := tx.Exec(ctx, "ALTER SEQUENCE thaw.heals_id_seq RESTART; ALTER SEQUENCE thaw.account_signals_id_seq RESTART")
				require.NoError(t, err)
				result, err := client.InsertTx(ctx, tx, args(tx), nil)
				require.NoError(t, err)
				require.False(t, result.UniqueSkippedAsDuplicate)
				inserted := theOnlyJob(t, tx)
				c.sql(t, tx)
				require.Equal(t, inserted, theOnlyJob(t, tx))
				return inserted
			})

			require.NotEmpty(t, bySQL.UniqueKey)
			bySQL.ID, byClient.ID = 0, 0
			require.Equal(t, byClient, bySQL)
		})
	}
}

// The pause of a transient error is scheduled. The same job from a client is still a duplicate.
func TestScheduledJobFromSQL(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'a1');
		SELECT thaw.signal('linkedin', 'a1', 'error');`)
	inTx(t, db, func(tx pgx.Tx) job {
		scheduled := theOnlyJob(t, tx)
		require.Equal(t, "scheduled", scheduled.State)
		result, err := insertOnly(t).InsertTx(t.Context(), tx, jobs.PauseAccountArgs{AccountID: 1, SignalID: 1},
			&river.InsertOpts{ScheduledAt: time.Now().Add(2 * time.Hour)})
		require.NoError(t, err)
		require.True(t, result.UniqueSkippedAsDuplicate)
		return scheduled
	})
}

func TestTickIsEncodedInWholeSecondsUTC(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 10, 15, 0, 999, time.FixedZone("one hour ahead", 3600))
	text, err := json.Marshal(jobs.SweepArgs{TickAt: jobs.Tick{Time: at}})
	require.NoError(t, err)
	require.JSONEq(t, `{"tick_at": "2026-01-31T09:15:00Z"}`, string(text))

	var back jobs.SweepArgs
	require.NoError(t, json.Unmarshal(text, &back))
	require.True(t, back.TickAt.Equal(jobs.TickAt(at).Time))

	// The zero tick is omitted, because it would be part of the key.
	text, err = json.Marshal(jobs.ResumeAccountArgs{AccountID: 7, SignalID: 3})
	require.NoError(t, err)
	require.JSONEq(t, `{"account_id": 7, "signal_id": 3}`, string(text))
}

// The platform updates its own table and sends a signal in one transaction: both happen, or
// neither.
func TestSendInTheTransactionOfThePlatform(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  error
		want []string
	}{
		"committed":   {nil, []string{"seen", "connected", "resume_account available"}},
		"rolled back": {errors.New("the platform gives up"), []string{"not seen", "connecting", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			db.Exec(t, `
				CREATE TABLE seats (account_id text PRIMARY KEY, last_seen timestamptz);
				INSERT INTO seats VALUES ('jane');
				INSERT INTO thaw.workspaces (key) VALUES ('acme');
				INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'jane');`)
			err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), "UPDATE seats SET last_seen = now() WHERE account_id = 'jane'")
				require.NoError(t, err)
				outcome, err := jobs.Send(t.Context(), tx, jobs.Signal{AccountID: "jane", Status: "connected"})
				require.NoError(t, err)
				require.Equal(t, jobs.Applied, outcome)
				return c.end
			})
			require.ErrorIs(t, err, c.end)

			rows, err := db.Pool.Query(t.Context(), `
				SELECT CASE WHEN last_seen IS NULL THEN 'not seen' ELSE 'seen' END FROM seats
				UNION ALL SELECT status::text FROM thaw.accounts
				UNION ALL SELECT coalesce((SELECT kind || ' ' || state FROM thaw.river_job), 'none')`)
			require.NoError(t, err)
			got, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestSendOutcomesAndErrors(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	inTx(t, db, func(tx pgx.Tx) (none job) {
		outcome, err := jobs.Send(t.Context(), tx, jobs.Signal{AccountID: "unknown", Status: "connected"})
		require.NoError(t, err)
		require.Equal(t, jobs.UnknownAccount, outcome)
		outcome, err = jobs.Send(t.Context(), tx, jobs.Signal{AccountID: "unknown", Status: "no such status"})
		require.NoError(t, err)
		require.Equal(t, jobs.Ignored, outcome)
		_, err = tx.Exec(t.Context(), "DROP FUNCTION thaw.signal")
		require.NoError(t, err)
		_, err = jobs.Send(t.Context(), tx, jobs.Signal{AccountID: "a1", Status: "connected"})
		require.ErrorContains(t, err, `sending signal "connected" for account "a1"`)
		return none
	})
}

// A job has the columns of a job that the queue uses.
type job struct {
	ID           int64
	Kind, Queue  string
	Priority     int
	Args         map[string]any
	MaxAttempts  int
	State        string
	UniqueKey    []byte
	UniqueStates string
	Tags         []string
	Metadata     string
}

func theOnlyJob(t *testing.T, tx pgx.Tx) job {
	t.Helper()
	rows, err := tx.Query(t.Context(), `
		SELECT id, kind, queue, priority, args, max_attempts, state::text, unique_key, unique_states::text, tags,
			metadata::text
		FROM thaw.river_job`)
	require.NoError(t, err)
	only, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[job])
	require.NoError(t, err)
	return only
}

// inTx runs do in a transaction that is rolled back.
func inTx(t *testing.T, db *testdb.DB, do func(tx pgx.Tx) job) job {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.Background())) }()
	return do(tx)
}

func insertOnly(t *testing.T) *river.Client[pgx.Tx] {
	t.Helper()
	client, err := river.NewClient(jobs.NewDriver(nil), &river.Config{Schema: schema.Name})
	require.NoError(t, err)
	return client
}
