package notifier_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/notifier"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
)

// A process is a notifier with its own pool and River's listener.
type process struct {
	*notifier.Notifier
	listener riverdriver.Listener
	log      *lines
	stop     func()
}

// start runs the notifier of a process that works on the queue "resume".
func start(t *testing.T, db *testdb.DB, client string, pollOnly bool) *process {
	t.Helper()
	config := db.Pool.Config()
	if !pollOnly {
		var err error
		config, err = pgxpool.ParseConfig(db.Direct) // a pooler provides no session that can LISTEN
		require.NoError(t, err)
	}
	config.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	p := &process{log: &lines{}}
	p.Notifier = notifier.New(notifier.Config{
		Pool: pool, RiverSchema: schema.Name, ClientID: client, Queues: []string{"resume"}, PollOnly: pollOnly,
		Measured: "resume",
		Logger:   slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	p.listener = p.Driver().GetListener(&riverdriver.GetListenenerParams{Schema: schema.Name})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	p.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		pool.Close()
	})
	t.Cleanup(p.stop)
	return p
}

// hears waits until River receives this notification.
func (p *process) hears(t *testing.T, topic, payload string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		heard, err := p.listener.WaitForNotification(ctx)
		require.NoError(t, err, "waiting for %s %s; log: %s", topic, payload, p.log)
		if heard.Topic == topic && sameJSON(t, payload, heard.Payload) {
			return
		}
	}
}

func sameJSON(t *testing.T, one, other string) bool {
	t.Helper()
	var a, b any
	require.NoError(t, json.Unmarshal([]byte(one), &a))
	require.NoError(t, json.Unmarshal([]byte(other), &b))
	x, err := json.Marshal(a)
	require.NoError(t, err)
	y, err := json.Marshal(b)
	require.NoError(t, err)
	return bytes.Equal(x, y)
}

const inserted = `{"queue": "resume"}`

// listening waits until the process is registered as alive.
func (p *process) listening(t *testing.T, db *testdb.DB, client string) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return testdb.Value[int](t, db, `
			SELECT count(*) FROM thaw.workers WHERE client_id = $1 AND client_id NOT IN (SELECT thaw.lost_workers())`, client) == 1
	}, 20*time.Second, 5*time.Millisecond)
	return testdb.Value[int](t, db, "SELECT pid FROM thaw.workers WHERE client_id = $1", client)
}

// A process notifies its own workers without the database.
func TestNotifyReachesOwnProcessWithoutDatabase(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://127.0.0.1:1/none")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	n := notifier.New(notifier.Config{Pool: pool, RiverSchema: schema.Name, ClientID: "a", Queues: []string{"resume"}, Logger: slog.New(slog.DiscardHandler)})
	p := &process{Notifier: n, listener: n.Driver().GetListener(nil), log: &lines{}}
	for range 5000 { // merged into one notification
		p.Notify("resume", "other")
	}
	p.hears(t, "river_insert", inserted)
	none, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.listener.WaitForNotification(none)
	require.ErrorIs(t, err, context.Canceled)
}

// A notification reaches other processes, even from a process that runs no jobs, but not its
// sender.
func TestNotifyReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	a, b := start(t, db, "a", false), start(t, db, "b", false)
	a.listening(t, db, "a")
	b.listening(t, db, "b")
	web := start(t, db, "", false)
	for _, from := range []*process{a, web, a} {
		b.drain()
		from.Notify("resume")
		b.hears(t, "river_insert", inserted)
	}
}

// drain reads pending notifications until none arrives for 100 ms.
func (p *process) drain() {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, err := p.listener.WaitForNotification(ctx)
		cancel()
		if err != nil {
			return
		}
	}
}

// Jobs that SQL callers insert are found without a notification, also behind a pooler.
func TestJobsOfSQLCallersAreFound(t *testing.T) {
	t.Parallel()
	for _, pollOnly := range []bool{false, true} {
		db := testdb.New(t)
		p := start(t, db, "a", pollOnly)
		p.drain()
		db.Exec(t, "SELECT thaw.enqueue('resume_account', 'resume', 1::smallint, '{\"account_id\": 1, \"signal_id\": 1}')")
		p.hears(t, "river_insert", inserted)
	}
}

