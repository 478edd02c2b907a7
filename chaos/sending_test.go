package chaos_test

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Senders claim what is due, start it, call the provider and settle it. They, the processes of Thaw
// and Postgres are killed at the points of these transactions, and while the provider does not
// answer. The provider's log shows that nothing is requested twice, and nothing is lost.
// Unknown are exactly the actions that were under way in a sender that died.
func TestClaimingSenders(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	x := startSending(t, byClaim)
	x.strikeAll([]kill{
		{"claim_actions after INSERT actions", theProcess},
		{"commit of a reservation", thePostgres},
		{"COMMIT start", theProcess},
		{theAnswer, thePostgres},
		{"settle before UPDATE actions", theTransaction},
		{"COMMIT settle", theProcess},
	}, "claim_actions", "start", "settle", "ExpireActions", "TakeNudges", "RingActions")
	x.finish()
}

// The same with senders that are called: the job schedule reserves what is due, and the outbox
// sends it to them.
func TestCalledSenders(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	x := startSending(t, byCall)
	x.strikeAll([]kill{
		{"PushActions after INSERT outbox", theTransaction},
		{"COMMIT PushActions", theProcess},
		{"RecordSchedule before UPDATE scheduler", theProcess},
		{"RecordAttempt after UPDATE webhook_deliveries", theTransaction},
		{"commit of a start", thePostgres},
		{theAnswer, theProcess},
	}, "start", "settle", "PushActions", "RecordAttempt", "ExpireActions", "TakeNudges", "RingActions")
	x.finish()
}

// The same with senders of a platform that has its own scheduler, and uses only the gate in front
// of each action. All of them try whatever is due, so most reservations are refused.
func TestGatedSenders(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	x := startSending(t, byGate)
	x.strikeAll([]kill{
		{"reserve after INSERT actions", theProcess},
		{"reserve before UPDATE senders", theTransaction},
		{"commit of a reservation", thePostgres},
		{"COMMIT reserve", theProcess},
		{"start after UPDATE actions", theTransaction},
		{"commit of a start", thePostgres},
		{"COMMIT start", theProcess},
		{theAnswer, thePostgres},
		{theAnswer, theProcess},
		{"settle after UPDATE enrollments", theTransaction},
		{"commit of a settlement", thePostgres},
		{"COMMIT settle", theProcess},
	}, "reserve", "start", "settle", "ExpireActions", "TakeNudges")
	x.finish()
}

// An integration is how senders come to their actions.
type integration string

const (
	byClaim integration = "claim_actions"
	byCall  integration = "action.due"
	byGate  integration = "reserve, for what the platform has scheduled"
)

// A kill is one step: a point that a process reaches, and what is killed then.
type kill struct {
	point  string
	victim victim
}

type victim string

const (
	theProcess     victim = "the process at the point" // its backend continues
	theTransaction victim = "the process at the point, with its transaction"
	aSender        victim = "a sender"
	aWorker        victim = "a process of Thaw"
	thePostgres    victim = "Postgres"
)

// theAnswer is the point at which the provider has carried out a request and has not answered.
const theAnswer = "the answer of the provider"

// ofSending are the tables with points. committedStates are the states of actions with a point at
// COMMIT, and its name.
var (
	ofSending = []string{"actions", "senders", "sending_accounts", "enrollments", "nudges", "scheduler", "outbox", "webhook_deliveries",
		"action_holds", "accounts", "account_signals"}
	committedStates = map[string]string{"reserved": "a reservation", "started": "a start", "sent": "a settlement"}
)

// Sending is a fleet with due actions, processes of Thaw, and senders, on a Postgres that crashes.
type sending struct {
	*replicas
	pg       *cluster
	provider *requests
	way      integration
	limits   map[string]limit // of accounts, by provider account ID
	waves    int
	// underWay are the actions that a sender had started and not settled when it died, and its
	// name.
	underWay map[int64]string
	crashes  int
	logged   int  // settlements, by senders that died
	faulty   bool // the provider also fails requests on demand

	among   sync.Mutex
	senders []*sender
}

// Limited accounts need a week for their prospects at full size, and two days at small size.
const sendingAccounts, limitedAccounts = 8, 2

