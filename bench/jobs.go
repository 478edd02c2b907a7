package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// jobs works off the jobs of one tick: one resume pass per account, with the completion of the job
// in the same transaction. The baseline is pgbench running only the passes.
type jobs struct {
	accounts, rows int
	limit          time.Duration
	// shared puts all accounts into one workspace and all prospects into one campaign.
	shared bool
}

func newJobs(s Scale) benchmark {
	return &jobs{accounts: s.pick(120, 2000), rows: 50, limit: time.Duration(s.pick(5, 60)) * time.Second}
}

// newJobsShared leaves out the other queues, which take no locks.
func newJobsShared(s Scale) benchmark {
	return &jobs{accounts: s.pick(120, 1000), rows: 50, limit: time.Duration(s.pick(5, 60)) * time.Second, shared: true}
}

// jobClients is the number of clients of the baseline, and of jobs that the worker runs at once.
const jobClients = 8

// The size of the warm-up tick: enough for every connection to cache its plans.
const (
	warmUpAccounts = 160
	warmUpEach     = 10
)

func (j *jobs) about() About {
	name, of := "jobs", ""
	if j.shared {
		name, of = "jobs-shared", ", all in one campaign"
	}
	return About{
		Name: name,
		Work: fmt.Sprintf("%d resume jobs of %d enrollments each%s, from the commit that inserts them to the end of the last pass", j.accounts, j.rows, of),
		Baseline: fmt.Sprintf("pgbench with %d clients, each transaction one resume pass; the other queues run the same pass, "+
			"the cron script resumes %d rows per statement", jobClients, cronRows),
		Metrics:   []Metric{{Name: "time", Unit: Seconds, Ratio: 1.25}, memory},
		withPeers: !j.shared,
	}
}

