package worker

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/thawline/thaw/internal/notifier"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

const (
	// JobTimeout ends the context of a job that hangs. It is longer than any transaction of the store may last.
	JobTimeout = 20 * time.Second
	// RescueAfter is when the queue takes a job for lost, because its process was killed or frozen, and hands it out again.
	// River's default is an hour, during which nobody else could work on the account.
	RescueAfter = 60 * time.Second
	// workSlice is how long a job of many batches goes on before it gives its place to others. Shorter than JobTimeout.
	workSlice = 10 * time.Second
	// batchSize is how many enrollments one transaction heals, and how many old rows one looks at to remove them: enough to
	// make the transaction itself cheap.
	batchSize = 2000
	// pauseSize is how many enrollments one transaction pauses: few enough that whoever waits for the account, a signal that
	// says it is back, waits for less than a tenth of a second.
	pauseSize = 1000
	// ticksAhead is how many jobs of a tick a process takes for each that it may run. They come by the thousand: to take them
	// as places become free would be a fetch for every second one.
	ticksAhead = 16
	// deliveriesAtOnce is how many requests a process has open at the receiver of its webhooks.
	deliveriesAtOnce = 4
)

// Config of a [Worker].
type Config struct {
	// Pool is for the work itself. Required.
	Pool *pgxpool.Pool
	// RiverPool is for the queue. It is a pool of its own because a pool that is full of work would time out the leader's
	// election. Required.
	RiverPool *pgxpool.Pool
	// RiverSchema is the Postgres schema of River's tables. Required.
	RiverSchema string
	// Concurrency is how many jobs of signals, resumes and pauses, run at once in this process; beside them half as many
	// resumes of a tick do. Default 8.
	Concurrency int
	// PollOnly does without LISTEN and without a lock of the session, for a connection pooler in transaction mode. Jobs that
	// other processes insert then start within a tenth of a second instead of at once, and those of a process that is gone
	// wait for [RescueAfter].
	PollOnly bool
	// Webhooks makes this process deliver messages to the platform. Nil: others do.
	Webhooks *Webhooks
	// Plugins are told what the queue does, the first before the second. None by default.
	Plugins []rivertype.Plugin
	// Logger is required.
	Logger *slog.Logger
}

// A Worker is one process's share of the work. Any number of them can run on one database.
type Worker struct {
	client   *river.Client[pgx.Tx]
	notifier *notifier.Notifier
	watchdog *watchdog
	// stop ends the watchdog; hush the notifier, which goes on until the last job has ended.
	stop, hush context.CancelFunc
	group      *errgroup.Group
}

