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

	"github.com/thawline/thaw/schema/dbsqlc"
)

// Driver returns River's driver with the notifier in the place of its listener, and with a fetch that does not walk over the
// jobs that are done.
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

// listener is what River listens to. It has all topics at any time, and its connection never breaks: [Notifier.listen] replaces
// the one below.
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
	// pingEvery is how long the connection that listens may be silent before it is asked whether it is still there.
	pingEvery = 5 * time.Second
	// connectWithin bounds connecting, registering and listening.
	connectWithin = 10 * time.Second
	// reconnectAfter is the pause before the first attempt to connect again; each further one is twice as long, up to
	// reconnectAtMost.
	reconnectAfter  = 50 * time.Millisecond
	reconnectAtMost = 10 * time.Second
	// insertEvery is the shortest time between two fetches for the notifications of others, which every role may send.
	insertEvery = 5 * time.Millisecond
)

// keepSession makes the session outlive the server's limit for idle ones, and makes the server find out within seconds that the
// machine of a process is gone, and not only the process.
const keepSession = `SET idle_session_timeout = 0; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3`

// listen keeps a connection that listens.
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
		again += time.Duration(rand.Int64N(int64(again) / 2)) //nolint:gosec // it spreads reconnects, and hides nothing
		n.c.Logger.WarnContext(ctx, "the connection that listens is lost; jobs are found by looking until there is another", "error", err,
			"again_in", again)
		pause(ctx, again)
	}
}

// session listens on one connection until that is lost. Listened says that it worked.
func (n *Notifier) session(ctx context.Context) (listened bool, err error) {
	conn, err := n.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		// Also at an orderly end the row in thaw.workers stays: a job that did not come to its end in time is handed out again.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer cancel()
		_ = conn.Close(closing)
	}()
	// What was sent meanwhile is lost.
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
				return true, fmt.Errorf("asking whether the connection is still there: %w", err)
			}
		default:
			return true, err
		}
	}
}

// connect returns a connection that listens, and by which this process is known to be alive.
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
		if err := dbsqlc.New(conn).RegisterWorker(ctx, n.c.ClientID); err != nil {
			return fmt.Errorf("registering this process: %w", err)
		}
		return nil
	}()
	if err != nil {
		_ = conn.Close(ctx) // it is of no use
		return nil, err
	}
	return conn, nil
}

// hear takes a notification from the server.
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

// A limiter notifies a queue at most once per insertEvery. What comes sooner is taken together.
type limiter struct {
	notifier *Notifier
	mu       sync.Mutex
	last     map[string]time.Time // when the queue was notified, or will be
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
	case l.last[queue].After(now): // it is going to be
	case !next.After(now):
		l.last[queue] = now
		l.notifier.notifyHere(queue)
	default:
		l.last[queue] = next
		time.AfterFunc(next.Sub(now), func() { l.notifier.notifyHere(queue) })
	}
}

// forgeries logs control and leadership notifications that have nothing behind them, at most one line per forgedEvery.
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
	logger.WarnContext(ctx, "a notification asks for what the tables of the queue do not say (to pause, resume, cancel or resign); it is ignored: it came late, or some role of the database forges them",
		"action", a.Action, "queue", a.Queue, "job_id", a.JobID, "ignored", f.since)
	f.logged, f.since = time.Now(), 0
}