const sendingFleet = `
	UPDATE thaw.settings SET safety_accounts = 1000000, flap_limit = 0;
	UPDATE thaw.action_limits SET per_day = 100000, per_week = NULL;
	UPDATE thaw.action_ceilings SET per_day = 100000, per_week = NULL;
	INSERT INTO thaw.workspaces (key) VALUES ('acme');
	SELECT thaw.set_sending_windows('acme', '[{"weekdays": [1, 2, 3, 4, 5, 6, 7], "opens": "00:00", "closes": "24:00"}]', reason => 'the scenario');
	INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at, timezone, tier)
	SELECT w.id, 'acc_' || n, 'member_' || n, 'connected', thaw.now(), 'Europe/Berlin', 'premium'
	FROM thaw.workspaces AS w CROSS JOIN generate_series(1, %d) AS n;
	INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT w.id, 'spring', 'running' FROM thaw.workspaces AS w;
	SELECT thaw.set_campaign_steps('acme', 'spring', '[{"kind": "invite"}, {"kind": "message"}]');
	INSERT INTO thaw.action_overrides (workspace_id, account_id, kind, per_day, per_week, reason, actor)
	SELECT a.workspace_id, a.id, kind, %d, %d, 'the scenario', 'chaos'
	FROM thaw.accounts AS a CROSS JOIN unnest(ARRAY['invite', 'message']) AS kind ORDER BY a.id LIMIT 2 * %d;

	-- The harness's own records: which process started an action.
	CREATE TABLE thaw_test.starts (action_id bigint PRIMARY KEY, process text NOT NULL);
	CREATE FUNCTION thaw_test.note_start() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO thaw_test.starts VALUES (NEW.id, current_setting('application_name'));
		RETURN NULL;
	END;
	$$;
	CREATE TRIGGER note_start AFTER UPDATE OF state ON thaw.actions
		FOR EACH ROW WHEN (NEW.state = 'started') EXECUTE FUNCTION thaw_test.note_start();`

func startSending(t *testing.T, way integration, options ...string) *sending {
	t.Helper()
	pg := startCluster(t, nil)
	s := openOn(t, pg.url)
	x := &sending{pg: pg, provider: s.requests(), way: way, limits: map[string]limit{}, underWay: map[int64]string{}}
	weekly := limit{perDay: 2, perWeek: 4}
	s.exec(fmt.Sprintf(sendingFleet, sendingAccounts, weekly.perDay, weekly.perWeek, limitedAccounts))
	for n := range limitedAccounts {
		x.limits[account(int64(n+1))] = weekly
	}
	at := s.pointsOf(ofSending, nil)
	for state, name := range committedStates {
		s.exec(fmt.Sprintf("CREATE CONSTRAINT TRIGGER chaos_commit_%s AFTER INSERT OR UPDATE ON thaw.actions DEFERRABLE INITIALLY DEFERRED "+
			"FOR EACH ROW WHEN (NEW.state = '%[1]s') EXECUTE FUNCTION chaos.pass('commit', '%s')", state, name))
	}
	if way == byCall {
		options = []string{"--push-actions", "--webhook-url=" + x.balancer(s), "--webhook-secret=" + platformSecret, "--webhook-allow-private"}
	}
	x.replicas = s.replicasAt(at, 2, options...)
	for range 2 {
		fresh := x.startSender(s.relay(x.wire))
		x.among.Lock()
		x.senders = append(x.senders, fresh)
		x.among.Unlock()
	}
	return x
}

// wave makes one action of each account due: its last one is longer ago than any gap. Accounts that
// are almost done get another prospect.
func (x *sending) wave() {
	x.Helper()
	x.waves++
	x.exec(`
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
		SELECT a.workspace_id, c.id, a.id, format('https://www.linkedin.com/in/%s-%s', a.id, $1::integer), 'active', thaw.now()
		FROM thaw.accounts AS a
		CROSS JOIN thaw.campaigns AS c
		CROSS JOIN LATERAL (
			SELECT count(*) AS n, count(*) FILTER (WHERE e.status = 'active') AS active FROM thaw.enrollments AS e WHERE e.account_id = a.id) AS has
		WHERE has.active - (SELECT count(*) FROM thaw.actions AS x WHERE x.account_id = a.id AND x.state IN ('started', 'unknown')) < 2
			AND (a.id > $2 OR has.n < $3)`, x.waves, limitedAccounts, scale(3, 6))
	x.advance(11 * time.Minute)
}

