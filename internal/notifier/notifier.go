// Package notifier tells workers that there is something to do, in place of River's own notifications.
//
// A transaction that calls NOTIFY commits under one lock of the whole Postgres cluster, held while the WAL is flushed: such
// transactions never share a flush, and 32 of them are as fast as one. So no transaction of Thaw that waits for the disk
// notifies. Instead:
//
//   - The process that has committed a job calls [Notifier.Notify]. Its own workers fetch at once, without a round trip; other
//     processes are told by a notification of its own, at most one per [notifyEvery], which does not wait for the disk.
//   - Jobs that SQL callers insert are found by a look at the queue's index each [lookEvery], for all queues in one query.
//   - A look back, once a second, finds what fell due long before it could be seen.
//   - A fetch of each queue, once a second, finds what all of this has missed.
//
// River listens through a driver; [Notifier.Driver] is one whose listener is this package. Three topics come to it:
//
//   - river_insert notifies the workers of a queue. It may be forged by every role that can connect, and costs one fetch.
//   - river_control asks to pause or resume a queue, or to cancel a job. It is only a reason to look: what reaches River is what
//     its tables say. A message with nothing in the tables behind it changes nothing and is logged.
//   - river_leadership is only a reason to look, too. River is told that the leader has resigned if its row is gone or has
//     expired, once until there is a leader again. A request to resign has nothing in the tables behind it and is ignored.
//
// The connection that listens is the notifier's. River never sees it break: it is replaced, after a pause that starts anew
// with every connection that worked, and then all queues are looked at, because notifications of the meantime are lost.
//
// The same connection holds the advisory lock by which the other processes see that this one is alive (thaw.register_worker).
// Each process looks once a second whether the lock of another is gone, and makes that one's jobs available again.
//
// An old snapshot (a dump, an idle transaction) keeps an entry of every job that is done in the index of River's fetch, which
// begins at the oldest. So [Notifier.Driver] has a fetch of its own, which begins where the last one left nothing (fetch.go).
//
// With PollOnly there is no such connection, because a connection pooler in transaction mode gives none: the looks do all of
// the work, and jobs of a process that is gone wait for River's rescue.
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

	"github.com/thawline/thaw/schema/dbsqlc"
)

// River's topics.
const (
	topicInsert     = "river_insert"
	topicControl    = "river_control"
	topicLeadership = "river_leadership"
)

const (
	// notifyEvery is the shortest time between two notifications to other processes. The first of a burst goes at once.
	notifyEvery = 10 * time.Millisecond
	// lookEvery is how often a process asks which of its queues have jobs: a SQL caller's job waits half of it at the mean. Four
	// index descents per queue, 0.1 ms of the server's processor.
	lookEvery = 50 * time.Millisecond
	// controlEvery is how often the tables are asked what is paused or cancelled, and whether there is a leader, without a notification.
	controlEvery = 2 * time.Second
	// controlAtMost is how often they are asked because of notifications: a flood of forged ones costs no more than that.
	// An answer that takes long, because an old snapshot keeps dead entries in the index, takes no more than 5 % of the time.
	controlAtMost = 50 * time.Millisecond
	// requeueEvery is how often a process looks for the jobs of processes that are gone.
	requeueEvery = time.Second
	// answerWithin bounds each query of this package but the look back. A connection that a firewall has forgotten never answers.
	answerWithin = 5 * time.Second
	// maxPending bounds the notifications that River has not taken yet. Those for inserts are at most one per queue.
	maxPending = 1000
)

// Config of a [Notifier].
type Config struct {
	// Pool is River's. Required.
	Pool *pgxpool.Pool
	// RiverSchema is the Postgres schema of River's tables. Required.
	RiverSchema string
	// ClientID is this process in River. Empty: it does not work, and only tells others.
	ClientID string
	// Queues are those that this process works on.
	Queues []string
	// Measured is the queue whose lag [Notifier.Lag] tells. Empty: none.
	Measured string
	// PollOnly does without a session of its own, for a connection pooler in transaction mode.
	PollOnly bool
	// Logger is required.
	Logger *slog.Logger
}

// A Notifier notifies the workers of a process, and of others.
type Notifier struct {
	c       Config
	lag     atomic.Int64
	queries *dbsqlc.Queries
	fronts  fronts

	mu      sync.Mutex
	pending []*riverdriver.Notification // for River, the oldest first
	queued  map[string]bool             // queues whose notification is pending
	tell    map[string]bool             // queues that other processes are to be told of
	asked   []control                   // what notifications have asked for since the tables were looked at

	arrived, telling, asking chan struct{} // each holds one token
	forged                   forgeries
}

// New returns a notifier. Nothing is sent or heard before [Notifier.Run].
func New(c Config) *Notifier {
	return &Notifier{
		c: c, queries: dbsqlc.New(c.Pool), queued: map[string]bool{}, tell: map[string]bool{},
		fronts:  fronts{since: map[string]time.Time{}},
		arrived: make(chan struct{}, 1), telling: make(chan struct{}, 1), asking: make(chan struct{}, 1),
	}
}

// Notify makes the workers of these queues fetch: those of this process at once, those of others within [notifyEvery]. Call it
// after the transaction that inserted jobs is committed. To forget it costs such a job up to twice [lookEvery]. It does not
// block. A nil Notifier does nothing.
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

// deliver hands a notification to River. One that notifies a queue is not repeated while the last is still pending.
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

// next returns the oldest pending notification; nil: there is none.
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
		_ = json.Unmarshal([]byte(oldest.Payload), &inserted) // it is written above
		delete(n.queued, inserted.Queue)
	}
	return oldest
}

// Run sends, listens and looks until ctx ends. Errors of the database are logged, and what failed is tried again.
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

// send tells other processes which queues have new jobs.
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
			// Nothing is lost: the others look for themselves.
			n.c.Logger.DebugContext(ctx, "could not tell other processes of new jobs; they will find them", "error", err)
		}
		pause(ctx, notifyEvery)
	}
}

// Lag returns for how long the oldest job of the measured queue has waited, a moment ago: up to 15 seconds. It is 0
// while no worker runs a job of that queue.
func (n *Notifier) Lag() time.Duration { return time.Duration(n.lag.Load()) }

// look finds the jobs that SQL callers have inserted.
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
				n.c.Logger.WarnContext(ctx, "could not look for new jobs; trying again", "error", err)
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

// requeue finds the jobs of processes that are gone.
func (n *Notifier) requeue(ctx context.Context) {
	for pause(ctx, requeueEvery) {
		var queues []string
		err := n.query(ctx, func(ctx context.Context) (err error) {
			queues, err = n.queries.RequeueLostJobs(ctx)
			return err
		})
		if err != nil {
			n.c.Logger.WarnContext(ctx, "could not look for the jobs of processes that are gone; trying again", "error", err)
			continue
		}
		if len(queues) > 0 {
			n.c.Logger.InfoContext(ctx, "a process is gone; its jobs are available again", "queues", queues)
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

// insert is the payload of a notification that notifies a queue. River's has no From.
type insert struct {
	Queue string `json:"queue"`
	From  string `json:"from,omitempty"`
}

// signal leaves a token unless there is one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait returns true when there is a token, or when the time is over; false: ctx has ended. A time of 0 never ends.
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

// pause returns true when the time is over; false: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool { return wait(ctx, nil, d) }
