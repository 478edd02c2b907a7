package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	next     int       // the next event
	dies     stage     // after which the sender dies
	sweptAt  time.Time // the tick of the last sweep
	losses   int64     // the number of the last loss of an account that was watched
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
	seen                         int                // requests in the log after the last round of the sender
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
	if o.Beside != nil {
		beside, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- o.Beside(beside, d.world.url) }()
		defer func() { stop(); err = errors.Join(err, <-ended) }()
	}
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

// step lets everything happen that is due now, one thing after the other.
func (d *driver) step(ctx context.Context) error {
	d.steps++
	if at := d.now.Truncate(tick); at.After(d.sweptAt) {
		if err := d.world.exec(ctx, "SELECT thaw.sweep()"); err != nil {
			return err
		}
		d.sweptAt = at
	}
	if d.isSafety {
		if err := d.world.exec(ctx, "SELECT thaw.watch()"); err != nil {
			return err
		}
	}
	if err := d.finish(ctx, d.now); err != nil {
		return err
	}
	for ; d.next < len(d.events) && !d.events[d.next].at.After(d.now); d.next++ {
		e := d.events[d.next]
		if err := d.happen(ctx, e); err != nil {
			return fmt.Errorf("%s of %s: %w", e.kind, e.account, err)
		}
		if after := d.next + 1; after < len(d.events) && d.events[after].kind == serverDies && !d.events[after].at.After(d.now) {
			continue // it dies with the jobs of this event
		}
		if err := d.finish(ctx, d.now); err != nil {
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
		// An account that turned out to be lost is paused by a job, after the requests.
		if err := d.finish(ctx, d.now.Add(time.Second)); err != nil {
			return err
		}
	}
}

// tick is the default of settings.tick.
const tick = 15 * time.Minute

// isDue does what every worker process does once a second, and reports whether an account may have
// something to send now. The server does it too, by the real clock, and what it has
// locked is skipped here: so this waits until nothing is left to do.
func (d *driver) isDue(ctx context.Context) (due bool, err error) {
	err = d.until(ctx, "what is due does not become known", func() (bool, error) {
		var isLeft bool
		batch := &pgx.Batch{}
		batch.Queue("SELECT thaw.expire_actions(), thaw.take_nudges()")
		batch.Queue(`
			SELECT EXISTS (SELECT FROM thaw.accounts_to_look_at(1)),
				EXISTS (SELECT FROM thaw.nudges) OR EXISTS (SELECT FROM thaw.actions AS a WHERE a.lease_until <= thaw.now())`).
			QueryRow(func(row pgx.Row) error { return row.Scan(&due, &isLeft) })
		err := d.world.pool.SendBatch(ctx, batch).Close()
		return !isLeft, err
	})
	return due, err
}

// send makes the sender do what is due. A sender that dies is replaced.
func (d *driver) send(ctx context.Context) error {
	before := d.seen
	alive, err := d.sender.round(ctx, d.dies)
	if err == nil {
		err = d.reportCheckpoints(ctx)
	}
	if err != nil || alive {
		return err
	}
	for _, e := range d.provider.Log(before) {
		d.unreported[e.N] = true
	}
	d.dies = ""
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

// finish waits until the workers have done all jobs, and decides about safety mode.
func (d *driver) finish(ctx context.Context, now time.Time) error {
	err := d.until(ctx, "the jobs do not end", func() (bool, error) {
		return value[bool](ctx, d.world, `
			SELECT NOT EXISTS (SELECT FROM thaw.river_job AS j
				WHERE j.state IN ('available', 'running', 'retryable') OR j.state = 'scheduled' AND j.scheduled_at < pg_catalog.now() + interval '2 seconds')`)
	})
	if err != nil {
		return err
	}
	return d.watch(ctx, now)
}

// watch makes the decision of the job "watch" if an account was lost, and notes whether safety mode
// is on. The server's own jobs come by the real clock, at any minute of the simulation.
// After this they have nothing to decide.
func (d *driver) watch(ctx context.Context, now time.Time) error {
	losses, err := value[int64](ctx, d.world, "SELECT l.last_value FROM thaw.losses_seq AS l")
	if err != nil {
		return err
	}
	if losses != d.losses {
		d.losses = losses
		if err := d.world.exec(ctx, "SELECT thaw.watch()"); err != nil {
			return err
		}
	}
	isOn, err := value[bool](ctx, d.world, "SELECT safety.since IS NOT NULL FROM thaw.safety")
	if err != nil {
		return err
	}
	switch {
	case isOn && !d.isSafety:
		d.safety = append(d.safety, span{from: now})
	case !isOn && d.isSafety:
		d.safety[len(d.safety)-1].to = now
	}
	d.isSafety = isOn
	return nil
}

// until waits for something that the server does. It fails with what it waited for.
func (d *driver) until(ctx context.Context, failed string, isDone func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		done, err := isDone()
		if err != nil || done {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s; the end of the server's log: %v", failed, d.server.tail)
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
