package bench

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"time"
)

var (
	//go:embed sql/fill_caps.sql
	fillCaps string
	//go:embed sql/fill_history.sql
	fillHistory string
	//go:embed sql/bare_tick.sql
	bareTick string
	//go:embed sql/bare_messages.sql
	bareMessages string
)

// A crowd is the accounts of a tick: those with due actions, and those that wait at the full cap of
// their day.
type crowd struct {
	due, rows int // rows are prospects per account with due actions
	capped    int
}

// cappedRows is how many prospects an account at its full cap has. It is also that cap.
const cappedRows = 3

const takeNudges = "SELECT thaw.take_nudges()"

// fillCrowd loads a crowd, the accounts with due actions first. The accounts at full caps have
// their actions in the ledger, and the scheduler itself has looked at them and noted when to look
// again.
func (db *database) fillCrowd(ctx context.Context, c crowd) error {
	for _, f := range []fleet{{accounts: c.due, rows: c.rows}, {accounts: c.capped, rows: cappedRows}} {
		if f.accounts == 0 {
			continue
		}
		f.status = "connected"
		if err := db.add(ctx, f); err != nil {
			return err
		}
	}
	// The gap keeps an account from a second action in the same tick, however long that takes.
	if err := db.script(ctx, sendAtAnyTime+fmt.Sprintf(`
		UPDATE thaw.settings SET action_gap_from = '1 day', action_gap_to = '1 day', push_actions = true;
		INSERT INTO thaw.webhook_endpoints (url) VALUES ('http://127.0.0.1:9/');
		UPDATE thaw.action_limits SET per_day = %d WHERE tier = 'premium' AND kind = 'message';
		UPDATE thaw.accounts SET tier = 'premium' WHERE id > %d;`, cappedRows, c.due)); err != nil {
		return err
	}
	if err := db.script(ctx, fillHistory+fillCaps); err != nil {
		return fmt.Errorf("filling caps: %w", err)
	}
	for _, look := range []string{takeNudges, thawTicks[0].query} {
		if err := db.until(ctx, look); err != nil {
			return fmt.Errorf("looking at the accounts at full caps: %w", err)
		}
	}
	return db.expect(ctx, c.capped, "accounts that wait for the end of the day at a full cap", `
		SELECT count(*) FROM thaw.sending_accounts AS s WHERE s.code = 'daily_cap' AND s.next_at > thaw.now() + interval '1 hour'`)
}

// until repeats a query that selects one number until that number is 0.
func (db *database) until(ctx context.Context, query string) error {
	for {
		n, err := db.number(ctx, query)
		if err != nil || n == 0 {
			return err
		}
	}
}

// A tick reserves what is due: its query is repeated until it returns 0.
type tick struct {
	metric string
	query  string
	// pushes says that each action is also sent to an endpoint.
	pushes bool
}

const (
	claimed = "tick"
	pushed  = "pushed tick"
)

var (
	// The batches are the largest of thaw.claim_actions, and those of the job schedule.
	thawTicks = []tick{
		{claimed, "SELECT b.looked FROM thaw.schedule_batch(1000, '10 minutes', 'bench') AS b", false},
		{pushed, "SELECT b.looked FROM thaw.push_actions(200) AS b", true},
	}
	bareTicks = []tick{
		{claimed, bareTick + "SELECT 0 * count(*) FROM action", false},
		{pushed, bareTick + bareMessages + "SELECT 0 * count(*) FROM job", true},
	}
)

// measure tells the scheduler about the accounts with due actions, and measures the tick.
func (t tick) measure(ctx context.Context, db *database, c crowd) (sample, error) {
	if err := db.run(ctx, "INSERT INTO thaw.nudges (account_id, at) SELECT id, thaw.now() FROM generate_series(1, $1::bigint) AS id", c.due); err != nil {
		return nil, err
	}
	if err := db.until(ctx, takeNudges); err != nil {
		return nil, err
	}
	if err := db.settle(ctx, "VACUUM (ANALYZE)"); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := db.until(ctx, t.query); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if err := db.expect(ctx, c.due, "accounts with one reserved action each", `
		SELECT CASE WHEN count(*) = count(DISTINCT a.account_id) THEN count(*) ELSE -count(*) END FROM thaw.actions AS a WHERE a.state = 'reserved'`); err != nil {
		return nil, err
	}
	messages := 0
	if t.pushes {
		messages = c.due
	}
	return sample{t.metric: took.Seconds()}, db.expect(ctx, messages, "messages with a delivery and its job", `
		SELECT count(*) FROM thaw.outbox AS o
		JOIN thaw.webhook_deliveries AS d ON d.outbox_id = o.id
		JOIN thaw.river_job AS job ON job.args ->> 'message_id' = o.message_id AND job.kind = 'deliver'
		WHERE o.type = 'action.due'`)
}

