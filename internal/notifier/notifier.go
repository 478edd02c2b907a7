// Package notifier tells workers about new jobs. It replaces River's notifications.
//
// In Postgres, a transaction that calls NOTIFY commits under a lock of the whole cluster, which is
// held while the WAL is flushed. Such transactions never share a flush: 32 of them in parallel are
// as slow as one after another. So no transaction of Thaw that waits for the disk calls NOTIFY.
// Instead:
//
//   - A process that has committed a job calls [Notifier.Notify]. Its own workers fetch
//     immediately, without a round trip. It notifies other processes in a separate transaction that
//     does not wait for the disk, at most once per [notifyEvery].
//   - Every [lookEvery], one query checks the index of all queues for jobs that SQL callers
//     inserted.
//   - Once per second, a look back finds jobs that became due long before they became visible.
//   - Once per second, each queue is fetched, in case all of the above missed a job.
//
// River listens through its driver. [Notifier.Driver] returns a driver whose listener is this
// package. It handles three topics:
//
//   - river_insert notifies the workers of a queue. Every role that can connect can forge it; a
//     forged one costs one fetch.
//   - river_control asks to pause or resume a queue, or to cancel a job. It only triggers a read of
//     River's tables, and River receives what the tables say. A message that does not match the
//     tables changes nothing and is logged.
//   - river_leadership only triggers a read, too. River is told that the leader resigned if the
//     leader's row is gone or expired, once per vacancy. A request to resign has no row behind it
//     and is ignored.
//
// The notifier owns the listening connection. River never sees it break: the notifier replaces it,
// with a backoff that is reset by every successful connection. After a reconnect it fetches from
// all queues, because notifications sent meanwhile are lost.
//
// The same connection holds the advisory lock that shows other processes that this one is alive
// (thaw.register_worker). Once per second, each process checks the locks of the others and requeues
// the jobs of a process whose lock is gone.
//
// An old snapshot (a dump, an idle transaction) keeps index entries of completed jobs, and River's
// fetch starts at the oldest entry. So [Notifier.Driver] has its own fetch, which starts where the
// last one left no jobs (fetch.go).
//
// With PollOnly there is no listening connection, because a connection pooler in transaction mode
// cannot provide one. Polling then does all of the work, and the jobs of a lost process wait for
// River's rescue.
package notifier

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// River's topics.
const (
	topicInsert     = "river_insert"
	topicControl    = "river_control"
	topicLeadership = "river_leadership"
)

const (
	// notifyEvery is the minimum interval between two notifications to other processes. The first
	// of a burst is sent immediately.
	notifyEvery = 10 * time.Millisecond
	// lookEvery is how often a process checks its queues for jobs. A SQL caller's job waits for
	// half of it on average. A check takes four index descents per queue, 0.1 ms of the server's
	// CPU time.
	lookEvery = 50 * time.Millisecond
	// controlEvery is how often the tables are read for pauses, cancellations and the leader
	// without a notification.
	controlEvery = 2 * time.Second
	// controlAtMost is the minimum interval between such reads when notifications arrive: it bounds
	// the cost of a flood of forged ones. Reads that are slow, because an old snapshot keeps dead
	// index entries, take at most 5% of the time.
	controlAtMost = 50 * time.Millisecond
	// requeueEvery is how often a process looks for jobs of lost processes.
	requeueEvery = time.Second
	// answerWithin bounds each query of this package except the look back. A connection that a
	// firewall dropped never answers.
	answerWithin = 5 * time.Second
	// maxPending bounds the notifications that River has not received yet. Inserts take at most one
	// per queue.
	maxPending = 1000
)

// Config of a [Notifier].
type Config struct {
	// Pool is River's. Required.
	Pool *pgxpool.Pool
	// RiverSchema is the Postgres schema of River's tables. Required.
	RiverSchema string
	// ClientID is this process's ID in River. If empty, the process runs no jobs and only notifies
	// others.
	ClientID string
	// Queues are the queues that this process works on.
	Queues []string
	// Measured is the queue whose lag [Notifier.Lag] returns. If empty, none is measured.
	Measured string
	// PollOnly uses no dedicated session, for a connection pooler in transaction mode.
	PollOnly bool
	// Logger is required.
	Logger *slog.Logger
}

// A Notifier notifies the workers of its own and of other processes.
type Notifier struct {
	c       Config
	lag     atomic.Int64
	queries *dbsqlc.Queries
	fronts  fronts

	mu      sync.Mutex
	pending []*riverdriver.Notification // for River, oldest first
	queued  map[string]bool             // queues whose notification is pending
	tell    map[string]bool             // queues to notify other processes of
	asked   []control                   // requests received since the last read of the tables

	arrived, telling, asking chan struct{} // each holds one token
	forged                   forgeries
}

// New returns a notifier. It sends and receives nothing before [Notifier.Run].
func New(c Config) *Notifier {
	return &Notifier{
		c:       c,
		queries: dbsqlc.New(c.Pool), //nolint:forbidigo // Each query has a deadline: see answerWithin.
		queued:  map[string]bool{}, tell: map[string]bool{},
		fronts:  fronts{since: map[string]time.Time{}},
		arrived: make(chan struct{}, 1), telling: make(chan struct{}, 1), asking: make(chan struct{}, 1),
	}
}

// Notify makes the workers of these queues fetch: immediately in this process, within [notifyEvery]
// in others. Call it after the transaction that inserted the jobs has committed. Without the call,
// such a job waits for up to twice [lookEvery]. Notify does not block. A nil Notifier does nothing.
func (n *Notifier) Notify(queues ...string) {
	if n == nil || len(queues) == 0 {
		return
	}
	n.notifyHere(queues...)
	n.mu.Lock()
	for _, queue := range queues {
		n.tell[queue] = true
	}
	n.mu.Unlock()
	signal(n.telling)
}

