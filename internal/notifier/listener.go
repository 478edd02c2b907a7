package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// Driver returns River's driver with the notifier as its listener, and with a fetch that does not
// scan completed jobs.
func (n *Notifier) Driver() riverdriver.Driver[pgx.Tx] {
	return &driver{Driver: riverpgxv5.New(n.c.Pool), notifier: n}
}

type driver struct {
	*riverpgxv5.Driver
	notifier *Notifier
}

// GetListener implements [riverdriver.Driver].
func (d *driver) GetListener(*riverdriver.GetListenenerParams) riverdriver.Listener {
	return listener{d.notifier}
}

// listener is River's listener. It receives all topics at all times, and its connection never
// breaks: [Notifier.listen] replaces the underlying one.
type listener struct{ notifier *Notifier }

func (listener) Connect(context.Context) error          { return nil }
func (listener) Close(context.Context) error            { return nil }
func (listener) Listen(context.Context, string) error   { return nil }
func (listener) Unlisten(context.Context, string) error { return nil }
func (listener) Ping(context.Context) error             { return nil }
func (l listener) Schema() string                       { return l.notifier.c.RiverSchema }
func (listener) SetAfterConnectExec(string)             {}

// WaitForNotification implements [riverdriver.Listener].
func (l listener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	for {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if notification := l.notifier.next(); notification != nil {
			return notification, nil
		}
		select {
		case <-ctx.Done():
		case <-l.notifier.arrived:
		}
	}
}

const (
	// pingEvery is how long the listening connection may be silent before it is pinged.
	pingEvery = 5 * time.Second
	// connectWithin bounds connecting, registering and subscribing.
	connectWithin = 10 * time.Second
	// reconnectAfter is the delay before the first reconnect. The delay doubles with each attempt,
	// up to reconnectAtMost.
	reconnectAfter  = 50 * time.Millisecond
	reconnectAtMost = 10 * time.Second
	// insertEvery is the minimum interval between fetches caused by other processes' notifications,
	// which every role can send.
	insertEvery = 5 * time.Millisecond
)

// keepSession disables the server's timeout for idle sessions, and makes the server detect within
// seconds that the host of a process is gone, not only the process.
const keepSession = `SET idle_session_timeout = 0; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3`

// listen keeps a listening connection open.
func (n *Notifier) listen(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		listened, err := n.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if listened {
			failures = 0
		}
		again := min(reconnectAfter<<min(failures, 20), reconnectAtMost)
		again += time.Duration(rand.Int64N(int64(again) / 2)) //nolint:gosec // jitter only
		n.c.Logger.WarnContext(ctx, "listening connection lost; polling for jobs until it is replaced", "error", err,
			"again_in", again)
		pause(ctx, again)
	}
}

// session listens on one connection until it is lost. It returns listened = true if the connection
// was established.
func (n *Notifier) session(ctx context.Context) (listened bool, err error) {
	conn, err := n.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		// The row in thaw.workers stays even after an orderly shutdown, so that a job which did not
		// finish in time is requeued.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer cancel()
		_ = conn.Close(closing)
	}()
	// Notifications sent in the meantime are lost.
	n.notifyHere(n.c.Queues...)
	signal(n.asking)
	foreign := limiter{notifier: n, last: map[string]time.Time{}}
	for {
		waiting, cancel := context.WithTimeout(ctx, pingEvery)
		notification, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			n.hear(notification, &foreign)
		case ctx.Err() != nil:
			return true, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err):
			if err := n.query(ctx, conn.Ping); err != nil {
				return true, fmt.Errorf("pinging the connection: %w", err)
			}
		default:
			return true, err
		}
	}
}

// connect returns a listening connection that also marks this process as alive.
func (n *Notifier) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	pooled, err := n.c.Pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	conn := pooled.Hijack()
	err = func() error {
		if _, err := conn.Exec(ctx, keepSession); err != nil {
			return fmt.Errorf("setting up the session: %w", err)
		}
		for _, topic := range []string{topicInsert, topicControl, topicLeadership} {
			if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{n.c.RiverSchema + "." + topic}.Sanitize()); err != nil {
				return fmt.Errorf("listening: %w", err)
			}
		}
		//nolint:forbidigo // The lock must belong to this session. connectWithin limits the wait.
		if err := dbsqlc.New(conn).RegisterWorker(ctx, n.c.ClientID); err != nil {
			return fmt.Errorf("registering this process: %w", err)
		}
		return nil
	}()
	if err != nil {
		_ = conn.Close(ctx) // unusable
		return nil, err
	}
	return conn, nil
}

// hear handles a notification from the server.
func (n *Notifier) hear(heard *pgconn.Notification, foreign *limiter) {
	switch heard.Channel {
	case n.c.RiverSchema + "." + topicInsert:
		var inserted insert
		if json.Unmarshal([]byte(heard.Payload), &inserted) == nil && (inserted.From == "" || inserted.From != n.c.ClientID) {
			foreign.notify(inserted.Queue)
		}
	case n.c.RiverSchema + "." + topicControl:
		n.ask(heard.Payload)
	case n.c.RiverSchema + "." + topicLeadership:
		n.askLeader(heard.Payload)
	}
}

// A limiter notifies a queue at most once per insertEvery. It merges notifications that arrive
// sooner.
type limiter struct {
	notifier *Notifier
	mu       sync.Mutex
	last     map[string]time.Time // last or scheduled notification of the queue
}

func (l *limiter) notify(queue string) {
	if !slices.Contains(l.notifier.c.Queues, queue) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	next := l.last[queue].Add(insertEvery)
	switch {
	case l.last[queue].After(now): // already scheduled
	case !next.After(now):
		l.last[queue] = now
		l.notifier.notifyHere(queue)
	default:
		l.last[queue] = next
		time.AfterFunc(next.Sub(now), func() { l.notifier.notifyHere(queue) })
	}
}

// forgeries logs control and leadership notifications that do not match the tables, at most one
// line per forgedEvery.
type forgeries struct {
	mu     sync.Mutex
	logged time.Time
	since  int
}

const forgedEvery = time.Minute

func (f *forgeries) log(ctx context.Context, logger *slog.Logger, a control) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since++
	if time.Since(f.logged) < forgedEvery {
		return
	}
	logger.WarnContext(ctx, "ignored a request to pause, resume, cancel or resign that does not match River's tables: it arrived late, or a database role forges notifications",
		"action", a.Action, "queue", a.Queue, "job_id", a.JobID, "ignored", f.since)
	f.logged, f.since = time.Now(), 0
}
