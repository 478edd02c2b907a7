package sendforecast

import (
	"cmp"
	"container/heap"
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
	// Campaigns are when each campaign was served last, as a number that grows with time.
	Campaigns map[int64]int64
	Prospects []Prospect
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
const samples = 48

// poll is how long a due action waits at most for a sender that polls.
const poll = time.Minute

// Expect returns what is expected of the given prospects, by ID. One is missing if its action may
// be done after the last day. The same state gives the same answer.
func (s Sender) Expect(ids ...int64) map[int64]Expected {
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
		for id, o := range s.run(draw, ids) {
			all[id] = append(all[id], o)
		}
	}
	expected := map[int64]Expected{}
	for id, outcomes := range all {
		if len(outcomes) == samples {
			expected[id] = s.summarize(outcomes)
		}
	}
	return expected
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

// run returns when the next actions of the given prospects are done.
func (s Sender) run(g gap, ids []int64) map[int64]outcome {
	done := map[int64]outcome{}
	if len(s.Days) == 0 {
		return done
	}
	r := newRun(s, g)
	missing := map[int64]bool{}
	for _, id := range ids {
		if r.isWaiting[id] {
			missing[id] = true
		}
	}
	end := s.Days[len(s.Days)-1].Ends
	times := map[string]*[]time.Time{}
	after := 0 // how many actions followed the last one that was asked for
	for r.now.Before(end) && (len(missing) > 0 || after < neighbors*len(times)) {
		at := r.now
		p, ok := r.act()
		if !ok {
			if r.now = r.next(end); len(missing) == 0 && r.now.Sub(at) > week {
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
	return done
}

// A run goes through the coming days once.
type run struct {
	Sender
	gap      gap
	now      time.Time
	accounts []*account
	// used are the times of actions by kind, in order, and today how many are of the current day.
	used  map[string][]time.Time
	today map[string]int
	index int            // of the current day
	did   map[string]int // by kind, since the start of the run
	// kindAt is when the gap after the last action of a kind ends.
	kindAt map[string]time.Time
	turn   int64
	// isWaiting has all prospects.
	isWaiting map[int64]bool
}

type account struct {
	Account
	servedAt  time.Time
	campaigns map[int64]int64
	lines     []*line
}

// A line has the prospects of a campaign with the same next kind, the one that is due first first.
type line struct {
	campaign int64
	kind     string
	waiting  []Prospect
}

func (l *line) Len() int { return len(l.waiting) }
func (l *line) Less(i, j int) bool {
	return cmp.Or(l.waiting[i].DueAt.Compare(l.waiting[j].DueAt), cmp.Compare(l.waiting[i].ID, l.waiting[j].ID)) < 0
}
func (l *line) Swap(i, j int) { l.waiting[i], l.waiting[j] = l.waiting[j], l.waiting[i] }
func (l *line) Push(p any)    { l.waiting = append(l.waiting, p.(Prospect)) }
func (l *line) Pop() any {
	last := l.waiting[len(l.waiting)-1]
	l.waiting = l.waiting[:len(l.waiting)-1]
	return last
}

func newRun(s Sender, g gap) *run {
	r := &run{
		Sender: s, gap: g, now: s.Now, used: map[string][]time.Time{}, today: map[string]int{}, did: map[string]int{}, kindAt: map[string]time.Time{}, isWaiting: map[int64]bool{},
	}
	for _, u := range s.Used {
		r.used[u.Kind] = append(r.used[u.Kind], u.At)
		if u.IsToday {
			r.today[u.Kind]++
		}
	}
	for _, times := range r.used {
		slices.SortFunc(times, time.Time.Compare)
	}
	for _, a := range s.Accounts {
		of := &account{Account: a, servedAt: a.ServedAt, campaigns: map[int64]int64{}}
		for campaign, turn := range a.Campaigns {
			of.campaigns[campaign] = turn
			r.turn = max(r.turn, turn)
		}
		for _, p := range a.Prospects {
			of.add(p)
			r.isWaiting[p.ID] = true
		}
		r.accounts = append(r.accounts, of)
	}
	return r
}

func (a *account) add(p Prospect) {
	i := slices.IndexFunc(a.lines, func(l *line) bool { return l.campaign == p.Campaign && l.kind == p.Kind })
	if i < 0 {
		i = len(a.lines)
		a.lines = append(a.lines, &line{campaign: p.Campaign, kind: p.Kind})
	}
	heap.Push(a.lines[i], p)
}

// act does the next action that may be done now, and moves the clock to the end of the gap after
// it. It returns the prospect. False: there is none.
func (r *run) act() (done Prospect, ok bool) {
	r.startDay()
	slices.SortStableFunc(r.accounts, func(a, b *account) int { return cmp.Or(a.servedAt.Compare(b.servedAt), cmp.Compare(a.ID, b.ID)) })
	for _, a := range r.accounts {
		var best *line
		for _, l := range a.lines {
			if len(l.waiting) == 0 || r.opensAt(a, l).After(r.now) {
				continue
			}
			if best == nil || cmp.Or(cmp.Compare(a.campaigns[l.campaign], a.campaigns[best.campaign]), cmp.Compare(l.waiting[0].ID, best.waiting[0].ID)) < 0 {
				best = l
			}
		}
		if best != nil {
			return r.serve(a, best), true
		}
	}
	return Prospect{}, false
}

// serve does the first action of a line.
func (r *run) serve(a *account, l *line) Prospect {
	p := heap.Pop(l).(Prospect)
	if r.RampStartedAt.IsZero() {
		r.RampStartedAt = r.now
	}
	kind := a.Kinds[p.Kind]
	r.used[p.Kind] = append(r.used[p.Kind], r.now)
	r.today[p.Kind]++
	r.did[p.Kind]++
	r.kindAt[p.Kind] = r.now.Add(r.gap(kind.GapFrom, kind.GapTo))
	r.turn++
	a.servedAt, a.campaigns[l.campaign] = r.now, r.turn
	if steps := r.Steps[p.Campaign]; p.Step+1 < len(steps) {
		next := steps[p.Step+1]
		a.add(Prospect{p.ID, p.Campaign, p.Step + 1, next.Kind, r.now.Add(next.Delay)})
	}
	r.now = r.now.Add(max(r.gap(r.GapFrom, r.GapTo), time.Second))
	return p
}

// startDay moves on to the current day.
func (r *run) startDay() {
	if index := r.dayIndex(r.now); index != r.index {
		r.index = index
		clear(r.today)
	}
}

// next returns the first time from now on at which a gate opens.
func (r *run) next(end time.Time) time.Time {
	at := end
	for _, a := range r.accounts {
		for _, l := range a.lines {
			if len(l.waiting) > 0 {
				at = earlier(at, r.opensAt(a, l))
			}
		}
	}
	return later(at, r.now.Add(time.Second))
}

// opensAt returns when the first closed gate of a line opens. Not after now: all are open.
func (r *run) opensAt(a *account, l *line) time.Time {
	kind, ok := a.Kinds[l.kind]
	if !ok || kind.Remaining >= 0 && r.did[l.kind] >= kind.Remaining {
		return r.Days[len(r.Days)-1].Ends
	}
	if due := l.waiting[0].DueAt; due.After(r.now) {
		return due
	}
	if kind.NextAt.After(r.now) {
		return kind.NextAt
	}
	if opens := a.opensAt(r.now); opens.After(r.now) {
		return opens
	}
	if r.kindAt[l.kind].After(r.now) {
		return r.kindAt[l.kind]
	}
	ramp := r.rampWeek() - 1
	if perDay := kind.PerDay[ramp]; perDay >= 0 && r.today[l.kind] >= perDay {
		return r.Days[r.index].Ends
	}
	if perWeek := kind.PerWeek[ramp]; perWeek >= 0 {
		first, _ := slices.BinarySearchFunc(r.used[l.kind], r.now.Add(-week+1), time.Time.Compare)
		if in := r.used[l.kind][first:]; len(in) >= perWeek {
			if perWeek == 0 {
				return r.Days[r.index].Ends
			}
			return in[len(in)-perWeek].Add(week)
		}
	}
	return r.now
}

// opensAt returns when a window is open next. Not after now: one is.
func (a *account) opensAt(now time.Time) time.Time {
	for _, w := range a.Windows {
		if w.Closes.After(now) {
			return w.Opens
		}
	}
	return now.AddDate(1, 0, 0)
}

func (r *run) rampWeek() int {
	if r.RampStartedAt.IsZero() {
		return 1
	}
	return min(max(int(r.now.Sub(r.RampStartedAt)/week)+1, 1), lastRampWeek)
}
