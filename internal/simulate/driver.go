package simulate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/providersim"
)

// A span is a time in which something was so. A zero to: until the end of the run.
type span struct{ from, to time.Time }

func (s span) contains(t time.Time) bool {
	return !t.Before(s.from) && (s.to.IsZero() || t.Before(s.to))
}

func contain(all []span, t time.Time) bool {
	return slices.ContainsFunc(all, func(s span) bool { return s.contains(t) })
}

// A driver moves the clock and lets things happen.
type driver struct {
	*scenario
	world    *world
	provider *provider
	server   *child
	sender   *child
	now      time.Time
	next     int // the next event
	dies     death
	isSafety bool

	// What the platform told Thaw, and what happened to processes, for the checker.
	down                         map[string][]span // by account
	safety                       []span            // in which safety mode was on
	incidents                    []span            // in which it has to be on: see checkSafety
	backs                        []reconnect
	zoneAt                       map[int]zoneChange
	capAt                        time.Time // when the cap of a workspace was lowered
	restrictions                 map[int]time.Time
	unreported                   map[int]bool // requests whose sender was killed before it settled, by number
	killedServers, killedSenders int
	withdrawn, repeatedInvites   int                // invites
	kept                         int                // enrollments that are kept from a second invite, at the end
	seen                         int                // requests of the log that were looked at for checkpoints
	verified                     map[string]int     // unknown actions that were settled, by outcome
	verifiedAt                   map[deed][]verdict // when and how
	// unrequested has the unknown actions without a request, by member and kind.
	unrequested  map[string]map[string][]use
	backlog      []backlog // at each full hour
	steps        int
	expectations []expectation
}

type zoneChange struct {
	at   time.Time
	zone string
}

// A reconnect is the time from which an account may send again.
type reconnect struct {
	at      time.Time
	person  int
	kind    eventKind
	account string // that sends from then on
}

// A deed is what is done once: a step of a prospect.
type deed struct{ kind, to string }

// A verdict is what a person found out about an unknown action.
type verdict struct {
	at     time.Time
	isSent bool
}

// A backlog is what waits at a time.
type backlog struct {
	Paused int `json:"paused"` // prospects
	Due    int `json:"due"`    // prospects that are active and due
}

// Run simulates a fleet and returns what the checker found.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	began, used := time.Now(), cpuTime()
	d := &driver{
		scenario: newScenario(o), now: start, down: map[string][]span{}, zoneAt: map[int]zoneChange{}, restrictions: map[int]time.Time{},
		unreported: map[int]bool{}, verified: map[string]int{}, verifiedAt: map[deed][]verdict{}, unrequested: map[string]map[string][]use{},
	}
	defer func() { // after all processes have ended
		if report != nil {
			report.Took, report.CPU = time.Since(began), cpuTime()-used
		}
	}()
	if d.world, err = newWorld(ctx, o.Seed); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.world.close()) }()
	if err := d.world.fill(ctx, d.scenario); err != nil {
		return nil, fmt.Errorf("filling the database: %w", err)
	}
	if d.provider, err = newProvider(ctx, o.Seed, !o.Static); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.provider.close()) }()
	for _, p := range d.people {
		for _, account := range p.accounts {
			d.provider.know(account, p.member)
		}
	}
	if d.server, err = startServer(ctx, o.Program, d.world.url); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.server.kill()) }()
	if d.sender, err = startSender(o.Program, d.world.url, d.provider.url); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.sender.kill()) }()
	if err := d.run(ctx); err != nil {
		return nil, fmt.Errorf("at %s: %w", d.now.Format(time.DateTime), err)
	}
	return d.report(ctx)
}

func (d *driver) run(ctx context.Context) error {
	day := -1
	for d.now.Before(d.end) {
		if today := int(d.now.Sub(start) / (24 * time.Hour)); today > day {
			day = today
			if d.Progress != nil {
				d.Progress(day, d.now)
			}
			// A simulated day takes seconds, so autovacuum would analyze the growing tables weeks too
			// late.
			if err := d.world.exec(ctx, "ANALYZE"); err != nil {
				return err
			}
		}
		if err := d.countBacklog(ctx); err != nil {
			return err
		}
		if err := d.step(ctx); err != nil {
			return err
		}
		next, err := d.nextTime(ctx)
		if err != nil {
			return err
		}
		d.now = next
		d.provider.setClock(next)
		if err := d.world.exec(ctx, "UPDATE thaw_simulation.clock SET at = $1", next); err != nil {
			return err
		}
	}
	return nil
}

