package chaos_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/providersim"
)

// The provider fails requests, and senders, processes of Thaw and Postgres are killed while the
// outcome is settled. The provider's log shows that only what was certainly not delivered is
// requested again, that nothing is lost, and that nothing is requested through a stopped account.
func TestOutcomesOfSenders(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	// Limits last until the next day: the run takes months of the database's clock.
	x := startSending(t, byClaim, "--tick=2s", "--jitter=10s", "--keep-signals=8760h")
	x.faulty = true
	x.pointsAtOutcomes()
	for _, k := range x.failingKills() {
		x.strikeFailing(k)
	}
	x.finishFailing()
}

// outcomeOf is what senders report for a fault of the provider.
var outcomeOf = map[string]string{
	"limit_exceeded":    "limited",
	"limit_as_429":      "limited",
	"limit_as_500":      "limited",
	"too_many_requests": "throttled",
	"invalid_recipient": "refused",
	"already_connected": "already",
	"reset":             "unknown",
	"provider_error":    "unknown",
	"checkpoint":        "account_lost",
	"restricted":        "restricted",
}

// A failingKill is a kill while the outcome of a fault is settled.
type failingKill struct {
	fault string
	kill
}

// pointsAtOutcomes installs a point at the COMMIT of each outcome: "commit of limited".
func (x *sending) pointsAtOutcomes() {
	x.Helper()
	outcomes := map[string]bool{}
	for _, outcome := range outcomeOf {
		if outcomes[outcome] {
			continue
		}
		outcomes[outcome] = true
		x.exec(fmt.Sprintf("CREATE CONSTRAINT TRIGGER chaos_commit_%s AFTER UPDATE ON thaw.actions DEFERRABLE INITIALLY DEFERRED "+
			"FOR EACH ROW WHEN (NEW.outcome = '%[1]s' AND OLD.outcome IS NULL) EXECUTE FUNCTION chaos.pass('commit', '%[1]s')", outcome))
	}
}

// failingKills returns some kills at small size. At full size: three kinds of kills at each
// point that a settlement of the fault passes, unless deliveries pass it too, and one after COMMIT.
func (x *sending) failingKills() (plan []failingKill) {
	x.Helper()
	if !*full {
		return []failingKill{
			{"checkpoint", kill{"settle after INSERT account_signals", theTransaction}},
			{"checkpoint", kill{"settle after UPDATE accounts", theProcess}},
			{"restricted", kill{"commit of restricted", thePostgres}},
			{"limit_as_500", kill{"settle after INSERT action_holds", theTransaction}},
			{"limit_as_429", kill{"COMMIT settle", theProcess}},
			{"too_many_requests", kill{"commit of throttled", theProcess}},
			{"invalid_recipient", kill{"commit of refused", theTransaction}},
			{"already_connected", kill{"commit of already", theTransaction}},
			{"reset", kill{"commit of unknown", thePostgres}},
		}
	}
	delivery := x.at.passed(func() { x.wave(); x.idle() })
	points := 0
	for fault, outcome := range outcomeOf {
		for _, point := range x.pointsOfFault(fault, outcome) {
			if slices.Contains(delivery, point) {
				continue
			}
			points++
			for _, v := range []victim{theProcess, theTransaction, thePostgres} {
				plan = append(plan, failingKill{fault, kill{point, v}})
			}
		}
		plan = append(plan, failingKill{fault, kill{"COMMIT settle", theProcess}})
	}
	x.figure("%d points of %d faults", points, len(outcomeOf))
	slices.SortFunc(plan, func(a, b failingKill) int {
		return strings.Compare(a.fault+a.point+string(a.victim), b.fault+b.point+string(b.victim))
	})
	x.rand.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	return plan
}

