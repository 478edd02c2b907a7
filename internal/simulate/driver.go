package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

// A span is a time in which something was so. End zero: until the end.
type span struct{ from, to time.Time }

func (s span) contains(t time.Time) bool {
	return !t.Before(s.from) && (s.to.IsZero() || t.Before(s.to))
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

	// What the platform told Thaw, for the checker.
	down                         map[string][]span // by account
	safety                       []span
	backs                        []reconnect
	zoneAt                       map[int]zoneChange
	capAt                        time.Time // when the cap of a workspace was lowered
	paused                       []int     // paused prospects at each full hour
	restrictions                 map[int]time.Time
	killedServers, killedSenders int
	verified                     map[string]int // unknown actions that were settled, by outcome
}

type zoneChange struct {
	at   time.Time
	zone string
}

// A reconnect is the time from which an account may send again.
type reconnect struct {
	at     time.Time
	person int
	kind   eventKind
}

// Run simulates a fleet and returns what the checker found.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	began := time.Now()
	d := &driver{
		scenario: newScenario(o), now: start, down: map[string][]span{}, zoneAt: map[int]zoneChange{}, restrictions: map[int]time.Time{},
		verified: map[string]int{},
	}
	if d.world, err = newWorld(ctx, o.Seed); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.world.close()) }()
	if err := d.world.fill(ctx, d.scenario); err != nil {
		return nil, fmt.Errorf("filling the database: %w", err)
	}
	if d.provider, err = newProvider(ctx, o.Seed); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.provider.close()) }()
	for _, p := range d.people {
		for _, account := range p.accounts {
			d.provider.members[account] = p.member
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
	return d.report(ctx, time.Since(began))
}

func (d *driver) run(ctx context.Context) error {
	day := -1
	for d.now.Before(d.end) {
		if today := int(d.now.Sub(start) / (24 * time.Hour)); today > day && d.Progress != nil {
			day = today
			d.Progress(day, d.now)
		}
		if err := d.countPaused(ctx); err != nil {
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
		d.provider.set(func() { d.provider.now = next })
		if err := d.world.exec(ctx, "UPDATE thaw_simulation.clock SET at = $1", next); err != nil {
			return err
		}
	}
	return nil
}

// countPaused counts the paused prospects for the hours up to now. Between two steps nothing
// changes.
func (d *driver) countPaused(ctx context.Context) error {
	missing := int(d.now.Sub(start)/time.Hour) + 1 - len(d.paused)
	if missing <= 0 {
		return nil
	}
	n, err := value[int](ctx, d.world, "SELECT count(*) FROM thaw.enrollments AS e WHERE e.status = 'paused'")
	for range missing {
		d.paused = append(d.paused, n)
	}
	return err
}

// step lets everything happen that is due now.
func (d *driver) step(ctx context.Context) error {
	for ; d.next < len(d.events) && !d.events[d.next].at.After(d.now); d.next++ {
		if err := d.happen(ctx, d.events[d.next]); err != nil {
			return fmt.Errorf("%s of %s: %w", d.events[d.next].kind, d.events[d.next].account, err)
		}
	}
	if err := d.work(ctx); err != nil {
		return err
	}
	if err := d.world.exec(ctx, "SELECT thaw.expire_actions(), thaw.take_nudges()"); err != nil {
		return err
	}
	due, err := value[bool](ctx, d.world, "SELECT EXISTS (SELECT FROM thaw.accounts_to_look_at(1))")
	if err != nil || !due {
		return err
	}
	alive, err := d.sender.round(ctx, d.dies)
	if err != nil || alive {
		return err
	}
	d.dies = death{}
	d.killedSenders++
	if err := d.sender.kill(); err != nil {
		return err
	}
	d.sender, err = startSender(d.Program, d.world.url, d.provider.url)
	return err
}

// work starts what the processes would start by their own clocks, and waits for its end.
func (d *driver) work(ctx context.Context) error {
	var isTick, isOn, isResumable bool
	err := d.world.pool.QueryRow(ctx, `
		SELECT thaw.now() = thaw.tick(), safety.since IS NOT NULL, EXISTS (
				SELECT FROM thaw.resume_targets AS t
				WHERE EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = t.source_id AND e.status = 'paused' AND e.waits_for_account))
			OR EXISTS (SELECT FROM thaw.accounts AS a WHERE a.pause_after <= thaw.now())
		FROM thaw.safety`).Scan(&isTick, &isOn, &isResumable)
	if err != nil {
		return err
	}
	if isOn {
		if err := d.world.exec(ctx, "SELECT thaw.request_watch()"); err != nil {
			return err
		}
	}
	if isTick && isResumable {
		if err := d.world.exec(ctx, "SELECT thaw.sweep()"); err != nil {
			return err
		}
	}
	if err := d.drain(ctx); err != nil {
		return err
	}
	return d.noteSafety(ctx)
}

// noteSafety notes whether safety mode is on after everything but sending has happened.
func (d *driver) noteSafety(ctx context.Context) error {
	isOn, err := value[bool](ctx, d.world, "SELECT safety.since IS NOT NULL FROM thaw.safety")
	if err != nil {
		return err
	}
	last := len(d.safety) - 1
	switch wasOn := last >= 0 && d.safety[last].to.IsZero(); {
	case isOn && !wasOn:
		d.safety = append(d.safety, span{from: d.now})
	case !isOn && wasOn:
		d.safety[last].to = d.now
	}
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
	var nextLook, nextTick *time.Time
	var isOn bool
	err := d.world.pool.QueryRow(ctx, `
		SELECT least(
				(SELECT min(s.next_at) FROM thaw.sending_accounts AS s WHERE s.next_at < 'infinity'),
				(SELECT min(a.lease_until) FROM thaw.actions AS a WHERE a.lease_until IS NOT NULL)),
			CASE WHEN EXISTS (SELECT FROM thaw.resume_targets AS t
					WHERE EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.account_id = t.source_id AND e.status = 'paused' AND e.waits_for_account))
				OR EXISTS (SELECT FROM thaw.accounts AS a WHERE a.pause_after IS NOT NULL)
			THEN thaw.tick() + (SELECT s.tick FROM thaw.settings AS s) END,
			(SELECT safety.since IS NOT NULL FROM thaw.safety)`).Scan(&nextLook, &nextTick, &isOn)
	if err != nil {
		return next, err
	}
	for _, at := range []*time.Time{nextLook, nextTick} {
		if at != nil && at.Before(next) {
			next = *at
		}
	}
	if isOn && d.now.Add(time.Minute).Before(next) {
		next = d.now.Add(time.Minute)
	}
	if rounded := next.Truncate(time.Minute); rounded.Before(next) {
		next = rounded.Add(time.Minute)
	}
	if earliest := d.now.Add(time.Minute); next.Before(earliest) {
		next = earliest
	}
	return next.UTC(), nil
}

// happen applies an event, at the provider and in what the platform tells Thaw.
func (d *driver) happen(ctx context.Context, e event) error {
	switch e.kind {
	case lost:
		d.provider.set(func() { d.provider.down[e.account] = true })
		d.down[e.account] = append(d.down[e.account], span{from: d.now})
		return d.signal(ctx, e.account, "CREDENTIALS")
	case back:
		d.connect(e.account)
		d.backs = append(d.backs, reconnect{d.now, e.person, e.kind})
		return d.signal(ctx, e.account, "OK")
	case backSilently:
		d.connect(e.account)
		d.backs = append(d.backs, reconnect{d.now, e.person, e.kind})
		return d.world.exec(ctx, "UPDATE thaw.accounts SET status = 'connected' WHERE provider_account_id = $1", e.account)
	case backAsNew:
		d.people[e.person].accounts = append(d.people[e.person].accounts, e.account2)
		d.provider.set(func() { d.provider.members[e.account2] = d.people[e.person].member })
		d.backs = append(d.backs, reconnect{d.now, e.person, e.kind})
		if err := d.world.exec(ctx, `
			INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier)
			SELECT a.workspace_id, $2, a.member_id, 'connecting', a.timezone, a.tier FROM thaw.accounts AS a WHERE a.provider_account_id = $1`,
			e.account, e.account2); err != nil {
			return err
		}
		return d.signal(ctx, e.account2, "OK")
	case restricted:
		d.provider.set(func() { d.provider.down[e.account] = true })
		d.down[e.account] = append(d.down[e.account], span{from: d.now})
		d.restrictions[e.person] = d.now
		return d.world.exec(ctx, "SELECT thaw.signal('linkedin', $1, 'restricted')", e.account)
	case released:
		d.connect(e.account)
		d.backs = append(d.backs, reconnect{d.now, e.person, e.kind})
		if err := d.signal(ctx, e.account, "OK"); err != nil {
			return err
		}
		return d.world.exec(ctx, "SELECT thaw.resume_account($1, 'the restriction is over', 'simulation')", e.account)
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
		return d.settleUnknown(ctx)
	}
	return nil
}

func (d *driver) connect(account string) {
	d.provider.set(func() { d.provider.down[account] = false })
	if all := d.down[account]; len(all) > 0 {
		all[len(all)-1].to = d.now
	}
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
	rows, err := d.world.pool.Query(ctx, `
		SELECT a.id, a.kind, a.step, a.prospect_url, c.key FROM thaw.actions AS a JOIN thaw.campaigns AS c ON c.id = a.campaign_id
		WHERE a.state = 'unknown' ORDER BY a.id`)
	if err != nil {
		return err
	}
	type row struct {
		ID       int64
		Kind     string
		Step     int
		Prospect string
		Campaign string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return err
	}
	delivered := map[string]bool{}
	d.provider.set(func() {
		for _, r := range d.provider.log {
			if r.Delivered {
				delivered[fmt.Sprint(r.Kind, r.Step, r.Prospect, r.Campaign)] = true
			}
		}
	})
	for _, r := range all {
		outcome := "verified_absent"
		if delivered[fmt.Sprint(r.Kind, r.Step, r.Prospect, r.Campaign)] {
			outcome = "verified_sent"
		}
		d.verified[outcome]++
		if err := d.world.exec(ctx, "SELECT thaw.settle($1, $2, actor => 'simulation')", r.ID, outcome); err != nil {
			return err
		}
	}
	return nil
}