// strikeAll makes some kills at small size. At full size it makes every kind of kill at every point
// that each wave passes, and after the COMMIT of each of these transactions.
func (x *sending) strikeAll(some []kill, transactions ...string) {
	x.Helper()
	plan := some
	if *full {
		points := x.recurring()
		for _, k := range some {
			if k.point != theAnswer && !strings.HasPrefix(k.point, "COMMIT ") {
				require.Contains(x, points, k.point)
			}
		}
		plan = nil
		for _, point := range points {
			plan = append(plan, kill{point, theProcess}, kill{point, thePostgres}, kill{point, x.otherThan(point)})
			if !strings.HasPrefix(point, "commit ") {
				plan = append(plan, kill{point, theTransaction})
			}
		}
		for range 3 {
			plan = append(plan, kill{theAnswer, theProcess}, kill{theAnswer, thePostgres}, kill{theAnswer, aWorker})
			for _, name := range transactions {
				plan = append(plan, kill{"COMMIT " + name, theProcess})
			}
		}
		x.figure("%d points and the COMMIT of %d transactions", len(points)+1, len(transactions))
		x.rand.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	}
	for _, k := range plan {
		x.strike(k)
		x.calm()
	}
}

// recurring returns the points that every wave passes.
func (x *sending) recurring() (points []string) {
	x.Helper()
	x.wave()
	x.calm()
	for i := range 4 {
		passed := x.at.passed(func() {
			x.wave()
			x.calm()
			x.pause(3 * time.Second) // what every process does once a second
		})
		if i == 0 {
			points = passed
		}
		points = slices.DeleteFunc(points, func(name string) bool { return !slices.Contains(passed, name) || strings.HasPrefix(name, "unnamed") })
	}
	require.Greater(x, len(points), 20)
	return points
}

// otherThan returns the victim that is of the other kind than the processes at a point.
func (x *sending) otherThan(point string) victim {
	for _, of := range []string{"claim_actions ", "reserve ", "start ", "settle ", "commit of a start", "commit of a settlement"} {
		if strings.HasPrefix(point, of) {
			return aWorker
		}
	}
	if point == "commit of a reservation" && x.way != byCall {
		return aWorker
	}
	return aSender
}

// A halt is a process that has reached a point.
type halt struct {
	name    string // of the process
	backend int
	resume  func()
}