// pointsOfFault returns the points of the settlement of a fault.
func (x *sending) pointsOfFault(fault, outcome string) []string {
	x.Helper()
	x.endHolds()
	points := x.at.passed(func() {
		x.fail(fault, 1)
		x.wave()
		x.idle()
	})
	x.reconnect()
	require.Contains(x, points, "commit of "+outcome, fault)
	return slices.DeleteFunc(points, func(point string) bool {
		return point != "commit of "+outcome && !strings.HasPrefix(point, "settle ")
	})
}

// fail makes the provider fail the next requests.
func (x *sending) fail(fault string, count int) {
	x.Helper()
	kind := ""
	if fault == "already_connected" {
		kind = "invite"
	}
	require.NoError(x, x.provider.sim.Fault(providersim.Requested{Fault: fault, Kind: kind, Count: count}))
}

// strikeFailing kills while the outcome of a fault is settled. Then nothing is requested through
// accounts that are stopped, and they are connected again.
func (x *sending) strikeFailing(k failingKill) {
	x.Helper()
	x.endHolds()
	count := 1
	if strings.HasPrefix(k.point, "COMMIT ") {
		count = sendingAccounts // whichever settlement is the first
	}
	x.fail(k.fault, count)
	x.strike(k.kill)
	x.calm()
	x.fault("kills at " + outcomeOf[k.fault])
	x.stoppedStayQuiet()
	x.reconnect()
}

// endHolds advances the clock until no kind of an account is on hold: limits of the provider last
// until the next day, and only accounts that send reach a point.
func (x *sending) endHolds() {
	x.Helper()
	left := value[float64](x.scenario, "SELECT coalesce(extract(epoch FROM max(h.until) - thaw.now()), 0)::float8 FROM thaw.action_holds AS h WHERE h.until > thaw.now()")
	x.advance(time.Duration(left * float64(time.Second)))
}

const stoppedAccounts = "SELECT provider_account_id FROM thaw.accounts WHERE status <> 'connected' ORDER BY id"

// stoppedStayQuiet lets the other accounts do what is due, and requires that nothing was requested
// through those that are stopped.
func (x *sending) stoppedStayQuiet() {
	x.Helper()
	stopped := column[string](x.scenario, stoppedAccounts)
	before := len(x.provider.sim.Log(0))
	x.advance(11 * time.Minute)
	x.idle()
	for _, e := range x.provider.sim.Log(before) {
		require.NotContains(x, stopped, e.Account, "%s to %s was requested through a stopped account", e.Kind, e.To)
	}
}

// idle waits until senders have nothing to do.
func (x *sending) idle() {
	x.Helper()
	x.until(time.Minute, `
		SELECT NOT EXISTS (SELECT FROM thaw.nudges) AND NOT EXISTS (SELECT FROM thaw.accounts_to_look_at(1))
			AND NOT EXISTS (SELECT FROM thaw.actions WHERE state IN ('reserved', 'started') AND lease_until > thaw.now())`)
	x.calm()
}

// reconnect connects the accounts that are stopped, and waits until their prospects are resumed.
func (x *sending) reconnect() {
	x.Helper()
	for n := range sendingAccounts {
		require.NoError(x, x.provider.sim.SetStatus(account(int64(n+1)), providersim.StatusOK))
	}
	for _, stopped := range column[string](x.scenario, stoppedAccounts) {
		code := x.signal(x.any(), stopped, "connected", delivery{patience: time.Minute, to: x.any})
		require.Equal(x, 200, code)
		x.fault("accounts stopped")
	}
	x.until(time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.accounts WHERE status <> 'connected')")
	// After a restriction, a person resumes the prospects.
	x.exec(`
		SELECT thaw.resume_account(a.provider_account_id, 'the restriction is lifted', 'chaos') FROM thaw.accounts AS a
		WHERE EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = a.id AND e.paused_reason = 'account_restricted')`)
	x.until(time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE status = 'paused')")
}