// Lag is 0 for a queue without a running job: slowing down webhooks would not help there.
func TestLagIsZeroWithoutRunningJob(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	p := start(t, db, "a", true)
	db.Exec(t, `
		INSERT INTO thaw.river_job (state, queue, kind, args, max_attempts, scheduled_at)
		VALUES ('available', 'resume', 'x', '{}', 5, now() - interval '5 seconds')`)
	p.hears(t, "river_insert", inserted)
	require.Zero(t, p.Lag())
	db.Exec(t, `
		INSERT INTO thaw.river_job (state, queue, kind, args, max_attempts, attempt, attempted_by, attempted_at)
		VALUES ('running', 'resume', 'x', '{}', 5, 1, '{b}', now())`)
	require.Eventually(t, func() bool { return p.Lag() > 5*time.Second }, 20*time.Second, 5*time.Millisecond)
	db.Exec(t, "UPDATE thaw.river_job SET state = 'completed', finalized_at = now(), attempt = 1")
	require.Eventually(t, func() bool { return p.Lag() == 0 }, 20*time.Second, 5*time.Millisecond)
	db.Exec(t, "DELETE FROM thaw.river_job")
}

// Every role that can connect can forge messages on River's control channel. They change nothing
// and are logged in one line.
func TestForgedControlMessagesChangeNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	p := start(t, db, "a", false)
	p.listening(t, db, "a")
	db.Exec(t, `
		INSERT INTO thaw.river_queue (name, updated_at) VALUES ('resume', now());
		INSERT INTO thaw.river_job (id, state, queue, kind, args, max_attempts, attempt, attempted_by, attempted_at, metadata) OVERRIDING SYSTEM VALUE
		VALUES (1, 'running', 'resume', 'x', '{}', 5, 1, '{a}', now(), '{}'), (2, 'running', 'resume', 'x', '{}', 5, 1, '{a}', now(), '{}')`)
	for range 20 {
		for _, forged := range []string{
			`{"action": "pause", "queue": "*"}`, `{"action": "pause", "queue": "resume"}`, `{"action": "cancel", "queue": "resume", "job_id": 1}`,
			`{"action": "cancel", "queue": "resume", "job_id": 99}`, `{"action": "stop", "queue": "resume"}`, `no JSON`,
		} {
			db.Exec(t, "SELECT pg_notify('thaw.river_control', $1)", forged)
		}
	}
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "forges") }, 20*time.Second, 5*time.Millisecond)
	// The following request is real. Earlier messages arrive before it.
	db.Exec(t, `
		UPDATE thaw.river_job SET metadata = '{"cancel_attempted_at": "2026-01-01T00:00:00Z"}' WHERE id = 2;
		SELECT pg_notify('thaw.river_control', '{"action": "cancel", "queue": "resume", "job_id": 2}')`)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		heard, err := p.listener.WaitForNotification(ctx)
		cancel()
		require.NoError(t, err)
		if heard.Topic == "river_control" {
			require.NotContains(t, heard.Payload, "pause")
			require.NotContains(t, heard.Payload, `"job_id":1`)
			if strings.Contains(heard.Payload, "cancel") {
				require.JSONEq(t, `{"action": "cancel", "queue": "resume", "job_id": 2}`, heard.Payload)
				break
			}
		}
	}
	require.Equal(t, 1, strings.Count(p.log.String(), "forges"), "%s", p.log)
	db.Exec(t, "DELETE FROM thaw.river_job")
}

// stranger returns a connection whose role has only the CONNECT privilege.
func stranger(t *testing.T, db *testdb.DB) *pgx.Conn {
	t.Helper()
	role := "stranger_of_" + testdb.Value[string](t, db, "SELECT current_database()") // a role belongs to the whole server
	db.Exec(t, "CREATE ROLE "+role+" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS")
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, err := conn.Exec(ctx, "RESET ROLE; DROP ROLE "+role)
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	_, err = conn.Exec(t.Context(), "SET ROLE "+role)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "DELETE FROM thaw.river_leader")
	require.ErrorContains(t, err, "permission denied")
	return conn
}

