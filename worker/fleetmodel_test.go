package worker_test

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A fleetModel implements the rules in memory, as simply as possible: one event after another,
// without failures.
type fleetModel struct {
	now                             time.Time
	accountCap, fleetCap, signalCap int
	safetySince                     time.Time      // zero if off
	optedOut                        map[int64]bool // by workspace
	accounts                        map[int64]*modelAccount
	campaigns                       map[int64]*modelCampaign
	enrollments                     map[int64]*modelEnrollment
	closedSignals                   map[int64]bool
	allocations                     map[allocationKey]*modelAllocation
	swept                           map[time.Time]bool
	usedByAccount                   map[allocationKey]int
	usedByLane                      map[laneKey]int
}

type (
	modelAccount struct {
		id, workspace         int64
		member, status        string
		statusAt, connectedAt time.Time
		pauseAfter, holdUntil time.Time // zero if none
		isLocked              bool
		lockAt                time.Time // of the newest lock or unlock; zero if none
		losses                []time.Time
		resumeAfter           time.Time // zero if not flapping
	}
	modelCampaign struct {
		id, workspace int64
		state         string // the pause reason if paused, otherwise the status
		pausedAt      time.Time
	}
	modelEnrollment struct {
		id, campaign, account int64
		state                 string // as in modelCampaign
		step                  int
		pausedAt              time.Time
	}
	modelAllocation struct {
		planned int
		closed  bool
	}
	allocationKey struct {
		tick    time.Time
		account int64
	}
	laneKey struct {
		tick time.Time
		lane string
	}
)

func waits(state string) bool { return state == disconnected || state == issue }

func (m *fleetModel) tick() time.Time { return m.now.Truncate(tick) }

// signal applies a status. A zero occurredAt means that the provider sent no time. It reports
// whether the status was applied.
func (m *fleetModel) signal(a *modelAccount, status string, occurredAt time.Time) bool {
	at := occurredAt
	if at.IsZero() {
		at = m.now
	} else if limit := m.now.Add(5 * time.Minute); at.After(limit) {
		at = limit
	}
	second := func(t time.Time) time.Time { return t.Truncate(time.Second) }
	if status == "locked" || status == "unlocked" {
		if !occurredAt.IsZero() && second(at).Before(second(a.lockAt)) {
			return false
		}
		a.isLocked, a.lockAt = status == "locked", latest(at, a.lockAt)
		return true
	}
	if !occurredAt.IsZero() && second(at).Before(second(a.statusAt)) {
		return false
	}
	isLogin := status == "reconnected"
	if isLogin {
		status = "connecting"
	}
	if a.status == "connected" && status == "connecting" && (isLogin || occurredAt.IsZero() || second(at).Equal(second(a.statusAt))) {
		return false
	}
	switch {
	case a.status == "connected" && status != "connected":
		a.losses = append([]time.Time{m.now}, a.losses...)
	case a.status != "connected" && status == "connected":
		a.resumeAfter = time.Time{}
		if len(a.losses) >= 3 && a.losses[2].After(m.now.Add(-time.Hour)) {
			a.resumeAfter = m.now.Add(10 * time.Minute)
		}
	}
	switch status {
	case "connected":
		a.pauseAfter = time.Time{}
		if a.status != "connected" {
			a.connectedAt = at
		}
	case "connecting", "error":
		if a.pauseAfter.IsZero() {
			a.pauseAfter = earliest(at, m.now).Add(2 * time.Hour)
		}
	default:
		if a.pauseAfter.IsZero() || a.pauseAfter.After(m.now) {
			a.pauseAfter = m.now
		}
	}
	a.status, a.statusAt = status, latest(at, a.statusAt)
	return true
}

func (m *fleetModel) isSafety() bool { return !m.safetySince.IsZero() }

// setSafety enters or exits safety mode. The time in safety mode does not count into the grace
// period of a transient error.
func (m *fleetModel) setSafety(on bool) {
	if on == m.isSafety() {
		return
	}
	if on {
		m.safetySince = m.now
		return
	}
	for _, a := range m.accounts {
		if !a.pauseAfter.IsZero() && (a.status == "connecting" || a.status == "error") {
			a.pauseAfter = a.pauseAfter.Add(m.now.Sub(latest(m.safetySince, a.pauseAfter.Add(-2*time.Hour))))
		}
	}
	m.safetySince = time.Time{}
}