// strike brings a process to a point, kills the victim, and replaces it.
func (x *sending) strike(k kill) {
	x.Helper()
	at := x.reach(k.point)
	require.NotEmpty(x, at.name, "no process reached %s", k.point)
	if k.victim == thePostgres {
		x.crash(at)
		return
	}
	victims, dying := x.victims(k, at.name)
	for _, m := range victims {
		m.kill()
		x.fault("kills of thaw serve")
	}
	for _, m := range dying {
		m.kill()
		x.fault("kills of senders")
	}
	if k.victim == theTransaction {
		x.exec("SELECT pg_terminate_backend($1)", at.backend)
		x.until(10*time.Second, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", at.backend)
	}
	at.resume()
	if len(victims) > 0 {
		x.replace(victims...)
	}
	for _, m := range dying {
		x.bury(m)
	}
}

// victims returns the processes to kill.
func (x *sending) victims(k kill, name string) ([]*member, []*sender) {
	x.Helper()
	if i := slices.IndexFunc(x.senders, func(m *sender) bool { return m.name == name }); i >= 0 && k.victim != aWorker {
		return nil, x.senders[i : i+1]
	}
	if i := slices.IndexFunc(x.members, func(m *member) bool { return m.name == name }); i >= 0 && k.victim != aSender {
		return x.members[i : i+1], nil
	}
	if k.victim == aWorker {
		return []*member{x.members[x.rand.IntN(len(x.members))]}, nil
	}
	return nil, []*sender{x.senders[x.rand.IntN(len(x.senders))]}
}

// reach makes actions due and returns when a process has reached a point.
func (x *sending) reach(point string) halt {
	x.Helper()
	const patience = time.Minute
	if transaction, isCommit := strings.CutPrefix(point, "COMMIT "); isCommit {
		x.wire.arm(transaction)
		x.wave()
		select {
		case r := <-x.wire.held:
			return halt{name: x.behind(r), resume: func() {}}
		case <-time.After(patience):
			return halt{}
		}
	}
	if point == theAnswer {
		h := x.provider.hold()
		x.wave()
		select {
		case <-h.arrived:
		case <-time.After(patience):
			return halt{}
		}
		name := value[string](x.scenario, `
			SELECT s.process FROM thaw_test.starts AS s JOIN thaw.actions AS a ON a.id = s.action_id JOIN thaw.accounts AS account ON account.id = a.account_id
			WHERE a.state = 'started' AND account.provider_account_id = $1 AND a.prospect_url = 'https://www.linkedin.com/in/' || $2`, h.account, h.to)
		return halt{name: name, resume: func() { close(h.released) }}
	}
	x.at.arm(point)
	x.wave()
	name, backend := x.at.stopped(patience)
	return halt{name: name, backend: backend, resume: x.at.release}
}

// behind returns the name of the process that a relay connects.
func (x *sending) behind(r *relay) string {
	for _, m := range x.members {
		if m.relay == r {
			return m.name
		}
	}
	for _, m := range x.senders {
		if m.relay == r {
			return m.name
		}
	}
	return ""
}

// crash kills Postgres and starts it again. Processes of Thaw and most senders outlive it. A sender
// that claims ends, and is started again.
func (x *sending) crash(at halt) {
	x.Helper()
	x.pg.kill()
	x.crashes++
	x.fault("kills of Postgres")
	if at.backend == 0 {
		at.resume() // the provider answers while the database is away
	}
	x.pg.start()
	x.pool.Reset()
	x.at.reopen()
	for _, m := range x.members {
		require.Eventually(x, m.isReady, startPatience, 10*time.Millisecond, "%s is not ready\n%s", m.name, m.log())
	}
	for _, m := range slices.Clone(x.senders) {
		if x.way != byClaim {
			require.True(x, m.alive())
			continue
		}
		select {
		case <-m.ended:
			x.bury(m)
		case <-time.After(2 * time.Minute):
			require.FailNow(x, "a sender did not notice that Postgres crashed", "%s\n%s", m.name, m.log())
		}
	}
}

// bury notes what was under way in a sender that has ended, and starts another one.
func (x *sending) bury(dead *sender) {
	x.Helper()
	// Statements sent before the kill may still be running.
	x.until(30*time.Second, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database())", dead.name)
	settled := map[string]bool{}
	for _, line := range settledLine.FindAllStringSubmatch(dead.log(), -1) {
		settled[line[1]+line[2]] = true
	}
	x.logged += len(settled)
	// A lease may have ended in the last moment: the scenario moves the clock.
	for _, id := range column[int64](x.scenario, `
		SELECT a.id FROM thaw_test.starts AS s JOIN thaw.actions AS a ON a.id = s.action_id
		WHERE s.process = $1 AND a.state IN ('started', 'unknown') AND a.outcome IS NULL`, dead.name) {
		require.False(x, settled[strconv.FormatInt(id, 10)], "%s settled action %d, and it is not settled", dead.name, id)
		x.underWay[id] = dead.name
	}
	fresh := x.startSender(dead.relay)
	x.among.Lock()
	defer x.among.Unlock()
	x.senders[slices.Index(x.senders, dead)] = fresh
}

// settledLine is what senders log when Thaw has recorded an outcome: the example, and those here.
var settledLine = regexp.MustCompile(`INFO settle action=(\d+) .*state=[a-z]+ |INFO sent action=(\d+)`)

// calm waits until no action is under way in a sender that lives.
func (x *sending) calm() {
	x.Helper()
	x.until(time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.state = 'started' AND NOT a.id = ANY ($1))",
		slices.AppendSeq([]int64{}, maps.Keys(x.underWay)))
}

// An unsettled action is one whose outcome is unknown.
type unsettled struct {
	ID                 int64
	Account, Kind, URL string
	Reported           bool
}

// finish settles what is unknown, waits until everything is sent, and compares with the provider's
// log.
func (x *sending) finish() {
	x.Helper()
	x.settleUnknown()
	x.sendAll()
	for _, m := range x.senders {
		x.logged += len(settledLine.FindAllString(m.log(), -1))
	}
	require.NotZero(x, x.logged, "settledLine is not what senders log")
	x.checker(x.lost)
}