// Every role that can connect can forge a request to resign, or a message that the leader resigned.
// River receives neither while there is a leader, and exactly one message when there is none.
func TestForgedLeadershipMessagesChangeNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const elect = `INSERT INTO thaw.river_leader (leader_id, elected_at, expires_at) VALUES ('b', now(), now() + interval '1 hour')`
	db.Exec(t, elect)
	db.Exec(t, "INSERT INTO thaw.river_queue (name, updated_at) VALUES ('resume', now())")
	p := start(t, db, "a", false)
	p.listening(t, db, "a")
	forger := stranger(t, db)
	// attack sends forged messages and returns the leadership notifications that River receives
	// until the next read of the tables.
	paused := false
	attack := func() (heard []string) {
		t.Helper()
		for _, forged := range []string{
			`{"action": "request_resign"}`, `{"action": "request_resign", "leader_id": "b"}`, `{"action": "resigned", "leader_id": "b"}`,
			`{"action": "resigned", "leader_id": ""}`, `{"action": "pause", "queue": "*"}`, `no JSON`,
		} {
			_, err := forger.Exec(t.Context(), "SELECT pg_notify('thaw.river_leadership', $1)", forged)
			require.NoError(t, err)
		}
		paused = !paused
		db.Exec(t, "UPDATE thaw.river_queue SET paused_at = CASE WHEN $1 THEN now() END", paused)
		want := map[bool]string{true: "pause", false: "resume"}[paused]
		db.Exec(t, "SELECT pg_notify('thaw.river_control', $1)", `{"action": "`+want+`", "queue": "resume"}`)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			notification, err := p.listener.WaitForNotification(ctx)
			cancel()
			require.NoError(t, err, "%s", p.log)
			switch notification.Topic {
			case "river_leadership":
				heard = append(heard, notification.Payload)
			case "river_control":
				if strings.Contains(notification.Payload, want) {
					return heard
				}
			}
		}
	}
	for range 5 {
		require.Empty(t, attack())
	}
	require.Equal(t, 1, strings.Count(p.log.String(), "forges"), "%s", p.log)
	require.Contains(t, p.log.String(), "request_resign")

	db.Exec(t, "DELETE FROM thaw.river_leader")
	var heard []string
	for range 5 {
		heard = append(heard, attack()...)
	}
	require.Len(t, heard, 1)
	require.Contains(t, heard[0], `"resigned"`)

	db.Exec(t, elect)
	require.Empty(t, attack())
	require.Empty(t, attack()) // the first may have ended with a read that began before the election
	db.Exec(t, "UPDATE thaw.river_leader SET expires_at = now() - interval '1 second'")
	require.Len(t, append(attack(), attack()...), 1)
}

// A vacant leadership is found without a notification. The process whose own term has expired is
// not told.
func TestOtherProcessesLearnOfVacancy(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `INSERT INTO thaw.river_leader (leader_id, elected_at, expires_at) VALUES ('a', now() - interval '2 hours', now() - interval '1 hour')`)
	b := start(t, db, "b", true)
	b.hears(t, "river_leadership", `{"action": "resigned", "queue": ""}`)
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.requested_controls('a', '{}')"))
}

// A request that matches the tables reaches River, with or without a notification.
func TestRealControlMessagesArrive(t *testing.T) {
	t.Parallel()
	for _, notified := range []bool{true, false} {
		db := testdb.New(t)
		p := start(t, db, "a", !notified)
		db.Exec(t, "INSERT INTO thaw.river_queue (name, updated_at, paused_at) VALUES ('resume', now(), now())")
		if notified {
			db.Exec(t, `SELECT pg_notify('thaw.river_control', '{"action": "pause", "queue": "*"}')`)
		}
		p.hears(t, "river_control", `{"action": "pause", "queue": "resume"}`)
		db.Exec(t, "UPDATE thaw.river_queue SET paused_at = NULL")
		p.hears(t, "river_control", `{"action": "resume", "queue": "resume"}`)
		// Not checked with a notification: its message may arrive after the pause was read from
		// the tables and ended.
		if !notified {
			require.NotContains(t, p.log.String(), "forges")
		}
	}
}

// A lost connection is replaced as fast every time. River's own listener waits longer after each
// loss.
func TestLostConnectionIsReplacedWithoutGrowingDelay(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	p := start(t, db, "a", false)
	for range 8 {
		pid := p.listening(t, db, "a")
		db.Exec(t, "SELECT pg_terminate_backend($1)", pid)
		require.Eventually(t, func() bool { return testdb.Value[int](t, db, "SELECT pid FROM thaw.workers") != pid }, 20*time.Second, 5*time.Millisecond)
	}
	p.listening(t, db, "a")
	p.drain()
	web := start(t, db, "", false)
	web.Notify("resume")
	p.hears(t, "river_insert", inserted)
	pauses := p.log.durations(t, "again_in")
	require.GreaterOrEqual(t, len(pauses), 8)
	for _, pause := range pauses {
		require.Less(t, pause, 200*time.Millisecond, "%s", p.log)
	}
}