// pause does what a pause_account job does, whatever inserted it.
func (m *fleetModel) pause(a *modelAccount) {
	transientError := a.status == "connecting" || a.status == "error"
	if a.status == "connected" || a.pauseAfter.IsZero() || a.pauseAfter.After(m.now) || transientError && m.isSafety() {
		return
	}
	reason := issue
	switch a.status {
	case "restricted":
		reason = restricted
	case "disconnected", "removed":
		reason = disconnected
	}
	for _, e := range m.enrollments {
		if c := m.campaigns[e.campaign]; e.account == a.id && e.state == "active" && c.state == "running" && !m.served(c, a) {
			c.state, c.pausedAt = reason, m.now
		}
	}
	for _, e := range m.enrollments {
		switch {
		case e.account != a.id:
		case e.state == "active":
			e.state, e.pausedAt = reason, m.now
		case a.status == "restricted" && waits(e.state):
			e.state = reason
		}
	}
	a.pauseAfter = time.Time{}
}

// served reports whether another account serves the campaign, or may serve it again when its
// transient error ends in time.
func (m *fleetModel) served(c *modelCampaign, but *modelAccount) bool {
	for _, e := range m.enrollments {
		other := m.accounts[e.account]
		if e.campaign == c.id && e.state == "active" && other != but &&
			(other.status == "connected" || other.pauseAfter.After(m.now)) {
			return true
		}
	}
	return false
}

// target returns the account through which another account's prospects resume, or nil.
func (m *fleetModel) target(source *modelAccount) (best *modelAccount) {
	if source.status == "connected" {
		return source
	}
	if source.status == "restricted" { // Only a person may resume these.
		return nil
	}
	for _, a := range m.accounts {
		if a.status != "connected" || a.workspace != source.workspace || a.member == "" || a.member != source.member {
			continue
		}
		if best == nil || a.connectedAt.After(best.connectedAt) || a.connectedAt.Equal(best.connectedAt) && a.id > best.id {
			best = a
		}
	}
	return best
}

// isGone reports whether an account connects again only after a person acts.
func (a *modelAccount) isGone() bool {
	return a.status == "disconnected" || a.status == "needs_verification" || a.status == "removed"
}

// stranded is what a sweep does before its plan: active prospects that the pause of their account
// did not cover are due to be paused, if they can resume through another account.
func (m *fleetModel) stranded() {
	for _, e := range m.enrollments {
		if a := m.accounts[e.account]; e.state == "active" && a.isGone() && a.pauseAfter.IsZero() && m.target(a) != nil {
			a.pauseAfter = m.now
		}
	}
}

// movable returns the pending prospects that move to an account.
func (m *fleetModel) movable(a *modelAccount, evenIfOff bool) (movable []*modelEnrollment) {
	if m.blocked(a, evenIfOff) {
		return nil
	}
	for _, e := range m.enrollments {
		if from := m.accounts[e.account]; e.state == "pending" && from.isGone() && m.target(from) == a {
			movable = append(movable, e)
		}
	}
	return movable
}

// move moves the pending prospects and starts their campaigns.
func (m *fleetModel) move(a *modelAccount, evenIfOff bool) {
	for _, e := range m.movable(a, evenIfOff) {
		m.start(e)
		e.account = a.id
	}
}

func (m *fleetModel) blocked(a *modelAccount, evenIfOff bool) bool {
	return a.status != "connected" || a.isLocked || a.holdUntil.After(m.now) || a.resumeAfter.After(m.now) || m.isSafety() || m.optedOut[a.workspace] && !evenIfOff
}

// line returns the prospects that may resume through an account, in their order.
func (m *fleetModel) line(a *modelAccount, evenIfOff bool) (line []*modelEnrollment) {
	if m.blocked(a, evenIfOff) {
		return nil
	}
	for _, e := range m.enrollments {
		c := m.campaigns[e.campaign]
		if waits(e.state) && (c.state == "running" || waits(c.state)) && m.target(m.accounts[e.account]) == a {
			line = append(line, e)
		}
	}
	slices.SortFunc(line, func(x, y *modelEnrollment) int {
		return cmp.Or(x.pausedAt.Compare(y.pausedAt), cmp.Compare(x.id, y.id))
	})
	return line
}

