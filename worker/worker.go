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
	// JobTimeout ends the context of a job that hangs. It is longer than the longest transaction
	// that the store allows.
	JobTimeout = 20 * time.Second
	// RescueAfter is when the queue considers a job lost, because its process was killed or frozen,
	// and hands it out again. River's default is one hour, during which no other process could work
	// on the account.
	RescueAfter = 60 * time.Second
	// workSlice is how long a job of many batches runs before it is put back in the queue. It is
	// shorter than JobTimeout.
	workSlice = 10 * time.Second
	// batchSize is how many enrollments one heal transaction resumes, and how many expired rows one
	// prune transaction examines: enough to make the overhead of a transaction negligible.
	batchSize = 2000
	// pauseSize is how many enrollments one transaction pauses: few enough that a signal which
	// waits for the account's lock waits for less than 0.1 s.
	pauseSize = 1000
	// ticksAhead is how many tick jobs a process fetches per job that it may run at once. A tick
	// has thousands of jobs. Fetching only as slots become free would need one fetch for every
	// second job.
	ticksAhead = 16
	// deliveriesAtOnce is how many concurrent requests a process makes to the webhook endpoint.
	deliveriesAtOnce = 4
)

// Config of a [Worker].
type Config struct {
	// Pool runs the jobs' statements. Required.
	Pool *pgxpool.Pool
	// RiverPool is for the queue. It is a separate pool because a pool that is busy with jobs would
	// time out the leader election. Required.
	RiverPool *pgxpool.Pool
	// RiverSchema is the Postgres schema of River's tables. Required.
	RiverSchema string
	// Concurrency is how many resume and pause jobs of signals run at once in this process. In
	// addition, half as many tick resumes run at once. Default 8.
	Concurrency int
	// PollOnly works without LISTEN and session locks, for a connection pooler in transaction mode.
	// Jobs that other processes insert then start within 0.1 s instead of immediately, and jobs of
	// lost processes wait for [RescueAfter].
	PollOnly bool
	// Webhooks makes this process deliver webhooks to the platform. If nil, it delivers none.
	Webhooks *Webhooks
	// Plugins observe the queue, in this order. Default none.
	Plugins []rivertype.Plugin
	// Logger is required.
	Logger *slog.Logger
}

// A Worker runs jobs in one process. Any number of workers can share a database.
type Worker struct {
	client   *river.Client[pgx.Tx]
	notifier *notifier.Notifier
	watchdog *watchdog
	// stopNotifier is called after the last job has ended.
	stopWatchdog, stopNotifier context.CancelFunc
	group                      *errgroup.Group
}