// settleUnknown requires that unknown are the actions that were under way, and settles what is
// unknown as a person does who looks at the provider.
func (x *sending) settleUnknown() {
	x.Helper()
	x.wave() // the leases of what was under way end
	want := slices.Sorted(maps.Keys(x.underWay))
	const unknown = "SELECT a.id FROM thaw.actions AS a WHERE a.state = 'unknown' AND a.outcome IS NULL ORDER BY a.id"
	var got []int64
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); x.pause(50 * time.Millisecond) {
		if got = column[int64](x.scenario, unknown); slices.Equal(want, got) {
			break
		}
	}
	require.Equal(x, want, got, "unknown are not exactly the actions that were under way: %v", x.underWay)
	x.calm()

	absent := 0
	rows, err := x.pool.Query(x.Context(), `
		SELECT a.id, account.provider_account_id AS account, a.kind, a.prospect_url AS url, a.outcome IS NOT NULL AS reported
		FROM thaw.actions AS a JOIN thaw.accounts AS account ON account.id = a.account_id WHERE a.state = 'unknown' ORDER BY a.id`)
	require.NoError(x, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[unsettled])
	require.NoError(x, err)
	for _, a := range all {
		ref := x.provider.delivered(a.Account, a.Kind, path.Base(a.URL))
		outcome := "verified_sent"
		if ref == "" {
			outcome = "verified_absent"
			absent++
		}
		// A sender that lived did not report a request as unknown: it was answered.
		require.False(x, a.Reported && ref != "" && !x.faulty, "action %d", a.ID)
		x.exec("SELECT thaw.verify_action($1, $2, 'what the provider has', 'chaos', nullif($3, ''))", a.ID, outcome, ref)
	}
	x.figure("%d actions unknown, %d of them not delivered", len(all), absent)
}

// sendAll waits until everything is sent.
func (x *sending) sendAll() {
	x.Helper()
	possible := "SELECT FROM thaw.accounts_to_look_at(1)"
	if x.way == byGate {
		possible = `
			SELECT FROM thaw.action_gates(ARRAY(SELECT e.id FROM thaw.enrollments AS e WHERE e.status = 'active' AND e.next_action_at <= thaw.now()), NULL) AS g
			WHERE g.code IS NULL`
	}
	for range 100 {
		x.until(time.Minute, `
			SELECT NOT EXISTS (SELECT FROM thaw.nudges) AND NOT EXISTS (`+possible+`)
				AND NOT EXISTS (SELECT FROM thaw.actions WHERE state IN ('reserved', 'started'))`)
		limitedOnly := value[bool](x.scenario, "SELECT coalesce(bool_and(e.account_id <= $1), true) FROM thaw.enrollments AS e WHERE e.status <> 'completed'", limitedAccounts)
		if limitedOnly && value[bool](x.scenario, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE status <> 'completed')") {
			break
		}
		if limitedOnly {
			x.advance(12 * time.Hour)
		} else {
			x.advance(11 * time.Minute)
		}
	}
}

// lost compares the provider's log with the ledger.
func (x *sending) lost() string {
	x.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(x, err)
	require.Empty(x, x.provider.wrong(zone, x.limits))
	rows, err := x.pool.Query(x.Context(), `
		SELECT account.provider_account_id, s.kind, e.prospect_url, e.status::text, coalesce(a.state::text, 'missing'), coalesce(a.provider_ref, '')
		FROM thaw.enrollments AS e
		JOIN thaw.accounts AS account ON account.id = e.account_id
		JOIN thaw.campaign_steps AS s ON s.campaign_id = e.campaign_id
		LEFT JOIN thaw.actions AS a ON a.enrollment_id = e.id AND a.step = s.position AND a.state = 'sent'`)
	require.NoError(x, err)
	type step struct{ account, kind, url, status, state, ref string }
	steps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s step, err error) {
		return s, row.Scan(&s.account, &s.kind, &s.url, &s.status, &s.state, &s.ref)
	})
	require.NoError(x, err)
	for _, s := range steps {
		if id := x.provider.delivered(s.account, s.kind, path.Base(s.url)); id == "" || id != s.ref || s.state != "sent" || s.status != "completed" {
			return fmt.Sprintf("%+v, delivered as %q", s, id)
		}
	}
	if n := len(x.provider.sim.Log(0)); n != len(steps) {
		return fmt.Sprintf("nothing, but there are %d requests for %d actions", n, len(steps))
	}
	x.figure("%d requests", len(steps))
	return ""
}