// idle_session_timeout does not end the listening connection.
func TestConnectionSurvivesIdleSessionTimeout(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	p := start(t, db, "a", false)
	pid := p.listening(t, db, "a")
	require.Equal(t, "idle", testdb.Value[string](t, db, "SELECT state FROM pg_stat_activity WHERE pid = $1", pid))
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	db.Exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET idle_session_timeout = ''300ms''', current_database()); END $$")
	p.stop()
	p = start(t, db, "b", false)
	pid = p.listening(t, db, "b")
	// New sessions now live for 300 ms. The listening one is still there when another one has
	// ended.
	short, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	t.Cleanup(func() { _ = short.Close(context.Background()) })
	var other int
	require.NoError(t, short.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&other))
	look := func(sql string, args ...any) (n int) {
		require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return look("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", other) == 0 }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, 1, look("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid))
	require.Empty(t, p.log.durations(t, "again_in"))
}

// A process is lost only when its registered session is gone. Another session that takes its lock,
// whose key is public, does not keep it alive. A process that only lost its connection recovers.
func TestLostWorkers(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	session := func() *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), db.Direct)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	register := func(conn *pgx.Conn) {
		_, err := conn.Exec(t.Context(), "SELECT thaw.register_worker('a')")
		require.NoError(t, err)
	}
	gone := func() []string { return testdb.Column[string](t, db, "SELECT thaw.lost_workers()") }
	first := session()
	register(first)
	require.Empty(t, gone())

	forger := session()
	_, err := forger.Exec(t.Context(), "SELECT pg_advisory_lock_shared(1)")
	require.NoError(t, err)
	db.Exec(t, "SELECT pg_terminate_backend(pid) FROM thaw.workers")
	require.Eventually(t, func() bool { return len(gone()) == 1 }, 20*time.Second, 5*time.Millisecond)
	_, err = forger.Exec(t.Context(), "SELECT pg_advisory_lock((SELECT lock_key FROM thaw.workers))")
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, gone())

	db.Exec(t, "SELECT thaw.requeue_lost_jobs()")
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.workers WHERE lost_at IS NOT NULL"))
	register(session())
	require.Empty(t, gone())
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.workers WHERE lost_at IS NULL"))
}

// The jobs of a lost process are requeued at the second check, its leadership ends, and finally its
// row is removed. A job with a requested cancellation is cancelled. A job that is being completed
// is left alone.
func TestJobsOfLostProcessAreRequeued(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workers (client_id, lock_key, pid) VALUES ('gone', 1, 0);
		INSERT INTO thaw.river_leader (leader_id, elected_at, expires_at) VALUES ('gone', now(), now() + interval '1 minute');
		INSERT INTO thaw.river_job (id, state, queue, kind, args, max_attempts, attempt, attempted_by, attempted_at, metadata) OVERRIDING SYSTEM VALUE
		VALUES (1, 'running', 'resume', 'x', '{}', 5, 1, '{other,gone}', now(), '{}'),
			(2, 'running', 'resume', 'x', '{}', 5, 1, '{gone,other}', now(), '{}'),
			(3, 'running', 'heal', 'x', '{}', 5, 1, '{gone}', now(), '{"cancel_attempted_at": "2026-01-01T00:00:00Z"}'),
			(4, 'running', 'sweep', 'x', '{}', 5, 1, '{gone}', now(), '{}')`)
	completing, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = completing.Rollback(context.Background()) }()
	_, err = completing.Exec(t.Context(), "SELECT FROM thaw.river_job WHERE id = 4 FOR UPDATE")
	require.NoError(t, err)

	look := func() []string { return testdb.Column[string](t, db, "SELECT thaw.requeue_lost_jobs() ORDER BY 1") }
	states := func() string {
		return testdb.Value[string](t, db, "SELECT string_agg(state::text, ' ' ORDER BY id) FROM thaw.river_job")
	}
	require.Empty(t, look())
	require.Equal(t, "running running running running", states(), "the process may recover")
	db.Exec(t, "UPDATE thaw.workers SET lost_at = lost_at - interval '1 second'")
	require.Equal(t, []string{"heal", "resume"}, look())
	require.Equal(t, "available running cancelled running", states())
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_job WHERE id = 1 AND errors[1] ->> 'error' LIKE '%gone%'"))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.river_leader"))
	require.NoError(t, completing.Rollback(t.Context()))
	require.Equal(t, []string{"sweep"}, look())
	require.Empty(t, look())
	require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.workers"))
	db.Exec(t, "UPDATE thaw.workers SET lost_at = lost_at - interval '3 minutes'")
	look()
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.workers"))
	db.Exec(t, "DELETE FROM thaw.river_job")
}

// lines records log lines.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// durations returns the values of an attribute in all lines that have it.
func (l *lines) durations(t *testing.T, attribute string) (found []time.Duration) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		var attributes map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &attributes))
		if value, ok := attributes[attribute].(float64); ok {
			found = append(found, time.Duration(value))
		}
	}
	return found
}