// notifyHere notifies only the workers of this process.
func (n *Notifier) notifyHere(queues ...string) {
	for _, queue := range queues {
		if slices.Contains(n.c.Queues, queue) {
			payload, _ := json.Marshal(insert{Queue: queue}) // a struct of strings
			n.deliver(&riverdriver.Notification{Topic: topicInsert, Payload: string(payload)}, queue)
		}
	}
}

// deliver hands a notification to River. A notification for a queue is dropped while another one
// for it is pending.
func (n *Notifier) deliver(notification *riverdriver.Notification, queue string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if queue != "" && n.queued[queue] || len(n.pending) >= maxPending {
		return
	}
	if queue != "" {
		n.queued[queue] = true
	}
	n.pending = append(n.pending, notification)
	signal(n.arrived)
}

// next returns the oldest pending notification, or nil.
func (n *Notifier) next() *riverdriver.Notification {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) == 0 {
		return nil
	}
	oldest := n.pending[0]
	n.pending = n.pending[1:]
	if oldest.Topic == topicInsert {
		var inserted insert
		_ = json.Unmarshal([]byte(oldest.Payload), &inserted) // written by notifyHere
		delete(n.queued, inserted.Queue)
	}
	return oldest
}

// Run sends, listens and polls until ctx ends. It logs database errors and retries.
func (n *Notifier) Run(ctx context.Context) {
	var group errgroup.Group
	run := func(do func(context.Context)) { group.Go(func() error { do(ctx); return nil }) }
	run(n.send)
	if n.c.ClientID != "" || n.c.Measured != "" {
		run(n.look)
	}
	if n.c.ClientID != "" {
		run(n.lookBack)
		run(n.control)
		run(n.requeue)
		if !n.c.PollOnly {
			run(n.listen)
		}
	}
	_ = group.Wait() // none returns an error
}

// send notifies other processes of queues with new jobs.
func (n *Notifier) send(ctx context.Context) {
	for wait(ctx, n.telling, 0) {
		n.mu.Lock()
		queues := make([]string, 0, len(n.tell))
		for queue := range n.tell {
			queues = append(queues, queue)
		}
		clear(n.tell)
		n.mu.Unlock()
		err := n.query(ctx, func(ctx context.Context) error {
			return n.queries.NotifyQueues(ctx, dbsqlc.NotifyQueuesParams{
				Channel: n.c.RiverSchema + "." + topicInsert, Sender: n.c.ClientID, Queues: queues,
			})
		})
		if err != nil {
			// No job is lost: the other processes poll.
			n.c.Logger.DebugContext(ctx, "could not notify other processes of new jobs; they will find them by polling", "error", err)
		}
		pause(ctx, notifyEvery)
	}
}

// Lag returns how long the oldest job of the measured queue had been waiting at the last check, up
// to 15 seconds. It is 0 if no worker is running a job of that queue.
func (n *Notifier) Lag() time.Duration { return time.Duration(n.lag.Load()) }

// look finds jobs that SQL callers inserted.
func (n *Notifier) look(ctx context.Context) {
	queues := n.c.Queues
	if n.c.Measured != "" && !slices.Contains(queues, n.c.Measured) {
		queues = append(slices.Clone(queues), n.c.Measured)
	}
	for failing := false; pause(ctx, lookEvery); {
		var waiting []dbsqlc.WaitingQueuesRow
		err := n.query(ctx, func(ctx context.Context) (err error) {
			waiting, err = n.queries.WaitingQueues(ctx, queues)
			return err
		})
		if err != nil {
			if !failing && ctx.Err() == nil {
				n.c.Logger.WarnContext(ctx, "could not check for new jobs; retrying", "error", err)
			}
			failing = true
			n.lag.Store(0)
			pause(ctx, time.Second)
			continue
		}
		failing = false
		lag := time.Duration(0)
		for _, queue := range waiting {
			if queue.Queue == n.c.Measured {
				lag = queue.Waited
			}
			n.notifyHere(queue.Queue)
		}
		n.lag.Store(int64(lag))
	}
}

// requeue requeues the jobs of lost processes.
func (n *Notifier) requeue(ctx context.Context) {
	for pause(ctx, requeueEvery) {
		var queues []string
		err := n.query(ctx, func(ctx context.Context) (err error) {
			queues, err = n.queries.RequeueLostJobs(ctx)
			return err
		})
		if err != nil {
			n.c.Logger.WarnContext(ctx, "could not look for jobs of lost processes; retrying", "error", err)
			continue
		}
		if len(queues) > 0 {
			n.c.Logger.InfoContext(ctx, "process lost; its jobs are requeued", "queues", queues)
			n.Notify(queues...)
		}
	}
}

// query runs one query with a deadline.
func (n *Notifier) query(ctx context.Context, do func(context.Context) error) error {
	return n.queryWithin(ctx, answerWithin, do)
}

func (n *Notifier) queryWithin(ctx context.Context, atMost time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	return do(ctx)
}

// insert is the payload of a river_insert notification. River's own has no From.
type insert struct {
	Queue string `json:"queue"`
	From  string `json:"from,omitempty"`
}

// signal sends a token unless one is pending.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait returns true when a token arrives or the time has passed, and false when ctx has ended. An
// atMost of 0 means no limit.
func wait(ctx context.Context, token <-chan struct{}, atMost time.Duration) bool {
	var over <-chan time.Time
	if atMost > 0 {
		timer := time.NewTimer(atMost)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-token:
	case <-over:
	}
	return ctx.Err() == nil
}

// pause returns true when the time has passed, and false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool { return wait(ctx, nil, d) }