// New returns a worker that is not started. It reads the length of a tick from the database.
func New(ctx context.Context, c Config) (*Worker, error) {
	if c.Concurrency == 0 {
		c.Concurrency = 8
	}
	turns := (c.Concurrency + 1) / 2
	db := store.New(c.Pool)
	clock := &tickClock{}
	dog := &watchdog{store: db, clock: clock, logger: c.Logger}
	if err := dog.measure(ctx); err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}

	// The notifier is made below, when the queues are known.
	var bell *notifier.Notifier
	notify := func(queues ...string) { bell.Notify(queues...) }
	workers := river.NewWorkers()
	river.AddWorker(workers, &sweepWorker{store: db, logger: c.Logger, notify: notify})
	river.AddWorker(workers, &resumeWorker{store: db, logger: c.Logger, turns: semaphore.NewWeighted(int64(turns))})
	river.AddWorker(workers, &pauseWorker{store: db, logger: c.Logger})
	river.AddWorker(workers, &healWorker{store: db, logger: c.Logger})
	river.AddWorker(workers, &pruneWorker{store: db, logger: c.Logger})
	river.AddWorker(workers, &watchWorker{store: db, logger: c.Logger})
	// Also where nothing is delivered: a leader gives up jobs of kinds that it does not know.
	river.AddWorker(workers, &deliverWorker{store: db, logger: c.Logger, webhooks: c.Webhooks})

	queues := map[string]river.QueueConfig{
		jobs.QueueSweep:  {MaxWorkers: 2, FetchCooldown: 10 * time.Millisecond},
		jobs.QueueResume: {MaxWorkers: c.Concurrency},
		jobs.QueueTick:   {MaxWorkers: ticksAhead * turns, FetchCooldown: 20 * time.Millisecond},
		jobs.QueueHeal:   {MaxWorkers: 2, FetchCooldown: 10 * time.Millisecond},
	}
	if c.Webhooks != nil {
		queues[jobs.QueueWebhooks(c.Webhooks.EndpointID)] = river.QueueConfig{
			MaxWorkers: deliveriesAtOnce, FetchCooldown: 20 * time.Millisecond,
		}
	}

	id := clientID()
	bell = notifier.New(notifier.Config{
		Pool: c.RiverPool, RiverSchema: c.RiverSchema, ClientID: id, Queues: slices.Sorted(maps.Keys(queues)), PollOnly: c.PollOnly,
		Measured: jobs.QueueResume, Logger: c.Logger,
	})
	client, err := river.NewClient(bell.Driver(), &river.Config{
		ID:      id,
		Schema:  c.RiverSchema,
		Logger:  quiet(c.Logger),
		Workers: workers,
		Queues:  queues,
		// A queue does at most MaxWorkers jobs a cooldown. The poll catches what the notifier has missed: it looks at the
		// queues more often, and at less cost. Not River's PollOnly, even behind a pooler: the notifier always notifies the
		// workers of its own process, and hands on what is paused or cancelled.
		FetchCooldown:        time.Millisecond,
		FetchPollInterval:    time.Second,
		ErrorHandler:         failures{c.Logger},
		JobTimeout:           JobTimeout,
		RescueStuckJobsAfter: RescueAfter,
		RetryPolicy:          &cappedRetry{},
		Plugins:              c.Plugins,
		// River's client writes when a job is due by the clock of its process. Where that is ahead, the job would wait for the
		// database's clock to come there; the zero time makes it the database's.
		Hooks: []rivertype.Hook{river.HookInsertBeginFunc(func(_ context.Context, params *rivertype.JobInsertParams) error {
			if params.State == rivertype.JobStateAvailable {
				params.ScheduledAt = &time.Time{}
			}
			return nil
		})},
		PeriodicJobs: []*river.PeriodicJob{
			river.NewPeriodicJob(clock, clock.sweep, &river.PeriodicJobOpts{ID: "sweep", RunOnStart: true}),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the queue: %w", err)
	}
	return &Worker{client: client, notifier: bell, watchdog: dog}, nil
}

// clientID names this process in the queue: its host, for people, and a random part, because two containers may have the same
// name and begin in the same moment.
func clientID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown_host"
	}
	return strings.ReplaceAll(host[:min(len(host), 60)], ".", "_") + "_" + rand.Text()
}

// Notify makes the workers of these queues fetch, in this process at once; see [notifier.Notifier.Notify].
func (w *Worker) Notify(queues ...string) { w.notifier.Notify(queues...) }

// Client returns the client of the queue, for the pages that show it and for tests that watch it.
func (w *Worker) Client() *river.Client[pgx.Tx] { return w.client }

// Lag returns for how long the oldest job of a signal has waited, a moment ago; see [notifier.Notifier.Lag].
func (w *Worker) Lag() time.Duration { return w.notifier.Lag() }

// Start begins to work and returns. Cancelling ctx stops hard; use [Worker.Stop] to let running jobs come to their end.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.client.Start(ctx); err != nil {
		return fmt.Errorf("starting the queue: %w", err)
	}
	w.group = &errgroup.Group{}
	watching, stop := context.WithCancel(ctx)
	hearing, hush := context.WithCancel(ctx)
	w.stop, w.hush = stop, hush
	w.group.Go(func() error { w.watchdog.run(watching); return nil })
	w.group.Go(func() error { w.notifier.Run(hearing); return nil })
	w.group.Go(func() error { w.watchdog.pickUp(watching); return nil })
	return nil
}

// Stop takes no more jobs and waits for those that run, until ctx ends; then it cancels them.
func (w *Worker) Stop(ctx context.Context) error {
	w.stop()
	err := w.client.Stop(ctx)
	if ctx.Err() != nil {
		cancelled, cancel := context.WithTimeout(context.WithoutCancel(ctx), store.LockTimeout)
		defer cancel()
		err = w.client.StopAndCancel(cancelled)
	}
	w.hush()
	_ = w.group.Wait() // none returns an error
	return err
}