// finishFailing settles what is unknown, waits until all prospects are done, and compares with the
// provider's log.
func (x *sending) finishFailing() {
	x.Helper()
	x.settleUnknown()
	const done = "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE status NOT IN ('completed', 'failed'))"
	for range 100 {
		x.idle()
		x.reconnect() // faults may be left
		if value[bool](x.scenario, done) {
			break
		}
		x.advance(6 * time.Hour)
	}
	require.NotZero(x, x.logged, "settledLine is not what senders log")
	x.checker(x.lostFailing)
}

// lostFailing compares the provider's log with the ledger, for a provider that failed requests.
func (x *sending) lostFailing() string {
	x.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(x, err)
	require.Empty(x, x.provider.exceeded(zone, x.limits))
	requested := x.provider.ofSteps()
	rows, err := x.pool.Query(x.Context(), `
		SELECT account.provider_account_id AS account, s.kind, e.prospect_url AS url, e.status::text, s.position < e.step AS passed,
			count(a.id) FILTER (WHERE a.started_at IS NOT NULL) AS started,
			count(a.id) FILTER (WHERE a.outcome = 'verified_absent') AS absent, coalesce(max(a.provider_ref) FILTER (WHERE a.state = 'sent'), '') AS ref
		FROM thaw.enrollments AS e
		JOIN thaw.accounts AS account ON account.id = e.account_id
		JOIN thaw.campaign_steps AS s ON s.campaign_id = e.campaign_id
		LEFT JOIN thaw.actions AS a ON a.enrollment_id = e.id AND a.step = s.position
		GROUP BY 1, 2, 3, 4, 5`)
	require.NoError(x, err)
	steps, err := pgx.CollectRows(rows, pgx.RowToStructByName[failingStep])
	require.NoError(x, err)
	for _, s := range steps {
		if problem := s.problem(requested[[3]string{s.Account, s.Kind, path.Base(s.URL)}]); problem != "" {
			return fmt.Sprintf("%+v: %s", s, problem)
		}
	}
	x.figure("%d requests for %d steps", len(x.provider.sim.Log(0)), len(steps))
	return ""
}

// A failingStep is a step of a prospect, and what the ledger has of it.
type failingStep struct {
	Account, Kind, URL, Status string
	Passed                     bool
	Started                    int64 // actions
	Absent                     int64 // actions that a person found not delivered
	Ref                        string
}

// problem returns what the requests of a step prove against the product, or "".
func (s failingStep) problem(requests []providersim.Entry) string {
	final := "" // what the last request came to, unless it may be repeated
	var repeated int64
	for _, e := range requests {
		if final != "" {
			repeated++
		}
		switch {
		case e.Delivered:
			final = e.ID
		case e.Code == "invalid_recipient" || e.Code == "already_connected":
			final = e.Code
		default:
			final = ""
		}
	}
	if i := slices.IndexFunc(requests, func(e providersim.Entry) bool { return e.Delivered }); i >= 0 && i < len(requests)-1 {
		return "requested again after the delivery"
	}
	switch {
	case int64(len(requests)) > s.Started:
		return fmt.Sprintf("%d requests for %d started actions", len(requests), s.Started)
	case repeated > s.Absent:
		return fmt.Sprintf("requested again %d times after a final answer", repeated)
	case final == "invalid_recipient" && s.Status == "failed", final == "already_connected" && s.Ref == "":
		return ""
	case s.Status == "failed" && len(requests) == 0 && !s.Passed:
		return "" // a later step of a prospect that was refused
	case final == "" || final != s.Ref:
		return fmt.Sprintf("the provider has %q", final)
	}
	return ""
}

// ofSteps returns the log by account, kind and recipient.
func (r *requests) ofSteps() map[[3]string][]providersim.Entry {
	found := map[[3]string][]providersim.Entry{}
	for _, e := range r.sim.Log(0) {
		of := [3]string{e.Account, e.Kind, e.To}
		found[of] = append(found[of], e)
	}
	return found
}
