package simulate

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/providersim"
)

// A Report is the result of a simulation.
type Report struct {
	Days      int    `json:"days"`
	Accounts  int    `json:"accounts"`
	Prospects int    `json:"prospects"`
	Seed      uint64 `json:"seed"`
	// Took is the wall time, and CPU the CPU time of all processes.
	Took, CPU time.Duration `json:"-"`
	// Steps is how often the clock moved. It may vary by steps in which nothing happened.
	Steps int `json:"-"`

	// Zero is what must not happen: each count must be 0.
	Zero []Count `json:"zero"`
	// Work is what happened, Answers what the provider answered, and Unknown what became of the
	// requests without a clear answer.
	Work    []Count `json:"work"`
	Answers []Count `json:"answers"`
	Unknown []Count `json:"unknown"`
	// FirstSend is how long the first request took after a reconnect, in total and by what happened.
	FirstSend []Waits `json:"first_send"`
	// Forecasts are the comparisons of the forecasts with what was sent. Only of a static fleet.
	Forecasts []Count `json:"forecasts,omitempty"`
	// Hours are the requests per hour since the start, Allowed what windows, caps and the gaps allow.
	Hours   []int `json:"hours"`
	Allowed []int `json:"allowed"`
	// InviteDays are the invites delivered per local day since the start, InviteCaps the caps of the
	// accounts with an open window on that day.
	InviteDays []int `json:"invite_days"`
	InviteCaps []int `json:"invite_caps"`
	// Backlog is what waits at each full hour.
	Backlog []backlog `json:"backlog"`
}

// A Count is one line of the report.
type Count struct {
	Name    string `json:"name"`
	N       int    `json:"n"`
	Example string `json:"example,omitempty"`
}

