package plan

import "time"

// Rules are the settings under which a forecast runs.
type Rules struct {
	// First is the next tick to be planned. No candidate was served after it.
	First time.Time

	// FirstBudget is what the first tick has left for the whole fleet, in
	// enrollments. Its quota for each account is Candidate.Quota.
	FirstBudget int

	// Tick is the time from one tick to the next. If it is not positive, there is
	// no tick after the first.
	Tick time.Duration

	// FleetCap and AccountCap are the most enrollments that a later tick gives to
	// the whole fleet and to one account.
	FleetCap, AccountCap int

	// Horizon is the number of ticks to look ahead, the first one included.
	Horizon int

	// Allocations bounds the work: the forecast ends with the tick in which it has
	// made that many allocations, of one account in one tick each. A fleet in which
	// thousands of accounts take part in every tick is foreseen for days, a small
	// one for the whole horizon. 0: no bound.
	Allocations int
}

// Forecast says when waiting enrollments will be resumed. It holds as long as
// nothing else changes: no new backlog, no account that disconnects, and every
// tick swept. It is safe for use by several goroutines.
type Forecast struct {
	rules    Rules
	ticks    int // how many were planned
	index    map[int64]int32
	accounts []schedule
	runs     runs
}

// NewForecast plans tick after tick, as the sweep would, until every backlog is
// drained, or the horizon or the bound of the work is reached. The candidates are
// not changed, and not kept.
//
// The cost of the first tick follows the number of candidates, that of a later
// one only the number of accounts that get something in it. The memory follows
// the number of candidates and the allocations that do not repeat.
func NewForecast(candidates []Candidate, r Rules) *Forecast {
	f := &Forecast{rules: r, index: make(map[int64]int32, len(candidates)), accounts: make([]schedule, len(candidates))}
	for i, c := range candidates {
		f.accounts[i] = schedule{backlog: c.Backlog, first: noRun, last: noRun}
		f.index[c.AccountID] = int32(i)
	}
	if r.Horizon < 1 {
		return f
	}

	made := 0
	served := make(map[int64]bool)
	given := make(map[int]int)
	newFleet(len(candidates), func(i int) Candidate { return candidates[i] }).take(r.FirstBudget, func(account, amount int) {
		f.runs.add(&f.accounts[account], 0, amount)
		given[account] = amount
		served[candidates[account].WorkspaceID] = true
		made++
	})
	f.ticks = 1
	if r.Tick <= 0 || r.FleetCap <= 0 || r.AccountCap <= 0 {
		return f
	}
	fleet := newFleet(len(candidates), func(i int) Candidate {
		c := candidates[i]
		c.Quota = r.AccountCap
		if amount, ok := given[i]; ok {
			c.Backlog -= amount
			c.AccountServed = r.First
		}
		if served[c.WorkspaceID] {
			c.WorkspaceServed = r.First
		}
		return c
	})
	for ; f.ticks < r.Horizon && fleet.demand > 0 && (r.Allocations == 0 || made < r.Allocations); f.ticks++ {
		fleet.take(r.FleetCap, func(account, amount int) {
			f.runs.add(&f.accounts[account], f.ticks, amount)
			made++
		})
	}
	return f
}

// at returns the time of a tick.
func (f *Forecast) at(tick int) time.Time {
	return f.rules.First.Add(time.Duration(tick) * f.rules.Tick)
}

// of returns the schedule of an account; nil for one that was not among the candidates.
func (f *Forecast) of(accountID int64) *schedule {
	i, ok := f.index[accountID]
	if !ok {
		return nil
	}
	return &f.accounts[i]
}

// TickOf returns the tick that resumes the enrollment at a position in the
// account's line; 1 is the next one. It returns false where no tick up to the
// horizon does: too far back, not in the line, or an account that was not among
// the candidates.
func (f *Forecast) TickOf(accountID int64, position int) (time.Time, bool) {
	s := f.of(accountID)
	if s == nil {
		return time.Time{}, false
	}
	tick, ok := f.runs.tickOf(s, position)
	if !ok {
		return time.Time{}, false
	}
	return f.at(tick), true
}

// NotBefore returns the earliest tick that can resume the enrollment at a
// position that the forecast does not reach: every tick after the last one that
// was planned would have to give the account as much as the caps allow. It
// returns false where [Forecast.TickOf] has the answer, for a position that is
// not in the line, and where no later tick gives anything.
func (f *Forecast) NotBefore(accountID int64, position int) (time.Time, bool) {
	s := f.of(accountID)
	most := min(f.rules.AccountCap, f.rules.FleetCap)
	if s == nil || position < 1 || position > s.backlog || f.ticks < 1 || f.rules.Tick <= 0 || most <= 0 {
		return time.Time{}, false
	}
	missing := position - f.runs.total(s)
	if missing <= 0 {
		return time.Time{}, false
	}
	// A bound that is too early by centuries is still a bound, and a time that can be written.
	ticks := min((missing-1)/most, int(farthest/f.rules.Tick))
	return f.at(f.ticks + ticks), true
}

// farthest is how far after the ticks that were planned a bound is looked for.
const farthest = 100 * 365 * 24 * time.Hour

// Drained returns the tick that resumes the last waiting enrollment of the
// account. It returns false where that is beyond the horizon, where nothing
// waits, or for an account that was not among the candidates.
func (f *Forecast) Drained(accountID int64) (time.Time, bool) {
	s := f.of(accountID)
	if s == nil {
		return time.Time{}, false
	}
	return f.TickOf(accountID, s.backlog)
}

// NotDrainedBefore is [Forecast.NotBefore] of the last waiting enrollment of the account.
func (f *Forecast) NotDrainedBefore(accountID int64) (time.Time, bool) {
	s := f.of(accountID)
	if s == nil {
		return time.Time{}, false
	}
	return f.NotBefore(accountID, s.backlog)
}

// Backlog returns how many enrollments waited for the account; 0 for one that
// was not among the candidates.
func (f *Forecast) Backlog(accountID int64) int {
	s := f.of(accountID)
	if s == nil {
		return 0
	}
	return s.backlog
}

// A Portion is what a tick gives to one account, in enrollments.
type Portion struct {
	At      time.Time
	Resumes int
}

// Next returns the first n ticks that give something to the account; fewer where
// fewer do, and none for an account that was not among the candidates.
func (f *Forecast) Next(accountID int64, n int) []Portion {
	s := f.of(accountID)
	if s == nil {
		return nil
	}
	var portions []Portion
	for _, next := range f.runs.next(s, n) {
		portions = append(portions, Portion{At: f.at(next.tick), Resumes: next.amount})
	}
	return portions
}
