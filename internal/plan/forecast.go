package plan

import "time"

// Rules are the settings under which a forecast runs.
type Rules struct {
	// First is the next tick to be planned. No claimant was served after it.
	First time.Time

	// FirstBudget is what the first tick has left for the whole fleet, in
	// enrollments. Its room for each account is Claimant.Room.
	FirstBudget int

	// Tick is the time from one tick to the next. If it is not positive, there is
	// no tick after the first.
	Tick time.Duration

	// FleetCap and AccountCap are the most enrollments that a later tick gives to
	// the whole fleet and to one account.
	FleetCap, AccountCap int

	// Horizon is the number of ticks to look ahead, the first one included.
	Horizon int
}

// Forecast says when waiting enrollments will be resumed. It holds as long as
// nothing else changes: no new backlog, no account that disconnects, and every
// tick swept. It is safe for use by several goroutines.
type Forecast struct {
	first    time.Time
	tick     time.Duration
	accounts map[int64]*schedule
}

// NewForecast plans tick after tick, as the sweep would, until every backlog is
// drained or the horizon is reached. The claimants are not changed.
//
// The cost of the first tick follows the number of claimants, that of a later
// one only the number of accounts that get something in it.
func NewForecast(claimants []Claimant, r Rules) *Forecast {
	f := &Forecast{first: r.First, tick: r.Tick, accounts: make(map[int64]*schedule, len(claimants))}
	schedules := make([]schedule, len(claimants))
	for i, c := range claimants {
		schedules[i].backlog = c.Backlog
		f.accounts[c.AccountID] = &schedules[i]
	}
	if r.Horizon < 1 {
		return f
	}

	later := make([]Claimant, len(claimants))
	for i, c := range claimants {
		c.Room = r.AccountCap
		later[i] = c
	}
	served := make(map[int64]bool)
	newFleet(claimants).take(r.FirstBudget, func(account, amount int) {
		schedules[account].add(0, amount)
		later[account].Backlog -= amount
		later[account].AccountServed = r.First
		served[later[account].WorkspaceID] = true
	})
	if r.Tick <= 0 || r.FleetCap <= 0 {
		return f
	}
	for i := range later {
		if served[later[i].WorkspaceID] {
			later[i].WorkspaceServed = r.First
		}
	}

	fleet := newFleet(later)
	for tick := 1; tick < r.Horizon && fleet.demand > 0; tick++ {
		fleet.take(r.FleetCap, func(account, amount int) { schedules[account].add(tick, amount) })
	}
	return f
}

// TickOf returns the tick that resumes the enrollment at a position in the
// account's line; 1 is the next one. It returns false where no tick up to the
// horizon does: too far back, not in the line, or an account that was not among
// the claimants.
func (f *Forecast) TickOf(accountID int64, position int) (time.Time, bool) {
	s, ok := f.accounts[accountID]
	if !ok {
		return time.Time{}, false
	}
	tick, ok := s.tickOf(position)
	if !ok {
		return time.Time{}, false
	}
	return f.first.Add(time.Duration(tick) * f.tick), true
}

// Drained returns the tick that resumes the last waiting enrollment of the
// account. It returns false where that is beyond the horizon, where nothing
// waits, or for an account that was not among the claimants.
func (f *Forecast) Drained(accountID int64) (time.Time, bool) {
	s, ok := f.accounts[accountID]
	if !ok {
		return time.Time{}, false
	}
	return f.TickOf(accountID, s.backlog)
}

// A Portion is what a tick gives to one account, in enrollments.
type Portion struct {
	At      time.Time
	Resumes int
}

// Next returns the first n ticks that give something to the account; fewer where
// fewer do, and none for an account that was not among the claimants.
func (f *Forecast) Next(accountID int64, n int) []Portion {
	s, ok := f.accounts[accountID]
	if !ok {
		return nil
	}
	var portions []Portion
	for _, grant := range s.next(n) {
		portions = append(portions, Portion{At: f.first.Add(time.Duration(grant.first) * f.tick), Resumes: grant.each})
	}
	return portions
}
