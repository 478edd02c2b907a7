package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// The provider has repeated incidents in which most accounts are lost at once. Meanwhile processes
// are killed, the platform's webhook receiver fails, and people hold, pause and resume. Safety mode
// is entered automatically, once per incident. Nothing resumes while it is on, nothing resumes that
// a person paused, and the platform receives every webhook.
func TestIncident(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	p := s.platform()
	accounts := s.fleet(scale(20, 60), scale(30, 250))
	// The disconnects of the fleet's setup are no incident: they have left the window.
	s.advance(11 * time.Minute)
	s.exec("UPDATE thaw.settings SET safety_accounts = $1, flap_limit = 0", len(accounts)/4)
	s.exec(notes)
	c := s.replicas(3, append(p.options(), "--tick=2s", "--jitter=10s")...)
	i := &incident{load: &load{scenario: s, replicas: c}, platform: p, accounts: accounts[1:], spared: accounts[0]}
	stop := i.begin()
	i.drained()

	for _, r := range i.plan() {
		i.happen(r)
	}
	stop()
	i.end()
	s.checker(i.lost)
}

// notes are the harness's own records, in the scenario's database: the safety mode state at each
// resume, and the times since which the harness knew that safety mode was on or an account was
// held. Times are of the server's clock, which the scenario does not move.
//
// A pass that runs when safety mode is entered finishes. A pass that began after it was known to be
// on must not resume. The exact commit time is unknown, but an observer can only see it later.
const notes = `
	CREATE TABLE thaw_test.resumes (event_id bigint PRIMARY KEY, began timestamptz NOT NULL, in_safety_since timestamptz);
	CREATE TABLE thaw_test.incidents (since timestamptz PRIMARY KEY, known_at timestamptz NOT NULL);
	CREATE TABLE thaw_test.holds (account_id bigint NOT NULL, known_at timestamptz NOT NULL, until timestamptz NOT NULL);

	CREATE FUNCTION thaw_test.note_resumes() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO thaw_test.resumes (event_id, began, in_safety_since)
		SELECT event.id, pg_catalog.now(), (SELECT safety.since FROM thaw.safety) FROM inserted AS event WHERE event.kind = 'resumed';
		RETURN NULL;
	END;
	$$;
	CREATE TRIGGER note_resumes AFTER INSERT ON thaw.enrollment_events REFERENCING NEW TABLE AS inserted
		FOR EACH STATEMENT EXECUTE FUNCTION thaw_test.note_resumes();`

const noteIncident = `
	INSERT INTO thaw_test.incidents (since, known_at)
	SELECT safety.since, clock_timestamp() FROM thaw.safety WHERE safety.since IS NOT NULL
	ON CONFLICT (since) DO NOTHING`

// An incident is the load of a scenario with incidents of the provider.
type incident struct {
	*load
	platform *platform
	accounts []int64
	// spared is an account that incidents and people do not touch.
	spared int64
	rounds int
}

// A round is one incident: how it begins, and the points at which processes are killed when it
// begins, during it and after it.
type round struct {
	// silent: the platform updates the lost accounts itself, without signals, so only the watch job
	// notices.
	silent bool
	// underWay: a pass is running when the incident begins. No process is killed at that moment.
	underWay bool
	// atBegin, within and after are points. A point with the prefix "COMMIT " is right after a
	// transaction's COMMIT.
	atBegin, within, after string
}

