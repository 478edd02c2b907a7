package sendforecast

import (
	"cmp"
	"container/heap"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// week is what a weekly cap counts.
const week = 168 * time.Hour

// lastRampWeek is the ramp week that does not end.
const lastRampWeek = 6

// A Sender is the state of a sender at one moment.
type Sender struct {
	Now time.Time
	// Days are the local days from today on, without gaps between them. The forecast ends with the
	// last one.
	Days []Day
	// RampStartedAt is when the first ramp week began. Zero: it begins with the next action.
	RampStartedAt time.Time
	// GapFrom and GapTo are the shortest and the longest gap between any two actions.
	GapFrom, GapTo time.Duration
	Accounts       []Account
	// Used are the actions of the last 168 hours that count, of all accounts.
	Used []Use
	// Steps are those of linear campaigns, by ID of the campaign and position.
	Steps map[int64][]Step
}

// A Day is a local day of a sender.
type Day struct {
	Date string // ISO 8601
	Ends time.Time
}

// A Use is an action that counts toward the caps of its kind.
type Use struct {
	Kind    string
	At      time.Time
	IsToday bool // whether it counts into the first day
}

// An Account is an account of the sender that is connected and not blocked.
type Account struct {
	ID       int64
	ServedAt time.Time // zero: never
	Windows  []Window  // from now on, in order
	Kinds    map[string]Kind
	// ServedCampaign is the campaign of the last action. Zero: there was none.
	ServedCampaign int64
	Prospects      []Prospect
}

// A Window is a time in which an account sends.
type Window struct{ Opens, Closes time.Time }

// A Kind is what limits a kind of action of an account.
type Kind struct {
	// PerDay and PerWeek are the caps by ramp week, the first one first. Negative: there is no cap.
	PerDay, PerWeek [lastRampWeek]int
	GapFrom, GapTo  time.Duration
	// Remaining is how many more may be done at all. Negative: there is no such limit.
	Remaining int
	// NextAt is when the current gap or hold ends.
	NextAt time.Time
}

// A Prospect is one that is active, with its next action.
type Prospect struct {
	ID, Campaign int64
	Step         int
	Kind         string
	DueAt        time.Time
}

// A Step of a linear campaign follows the one before after a delay.
type Step struct {
	Kind  string
	Delay time.Duration
}

// An Expected is when the next action of a prospect is done: on the day From, or at the latest on
// the day To. At is the earliest time of all draws.
type Expected struct {
	At       time.Time
	From, To string // ISO 8601, by the clock of the sender
}

// samples is how often the coming days are counted, with gaps drawn each time.
const samples = 96

// poll is how long a due action waits at most for a sender that polls.
const poll = time.Minute

// A Budget bounds the work of forecasts. It is not safe for concurrent use.
type Budget struct {
	// Steps are how many remain. A step takes 10 to 20 ns: one prospect that is set up, or one gate,
	// window or line of prospects that is looked at.
	Steps int

	gates int // how often the gates of a kind were evaluated
}

// stepsPerAct are the steps of an attempt to act, beside those of gates and lines.
const stepsPerAct = 64

func (b *Budget) isSpent() bool { return b.Steps <= 0 }

// Expect returns what is expected of the given prospects, by ID. One is missing if its action may
// be done after the last day. The same state gives the same answer. If the budget does not suffice,
// none is returned, because a part of the draws does not show all days. The error is that of the
// context.
func (s Sender) Expect(ctx context.Context, budget *Budget, ids ...int64) (map[int64]Expected, error) {
	if len(s.Days) == 0 || budget.isSpent() {
		return nil, nil
	}
	start := newRun(s)
	all := map[int64][]outcome{}
	for i := range samples {
		source := rand.New(rand.NewPCG(1, uint64(i))) //nolint:gosec // repeatable on purpose
		draw := func(from, to time.Duration) time.Duration {
			gap := from + time.Duration(source.Float64()*float64(to-from))
			if i%2 == 1 {
				gap += time.Duration(source.Float64() * float64(poll))
			}
			return gap
		}
		switch i {
		case 0:
			draw = func(from, _ time.Duration) time.Duration { return from }
		case 1:
			draw = func(_, to time.Duration) time.Duration { return to }
		}
		done, err := start.again(draw, budget).until(ctx, ids)
		if err != nil || budget.isSpent() {
			return nil, err
		}
		for id, o := range done {
			all[id] = append(all[id], o)
		}
		// A prospect that is not done in a run has no day. If that is so for all, no draw changes it.
		maps.DeleteFunc(all, func(_ int64, outcomes []outcome) bool { return len(outcomes) <= i })
		if len(all) == 0 {
			return nil, nil
		}
	}
	expected := map[int64]Expected{}
	for id, outcomes := range all {
		expected[id] = s.summarize(outcomes)
	}
	return expected, nil
}

// summarize returns the days of all outcomes. If the place of the action in the order of its kind
// varies, still other gaps may move it further, so the days of its neighbors count too: the more,
// the more it varies.
func (s Sender) summarize(outcomes []outcome) Expected {
	byPlace := func(a, b outcome) int { return cmp.Compare(a.place, b.place) }
	first, last := slices.MinFunc(outcomes, byPlace), slices.MaxFunc(outcomes, byPlace)
	if varies := last.place - first.place; varies > 0 {
		by := min(1+varies/3, neighbors)
		outcomes = append(outcomes, outcome{at: first.neighbor(-by)}, outcome{at: last.neighbor(by)})
	}
	x := Expected{At: outcomes[0].at, From: s.day(outcomes[0].at), To: s.day(outcomes[0].at)}
	for _, o := range outcomes {
		if o.at.IsZero() {
			continue
		}
		if o.place > 0 {
			x.At = earlier(x.At, o.at)
		}
		x.From, x.To = min(x.From, s.day(o.at)), max(x.To, s.day(o.at))
	}
	return x
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s Sender) day(at time.Time) string { return s.Days[s.dayIndex(at)].Date }

func (s Sender) dayIndex(at time.Time) int {
	i, found := slices.BinarySearchFunc(s.Days, at, func(d Day, at time.Time) int { return d.Ends.Compare(at) })
	if found {
		i++ // a day ends when the next one begins
	}
	return min(i, len(s.Days)-1)
}

// A gap draws the length of a gap from its range.
type gap func(from, to time.Duration) time.Duration

// An outcome is what a run says about an action.
type outcome struct {
	at time.Time
	// place is that of the action among those of its kind, from 1.
	place int
	// kind has the times of all of them, up to some after it.
	kind *[]time.Time
}

// neighbors is how many places an outcome is moved at most.
const neighbors = 5

// neighbor returns when the action that is some places away is done, or the last one in this
// direction. Zero: there is none.
func (o outcome) neighbor(by int) (at time.Time) {
	if i := min(max(o.place-1+by, 0), len(*o.kind)-1); i != o.place-1 {
		at = (*o.kind)[i]
	}
	return at
}

// until runs until the next actions of the given prospects are done, and returns when that was.
func (r *run) until(ctx context.Context, ids []int64) (map[int64]outcome, error) {
	done, missing := map[int64]outcome{}, map[int64]bool{}
	for _, id := range ids {
		if r.isWaiting[id] {
			missing[id] = true
		}
	}
	times := map[string]*[]time.Time{}
	after := 0 // how many actions followed the last one that was asked for
	for r.now.Before(r.end) && (len(missing) > 0 || after < neighbors*len(times)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if r.budget.isSpent() {
			break
		}
		r.budget.Steps -= stepsPerAct
		at := r.now
		p, ok := r.act()
		if !ok {
			if r.now = r.next(); len(missing) == 0 && r.now.Sub(at) > week {
				break
			}
			continue
		}
		if times[p.Kind] == nil {
			times[p.Kind] = &[]time.Time{}
		}
		of := times[p.Kind]
		*of = append(*of, at)
		after++
		if missing[p.ID] { // the first action of a prospect counts, not those after it
			delete(missing, p.ID)
			done[p.ID], after = outcome{at, len(*of), of}, 0
		}
	}
	return done, nil
}

// A run goes through the coming days once.
type run struct {
	Sender

	gap      gap
	budget   *Budget
	now, end time.Time
	accounts []*account
	kinds    map[string]*kind
	day      int // index of the current one
	// isWaiting has all prospects.
	isWaiting map[int64]bool
}

// A kind is what the accounts of a sender share of a kind of action.
type kind struct {
	used  []time.Time // in order
	today int         // how many are of the current day
	did   int         // since the start of the run
	// nextAt is when the gap after the last action ends.
	nextAt time.Time
}

type account struct {
	Account

	servedAt time.Time
	served   int64 // campaign
	queues   []*queue
	window   int // index of the first one that is not over
}

// A queue has the prospects of an account with the same next kind. All gates but the due times are
// the same for them.
type queue struct {
	kind *kind
	// limits are those of the account. Nil: the kind has none, so it is not done.
	limits  *Kind
	lines   []*line
	name    string
	opensAt time.Time // when the gates were looked at last
}

// A line has the prospects of a queue of one campaign, the one that is due first first.
type line struct {
	campaign int64
	waiting  []Prospect
}

func before(a, b Prospect) int { return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID)) }