// countBacklog counts what waits, for the hours up to now. Between two steps nothing changes.
func (d *driver) countBacklog(ctx context.Context) error {
	missing := int(d.now.Sub(start)/time.Hour) + 1 - len(d.backlog)
	if missing <= 0 {
		return nil
	}
	var b backlog
	err := d.world.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM thaw.enrollments AS e WHERE e.status = 'paused'), (SELECT count(*) FROM thaw.enrollments AS e WHERE e.due_at <= $1)`,
		d.now).Scan(&b.Paused, &b.Due)
	for range missing {
		d.backlog = append(d.backlog, b)
	}
	return err
}

// step lets everything happen that is due now.
func (d *driver) step(ctx context.Context) error {
	d.steps++
	hasJobs := d.isSafety
	for ; d.next < len(d.events) && !d.events[d.next].at.After(d.now); d.next++ {
		hasJobs = true
		if err := d.happen(ctx, d.events[d.next]); err != nil {
			return fmt.Errorf("%s of %s: %w", d.events[d.next].kind, d.events[d.next].account, err)
		}
	}
	if d.isSafety {
		if err := d.world.exec(ctx, "SELECT thaw.request_watch()"); err != nil {
			return err
		}
	}
	if d.now.Truncate(tick).Equal(d.now) {
		isResumable, err := value[bool](ctx, d.world, resumable)
		if err != nil {
			return err
		}
		if isResumable {
			hasJobs = true
			if err := d.world.exec(ctx, "SELECT thaw.sweep()"); err != nil {
				return err
			}
		}
	}
	if hasJobs {
		if err := d.drain(ctx); err != nil {
			return err
		}
		if err := d.noteSafety(ctx); err != nil {
			return err
		}
	}
	for {
		due, err := d.isDue(ctx)
		if err != nil || !due {
			return err
		}
		if err := d.send(ctx); err != nil {
			return err
		}
		// An account that turned out to be lost is paused by a job.
		if err := d.drain(ctx); err != nil {
			return err
		}
	}
}

// tick is the default of settings.tick.
const tick = 15 * time.Minute

// resumable says whether a sweep has something to do.
const resumable = `
	SELECT EXISTS (SELECT FROM thaw.resume_targets AS t
			WHERE EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = t.source_id AND e.status = 'paused' AND e.waits_for_account))
		OR EXISTS (SELECT FROM thaw.accounts AS a WHERE a.pause_after <= thaw.now())`

// isDue does what every worker process does once a second, and reports whether an account may have
// something to send now.
func (d *driver) isDue(ctx context.Context) (due bool, err error) {
	batch := &pgx.Batch{}
	batch.Queue("SELECT thaw.expire_actions(), thaw.take_nudges()")
	batch.Queue("SELECT EXISTS (SELECT FROM thaw.accounts_to_look_at(1))").QueryRow(func(row pgx.Row) error { return row.Scan(&due) })
	return due, d.world.pool.SendBatch(ctx, batch).Close()
}

// send makes the sender do what is due. A sender that dies is replaced.
func (d *driver) send(ctx context.Context) error {
	alive, err := d.sender.round(ctx, d.dies)
	if err == nil {
		err = d.reportCheckpoints(ctx)
	}
	if err != nil || alive {
		return err
	}
	if d.dies.stage == afterRequest {
		d.unreported[len(d.provider.Log(0))] = true // its actions are done one by one
	}
	d.dies = death{}
	d.killedSenders++
	if err := d.sender.kill(); err != nil {
		return err
	}
	d.sender, err = startSender(d.Program, d.world.url, d.provider.url)
	return err
}

// reportCheckpoints sends the signals of accounts that met a checkpoint, as the provider does, and
// lets their people solve it within hours.
func (d *driver) reportCheckpoints(ctx context.Context) error {
	log := d.provider.Log(d.seen)
	d.seen += len(log)
	slices.SortFunc(log, func(a, b providersim.Entry) int { return cmp.Compare(a.Account, b.Account) })
	for _, e := range log {
		if e.Fault != "checkpoint" {
			continue
		}
		person := slices.IndexFunc(d.people, func(p person) bool { return slices.Contains(p.accounts, e.Account) })
		// The request itself was made before.
		d.down[e.Account] = append(d.down[e.Account], span{from: d.now.Add(time.Second)})
		d.events = slices.Insert(d.events, d.next, event{d.now, checkpoint, person, e.Account, ""})
		d.next++
		again := d.now.Add(2*time.Hour + time.Duration(len(e.ID+e.To)%13)*23*time.Minute)
		isPlanned := slices.ContainsFunc(d.events[d.next:], func(next event) bool { return next.account == e.Account && !next.at.After(again) })
		if again.Before(d.end) && !isPlanned { // otherwise that ends it
			at, _ := slices.BinarySearchFunc(d.events, again, func(next event, t time.Time) int { return next.at.Compare(t) })
			d.events = slices.Insert(d.events, max(at, d.next), event{again, back, person, e.Account, ""})
		}
		if err := d.signal(ctx, e.Account, "CREDENTIALS"); err != nil {
			return err
		}
	}
	return nil
}

// noteSafety notes whether safety mode is on after everything but sending has happened.
func (d *driver) noteSafety(ctx context.Context) error {
	isOn, err := value[bool](ctx, d.world, "SELECT safety.since IS NOT NULL FROM thaw.safety")
	if err != nil {
		return err
	}
	switch {
	case isOn && !d.isSafety:
		d.safety = append(d.safety, span{from: d.now})
	case !isOn && d.isSafety:
		d.safety[len(d.safety)-1].to = d.now
	}
	d.isSafety = isOn
	return nil
}

// drain waits until the workers have done all jobs.
func (d *driver) drain(ctx context.Context) error {
	deadline := time.Now().Add(patience)
	for {
		left, err := value[bool](ctx, d.world, `
			SELECT EXISTS (SELECT FROM thaw.river_job AS j
				WHERE j.state IN ('available', 'running', 'retryable') OR j.state = 'scheduled' AND j.scheduled_at < pg_catalog.now() + interval '2 seconds')`)
		if err != nil || !left {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the jobs do not end; the end of the server's log: %v", d.server.tail)
		}
		select {
		case <-time.After(3 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// nextTime returns the next full minute at which something may happen.
func (d *driver) nextTime(ctx context.Context) (time.Time, error) {
	next := d.end
	if d.next < len(d.events) && d.events[d.next].at.Before(next) {
		next = d.events[d.next].at
	}
	// While something is paused, each tick may resume it.
	var look *time.Time
	var isPaused bool
	err := d.world.pool.QueryRow(ctx, `
		SELECT least((SELECT min(s.next_at) FROM thaw.sending_accounts AS s WHERE s.next_at < 'infinity'),
				(SELECT min(a.lease_until) FROM thaw.actions AS a WHERE a.lease_until IS NOT NULL)),
			EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.status = 'paused') OR EXISTS (SELECT FROM thaw.accounts AS a WHERE a.pause_after IS NOT NULL)`).
		Scan(&look, &isPaused)
	if err != nil {
		return next, err
	}
	candidates := []time.Time{}
	if look != nil {
		candidates = append(candidates, *look)
	}
	if isPaused {
		candidates = append(candidates, d.now.Truncate(tick).Add(tick))
	}
	if d.isSafety {
		candidates = append(candidates, d.now)
	}
	for _, at := range candidates {
		if at.Before(next) {
			next = at
		}
	}
	if rounded := next.Truncate(time.Minute); rounded.Before(next) {
		next = rounded.Add(time.Minute)
	}
	if earliest := d.now.Add(time.Minute); next.Before(earliest) {
		next = earliest
	}
	return next.UTC(), nil
}

// continueCampaigns is what a person does when an account is back: campaigns that a restriction has
// paused wait for a person, also if they have other accounts.
const continueCampaigns = `
	UPDATE thaw.campaigns AS c SET status = 'running', paused_reason = NULL, paused_at = NULL
	FROM thaw.accounts AS a
	WHERE a.provider_account_id = $1 AND c.workspace_id = a.workspace_id AND c.status = 'paused' AND c.paused_reason = 'account_restricted'`

// happen applies an event, at the provider and in what the platform tells Thaw.
func (d *driver) happen(ctx context.Context, e event) error {
	if slices.Contains([]eventKind{back, backSilently, backAsNew, released}, e.kind) {
		if err := d.world.exec(ctx, continueCampaigns, e.account); err != nil {
			return err
		}
	}
	switch e.kind {
	case lost:
		d.down[e.account] = append(d.down[e.account], span{from: d.now})
		return errors.Join(d.provider.SetStatus(e.account, providersim.StatusCredentials), d.signal(ctx, e.account, "CREDENTIALS"))
	case lostSilently:
		return d.provider.SetStatus(e.account, providersim.StatusCredentials)
	case back:
		return errors.Join(d.connect(e, e.account), d.signal(ctx, e.account, "OK"))
	case backSilently:
		return errors.Join(d.connect(e, e.account),
			d.world.exec(ctx, "UPDATE thaw.accounts SET status = 'connected' WHERE provider_account_id = $1", e.account))
	case backAsNew:
		d.people[e.person].accounts = append(d.people[e.person].accounts, e.account2)
		d.provider.know(e.account2, d.people[e.person].member)
		if err := errors.Join(d.connect(e, e.account2), d.world.exec(ctx, `
			INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier)
			SELECT a.workspace_id, $2, a.member_id, 'connecting', a.timezone, a.tier FROM thaw.accounts AS a WHERE a.provider_account_id = $1`,
			e.account, e.account2)); err != nil {
			return err
		}
		// The platform enrolls some prospects of the old account again, through the new one.
		for i, p := range d.prospects {
			if p.account == e.account && !p.isShared && i%sharedEvery == 0 {
				d.prospects[i].isShared = true
				again := second{spellings[i/sharedEvery%len(spellings)](p.to), e.account2, "email", d.now.Add(time.Hour)}
				d.seconds = append(d.seconds, again)
				if err := d.world.exec(ctx, enrollAgain, again.url, again.account, again.campaign, again.due); err != nil {
					return err
				}
			}
		}
		return d.signal(ctx, e.account2, "OK")
	case restricted:
		d.down[e.account] = append(d.down[e.account], span{from: d.now})
		d.restrictions[e.person] = d.now
		return errors.Join(d.provider.SetStatus(e.account, providersim.StatusRestricted),
			d.world.exec(ctx, "SELECT thaw.signal('linkedin', $1, 'restricted')", e.account))
	case released:
		return errors.Join(d.connect(e, e.account), d.signal(ctx, e.account, "OK"),
			d.world.exec(ctx, "SELECT thaw.resume_account($1, 'the restriction is over', 'simulation')", e.account))
	case capLowered:
		d.capAt = d.now
		return d.world.exec(ctx, `
			INSERT INTO thaw.action_overrides (workspace_id, kind, per_day, reason, actor)
			SELECT w.id, 'invite', $2, 'too many complaints', 'simulation' FROM thaw.workspaces AS w WHERE w.key = 'workspace-' || $1::integer`,
			cappedWorkspace, loweredCap)
	case zoneChanged:
		zone := zones[(e.person+1)%len(zones)]
		d.zoneAt[e.person] = zoneChange{d.now, zone}
		return d.world.exec(ctx, "UPDATE thaw.accounts SET timezone = $2 WHERE member_id = $1", d.people[e.person].member, zone)
	case serverDies:
		if err := d.server.kill(); err != nil {
			return err
		}
		d.killedServers++
		var err error
		d.server, err = startServer(ctx, d.Program, d.world.url)
		return err
	case senderDies:
		d.dies = death{1 + d.random.IntN(3), []stage{afterClaim, afterStart, afterRequest}[d.random.IntN(3)]}
	case check:
		return errors.Join(d.settleUnknown(ctx), d.withdraw(ctx))
	case asked:
		return d.explain(ctx)
	case checkpoint: // a request met it: see reportCheckpoints
	}
	return nil
}

// connect makes an account work again at the provider.
func (d *driver) connect(e event, account string) error {
	for i, s := range d.down[account] {
		if s.to.IsZero() {
			d.down[account][i].to = d.now
		}
	}
	d.backs = append(d.backs, reconnect{d.now, e.person, e.kind, account})
	return d.provider.SetStatus(account, providersim.StatusOK)
}

// signal posts a message about an account to the webhook of the server.
func (d *driver) signal(ctx context.Context, account, message string) error {
	body, err := json.Marshal(map[string]map[string]string{"AccountStatus": {"account_id": account, "account_type": "LINKEDIN", "message": message}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.server.url+"webhooks/unipile/v1", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Unipile-Auth", secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the webhook answered %s", response.Status)
	}
	return nil
}

// settleUnknown looks at the provider's list of what was delivered, as a person would, and settles
// the unknown actions by it.
func (d *driver) settleUnknown(ctx context.Context) error {
	all, delivered, err := d.unknownActions(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		it := deed{r.Kind, slugOf(r.ProspectURL)}
		outcome := "verified_absent"
		if delivered[it] {
			outcome = "verified_sent"
		}
		d.verified[outcome]++
		d.verifiedAt[it] = append(d.verifiedAt[it], verdict{d.now, delivered[it]})
		if err := d.world.exec(ctx, "SELECT thaw.verify_action($1, $2, 'what the provider has', 'simulation')", r.ID, outcome); err != nil {
			return err
		}
	}
	return nil
}

// withdraw withdraws a third of the invites to prospects who are in two campaigns, at the provider
// and in Thaw: the second enrollment may invite them three weeks later.
func (d *driver) withdraw(ctx context.Context) error {
	shared := make([]string, 0, 2*len(d.seconds))
	for _, again := range d.seconds {
		shared = append(shared, again.url, urlPrefix+strings.ToLower(slugOf(again.url)))
	}
	rows, err := d.world.pool.Query(ctx, `
		SELECT a.id, a.provider_ref FROM thaw.actions AS a
		WHERE a.kind = 'invite' AND a.state = 'sent' AND a.closed_at IS NULL AND a.provider_ref IS NOT NULL AND a.prospect_url = ANY ($1)
			AND hashtextextended(a.prospect_url, 7) % 3 = 0
		ORDER BY a.id`, shared)
	if err != nil {
		return err
	}
	type sentInvite struct {
		ID  int64
		Ref string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sentInvite])
	if err != nil {
		return err
	}
	for _, invite := range all {
		if !d.provider.Withdraw(invite.Ref) {
			return fmt.Errorf("the provider has no open invite %s", invite.Ref)
		}
		d.withdrawn++
		if err := d.world.exec(ctx, "SELECT thaw.close_invite($1, 'withdrawn')", invite.ID); err != nil {
			return err
		}
	}
	return nil
}

// An unknownAction is a row of the ledger.
type unknownAction struct {
	ID          int64
	Kind        string
	ProspectURL string
	Member      string
	StartedAt   time.Time
}

// unknownActions returns the unknown actions and what was delivered, and notes the actions without
// a request: they count until now.
func (d *driver) unknownActions(ctx context.Context) (all []unknownAction, delivered map[deed]bool, err error) {
	rows, err := d.world.pool.Query(ctx, `
		SELECT a.id, a.kind, a.prospect_url, a.member_id, a.started_at FROM thaw.actions AS a WHERE a.state = 'unknown' ORDER BY a.id`)
	if err != nil {
		return nil, nil, err
	}
	if all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[unknownAction]); err != nil {
		return nil, nil, err
	}
	delivered = map[deed]bool{}
	requestedAt := map[deed]time.Time{}
	for _, e := range d.provider.Log(0) {
		it := deed{e.Kind, e.To}
		requestedAt[it] = e.At // the last time
		delivered[it] = e.Delivered
	}
	for _, r := range all {
		if it := (deed{r.Kind, slugOf(r.ProspectURL)}); requestedAt[it].Before(r.StartedAt) {
			delete(delivered, it) // what was delivered was an invite that was withdrawn
			if d.unrequested[r.Member] == nil {
				d.unrequested[r.Member] = map[string][]use{}
			}
			d.unrequested[r.Member][r.Kind] = append(d.unrequested[r.Member][r.Kind], use{at: r.StartedAt, until: d.now, to: it.to})
		}
	}
	return all, delivered, nil
}