func (i *incident) plan() []round {
	if !*full {
		return []round{
			{atBegin: "ReceiveSignal after INSERT manual_actions", within: "RecordAttempt after UPDATE webhook_deliveries"},
			{underWay: true, after: "ResumeForSignal after INSERT outbox"},
		}
	}
	var plan []round
	within := []string{
		"RecordAttempt before UPDATE webhook_deliveries", "RecordAttempt after UPDATE webhook_deliveries", "RecordAttempt after UPDATE river_job",
		"COMMIT RecordAttempt", "PauseBatch after INSERT outbox", "PauseBatch after UPDATE outbox", "PauseBatch after INSERT webhook_deliveries",
	}
	after := []string{
		"ResumeForSignal after INSERT outbox", "ResumeForSignal after INSERT webhook_deliveries", "COMMIT ResumeForSignal",
		"ResumeForSweep after INSERT outbox", "commit of webhook_deliveries",
	}
	add := func(r round) {
		r.within, r.after = within[len(plan)%len(within)], after[len(plan)%len(after)]
		plan = append(plan, r)
	}
	for _, point := range []string{
		"ReceiveSignal before UPDATE safety", "ReceiveSignal after UPDATE safety", "ReceiveSignal after INSERT manual_actions",
		"ReceiveSignal after INSERT outbox", "ReceiveSignal after INSERT webhook_deliveries", "commit of safety", "COMMIT ReceiveSignal",
	} {
		add(round{atBegin: point})
	}
	for _, point := range []string{"Watch before UPDATE safety", "Watch after INSERT manual_actions", "Watch after INSERT outbox", "COMMIT Watch"} {
		add(round{silent: true, atBegin: point})
	}
	for range 3 {
		add(round{underWay: true})
	}
	i.rand.Shuffle(len(plan), func(a, b int) { plan[a], plan[b] = plan[b], plan[a] })
	return plan
}

// begin starts the background activity. The returned function stops it and fails the test if
// anything went wrong.
func (i *incident) begin() (stop func()) {
	ctx, cancel := context.WithCancel(i.Context())
	group := &errgroup.Group{}
	group.Go(func() error { return i.note(ctx) })
	group.Go(func() error { return i.decide(ctx) })
	group.Go(func() error { return i.tell(ctx) })
	return func() {
		i.Helper()
		cancel()
		require.NoError(i, group.Wait())
	}
}

// note records that safety mode is on as soon as it is visible.
func (i *incident) note(ctx context.Context) error {
	for ; ctx.Err() == nil; i.pause(2 * time.Millisecond) {
		if _, err := i.pool.Exec(i.Context(), noteIncident); err != nil {
			return fmt.Errorf("recording safety mode: %w", err)
		}
	}
	return nil
}