func (l *line) Len() int           { return len(l.waiting) }
func (l *line) Less(i, j int) bool { return before(l.waiting[i], l.waiting[j]) < 0 }
func (l *line) Swap(i, j int)      { l.waiting[i], l.waiting[j] = l.waiting[j], l.waiting[i] }
func (l *line) Push(p any)         { l.waiting = append(l.waiting, p.(Prospect)) }
func (l *line) Pop() any {
	last := l.waiting[len(l.waiting)-1]
	l.waiting = l.waiting[:len(l.waiting)-1]
	return last
}

// newRun returns a run that has not begun. See [run.again].
func newRun(s Sender) *run {
	r := &run{Sender: s, now: s.Now, end: s.Days[len(s.Days)-1].Ends, kinds: map[string]*kind{}, isWaiting: map[int64]bool{}}
	for _, u := range s.Used {
		k := r.kind(u.Kind)
		k.used = append(k.used, u.At)
		if u.IsToday {
			k.today++
		}
	}
	for _, k := range r.kinds {
		slices.SortFunc(k.used, time.Time.Compare)
	}
	for _, a := range s.Accounts {
		of := &account{Account: a, servedAt: a.ServedAt, served: a.ServedCampaign}
		for _, p := range a.Prospects {
			l := r.line(of, p)
			l.waiting = append(l.waiting, p)
			r.isWaiting[p.ID] = true
		}
		for _, q := range of.queues {
			for _, l := range q.lines {
				slices.SortFunc(l.waiting, before) // a heap, too
			}
		}
		r.accounts = append(r.accounts, of)
	}
	return r
}