// Waits are waits for the first request after N reconnects, in seconds.
type Waits struct {
	Name string  `json:"name"`
	N    int     `json:"n"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	Max  float64 `json:"max"`
}

// Failed reports whether something happened that must not.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Zero, func(c Count) bool { return c.N != 0 })
}

// unexplained counts the prospects that could go on, and do not: active ones that have been due for
// an hour although every gate is open, and paused ones that no rule keeps paused.
const unexplained = `
	WITH due AS (
		SELECT coalesce(array_agg(e.id), '{}') AS ids FROM thaw.enrollments AS e WHERE e.due_at < thaw.now() - interval '1 hour')
	SELECT (SELECT count(*) FROM due, thaw.action_gates(due.ids, array_fill(NULL::text, ARRAY[cardinality(due.ids)])) AS g WHERE g.code IS NULL
			-- The account is at work, or waits for its gap.
			AND NOT EXISTS (SELECT FROM thaw.sending_accounts AS s WHERE s.account_id = g.account_id AND s.next_at <= thaw.now() + interval '1 hour'))
		+ (SELECT count(*) FROM thaw.resume_targets AS t JOIN thaw.enrollments AS e ON e.account_id = t.source_id AND e.status = 'paused' AND e.waits_for_account
			JOIN thaw.accounts AS a ON a.id = t.target_id
			WHERE e.paused_at < thaw.now() - interval '1 day' AND a.connected_at < thaw.now() - interval '1 day' AND thaw.blocked_by(a) IS NULL)`

func (d *driver) report(ctx context.Context) (r *Report, err error) {
	r = &Report{Days: d.Days, Accounts: d.Accounts, Prospects: d.Prospects, Seed: d.Seed, Steps: d.steps, Backlog: d.backlog}
	// Those that are still open at the end of the run count, too.
	if _, _, err := d.unknownActions(ctx); err != nil {
		return nil, fmt.Errorf("reading the open unknown actions: %w", err)
	}
	log, found := d.sortedLog(), findings{}
	d.check(log, found)
	places, err := d.places(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the enrollments: %w", err)
	}
	d.checkPlaces(log, places, found)
	if d.kept, err = d.keptFromInvite(ctx); err != nil {
		return nil, err
	}
	r.FirstSend = summarize(d.firstSends(log, found))
	d.checkWaits(log, found)
	r.Forecasts = d.checkExpectations(log, found)
	for what, count := range map[finding]func(context.Context, []providersim.Entry) (int, error){
		stuck: d.unexplained, notRequested: d.unknownWithoutRequest, notKnown: d.differences,
	} {
		n, err := count(ctx, log)
		if err != nil {
			return nil, fmt.Errorf("counting %s: %w", what, err)
		}
		found.note(what, n, "")
	}
	lines := allFindings
	if d.Static {
		lines = append(slices.Clip(lines), wrongDay)
	}
	for _, what := range lines {
		r.Zero = append(r.Zero, Count{string(what), found[what].N, found[what].Example})
	}
	if err := d.describeWork(ctx, r, log); err != nil {
		return nil, err
	}
	d.drawHours(r, log)
	return r, nil
}

// describeWork counts what happened.
func (d *driver) describeWork(ctx context.Context, r *Report, log []providersim.Entry) error {
	r.Work = []Count{{"requests", len(log), ""}}
	for _, sql := range []string{
		"SELECT 'actions: ' || a.state, count(*) FROM thaw.actions AS a GROUP BY a.state ORDER BY a.state",
		"SELECT 'prospects: ' || e.status, count(*) FROM thaw.enrollments AS e GROUP BY e.status ORDER BY e.status",
	} {
		rows, err := d.world.pool.Query(ctx, sql)
		if err != nil {
			return err
		}
		counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Count, err error) { return c, row.Scan(&c.Name, &c.N) })
		if err != nil {
			return err
		}
		r.Work = append(r.Work, counts...)
	}
	kinds := map[eventKind]int{}
	for _, e := range d.events {
		kinds[e.kind]++
	}
	for _, kind := range []eventKind{lost, lostSilently, back, backSilently, backAsNew, checkpoint, restricted, released, capLowered, zoneChanged} {
		r.Work = append(r.Work, Count{"accounts: " + string(kind), kinds[kind], ""})
	}
	invited := map[string]bool{}
	for _, e := range log {
		if e.Kind == "invite" && e.Delivered {
			invited[prospectOf(e.To)] = true
		}
	}
	shared := 0
	for _, again := range d.seconds {
		if invited[prospectOf(slugOf(again.url))] {
			shared++
		}
	}
	r.Work = append(r.Work, Count{"prospects in two campaigns of a person", len(d.seconds), ""},
		Count{"prospects in two campaigns of a person: invited", shared, ""},
		Count{"prospects in two campaigns of a person: kept from a second invite", d.kept, ""},
		Count{"invites withdrawn", d.withdrawn, ""}, Count{"invites repeated three weeks after a withdrawal", d.repeatedInvites, ""})
	r.Work = append(r.Work, Count{"times in safety mode", len(d.safety), ""},
		Count{"servers killed", d.killedServers, ""}, Count{"senders killed at work", d.killedSenders, ""})

	answers := map[string]int{}
	var delivered, unclear int
	for _, e := range log {
		answers[cmp.Or(e.Fault, e.Code, "delivered")]++
		if d.effectOf(e) == unknown {
			unclear++
			if e.Delivered {
				delivered++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		r.Answers = append(r.Answers, Count{name, answers[name], ""})
	}
	open, err := value[int](ctx, d.world, "SELECT count(*) FROM thaw.actions AS a WHERE a.state = 'unknown'")
	r.Unknown = []Count{
		{"requests without a clear answer: delivered", delivered, ""}, {"requests without a clear answer: not delivered", unclear - delivered, ""},
		{"unknown actions settled as sent", d.verified["verified_sent"], ""}, {"unknown actions settled as not sent", d.verified["verified_absent"], ""},
		{"unknown actions still open", open, ""},
	}
	return err
}

// summarize returns the percentiles of waits, which are in order.
func summarize(waits []wait) []Waits {
	var all []Waits
	add := func(name string, is func(wait) bool) {
		var of []wait
		for _, w := range waits {
			if is(w) {
				of = append(of, w)
			}
		}
		if n := len(of); n > 0 {
			all = append(all, Waits{name, n, of[n/2].took.Seconds(), of[n*95/100].took.Seconds(), of[n-1].took.Seconds()})
		}
	}
	add("all", func(wait) bool { return true })
	for _, kind := range []eventKind{back, backAsNew, released, backSilently} {
		add(string(kind), func(w wait) bool { return w.kind == kind })
	}
	return all
}

// perHour is how many actions of a person fit into an hour at the mean gap.
const perHour = 30

// drawHours counts requests, and what windows and caps allow. An hour counts as open if the window
// is open in the middle of one of its halves.
func (d *driver) drawHours(r *Report, log []providersim.Entry) {
	r.Hours, r.Allowed = make([]int, d.Days*24), make([]int, d.Days*24)
	r.InviteDays, r.InviteCaps = make([]int, d.Days), make([]int, d.Days)
	for _, e := range log {
		r.Hours[int(e.At.Sub(start)/time.Hour)]++
	}
	byMember := d.byMember(log)
	for _, h := range d.histories() {
		entries := byMember[h.member]
		for hour := range r.Hours {
			at := start.Add(time.Duration(hour) * time.Hour)
			for len(entries) > 0 && entries[0].At.Before(at) {
				d.add(h, entries[0])
				entries = entries[1:]
			}
			d.moveTo(h, at)
			d.addInviteCap(r, h, at)
			for _, half := range []time.Time{at.Add(15 * time.Minute), at.Add(45 * time.Minute)} {
				if !h.window.contains(half.In(h.location)) || d.isInSafety(half) || d.isDown(h.person, half) {
					continue
				}
				remaining := 0
				for _, s := range campaignSteps {
					remaining += d.remaining(h, s.kind, at)
				}
				r.Allowed[hour] += min(remaining, perHour/2)
			}
		}
		for _, u := range h.used["invite"] {
			local := u.at.In(h.location)
			date := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
			if day := int(date.Sub(start) / (24 * time.Hour)); u.delivered && day >= 0 && day < d.Days {
				r.InviteDays[day]++
			}
		}
	}
}

// addInviteCap adds what the caps allow a person on a day, if the window of the day opens in the
// hour after at. A day of a person is the date on which the window opens.
func (d *driver) addInviteCap(r *Report, h *history, at time.Time) {
	for _, date := range []time.Time{at.AddDate(0, 0, -1), at, at.AddDate(0, 0, 1)} {
		day := int(date.Sub(start) / (24 * time.Hour))
		opens := time.Date(date.Year(), date.Month(), date.Day(), 0, h.window.opens, 0, 0, h.location)
		// In the first hour, also those that have opened before the run began.
		isOver := opens.Before(at) && !at.Equal(start)
		if isOver || !opens.Before(at.Add(time.Hour)) || date.Before(start) || day >= d.Days || !h.window.contains(opens) {
			continue
		}
		_, inWeek := h.usedAt("invite", opens, true)
		most := d.caps(h, "invite", opens)
		r.InviteCaps[day] += max(min(most.perDay, most.perWeek-inWeek), 0)
	}
}

// isDown reports whether none of the accounts of a person is connected.
func (d *driver) isDown(p *person, at time.Time) bool {
	return !slices.ContainsFunc(p.accounts, func(account string) bool {
		return !slices.ContainsFunc(d.down[account], func(s span) bool { return s.contains(at) })
	})
}

func (d *driver) unexplained(ctx context.Context, _ []providersim.Entry) (int, error) {
	return value[int](ctx, d.world, unexplained)
}

// unknownWithoutRequest counts actions that are unknown because a sender said so, although the
// provider has no request that fits.
func (d *driver) unknownWithoutRequest(ctx context.Context, log []providersim.Entry) (int, error) {
	return d.countMissing(ctx, log, "SELECT a.kind, a.prospect_url FROM thaw.actions AS a WHERE a.state = 'unknown' AND a.outcome IS NOT NULL")
}

// keptFromInvite counts the enrollments that wait at an invite although they were due, because the
// person has invited the prospect in another campaign.
func (d *driver) keptFromInvite(ctx context.Context) (int, error) {
	urls := make([]string, 0, 2*len(d.seconds))
	for _, again := range d.seconds {
		urls = append(urls, again.url, urlPrefix+strings.ToLower(slugOf(again.url)))
	}
	return value[int](ctx, d.world, `
		WITH asked AS MATERIALIZED (
			SELECT coalesce(array_agg(e.id), '{}') AS ids FROM thaw.enrollments AS e
			WHERE e.status = 'active' AND e.next_kind = 'invite' AND e.prospect_url = ANY ($1))
		SELECT count(*) FROM asked, thaw.action_gates(asked.ids, array_fill(NULL::text, ARRAY[cardinality(asked.ids)])) AS g
		WHERE EXISTS (
			SELECT FROM thaw.actions AS a
			WHERE a.kind = 'invite' AND a.sender_id = g.sender_id AND thaw.prospect_key(a.prospect_url) = thaw.prospect_key(g.prospect_url)
				AND (a.is_used OR a.state = 'already'))`, urls)
}

func (d *driver) countMissing(ctx context.Context, log []providersim.Entry, sql string) (n int, err error) {
	requested := map[deed]bool{}
	for _, e := range log {
		requested[deed{e.Kind, e.To}] = true
	}
	all, err := d.deeds(ctx, sql)
	for it := range all {
		if !requested[it] {
			n++
		}
	}
	return n, err
}

func (d *driver) deeds(ctx context.Context, sql string) (map[deed]bool, error) {
	rows, err := d.world.pool.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	all := map[deed]bool{}
	var kind, url string
	_, err = pgx.ForEachRow(rows, []any{&kind, &url}, func() error {
		all[deed{kind, slugOf(url)}] = true
		return nil
	})
	return all, err
}

// differences counts deliveries for which the database has no action that counts as used.
func (d *driver) differences(ctx context.Context, log []providersim.Entry) (n int, err error) {
	known, err := d.deeds(ctx, "SELECT a.kind, a.prospect_url FROM thaw.actions AS a WHERE a.is_used")
	for _, e := range log {
		if e.Delivered && !known[deed{e.Kind, e.To}] {
			n++
		}
	}
	return n, err
}

// Write prints the report as text.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d days, %d accounts, %d prospects, seed %d\n", r.Days, r.Accounts, r.Prospects, r.Seed)
	section := func(title string, counts []Count) {
		if len(counts) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, c := range counts {
			fmt.Fprintf(&b, "  %-66s %8d\n", c.Name, c.N)
			if c.N > 0 && c.Example != "" {
				fmt.Fprintf(&b, "    %s\n", c.Example)
			}
		}
	}
	section("Must be 0", r.Zero)
	section("What happened", r.Work)
	section("Answers of the provider", r.Answers)
	section("Unknown actions", r.Unknown)
	section("Forecasts", r.Forecasts)
	if len(r.FirstSend) > 0 {
		b.WriteString("\nFrom a reconnect to the first request, in seconds in which every gate was open\n")
		fmt.Fprintf(&b, "  %-42s %8s %8s %8s %8s\n", "", "n", "p50", "p95", "max")
		for _, w := range r.FirstSend {
			fmt.Fprintf(&b, "  %-42s %8d %8.0f %8.0f %8.0f\n", w.Name, w.N, w.P50, w.P95, w.Max)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