// tell keeps publishing test messages to the platform, as `thaw webhooks test` does.
func (i *incident) tell(ctx context.Context) error {
	for ; ctx.Err() == nil; i.pause(50 * time.Millisecond) {
		if _, err := i.pool.Exec(i.Context(), "SELECT thaw.publish('test.ping')"); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	return nil
}

// decide performs manual actions: it holds some accounts for minutes, pauses accounts and
// prospects, and requeues them. Only every fourth account is ever held: on a slow server all would
// be held in the end, and no pass would resume anything.
func (i *incident) decide(ctx context.Context) error {
	for ; ctx.Err() == nil; i.pause(time.Duration(i.rand.IntN(scale(100, 300))) * time.Millisecond) {
		id := i.accounts[i.rand.IntN(len(i.accounts))]
		var err error
		switch i.rand.IntN(6) {
		case 0:
			if id%4 == 0 {
				err = i.hold(id)
			}
		case 1:
			_, err = i.pool.Exec(i.Context(), "SELECT thaw.pause_account($1, 'asked by phone', 'ann')", account(id))
			i.fault("accounts paused manually")
		case 2, 3:
			_, err = i.pool.Exec(i.Context(), "SELECT thaw.resume_account($1, 'asked by phone', 'ann', even_by_user => true)", account(id))
			i.fault("accounts requeued manually")
		case 4:
			_, err = i.pool.Exec(i.Context(), "SELECT thaw.pause_prospect($1, 'not interested', 'bob')", prospect(id, 1+i.rand.IntN(30)))
			i.fault("prospects paused manually")
		case 5:
			_, err = i.pool.Exec(i.Context(), "SELECT thaw.resume_prospect($1, 'interested after all', 'bob')", prospect(id, 1+i.rand.IntN(30)))
			i.fault("prospects requeued manually")
		}
		if err != nil {
			return fmt.Errorf("manual action on account %d: %w", id, err)
		}
	}
	return nil
}

func prospect(account int64, n int) string {
	return fmt.Sprintf("https://www.linkedin.com/in/%d-%d", account, n)
}

// hold holds an account for some minutes and then tries to shorten the hold, which must fail. A
// longer existing hold stays.
func (i *incident) hold(id int64) error {
	minutes := 1 + i.rand.IntN(4)
	_, err := i.pool.Exec(i.Context(), "SELECT thaw.hold($1, thaw.now() + $2 * interval '1 minute', 'a new device', 'ann')", account(id), minutes)
	if isPast(err) {
		return nil // the scenario moved the clock while the statement began
	}
	if err != nil && !isShortening(err) {
		return err
	}
	if err == nil {
		i.fault("accounts held manually")
		_, err := i.pool.Exec(i.Context(), `
			INSERT INTO thaw_test.holds SELECT a.id, clock_timestamp() + clock.ahead, a.hold_until
			FROM thaw.accounts AS a CROSS JOIN thaw_test.clock WHERE a.id = $1`, id)
		if err != nil {
			return err
		}
	}
	// The hold may have expired: the scenario moves the clock.
	tag, err := i.pool.Exec(i.Context(), `
		UPDATE thaw.accounts SET hold_until = thaw.now() + interval '1 second'
		WHERE id = $1 AND hold_until > thaw.now() + interval '1 second'`, id)
	switch {
	case isShortening(err):
		i.fault("attempts to shorten a hold rejected")
	case err != nil:
		return err
	case tag.RowsAffected() > 0:
		return fmt.Errorf("the hold of account %d was shortened", id)
	}
	return nil
}

func isShortening(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.ConstraintName == "accounts_hold_is_never_shortened"
}

// isPast reports whether a hold was refused because its end is over.
func isPast(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == pgerrcode.InvalidParameterValue && strings.Contains(refused.Message, "must end in the future")
}

// hit brings a process to a point with do and kills it there.
func (i *incident) hit(point string, do func() error) {
	i.Helper()
	kill := func() bool { return true }
	switch transaction, isCommit := strings.CutPrefix(point, "COMMIT "); {
	case point == "":
	case isCommit:
		i.fault("kills after COMMIT")
		i.replicas.wire.arm(transaction)
		kill = i.replicas.killHeld
	default:
		withTransaction := !strings.HasPrefix(point, "commit") && i.rand.IntN(2) == 0
		if withTransaction {
			i.fault("kills at a point with the transaction")
		} else {
			i.fault("kills at a point")
		}
		i.replicas.at.arm(point) // before do, which may pass the point only once
		kill = func() bool { return i.replicas.killStopped(withTransaction) }
	}
	group := &errgroup.Group{}
	group.Go(do)
	require.True(i, kill(), "no process reached %s", point)
	require.NoError(i, group.Wait())
}

// all sends a status for many accounts at once.
func (i *incident) all(ids []int64, statuses ...string) error {
	group := &errgroup.Group{}
	group.SetLimit(8)
	for n, id := range ids {
		group.Go(func() error { return i.send(id, statuses[n%len(statuses)]) })
	}
	return group.Wait()
}

const isOn = "SELECT EXISTS (SELECT FROM thaw.safety JOIN thaw_test.incidents USING (since))"

// happen runs one incident: most accounts are lost, some reconnect and are lost again, a person
// exits safety mode when the provider reports the end of the incident, and all accounts reconnect.
func (i *incident) happen(r round) {
	i.Helper()
	i.rounds++
	i.advance(time.Minute) // holds expire
	if !r.silent {
		i.look()
	}
	ids := slices.Clone(i.accounts)
	i.rand.Shuffle(len(ids), func(a, b int) { ids[a], ids[b] = ids[b], ids[a] })
	lost := ids[:len(ids)*3/5]
	lose := func() error { return i.all(lost, "disconnected", "error", "needs_verification") }
	if r.silent {
		lose = func() error {
			_, err := i.pool.Exec(i.Context(), "UPDATE thaw.accounts SET status = 'error', last_error = 'gone' WHERE id = ANY ($1)", lost)
			return err
		}
	}
	if r.underWay {
		i.stopAPass(func() {
			require.NoError(i, lose())
			i.until(30*time.Second, isOn)
		})
	} else {
		i.hit(r.atBegin, lose)
	}
	i.until(time.Minute, isOn)

	i.hit(r.within, func() error {
		return errors.Join(i.all(lost, "disconnected"), i.all(lost[:len(lost)/2], "connected"), i.all(lost[:len(lost)/4], "disconnected"))
	})
	for range scale(1, 2) {
		i.replicas.killAtRandom()
		i.fault("kills at random")
	}
	i.resumesNothing()
	i.exec("SELECT thaw.safety_exit('the provider says that it is over', 'ann')")

	i.hit(r.after, func() error { return i.all(lost, "connected") })
	i.drained()
}

// look advances the clock to the start of a minute and waits for its watch job. The next one is
// almost a minute away, so losses until then are noticed through signals and not by a watch job
// that comes before them.
func (i *incident) look() {
	i.Helper()
	left := value[float64](i.scenario, "SELECT extract(epoch FROM date_bin('1 minute', thaw.now(), '2000-01-01') + interval '61 s' - thaw.now())::float8")
	i.advance(time.Duration(left * float64(time.Second)))
	i.exec("SELECT thaw.request_watch()")
	i.until(time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.river_job WHERE kind = 'watch' AND finalized_at IS NULL)")
}

// stopAPass stops a pass in its middle while do runs, then lets it continue.
func (i *incident) stopAPass(do func()) {
	i.Helper()
	id := i.spared
	require.NoError(i, i.send(id, "disconnected"))
	i.until(30*time.Second, "SELECT pause_after IS NULL FROM thaw.accounts WHERE id = $1", id)
	i.replicas.at.arm("ResumeForSignal before UPDATE enrollments")
	require.NoError(i, i.send(id, "connected"))
	name, _ := i.replicas.at.stopped(30 * time.Second)
	require.NotEmpty(i, name, "no pass reached the point")
	do()
	i.replicas.at.release()
	i.fault("passes stopped in the middle")
}

// resumesNothing ticks while safety mode is on, and requires that nothing is resumed and that a
// heal is refused.
func (i *incident) resumesNothing() {
	i.Helper()
	_, err := i.pool.Exec(i.Context(), "SELECT thaw.heal(w.key) FROM thaw.workspaces AS w ORDER BY w.id LIMIT 1")
	require.ErrorContains(i, err, "safety mode has been on since")
	const ticks = `
		FROM thaw.sweeps AS s JOIN thaw_test.incidents AS i ON i.since = (SELECT safety.since FROM thaw.safety) CROSS JOIN thaw_test.clock
		WHERE s.started_at > i.known_at + clock.ahead`
	i.until(time.Minute, "SELECT EXISTS (SELECT"+ticks+")")
	i.faultN("ticks in safety mode", value[int](i.scenario, "SELECT count(*)"+ticks))
	require.Zero(i, value[int](i.scenario, "SELECT coalesce(sum(s.planned), 0)"+ticks), "planned by a tick")
}

// drained waits until no prospect is left to resume.
func (i *incident) drained() {
	i.Helper()
	i.until(2*time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.resumable_lines())")
}

// end resumes all accounts except two that a person paused, and delivers the messages that wait for
// their next attempt.
func (i *incident) end() {
	i.Helper()
	i.advance(10 * time.Minute) // all holds expire
	require.NoError(i, i.all(i.accounts, "connected"))
	for _, id := range i.accounts {
		i.exec("SELECT thaw.resume_account($1, 'all is well', 'ann', even_by_user => true)", account(id))
	}
	for _, id := range i.accounts[:2] {
		i.exec("SELECT thaw.pause_account($1, 'the customer has left', 'ann')", account(id))
	}
	i.until(2*time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE waits_for_account)")
	// The next attempt of a message may be a day away.
	require.Eventually(i, func() bool {
		i.exec("SELECT thaw.expedite('deliver', j.args) FROM thaw.river_job AS j WHERE j.kind = 'deliver' AND j.state IN ('scheduled', 'retryable')")
		return value[int](i.scenario, "SELECT count(*) FROM thaw.webhook_deliveries WHERE state = 'waiting'") == 0
	}, time.Minute, 20*time.Millisecond, "undelivered messages")
}

// neverInAnIncident lists forbidden outcomes, each with a query that counts them.
var neverInAnIncident = []struct{ what, count string }{
	{"resumes without a record", `
		SELECT count(*) FROM thaw.enrollment_events AS event LEFT JOIN thaw_test.resumes AS resume ON resume.event_id = event.id
		WHERE event.kind = 'resumed' AND resume.event_id IS NULL`},
	{"entries into safety mode without a record, or exits without an entry", `
		SELECT count(*) FROM (
			SELECT d.what, d.actor, lag(d.what) OVER (ORDER BY d.id) AS before,
				EXISTS (SELECT FROM thaw_test.incidents AS i WHERE i.since = d.at) AS noted
			FROM thaw.manual_actions AS d WHERE d.what IN ('safety_entered', 'safety_exited')) AS line
		WHERE CASE line.what
			WHEN 'safety_entered' THEN line.actor <> 'monitor' OR line.before = 'safety_entered' OR NOT line.noted
			ELSE line.before IS DISTINCT FROM 'safety_entered' END`},
	{"prospects resumed by passes that began in safety mode", `
		SELECT count(*) FROM thaw_test.resumes AS resume LEFT JOIN thaw_test.incidents AS i ON i.since = resume.in_safety_since
		WHERE resume.in_safety_since IS NOT NULL AND (i.since IS NULL OR resume.began >= i.known_at)`},
	{"prospects resumed through a held account", `
		SELECT count(*) FROM thaw.enrollment_events AS event JOIN thaw_test.holds AS h ON h.account_id = event.to_account_id
		WHERE event.kind = 'resumed' AND event.at >= h.known_at AND event.at < h.until`},
	{"prospects resumed after a person had paused them", `
		SELECT count(*) FROM (
			SELECT event.kind, lag(event.kind) OVER line AS before, lag(event.reason) OVER line AS reason
			FROM thaw.enrollment_events AS event WHERE event.kind IN ('paused', 'released', 'resumed')
			WINDOW line AS (PARTITION BY event.enrollment_id ORDER BY event.id)) AS chain
		WHERE chain.kind = 'resumed' AND chain.before = 'paused' AND chain.reason = 'paused_by_user'`},
	{"undelivered messages", `
		SELECT count(*) FROM thaw.outbox AS o LEFT JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id
		WHERE o.is_open OR d.state IS DISTINCT FROM 'delivered'`},
	{"accounts not connected", "SELECT count(*) FROM thaw.accounts WHERE status <> 'connected'"},
	{"prospects not active and not paused by a person", `
		SELECT count(*) FROM thaw.enrollments AS e
		WHERE e.status <> 'active' AND NOT (e.paused_reason = 'paused_by_user' AND e.account_id = ANY ($1))`},
	{"prospects active although a person paused them", "SELECT count(*) FROM thaw.enrollments AS e WHERE e.status = 'active' AND e.account_id = ANY ($1)"},
}

func (i *incident) lost() string {
	for _, w := range neverInAnIncident {
		var args []any
		if strings.Contains(w.count, "$1") {
			args = append(args, i.accounts[:2])
		}
		if n := value[int](i.scenario, w.count, args...); n > 0 {
			return fmt.Sprintf("%d %s", n, w.what)
		}
	}
	if n := value[int](i.scenario, "SELECT count(*) FROM thaw.manual_actions WHERE what = 'safety_entered'"); n != i.rounds {
		return fmt.Sprintf("%d incidents, but safety mode was entered %d times", i.rounds, n)
	}
	i.figure("%d incidents", i.rounds)
	i.figure("%d passes stopped by safety mode", value[int](i.scenario, "SELECT count(*) FROM thaw.account_signals WHERE verdict = 'safety_mode'"))
	i.figure("%d prospects resumed by passes that were already running", value[int](i.scenario, "SELECT count(*) FROM thaw_test.resumes WHERE in_safety_since IS NOT NULL"))
	return i.platform.missed(column[string](i.scenario, "SELECT message_id FROM thaw.outbox"), i.rounds)
}

// missed returns what the platform should have received and did not, or received and should not
// have.
func (p *platform) missed(messages []string, incidents int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	copies := 0
	for _, id := range messages {
		if p.answered[id] == 0 {
			return fmt.Sprintf("message %s: marked as delivered, but never answered with 2xx", id)
		}
		copies += p.taken[id] - 1
	}
	if len(p.taken) != len(messages) {
		return fmt.Sprintf("%d messages not in the outbox", len(p.taken)-len(messages))
	}
	if p.forged > 0 {
		return fmt.Sprintf("%d messages without a valid signature", p.forged)
	}
	told := map[string]int{}
	for _, kind := range p.types {
		told[kind]++
	}
	if told["safety.entered"] != incidents || told["safety.exited"] != incidents {
		return fmt.Sprintf("%d incidents, but webhooks for %d entries and %d exits", incidents, told["safety.entered"], told["safety.exited"])
	}
	p.s.figure("%d messages and %d copies", len(messages), copies)
	return ""
}