// load creates the accounts of two ticks for each variant: first of the warm-up, then of the work.
func (j *jobs) load(ctx context.Context, r *rig, db *database) error {
	if err := db.run(ctx, "CREATE SEQUENCE bench.account"); err != nil {
		return err
	}
	for range j.variants(r) {
		for _, f := range []fleet{{accounts: warmUpAccounts, rows: warmUpEach}, {accounts: j.accounts, rows: j.rows}} {
			f.status, f.paused, f.history = "connected", true, true
			if j.shared {
				f.oneTeam, f.campaigns = true, 1
			}
			if err := db.add(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// A share is a range of accounts with consecutive IDs.
type share struct {
	first int64
	size  int
}

func (s share) last() int64 { return s.first + int64(s.size) - 1 }

// shares returns the accounts of a variant's warm-up and of its work.
func (j *jobs) shares(place int) (warmUp, work share) {
	first := int64(place*(warmUpAccounts+j.accounts) + 1)
	return share{first, warmUpAccounts}, share{first + warmUpAccounts, j.accounts}
}

func (j *jobs) variants(r *rig) []variant {
	list := []variant{
		{"pgbench", Baseline, func(ctx context.Context, db *database, place int) (sample, error) {
			return j.pgbench(ctx, r, db, place)
		}},
		{"thaw work", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return r.during(ctx, db, nil, []string{"work"}, func(*program) (sample, error) {
				return j.work(ctx, db, place, insertBySQL(thawJobs))
			})
		}},
	}
	if !r.options.Peers || j.shared {
		return list
	}
	list = append(list, variant{"cron script", Peer, func(ctx context.Context, db *database, place int) (sample, error) {
		return j.cron(ctx, r, db, place)
	}})
	if r.peers.missing != "" {
		return list
	}
	for _, q := range []queue{
		{"graphile-worker", "graphile-worker.mjs", nil},
		{"graphile-worker tuned", "graphile-worker.mjs", map[string]any{
			"concurrentJobs": jobClients, "maxPoolSize": jobClients + 4, "localQueue": map[string]any{"size": 100}, "completeJobBatchDelay": 5,
		}},
		{"pg-boss", "pg-boss.mjs", map[string]any{}},
		{"pg-boss tuned", "pg-boss.mjs", map[string]any{
			"localConcurrency": jobClients, "batchSize": 25, "burstWhenBatchFull": true, "pollingIntervalSeconds": 0.5, "notifyPollingIntervalSeconds": 0.5,
		}},
	} {
		list = append(list, variant{q.name, Peer, func(ctx context.Context, db *database, place int) (sample, error) {
			return r.duringPeer(ctx, db, q, func(p *peer) (sample, error) {
				insert := insertBySQL(graphileJobs)
				if q.script == "pg-boss.mjs" {
					insert = insertBy(p)
				}
				return j.work(ctx, db, place, insert)
			})
		}})
	}
	return list
}

// pgbench runs the passes of one tick, those of the warm-up accounts first.
func (j *jobs) pgbench(ctx context.Context, r *rig, db *database, place int) (sample, error) {
	warmUp, work := j.shares(place)
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	tick, err := db.nextTick(ctx, warmUp.size+work.size)
	if err != nil {
		return nil, err
	}
	if err := allocation(ctx, db, tick, warmUp, warmUpEach); err != nil {
		return nil, err
	}
	if err := allocation(ctx, db, tick, work, j.rows); err != nil {
		return nil, err
	}
	if err := db.run(ctx, "SELECT setval('bench.account', $1, false)", warmUp.first); err != nil {
		return nil, err
	}
	took, err := r.tools.pgbench(ctx, db, jobClients, work.size, warmUp.size, fmt.Sprintf(
		"SELECT pass.resumed FROM nextval('bench.account') AS account (id), thaw.resume_pass('sweep', account.id, 0, '%s') AS pass;\n",
		tick.Format(time.RFC3339)))
	if err != nil {
		return nil, err
	}
	return sample{"time": took.Seconds()}, j.check(ctx, db, tick, work)
}

// cronRows is how many rows one statement of the cron script resumes.
const cronRows = 200

// cronStatement resumes rows of accounts $1 to $2 without caps and without a plan.
const cronStatement = `
WITH next AS (
    SELECT e.id, e.account_id, e.paused_reason, e.paused_at FROM thaw.enrollments AS e
    WHERE e.status = 'paused' AND e.waits_for_account AND e.account_id BETWEEN %d AND %d
    LIMIT %d FOR NO KEY UPDATE SKIP LOCKED
), resumed AS (
    UPDATE thaw.enrollments AS e SET status = 'active', paused_reason = NULL, paused_at = NULL,
        next_action_at = greatest(e.next_action_at, thaw.now() + random() * interval '15 minutes')
    FROM next WHERE e.id = next.id
    RETURNING e.id, e.step, e.account_id, next.paused_reason, next.paused_at
)
INSERT INTO thaw.enrollment_events (
    enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
SELECT w.id, thaw.now(), w.account_id, w.account_id, w.step, 'resumed', 'operator', 'paused', 'active', w.paused_reason,
    w.paused_at
FROM resumed AS w;
`

// cron runs a script of many statements in psql.
func (j *jobs) cron(ctx context.Context, r *rig, db *database, place int) (sample, error) {
	_, work := j.shares(place)
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	statement := fmt.Sprintf(cronStatement, work.first, work.last(), cronRows)
	began := time.Now()
	if err := r.tools.psql(ctx, db, strings.Repeat(statement, work.size*j.rows/cronRows)); err != nil {
		return nil, err
	}
	took := time.Since(began)
	return sample{"time": took.Seconds()}, db.expect(ctx, work.size*j.rows, "active rows of the accounts", `
		SELECT count(*) FROM thaw.enrollments AS e WHERE e.account_id BETWEEN $1 AND $2 AND e.status = 'active'`, work.first, work.last())
}

// An inserter inserts the jobs of a share for a tick, commits, and returns when the commit began.
type inserter func(ctx context.Context, tx pgx.Tx, s share, tick time.Time) (time.Time, error)

// insertBySQL inserts with a statement whose parameters are accounts $1 to $2 and tick $3.
func insertBySQL(statement string) inserter {
	return func(ctx context.Context, tx pgx.Tx, s share, tick time.Time) (began time.Time, err error) {
		if _, err := tx.Exec(ctx, statement, s.first, s.last(), tick); err != nil {
			return began, fmt.Errorf("inserting jobs: %w", err)
		}
		began = time.Now()
		return began, tx.Commit(ctx)
	}
}

const (
	thawJobs = `
SELECT count(thaw.enqueue('resume_account', 'tick', 3::smallint, jsonb_build_object(
    'account_id', account.id, 'tick_at', to_char($3::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))))
FROM generate_series($1::bigint, $2::bigint) AS account (id)`
	graphileJobs = `
SELECT count(graphile_worker.add_job('resume', json_build_object('account_id', account.id, 'tick_at', $3::timestamptz)))
FROM generate_series($1::bigint, $2::bigint) AS account (id)`
)

// insertBy lets the queue's script insert the jobs, in the script's own transaction.
func insertBy(p *peer) inserter {
	return func(ctx context.Context, tx pgx.Tx, s share, tick time.Time) (time.Time, error) {
		if err := tx.Commit(ctx); err != nil {
			return time.Time{}, err
		}
		list := make([]map[string]any, s.size)
		for i := range list {
			list[i] = map[string]any{"account_id": s.first + int64(i), "tick_at": tick}
		}
		return p.ask(ctx, map[string]any{"insert": list})
	}
}

// work inserts the jobs of two ticks, first those of the warm-up, and waits for a running process
// to work them off.
func (j *jobs) work(ctx context.Context, db *database, place int, insert inserter) (sample, error) {
	listener, err := db.listener(ctx)
	if err != nil {
		return nil, err
	}
	defer listener.close()
	warmUp, work := j.shares(place)
	if _, _, err := j.tick(ctx, db, listener, warmUp, warmUpEach, insert); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	tick, took, err := j.tick(ctx, db, listener, work, j.rows, insert)
	if err != nil {
		return nil, err
	}
	return sample{"time": took.Seconds()}, j.check(ctx, db, tick, work)
}

// tick plans a share, inserts its jobs, and waits until the last pass is committed.
func (j *jobs) tick(ctx context.Context, db *database, listener *listener, s share, rows int, insert inserter) (tick time.Time, took time.Duration, err error) {
	if tick, err = db.nextTick(ctx, s.size); err != nil {
		return tick, 0, err
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return tick, 0, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := allocation(ctx, tx, tick, s, rows); err != nil {
		return tick, 0, err
	}
	began, err := insert(ctx, tx, s, tick)
	if err != nil {
		return tick, 0, err
	}
	waiting, cancel := context.WithTimeout(ctx, j.limit)
	defer cancel()
	ended, err := listener.waitTick(waiting, "sweep", tick)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		done, err := db.number(ctx, "SELECT count(*) FROM thaw.allocations AS g WHERE g.tick_at = $1 AND g.finished_at IS NOT NULL", tick)
		return tick, 0, errors.Join(&gaveUpError{fmt.Sprintf("%d of %d jobs done after %s", done, s.size, j.limit)}, err)
	}
	return tick, ended.Sub(began), err
}

// check checks the result of a tick.
func (j *jobs) check(ctx context.Context, db *database, tick time.Time, s share) error {
	if err := db.expect(ctx, s.size, "allocations of the tick that resumed all of their rows", `
		SELECT count(*) FROM thaw.allocations AS g WHERE g.tick_at = $1 AND g.verdict = 'resumed' AND g.resumed = $2 AND g.account_id BETWEEN $3 AND $4`,
		tick, j.rows, s.first, s.last()); err != nil {
		return err
	}
	return db.expect(ctx, s.size*j.rows, "active rows with one event of the tick", `
		SELECT count(DISTINCT e.id) FROM thaw.enrollments AS e
		JOIN thaw.enrollment_events AS event ON event.enrollment_id = e.id AND event.tick_at = $1 AND event.kind = 'resumed'
		WHERE e.status = 'active' AND e.account_id BETWEEN $2 AND $3`, tick, s.first, s.last())
}

// allocation writes the plan of a tick: each account of a share may resume this many rows.
func allocation(ctx context.Context, q interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, tick time.Time, s share, rows int,
) error {
	if _, err := q.Exec(ctx, `
		INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned)
		SELECT $1, a.id, a.workspace_id, $4 FROM thaw.accounts AS a WHERE a.id BETWEEN $2 AND $3`, tick, s.first, s.last(), rows); err != nil {
		return fmt.Errorf("planning a tick: %w", err)
	}
	_, err := q.Exec(ctx, "UPDATE thaw.sweeps SET planned = planned + $2, remaining = remaining + $2 WHERE tick_at = $1", tick, s.size*rows)
	return err
}