// ticks measures ticks, each on a copy of its own of a database with a crowd.
func (c crowd) ticks(ctx context.Context, r *rig, db *database, ticks []tick) (sample, error) {
	all := sample{}
	for _, t := range ticks {
		got, err := r.own(func(ctx context.Context, own *database) (sample, error) { return t.measure(ctx, own, c) })(ctx, db, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.metric, err)
		}
		maps.Copy(all, got)
	}
	return all, nil
}

// schedule reserves an action for each account that has something to do, among many that do not.
type schedule struct{ crowd }

func newSchedule(s Scale) benchmark { return &schedule{newCrowd(s)} }

func newCrowd(s Scale) crowd {
	return crowd{due: s.pick(200, 10_000), rows: s.pick(3, 10), capped: s.pick(1800, 90_000)}
}

func (s *schedule) about() About {
	return About{
		Name: "schedule",
		Work: fmt.Sprintf("tick of the scheduler: one action of each of %d accounts with due actions is reserved, while %d other accounts wait at full caps; pushed: and sent to an endpoint",
			s.due, s.capped),
		Baseline: "one raw statement that writes the same rows",
		Metrics:  []Metric{{Name: claimed, Unit: Seconds, Ratio: 1.5}, {Name: pushed, Unit: Seconds, Ratio: 1.5}},
		keeps:    true,
	}
}

func (s *schedule) load(ctx context.Context, _ *rig, db *database) error {
	return db.fillCrowd(ctx, s.crowd)
}

func (s *schedule) variants(r *rig) []variant {
	return []variant{
		{"one statement", Baseline, func(ctx context.Context, db *database, _ int) (sample, error) {
			return s.ticks(ctx, r, db, bareTicks)
		}},
		{"thaw", Thaw, func(ctx context.Context, db *database, _ int) (sample, error) {
			return s.ticks(ctx, r, db, thawTicks)
		}},
	}
}

// scheduleSize compares the same tick in fleets of different sizes: its cost must follow what can
// be done now, not the number of prospects or of accounts that wait.
type scheduleSize struct{ crowd }

func newScheduleSize(s Scale) benchmark { return &scheduleSize{newCrowd(s)} }

// A size is one of the fleets, each in its own database.
type size struct {
	name     string
	role     Role
	database string
	crowd    crowd
}

func (s *scheduleSize) sizes() []size {
	return []size{
		{"accounts alone", Baseline, "bench_schedule_alone", crowd{due: s.due, rows: s.rows}},
		{fmt.Sprintf("%d x prospects", larger), Thaw, "bench_schedule_prospects", crowd{due: s.due, rows: larger * s.rows}},
		{"others at full caps", Thaw, "bench_schedule_capped", s.crowd},
	}
}

// larger is the factor by which the second fleet has more prospects.
const larger = 10

func (s *scheduleSize) about() About {
	var databases []string
	for _, size := range s.sizes() {
		databases = append(databases, size.database)
	}
	return About{
		Name: "schedule-size",
		Work: fmt.Sprintf("tick of the scheduler for %d accounts with due actions, with %d prospects each, or beside %d accounts at full caps",
			s.due, larger*s.rows, s.capped),
		Baseline:  fmt.Sprintf("the same tick with %d prospects each and no other accounts", s.rows),
		Metrics:   []Metric{{Name: claimed, Unit: Seconds, Ratio: 1.2}, {Name: pushed, Unit: Seconds, Ratio: 1.2}},
		keeps:     true,
		databases: databases,
	}
}

// load leaves the benchmark's own database empty: each fleet has its own.
func (s *scheduleSize) load(ctx context.Context, r *rig, _ *database) error {
	for _, size := range s.sizes() {
		if err := r.fill(ctx, size.database, func(db *database) error { return db.fillCrowd(ctx, size.crowd) }); err != nil {
			return fmt.Errorf("%s: %w", size.name, err)
		}
	}
	return nil
}

func (s *scheduleSize) variants(r *rig) []variant {
	var list []variant
	for _, size := range s.sizes() {
		list = append(list, variant{size.name, size.role, func(ctx context.Context, _ *database, _ int) (sample, error) {
			db, err := r.open(ctx, size.database)
			if err != nil {
				return nil, err
			}
			defer db.Close()
			return size.crowd.ticks(ctx, r, db, thawTicks)
		}})
	}
	return list
}