// New returns a worker that is not started yet. It reads the length of a tick from the database.
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

	// The notifier is created below, when the queues are known.
	var jobNotifier *notifier.Notifier
	notify := func(queues ...string) { jobNotifier.Notify(queues...) }
	workers := river.NewWorkers()
	river.AddWorker(workers, &sweepWorker{store: db, logger: c.Logger, notify: notify})
	river.AddWorker(workers, &resumeWorker{store: db, logger: c.Logger, turns: semaphore.NewWeighted(int64(turns))})
	river.AddWorker(workers, &pauseWorker{store: db, logger: c.Logger})
	river.AddWorker(workers, &healWorker{store: db, logger: c.Logger})
	river.AddWorker(workers, &pruneWorker{store: db, logger: c.Logger})
	river.AddWorker(workers, &watchWorker{store: db, logger: c.Logger, riverSchema: c.RiverSchema})
	var messages []string
	if c.Webhooks != nil {
		messages = append(messages, jobs.QueueWebhooks(c.Webhooks.EndpointID))
	}
	river.AddWorker(workers, &scheduleWorker{store: db, logger: c.Logger, notify: notify, messages: messages})
	// Registered even where nothing is delivered: a leader discards jobs of unknown kinds.
	river.AddWorker(workers, &deliverWorker{store: db, logger: c.Logger, webhooks: c.Webhooks})

	queues := map[string]river.QueueConfig{
		jobs.QueueSweep:  {MaxWorkers: 2, FetchCooldown: 10 * time.Millisecond},
		jobs.QueueResume: {MaxWorkers: c.Concurrency},
		jobs.QueueTick:   {MaxWorkers: ticksAhead * turns, FetchCooldown: 20 * time.Millisecond},
		jobs.QueueHeal:   {MaxWorkers: 2, FetchCooldown: 10 * time.Millisecond},
		// One job per process is enough: concurrent ones skip each other's accounts.
		jobs.QueueSchedule: {MaxWorkers: 1, FetchCooldown: 10 * time.Millisecond},
	}
	for _, queue := range messages {
		queues[queue] = river.QueueConfig{MaxWorkers: deliveriesAtOnce, FetchCooldown: 20 * time.Millisecond}
	}

	id := clientID()
	jobNotifier = notifier.New(notifier.Config{
		Pool: c.RiverPool, RiverSchema: c.RiverSchema, ClientID: id, Queues: slices.Sorted(maps.Keys(queues)), PollOnly: c.PollOnly,
		Measured: jobs.QueueResume, Logger: c.Logger,
	})
	client, err := river.NewClient(jobNotifier.Driver(), &river.Config{
		ID:      id,
		Schema:  c.RiverSchema,
		Logger:  quiet(c.Logger),
		Workers: workers,
		Queues:  queues,
		// A queue runs at most MaxWorkers jobs per cooldown. The poll finds jobs that the notifier
		// missed; the notifier itself polls more often, at a lower cost. River's PollOnly is not
		// set, even behind a pooler: the notifier always notifies the workers of its own process,
		// and passes on pauses and cancellations.
		FetchCooldown:        time.Millisecond,
		FetchPollInterval:    time.Second,
		ErrorHandler:         failures{c.Logger},
		JobTimeout:           JobTimeout,
		RescueStuckJobsAfter: RescueAfter,
		RetryPolicy:          &cappedRetry{},
		Plugins:              c.Plugins,
		// River's client sets a job's scheduled_at by the process's clock. If that clock is ahead,
		// the job would wait until the database's clock reaches this time. The zero time makes
		// River use the database's clock.
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
	return &Worker{client: client, notifier: jobNotifier, watchdog: dog}, nil
}

// clientID names this process in the queue: the host name, for readability, and a random part,
// because two containers can have the same host name and start at the same moment.
func clientID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown_host"
	}
	return strings.ReplaceAll(host[:min(len(host), 60)], ".", "_") + "_" + rand.Text()
}

// Notify makes the workers of these queues fetch, immediately in this process; see
// [notifier.Notifier.Notify].
func (w *Worker) Notify(queues ...string) { w.notifier.Notify(queues...) }

// Client returns the queue's client, for the pages that show the queue and for tests that observe
// it.
func (w *Worker) Client() *river.Client[pgx.Tx] { return w.client }

// Lag returns how long the oldest signal job has been waiting; see [notifier.Notifier.Lag].
func (w *Worker) Lag() time.Duration { return w.notifier.Lag() }

// Start starts the worker and returns. Cancelling ctx stops it hard; use [Worker.Stop] to let
// running jobs finish.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.client.Start(ctx); err != nil {
		return fmt.Errorf("starting the queue: %w", err)
	}
	// The time zones of the server may have changed. A process works with the old ones as well.
	if _, err := w.watchdog.store.Trip().RefreshZones(ctx); err != nil {
		w.watchdog.logger.WarnContext(ctx, "could not read the time zones of the database server; using those of the last start", "error", err)
	}
	w.group = &errgroup.Group{}
	watching, stop := context.WithCancel(ctx)
	notifying, stopNotifier := context.WithCancel(ctx)
	w.stopWatchdog, w.stopNotifier = stop, stopNotifier
	w.group.Go(func() error { w.watchdog.run(watching); return nil })
	w.group.Go(func() error { w.notifier.Run(notifying); return nil })
	w.group.Go(func() error { w.watchdog.pickUp(watching); return nil })
	return nil
}

// Stop fetches no more jobs and waits for running jobs until ctx ends, then cancels them.
func (w *Worker) Stop(ctx context.Context) error {
	w.stopWatchdog()
	err := w.client.Stop(ctx)
	if ctx.Err() != nil {
		cancelled, cancel := context.WithTimeout(context.WithoutCancel(ctx), store.LockTimeout)
		defer cancel()
		err = w.client.StopAndCancel(cancelled)
	}
	w.stopNotifier()
	_ = w.group.Wait() // none returns an error
	return err
}
