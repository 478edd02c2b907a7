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
	// fetchSlack is how much further back a fetch reaches than to the last one that left nothing: a transaction commits its job
	// this much after the job's time, and River's scheduler runs every 5 seconds. A job that is older when it becomes visible is
	// found by the look back.
	fetchSlack = 5 * time.Second
	// lookBackEvery is how often a process looks for jobs before the front of a queue, and lookBackAtMost how rarely, however long
	// a look takes. Between the two, looks take 5 % of the time.
	lookBackEvery  = time.Second
	lookBackAtMost = 30 * time.Second
	// trustFor is how long a front counts after the last look back that succeeded.
	trustFor = time.Minute
)

// paceOf is how long to wait after a look that took so long, for looks to take 5 % of the time.
func paceOf(took, atLeast, atMost time.Duration) time.Duration {
	return min(max(19*took, atLeast), atMost)
}

// fronts says, for each queue, since when jobs may have been waiting. A fetch that returns fewer jobs than it was asked for leaves
// none behind it, so that the next one need not go further back than to it (and a slack). River's own fetch begins at the oldest
// entry of its index: while an old snapshot keeps dead entries there, each fetch walks over all of them.
type fronts struct {
	mu     sync.Mutex
	since  map[string]time.Time
	looked time.Time // when the last look back that succeeded began
}

// from returns the front of a queue; false: there is none that can be relied on, and a fetch has to look at everything.
func (f *fronts) from(queue string) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, known := f.since[queue]
	return since, known && time.Since(f.looked) < trustFor
}

// emptied records that a fetch which began at this time, and went back to from, left nothing in a queue. If a look back has found
// something before from meanwhile, the front stays there.
func (f *fronts) emptied(queue string, began, from time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since, known := f.since[queue]; known && since.Before(from) {
		return
	}
	f.since[queue] = began
}

// lookedBack records a look back that began at this time, and for how long the oldest job of each queue has waited. It returns the
// queues whose front it has moved.
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

// executor is River's, with a fetch that does not begin at the oldest entry of the index.
type executor struct {
	riverdriver.Executor
	driver *driver
}

// GetExecutor implements [riverdriver.Driver].
func (d *driver) GetExecutor() riverdriver.Executor { return &executor{d.Driver.GetExecutor(), d} }

// JobGetAvailable implements [riverdriver.Executor]. What it does not know is left to River's own statement.
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
	result, err := fetch.JobGetAvailable(ctx, params)
	if err == nil && len(result.Jobs) < params.MaxToLock {
		n.fronts.emptied(params.Queue, began, from)
	}
	return result, err
}

//go:embed fetch.sql
var fetchSQL string

// fetchTx is what River's driver runs its statement on: it runs thaw.fetch_jobs in its place, and River reads the rows.
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

// lookBack finds jobs before the front of their queue: they fell due long before they could be seen, because a transaction took
// long to commit or a job was made available by hand. It walks over all dead entries of the index, but holds up no fetch.
func (n *Notifier) lookBack(ctx context.Context) {
	for {
		began := time.Now()
		if err := n.lookBackOnce(ctx); err != nil && ctx.Err() == nil {
			n.c.Logger.WarnContext(ctx, "could not look for old jobs; trying again", "error", err)
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