// resume resumes at most n prospects of an account's line, and starts the campaigns of the whole
// line.
func (m *fleetModel) resume(a *modelAccount, n int, evenIfOff bool) (resumed int) {
	line := m.line(a, evenIfOff)
	for _, e := range line {
		m.start(e)
	}
	for _, e := range line[:min(max(n, 0), len(line))] {
		e.state, e.account, e.pausedAt = "active", a.id, time.Time{}
		resumed++
	}
	return resumed
}

func (m *fleetModel) start(e *modelEnrollment) {
	if c := m.campaigns[e.campaign]; waits(c.state) {
		c.state, c.pausedAt = "running", time.Time{}
	}
}

// pass is the resume pass of a lane, within its quota, the account's cap and the fleet's cap.
func (m *fleetModel) pass(lane string, a *modelAccount, quota int) {
	if m.blocked(a, false) {
		return
	}
	for _, e := range m.enrollments {
		if e.account == a.id && (e.state == "active" || e.state == "pending") {
			m.start(e)
		}
	}
	m.move(a, false)
	laneCap := m.fleetCap
	if lane == "signal" {
		laneCap = m.signalCap
	}
	ofAccount, ofLane := allocationKey{m.tick(), a.id}, laneKey{m.tick(), lane}
	resumed := m.resume(a, min(quota, m.accountCap-m.usedByAccount[ofAccount], laneCap-m.usedByLane[ofLane]), false)
	m.usedByAccount[ofAccount] += resumed
	m.usedByLane[ofLane] += resumed
}

func (m *fleetModel) passOfSignal(id int64, a *modelAccount) {
	if !m.closedSignals[id] {
		m.closedSignals[id] = true
		m.pass("signal", a, m.accountCap)
	}
}

func (m *fleetModel) passOfAllocation(tick time.Time, a *modelAccount) {
	g := m.allocations[allocationKey{tick, a.id}]
	if g == nil || g.closed {
		return
	}
	g.closed = true
	if tick.Equal(m.tick()) {
		m.pass("sweep", a, g.planned)
	}
}

// demand is the maximum that a tick may resume: the sum of what each account could resume, within
// its cap and the fleet's.
func (m *fleetModel) demand() (total int) {
	for _, a := range m.accounts {
		total += min(len(m.line(a, false)), max(m.accountCap-m.usedByAccount[allocationKey{m.tick(), a.id}], 0))
	}
	return min(total, m.fleetCap)
}

// heal resumes the prospects of a workspace within the heal's cap, which is shared among the
// accounts that they are on. In each account those paused longest come first. Then it moves pending
// prospects. In safety mode the heal stops.
func (m *fleetModel) heal(workspace int64, cap int, evenIfOff bool) {
	waiting := map[int64][]*modelEnrollment{} // by the account that they are on
	for _, a := range m.accounts {
		if a.workspace == workspace {
			for _, e := range m.line(a, evenIfOff) {
				waiting[e.account] = append(waiting[e.account], e)
			}
		}
	}
	for _, of := range waiting {
		slices.SortFunc(of, func(x, y *modelEnrollment) int {
			return cmp.Or(x.pausedAt.Compare(y.pausedAt), cmp.Compare(x.id, y.id))
		})
	}
	// One prospect of each account at a time, until the cap is spent.
	for accounts := slices.Sorted(maps.Keys(waiting)); cap > 0 && len(accounts) > 0; {
		accounts = slices.DeleteFunc(accounts, func(account int64) bool {
			if of := waiting[account]; cap > 0 && len(of) > 0 {
				e := of[0]
				waiting[account], cap = of[1:], cap-1
				m.start(e)
				e.state, e.account, e.pausedAt = "active", m.target(m.accounts[e.account]).id, time.Time{}
			}
			return len(waiting[account]) == 0
		})
	}
	for _, a := range m.accounts {
		if a.workspace == workspace {
			m.move(a, evenIfOff)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
