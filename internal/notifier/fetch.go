package notifier

import (
	"context"
	_ "embed" // the statement of a fetch
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
)

const (
	// fetchSlack is how far a fetch reaches back before the last fetch that left no jobs. It covers
	// transactions that commit their job later than the job's scheduled time, and River's
	// scheduler, which runs every 5 seconds. The look back finds jobs that are older when they
	// become visible.
	fetchSlack = 5 * time.Second
	// lookBackEvery is the minimum interval between look backs, which find jobs before the front of
	// a queue, and lookBackAtMost the maximum. Within these bounds, look backs take 5% of the
	// time.
	lookBackEvery  = time.Second
	lookBackAtMost = 30 * time.Second
	// fetchTimeout bounds a fetch. River sets no limit, so a fetch on a connection that never answers
	// would stop its queue in this process for good.
	fetchTimeout = 10 * time.Second
	// trustFor is how long a front is valid after the last successful look back.
	trustFor = time.Minute
)

// paceOf returns how long to wait after a query that took this long, so that such queries take 5%
// of the time.
func paceOf(took, atLeast, atMost time.Duration) time.Duration {
	return min(max(19*took, atLeast), atMost)
}

// fronts holds, per queue, the time since which jobs may be waiting. A fetch that returns fewer
// jobs than requested leaves none behind, so the next fetch needs to reach back only to that time
// (plus a slack). River's own fetch starts at the oldest index entry: while an old snapshot keeps
// dead entries, each fetch scans all of them.
type fronts struct {
	mu     sync.Mutex
	since  map[string]time.Time
	looked time.Time // start of the last successful look back
}

// from returns the front of a queue, or false if there is no valid one and a fetch must scan
// everything.
func (f *fronts) from(queue string) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, known := f.since[queue]
	return since, known && time.Since(f.looked) < trustFor
}

// emptied records that a fetch left no jobs in a queue. The fetch started at began and reached back
// to from. If a look back has meanwhile found a job before from, the front stays there.
func (f *fronts) emptied(queue string, began, from time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since, known := f.since[queue]; known && since.Before(from) {
		return
	}
	f.since[queue] = began
}

// lookedBack records a look back that started at began, with the wait of each queue's oldest job.
// It returns the queues whose front it moved.
func (f *fronts) lookedBack(began time.Time, waited map[string]time.Duration) (moved []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = began
	for queue, age := range waited {
		if since, known := f.since[queue]; known && since.After(began.Add(-age)) {
			f.since[queue] = began.Add(-age)
			moved = append(moved, queue)
		}
	}
	return moved
}

// executor is River's executor with a fetch that does not start at the oldest index entry.
type executor struct {
	riverdriver.Executor
	driver *driver
}

// GetExecutor implements [riverdriver.Driver].
func (d *driver) GetExecutor() riverdriver.Executor { return &executor{d.Driver.GetExecutor(), d} }

// JobGetAvailable implements [riverdriver.Executor]. It uses River's own statement for parameters
// that it does not support.
func (e *executor) JobGetAvailable(
	ctx context.Context, params *riverdriver.JobGetAvailableParams,
) (*riverdriver.JobGetAvailableResult, error) {
	n := e.driver.notifier
	if params.Now != nil || params.Schema != n.c.RiverSchema {
		return e.Executor.JobGetAvailable(ctx, params)
	}
	began := time.Now()
	from, known := n.fronts.from(params.Queue)
	fetch := e.Executor
	if known {
		fetch = e.driver.UnwrapExecutor(fetchTx{pool: n.c.Pool, params: params, reach: began.Sub(from) + fetchSlack})
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	result, err := fetch.JobGetAvailable(ctx, params)
	if err == nil && len(result.Jobs) < params.MaxToLock {
		n.fronts.emptied(params.Queue, began, from)
	}
	return result, err
}

//go:embed fetch.sql
var fetchSQL string

// fetchTx makes River's driver run thaw.fetch_jobs in place of its own statement. River reads the
// rows.
type fetchTx struct {
	pgx.Tx
	pool   *pgxpool.Pool
	params *riverdriver.JobGetAvailableParams
	reach  time.Duration
}

// Query implements [pgx.Tx].
func (f fetchTx) Query(ctx context.Context, _ string, _ ...any) (pgx.Rows, error) {
	return f.pool.Query(ctx, fetchSQL, f.params.Queue, f.params.Kind, f.params.ClientID, f.params.MaxToLock, f.params.MaxAttemptedBy, f.reach)
}

// Conn implements [pgx.Tx].
func (fetchTx) Conn() *pgx.Conn { return nil }

// lookBack finds jobs before the front of their queue. Such jobs became due long before they became
// visible, because a transaction took long to commit or a job was made available by hand. The query
// scans all dead index entries, but blocks no fetch.
func (n *Notifier) lookBack(ctx context.Context) {
	for {
		began := time.Now()
		if err := n.lookBackOnce(ctx); err != nil && ctx.Err() == nil {
			n.c.Logger.WarnContext(ctx, "could not look for old jobs; retrying", "error", err)
		}
		if !pause(ctx, paceOf(time.Since(began), lookBackEvery, lookBackAtMost)) {
			return
		}
	}
}

func (n *Notifier) lookBackOnce(ctx context.Context) error {
	began := time.Now()
	waited := map[string]time.Duration{}
	err := n.queryWithin(ctx, lookBackAtMost, func(ctx context.Context) error {
		rows, err := n.queries.OldestJobs(ctx, n.c.Queues)
		for _, row := range rows {
			waited[row.Queue] = row.Waited
		}
		return err
	})
	if err != nil {
		return err
	}
	n.notifyHere(n.fronts.lookedBack(began, waited)...)
	return nil
}