// again returns a copy of a run that has not begun.
func (r *run) again(g gap, budget *Budget) *run {
	budget.Steps -= len(r.isWaiting)
	c := *r
	c.gap, c.budget, c.kinds, c.accounts = g, budget, map[string]*kind{}, nil
	for name, k := range r.kinds {
		c.kinds[name] = &kind{used: slices.Clip(k.used), today: k.today}
	}
	for _, a := range r.accounts {
		of := &account{Account: a.Account, servedAt: a.servedAt, served: a.served}
		for _, q := range a.queues {
			copied := &queue{kind: c.kinds[q.name], limits: q.limits, name: q.name}
			for _, l := range q.lines {
				copied.lines = append(copied.lines, &line{l.campaign, slices.Clone(l.waiting)})
			}
			of.queues = append(of.queues, copied)
		}
		c.accounts = append(c.accounts, of)
	}
	return &c
}

func (r *run) kind(name string) *kind {
	k := r.kinds[name]
	if k == nil {
		k = &kind{}
		r.kinds[name] = k
	}
	return k
}

// line returns the line of a prospect.
func (r *run) line(a *account, p Prospect) *line {
	i := slices.IndexFunc(a.queues, func(q *queue) bool { return q.name == p.Kind })
	if i < 0 {
		i = len(a.queues)
		q := &queue{kind: r.kind(p.Kind), name: p.Kind}
		if limits, ok := a.Kinds[p.Kind]; ok {
			q.limits = &limits
		}
		a.queues = append(a.queues, q)
	}
	q := a.queues[i]
	l := slices.IndexFunc(q.lines, func(l *line) bool { return l.campaign == p.Campaign })
	if l < 0 {
		l = len(q.lines)
		q.lines = append(q.lines, &line{campaign: p.Campaign})
	}
	return q.lines[l]
}

// act does the next action that may be done now, and moves the clock to the end of the gap after
// it. It returns the prospect. False: there is none.
func (r *run) act() (done Prospect, ok bool) {
	r.startDay()
	slices.SortStableFunc(r.accounts, func(a, b *account) int { return cmp.Or(a.servedAt.Compare(b.servedAt), cmp.Compare(a.ID, b.ID)) })
	for _, a := range r.accounts {
		var best *line
		var of *queue
		for _, q := range a.queues {
			if q.opensAt = r.opensAt(a, q); q.opensAt.After(r.now) {
				continue
			}
			r.budget.Steps -= len(q.lines)
			for _, l := range q.lines {
				if len(l.waiting) == 0 || l.waiting[0].DueAt.After(r.now) {
					continue
				}
				if best == nil || a.isBefore(l, q.name, best, of.name) {
					best, of = l, q
				}
			}
		}
		if best != nil {
			return r.serve(a, of, best), true
		}
	}
	return Prospect{}, false
}

