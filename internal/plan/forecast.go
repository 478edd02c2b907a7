package plan

import (
	"math"
	"time"
)

// Rules are the settings under which a forecast runs.
type Rules struct {
	// First is the next tick to be planned. No candidate was served after it.
	First time.Time

	// FirstQuota is the remaining quota of the first tick for the whole fleet, in enrollments.
	// Its remaining quota of each account is Candidate.Quota.
	FirstQuota int

	// Tick is the length of a tick. If it is not positive, there is no tick after the first.
	Tick time.Duration

	// FleetCap is the maximum number of enrollments that a later tick allocates to the whole fleet.
	// Its maximum for one account is Candidate.Cap.
	FleetCap int

	// Horizon is the number of ticks to forecast, including the first one.
	Horizon int

	// Allocations limits the work: the forecast ends with the tick in which it has made that many
	// allocations (one account in one tick each). A fleet with thousands of accounts in every tick
	// is forecast for days, a small one for the whole horizon. 0: no limit.
	Allocations int
}

// Forecast predicts when waiting enrollments will be resumed. It holds as long as nothing else
// changes: no new backlog, no account disconnects, and every tick is swept. It is safe for
// concurrent use.
type Forecast struct {
	rules    Rules
	ticks    int // number of planned ticks
	index    map[int64]int32
	accounts []schedule
	runs     runs
}

// NewForecast plans tick after tick, as the sweep would, until every backlog is drained, or the
// horizon or the limit is reached. It does not change or keep the candidates.
//
// The cost of the first tick depends on the number of candidates, that of a later one only on the
// number of accounts with an allocation in it. The memory depends on the number of candidates and
// of allocations that do not repeat.
func NewForecast(candidates []Candidate, r Rules) *Forecast {
	f := &Forecast{rules: r, index: make(map[int64]int32, len(candidates)), accounts: make([]schedule, len(candidates))}
	for i, c := range candidates {
		f.accounts[i] = schedule{backlog: c.Backlog, cap: int32(min(max(c.Cap, 0), math.MaxInt32)), first: noRun, last: noRun}
		f.index[c.AccountID] = int32(i)
	}
	if r.Horizon < 1 {
		return f
	}

	made := 0
	served := make(map[int64]bool)
	given := make(map[int]int)
	newFleet(len(candidates), func(i int) Candidate { return candidates[i] }).take(r.FirstQuota, func(account, amount int) {
		f.runs.add(&f.accounts[account], 0, amount)
		given[account] = amount
		served[candidates[account].WorkspaceID] = true
		made++
	})
	f.ticks = 1
	if r.Tick <= 0 || r.FleetCap <= 0 {
		return f
	}
	fleet := newFleet(len(candidates), func(i int) Candidate {
		c := candidates[i]
		c.Quota = c.Cap
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

// of returns the schedule of an account, or nil if it was not among the candidates.
func (f *Forecast) of(accountID int64) *schedule {
	i, ok := f.index[accountID]
	if !ok {
		return nil
	}
	return &f.accounts[i]
}

// TickOf returns the tick that resumes the enrollment at a position in the queue of the account; 1
// is next. It returns false if no tick up to the horizon does: the position is too far back or not
// in the queue, or the account was not among the candidates.
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

// NotBefore returns the earliest tick that can resume the enrollment at a position that the
// forecast does not reach, assuming that every tick after the last planned one allocates to the
// account as much as the caps allow. It returns false if [Forecast.TickOf] has the answer, if the
// position is not in the queue, and if no later tick allocates anything.
func (f *Forecast) NotBefore(accountID int64, position int) (time.Time, bool) {
	s := f.of(accountID)
	if s == nil || position < 1 || position > s.backlog || f.ticks < 1 || f.rules.Tick <= 0 {
		return time.Time{}, false
	}
	most := min(int(s.cap), f.rules.FleetCap)
	if most <= 0 {
		return time.Time{}, false
	}
	missing := position - f.runs.total(s)
	if missing <= 0 {
		return time.Time{}, false
	}
	// A bound that is centuries too early is still valid, and the time can be formatted.
	ticks := min((missing-1)/most, int(farthest/f.rules.Tick))
	return f.at(f.ticks + ticks), true
}

// farthest limits how many ticks after the last planned one NotBefore returns.
const farthest = 100 * 365 * 24 * time.Hour

// Drained returns the tick that resumes the last waiting enrollment of the account. It returns
// false if that is beyond the horizon, if no enrollment waits, or if the account was not among the
// candidates.
func (f *Forecast) Drained(accountID int64) (time.Time, bool) {
	s := f.of(accountID)
	if s == nil {
		return time.Time{}, false
	}
	return f.TickOf(accountID, s.backlog)
}

// NotDrainedBefore is [Forecast.NotBefore] for the last waiting enrollment of the account.
func (f *Forecast) NotDrainedBefore(accountID int64) (time.Time, bool) {
	s := f.of(accountID)
	if s == nil {
		return time.Time{}, false
	}
	return f.NotBefore(accountID, s.backlog)
}

// DrainedAll returns the latest [Forecast.Drained] and the latest [Forecast.NotDrainedBefore] of
// all accounts; zero if no account has one.
func (f *Forecast) DrainedAll() (drained, notBefore time.Time) {
	for accountID := range f.index {
		if at, ok := f.Drained(accountID); ok && at.After(drained) {
			drained = at
		}
		if at, ok := f.NotDrainedBefore(accountID); ok && at.After(notBefore) {
			notBefore = at
		}
	}
	return drained, notBefore
}

// Backlog returns how many enrollments were waiting for the account, 0 if it was not among the
// candidates.
func (f *Forecast) Backlog(accountID int64) int {
	s := f.of(accountID)
	if s == nil {
		return 0
	}
	return s.backlog
}

// A Portion is the number of enrollments that a tick allocates to one account.
type Portion struct {
	At      time.Time
	Resumes int
}

// Next returns the first n ticks with an allocation for the account: fewer if there are fewer, and
// none if the account was not among the candidates.
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