// isBefore reports whether a line is before another one, as in thaw.schedule_batch: campaigns take
// turns in the order of their IDs, and of a campaign, the kind that is due first is next.
func (a *account) isBefore(l *line, kind string, than *line, thanKind string) bool {
	if l.campaign == than.campaign {
		return cmp.Or(l.waiting[0].DueAt.Compare(than.waiting[0].DueAt), cmp.Compare(kind, thanKind)) < 0
	}
	if had, thanHad := l.campaign <= a.served, than.campaign <= a.served; had != thanHad {
		return thanHad
	}
	return l.campaign < than.campaign
}

// serve does the first action of a line.
func (r *run) serve(a *account, q *queue, l *line) Prospect {
	p := heap.Pop(l).(Prospect)
	if r.RampStartedAt.IsZero() {
		r.RampStartedAt = r.now
	}
	q.kind.used = append(q.kind.used, r.now)
	q.kind.today++
	q.kind.did++
	q.kind.nextAt = r.now.Add(r.gap(q.limits.GapFrom, q.limits.GapTo))
	a.servedAt, a.served = r.now, l.campaign
	if steps := r.Steps[p.Campaign]; p.Step+1 < len(steps) {
		next := Prospect{p.ID, p.Campaign, p.Step + 1, steps[p.Step+1].Kind, r.now.Add(steps[p.Step+1].Delay)}
		heap.Push(r.line(a, next), next)
	}
	r.now = r.now.Add(max(r.gap(r.GapFrom, r.GapTo), time.Second))
	return p
}

// startDay moves on to the current day.
func (r *run) startDay() {
	for r.day < len(r.Days)-1 && !r.Days[r.day].Ends.After(r.now) {
		r.day++
		for _, k := range r.kinds {
			k.today = 0
		}
	}
}

// next returns the first time from now on at which a gate opens. It follows an act that did
// nothing.
func (r *run) next() time.Time {
	at := r.end
	for _, a := range r.accounts {
		for _, q := range a.queues {
			if q.isOver() {
				continue
			}
			r.budget.Steps -= len(q.lines)
			for _, l := range q.lines {
				switch {
				case len(l.waiting) == 0:
				case l.waiting[0].DueAt.After(r.now):
					at = earlier(at, l.waiting[0].DueAt)
				default:
					at = earlier(at, q.opensAt)
				}
			}
		}
	}
	return later(at, r.now.Add(time.Second))
}

// isOver reports whether nothing more of a queue is done.
func (q *queue) isOver() bool {
	return q.limits == nil || q.limits.Remaining >= 0 && q.kind.did >= q.limits.Remaining
}

// opensAt returns when the first closed gate of a queue opens. Not after now: all are open.
func (r *run) opensAt(a *account, q *queue) time.Time {
	r.budget.Steps--
	r.budget.gates++
	if q.isOver() {
		return r.end
	}
	if q.limits.NextAt.After(r.now) {
		return q.limits.NextAt
	}
	if opens := r.windowOpensAt(a); opens.After(r.now) {
		return opens
	}
	if q.kind.nextAt.After(r.now) {
		return q.kind.nextAt
	}
	ramp := r.rampWeek() - 1
	if perDay := q.limits.PerDay[ramp]; perDay >= 0 && q.kind.today >= perDay {
		return earlier(r.Days[r.day].Ends, r.capsGrowAt())
	}
	if perWeek := q.limits.PerWeek[ramp]; perWeek >= 0 {
		first, _ := slices.BinarySearchFunc(q.kind.used, r.now.Add(-week+1), time.Time.Compare)
		if in := q.kind.used[first:]; len(in) >= perWeek {
			if perWeek == 0 {
				return earlier(r.Days[r.day].Ends, r.capsGrowAt())
			}
			return earlier(in[len(in)-perWeek].Add(week), r.capsGrowAt())
		}
	}
	return r.now
}

// windowOpensAt returns when a window of an account is open next. Not after now: one is.
func (r *run) windowOpensAt(a *account) time.Time {
	for ; a.window < len(a.Windows); a.window++ { // time only moves forward
		r.budget.Steps--
		if w := a.Windows[a.window]; w.Closes.After(r.now) {
			return w.Opens
		}
	}
	return r.end
}

func (r *run) rampWeek() int {
	if r.RampStartedAt.IsZero() {
		return 1
	}
	return min(max(int(r.now.Sub(r.RampStartedAt)/week)+1, 1), lastRampWeek)
}

// capsGrowAt returns when the next ramp week begins, also in the middle of a day: full caps may be
// open then.
func (r *run) capsGrowAt() time.Time {
	if current := r.rampWeek(); !r.RampStartedAt.IsZero() && current < lastRampWeek {
		return r.RampStartedAt.Add(time.Duration(current) * week)
	}
	return r.end
}
