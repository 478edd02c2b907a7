package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/providersim"
)

// A limit is how many actions of a kind a person may use: per local day, and per 168 hours.
type limit struct{ perDay, perWeek int }

const noCap = 1 << 30

// ramp has the caps of the weeks 1 to 5, full those of the later ones, by tier.
var (
	ramp = map[string][5]limit{
		"invite":  {{5, 25}, {10, 45}, {15, 65}, {20, 80}, {25, 90}},
		"message": {{10, noCap}, {20, noCap}, {30, noCap}, {40, noCap}, {50, noCap}},
		"view":    {{20, noCap}, {35, noCap}, {50, noCap}, {60, noCap}, {70, noCap}},
		"inmail":  {{2, noCap}, {5, noCap}, {8, noCap}, {12, noCap}, {16, noCap}},
		"email":   {{10, noCap}, {20, noCap}, {30, noCap}, {40, noCap}, {45, noCap}},
	}
	full = map[string]map[string]limit{
		"free":            {"invite": {30, 100}, "message": {60, noCap}, "view": {80, noCap}, "inmail": {0, noCap}, "email": {50, noCap}},
		"premium":         {"invite": {30, 150}, "message": {70, noCap}, "view": {80, noCap}, "inmail": {10, noCap}, "email": {50, noCap}},
		"sales_navigator": {"invite": {30, 180}, "message": {80, noCap}, "view": {80, noCap}, "inmail": {30, noCap}, "email": {50, noCap}},
		"recruiter":       {"invite": {30, 180}, "message": {80, noCap}, "view": {80, noCap}, "inmail": {30, noCap}, "email": {50, noCap}},
	}
)

const week = 7 * 24 * time.Hour

// rampWeek returns the ramp week, 1 to 6, at a time.
func rampWeek(started, at time.Time) int {
	if started.IsZero() || at.Before(started) {
		return 1
	}
	return min(int(at.Sub(started)/week)+1, 6)
}

// limitAt returns the caps of a person in a ramp week.
func limitAt(tier, kind string, week int) limit {
	most := full[tier][kind]
	if week < 6 {
		step := ramp[kind][week-1]
		return limit{min(step.perDay, most.perDay), min(step.perWeek, most.perWeek)}
	}
	return most
}

// An effect is what a correct sender reports about a request, by the fault of the answer.
type effect string

const (
	sent      effect = "sent"
	already   effect = "already"
	refused   effect = "refused"
	limited   effect = "limited"
	throttled effect = "throttled"
	unknown   effect = "unknown"
	dropped   effect = "account lost"
)

var effects = map[string]effect{
	"reset": unknown, "provider_error": unknown, "gateway_timeout": unknown, "unavailable": unknown,
	"too_many_requests": throttled, "limit_exceeded": limited, "limit_as_429": limited, "limit_as_500": limited,
	"invalid_recipient": refused, "user_unreachable": refused, "already_invited_recently": already, "already_connected": already,
	"cannot_resend_yet": limited, "insufficient_credits": limited, "credits_as_402": limited, "checkpoint": dropped,
}

func (d *driver) effectOf(e providersim.Entry) effect {
	switch {
	case d.unreported[e.N] || e.Fault == "no_id" && e.Kind != "view":
		return unknown
	case e.AccountStatus != providersim.StatusOK:
		return dropped
	case e.Fault != "" && e.Fault != "no_id":
		return effects[e.Fault]
	case e.Code == "already_invited_recently":
		return already
	case e.Code == "cannot_resend_yet":
		return limited
	}
	return sent
}

// A finding is something that must not happen.
type finding string

const (
	repeated     finding = "steps requested again although they were done, refused or unknown"
	outOfOrder   finding = "steps requested before the step before them, or before their delay"
	invitedAgain finding = "second invites of a person to a prospect"
	overDay      finding = "daily caps exceeded"
	overWeek     finding = "caps of 168 hours exceeded"
	outside      finding = "requests outside of the window"
	notConnected finding = "requests through an account that Thaw was told is not connected"
	inSafety     finding = "requests in safety mode"
	noSafety     finding = "incidents without safety mode"
	tooClose     finding = "requests closer than the gap"
	busierHour   finding = "first hours after a reconnect busier than those without one"
	silent       finding = "reconnects without a request, although gates were open for an hour"
	waiting      finding = "people without a request, although gates were open for an hour"
	stuck        finding = "prospects that wait without a reason"
	gone         finding = "prospects lost: not where their requests have brought them"
	notRequested finding = "unknown actions without a request that was under way"
	notKnown     finding = "deliveries that the database does not know"
	wrongDay     finding = "forecasts with another day than the request"
)

// allFindings are in the order of the report. wrongDay follows if days were asked for.
var allFindings = []finding{
	repeated, outOfOrder, invitedAgain, overDay, overWeek, outside, notConnected, inSafety, noSafety, tooClose, busierHour, silent, waiting, stuck,
	gone, notRequested, notKnown,
}

// findings counts them, with the first example of each.
type findings map[finding]Count

func (f findings) note(what finding, n int, example string) {
	c := f[what]
	if c.N += n; c.Example == "" {
		c.Example = example
	}
	f[what] = c
}

func describe(e providersim.Entry) string {
	return fmt.Sprintf("%s: %s of %s to %s", e.At.Format(time.DateTime), e.Kind, e.Account, e.To)
}

// A history is what the log says about a person, while the checker reads it.
type history struct {
	*person
	number     int
	location   *time.Location // now
	started    time.Time      // of the ramp
	restricted time.Time      // a restriction that the ramp has not seen yet
	all        []providersim.Entry
	last       time.Time
	lastOfKind map[string]time.Time
	// used has the requests that count, by kind: the deliveries, what was sent by the answer and,
	// until they are settled, the unknown ones.
	used map[string][]use
	// unrequested has the actions, by kind, whose sender died before the request. Thaw cannot know
	// that: they count until they are settled.
	unrequested map[string][]use
}

// A use counts toward caps from a time on: a delivery for a week, another one until then.
type use struct {
	at, until time.Time
	delivered bool
	to        string // of an unrequested one
}

// histories returns a history without requests for each person, by member.
func (d *driver) histories() map[string]*history {
	all := map[string]*history{}
	for i := range d.people {
		p := &d.people[i]
		all[p.member] = &history{
			person: p, number: i, location: zoneOf[p.zone], started: p.rampStarted, restricted: d.restrictions[i],
			lastOfKind: map[string]time.Time{}, used: map[string][]use{}, unrequested: d.unrequested[p.member],
		}
	}
	return all
}

// zoneOf are the zones, by name.
var zoneOf = func() map[string]*time.Location {
	all := map[string]*time.Location{}
	for _, zone := range zones {
		all[zone], _ = time.LoadLocation(zone) // the database knows them too
	}
	return all
}()

// moveTo moves the person to the zone of a time.
func (d *driver) moveTo(h *history, at time.Time) {
	if change, ok := d.zoneAt[h.number]; ok && !at.Before(change.at) {
		h.location = zoneOf[change.zone]
	}
}

// add adds a request.
func (d *driver) add(h *history, e providersim.Entry) {
	d.moveTo(h, e.At)
	h.all = append(h.all, e)
	h.last, h.lastOfKind[e.Kind] = e.At, e.At
	h.setBack(e)
	switch effect := d.effectOf(e); {
	case e.Delivered, effect == sent: // a view may be sent by its answer, and not delivered
		h.used[e.Kind] = append(h.used[e.Kind], use{at: e.At, until: e.At.Add(week), delivered: e.Delivered})
		if h.started.IsZero() {
			h.started = e.At
		}
	case effect == unknown:
		h.used[e.Kind] = append(h.used[e.Kind], use{at: e.At, until: d.settled(e).at})
	}
}

// setBack starts the ramp again at half of the week of a restriction, with the first action after
// it that was started: whatever came of it, and also if its sender died before the request.
func (h *history) setBack(e providersim.Entry) {
	if h.restricted.IsZero() || e.At.Before(h.restricted) || h.started.IsZero() {
		return
	}
	first := e.At
	for _, uses := range h.unrequested {
		for _, u := range uses {
			if !u.at.Before(h.restricted) && u.at.Before(first) {
				first = u.at
			}
		}
	}
	h.started = first.Add(-time.Duration(max(rampWeek(h.started, h.restricted)/2, 1)-1) * week)
	h.restricted = time.Time{}
}

// settled returns when and how an unknown request was settled. Not in the run: at its end.
func (d *driver) settled(e providersim.Entry) verdict {
	for _, v := range d.verifiedAt[deed{e.Kind, e.To}] {
		if v.at.After(e.At) {
			return v
		}
	}
	return verdict{at: d.end}
}

// caps returns the limits of a person for a kind at a time.
func (d *driver) caps(h *history, kind string, at time.Time) limit {
	most := limitAt(h.tier, kind, rampWeek(h.started, at))
	if kind == "invite" && h.workspace == cappedWorkspace && !d.capAt.IsZero() && !at.Before(d.capAt) {
		most.perDay = min(most.perDay, loweredCap)
	}
	return most
}

// usedAt returns how much of the caps of a kind is used at a time: of the local day, and of 168
// hours. Only deliveries count for what Thaw must keep. For what it may do, unknown ones do too.
func (h *history) usedAt(kind string, at time.Time, onlyDelivered bool) (today, inWeek int) {
	all := h.used[kind]
	first, _ := slices.BinarySearchFunc(all, at.Add(-week), func(u use, t time.Time) int { return u.at.Compare(t) })
	year, month, day := at.In(h.location).Date()
	for _, u := range slices.Concat(all[first:], h.unrequested[kind]) {
		if u.at.After(at) || !u.delivered && (onlyDelivered || !u.until.After(at)) || at.Sub(u.at) >= week {
			continue
		}
		inWeek++
		if y, m, d := u.at.In(h.location).Date(); y == year && m == month && d == day {
			today++
		}
	}
	return today, inWeek
}

// remaining returns how many actions of a kind the caps still allow at a time.
func (d *driver) remaining(h *history, kind string, at time.Time) int {
	most := d.caps(h, kind, at)
	today, inWeek := h.usedAt(kind, at, false)
	return max(min(most.perDay-today, most.perWeek-inWeek), 0)
}

// sortedLog returns the requests in an order that does not depend on which of them came first
// within a simulated minute.
func (d *driver) sortedLog() []providersim.Entry {
	log := d.provider.Log(0)
	slices.SortStableFunc(log, func(a, b providersim.Entry) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Account, b.Account), cmp.Compare(a.N, b.N))
	})
	return log
}

// check reads the log and counts what must not happen.
func (d *driver) check(log []providersim.Entry, found findings) {
	people, enrollments := d.histories(), d.enrollments()
	told := d.told(log)
	d.checkSafety(told, found)
	requested := map[deed][]providersim.Entry{}
	done := map[deed]time.Time{} // for the first time, by prospect instead of recipient
	for _, e := range log {
		h := people[d.provider.memberOf(e.Account)]
		last, ofKind := h.last, h.lastOfKind[e.Kind]
		d.moveTo(h, e.At)
		local := e.At.In(h.location)
		if !h.window.contains(local) {
			found.note(outside, 1, describe(e)+" at "+local.Format("Mon 15:04"))
		}
		if contain(told[e.Account], e.At) {
			found.note(notConnected, 1, describe(e))
		}
		if d.isInSafety(e.At) {
			found.note(inSafety, 1, describe(e))
		}
		if !last.IsZero() && e.At.Sub(last) < time.Minute || e.Kind == "invite" && !ofKind.IsZero() && e.At.Sub(ofKind) < 3*time.Minute {
			found.note(tooClose, 1, describe(e)+" after "+e.At.Sub(last).String())
		}
		prospect := prospectOf(e.To)
		// Two enrollments may invite a prospect: see checkInvites.
		if step := (deed{e.Kind, e.To}); e.Kind != "invite" || len(enrollments[prospect]) < 2 {
			if slices.ContainsFunc(requested[step], func(earlier providersim.Entry) bool {
				return d.effectOf(earlier) == refused || d.blocks(earlier, e.At)
			}) {
				found.note(repeated, 1, describe(e))
			}
			requested[step] = append(requested[step], e)
		}
		if !slices.ContainsFunc(enrollments[prospect], func(n enrollment) bool { return n.isDue(e, done) }) {
			found.note(outOfOrder, 1, describe(e))
		}
		if at, isDone := d.doneAt(e); isDone && done[deed{e.Kind, prospect}].IsZero() {
			done[deed{e.Kind, prospect}] = at
		}
		d.add(h, e)
		if !e.Delivered {
			continue
		}
		most := d.caps(h, e.Kind, e.At)
		today, inWeek := h.usedAt(e.Kind, e.At, true)
		if today > most.perDay {
			found.note(overDay, 1, fmt.Sprintf("%s: %d of %d", describe(e), today, most.perDay))
		}
		if inWeek > most.perWeek {
			found.note(overWeek, 1, fmt.Sprintf("%s: %d of %d", describe(e), inWeek, most.perWeek))
		}
	}
	d.repeatedInvites = d.checkInvites(log, found)
	d.checkHours(log, found)
}

// An enrollment is a prospect in a campaign.
type enrollment struct {
	key
	steps []campaignStep
	due   time.Time // the first step
}

// enrollments returns the enrollments of each prospect.
func (d *driver) enrollments() map[string][]enrollment {
	of := map[string][]enrollment{}
	for _, p := range d.prospects {
		of[prospectOf(p.to)] = append(of[prospectOf(p.to)], enrollment{key{urlPrefix + p.to, "campaign"}, campaignSteps, p.due})
	}
	for _, again := range d.seconds {
		prospect := prospectOf(slugOf(again.url))
		of[prospect] = append(of[prospect], enrollment{key{again.url, again.campaign}, secondSteps[again.campaign], again.due})
	}
	return of
}

// isDue reports whether a request may be a step of the enrollment: the step before it was done, and
// its delay has passed since.
func (n enrollment) isDue(e providersim.Entry, done map[deed]time.Time) bool {
	step := slices.IndexFunc(n.steps, func(s campaignStep) bool { return s.kind == e.Kind })
	if step <= 0 {
		return step == 0 && !e.At.Before(n.due)
	}
	at, isDone := done[deed{n.steps[step-1].kind, prospectOf(e.To)}]
	return isDone && !e.At.Before(at.Add(n.steps[step].delay))
}

// doneAt returns when a request did its step: the next one is due after its delay from then.
func (d *driver) doneAt(e providersim.Entry) (at time.Time, isDone bool) {
	switch d.effectOf(e) {
	case sent, already:
		return e.At, true
	case unknown:
		v := d.settled(e)
		return v.at, v.isSent
	default:
		return at, false
	}
}

// blocksFor is how long a withdrawn invite blocks another one of the person.
const blocksFor = 21 * 24 * time.Hour

// checkInvites counts the invites of a person to a prospect of whom the provider has one, whatever
// it answered. An invite blocks others if it was delivered, until three weeks after its withdrawal;
// while it is unknown; and if the provider says that there is one, or that they are connected.
// Accounts of one member are one person, and recipients that differ in case are one prospect.
func (d *driver) checkInvites(log []providersim.Entry, found findings) (afterWithdrawal int) {
	type pair struct{ member, prospect string }
	before := map[pair][]providersim.Entry{}
	for _, e := range log {
		if e.Kind != "invite" {
			continue
		}
		of := pair{d.provider.memberOf(e.Account), prospectOf(e.To)}
		for _, earlier := range before[of] {
			isWithdrawn := earlier.WithdrawnAt != nil && e.At.Sub(*earlier.WithdrawnAt) >= blocksFor
			if isWithdrawn {
				afterWithdrawal++
			} else if d.blocks(earlier, e.At) {
				found.note(invitedAgain, 1, fmt.Sprintf("%s, after that of %s to %s at %s", describe(e), earlier.Account, earlier.To, earlier.At.Format(time.DateTime)))
				break
			}
		}
		before[of] = append(before[of], e)
	}
	return afterWithdrawal
}

// blocks reports whether a request blocks another one of its step at a time, and an invite that was
// not withdrawn another one of the person.
func (d *driver) blocks(e providersim.Entry, at time.Time) bool {
	switch effect := d.effectOf(e); {
	case e.Delivered, effect == sent, effect == already:
		return true
	case effect == unknown:
		return d.settled(e).at.After(at)
	}
	return false
}

// byMember returns the requests of each person, in order.
func (d *driver) byMember(log []providersim.Entry) map[string][]providersim.Entry {
	of := map[string][]providersim.Entry{}
	for _, e := range log {
		member := d.provider.memberOf(e.Account)
		of[member] = append(of[member], e)
	}
	return of
}

// longestGap is the longest gap between two actions of a person who has something to send.
const longestGap = 3 * time.Minute

// An hour is what a person requested within one.
type hour struct {
	n     int
	kinds string
	// isFull is whether no two requests, and no end of the hour, are more than the longest gap apart:
	// nothing but the gaps limits how many there are.
	isFull bool
}

// hourFrom returns the requests of a person from a time on. Gaps are counted in full minutes.
func hourFrom(all []providersim.Entry, from time.Time) hour {
	h := hour{isFull: true}
	last := from
	kinds := map[string]bool{}
	for _, e := range all {
		if e.At.Before(from) {
			continue
		} else if !e.At.Before(from.Add(time.Hour)) {
			break
		}
		h.n++
		kinds[e.Kind] = true
		h.isFull = h.isFull && e.At.Sub(last) <= longestGap
		last = e.At
	}
	h.isFull = h.isFull && from.Add(time.Hour).Sub(last) <= longestGap
	h.kinds = strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	return h
}

// A spread is how the numbers of requests in full hours are distributed.
type spread struct{ n, sum, squares float64 }

func (s *spread) add(n int) {
	s.n++
	s.sum += float64(n)
	s.squares += float64(n) * float64(n)
}

// least is how many hours a spread needs.
const least = 5

// most returns the number that an hour of this kind does not exceed but by chance: five standard
// deviations above the mean, at least five requests.
func (s spread) most() float64 {
	mean := s.sum / s.n
	return mean + 5*max(math.Sqrt(max(s.squares/s.n-mean*mean, 0)), 1)
}

// checkHours compares the first hour after each reconnect with full hours of the same person that
// no reconnect is near. If there are fewer than five, those of all persons with the same kinds of
// actions count, and if these are too few, those of all persons.
func (d *driver) checkHours(log []providersim.Entry, found findings) {
	byMember := d.byMember(log)
	reconnects := map[int][]time.Time{}
	for _, b := range d.backs {
		reconnects[b.person] = append(reconnects[b.person], b.at)
	}
	own, byKinds, all := map[int]*spread{}, map[string]*spread{}, &spread{}
	for i, p := range d.people {
		own[i] = &spread{}
		var last time.Time
		entries := byMember[p.member]
		for first, e := range entries {
			// Hours that do not overlap. The first one begins with a request.
			if !last.IsZero() && e.At.Sub(last) < time.Hour {
				continue
			}
			if slices.ContainsFunc(reconnects[i], func(at time.Time) bool { return e.At.After(at.Add(-time.Hour)) && e.At.Before(at.Add(2*time.Hour)) }) {
				continue
			}
			last = e.At
			h := hourFrom(entries[first:], e.At)
			if !h.isFull {
				continue
			}
			if byKinds[h.kinds] == nil {
				byKinds[h.kinds] = &spread{}
			}
			for _, s := range []*spread{own[i], byKinds[h.kinds], all} {
				s.add(h.n)
			}
		}
	}
	for _, b := range d.backs {
		h := hourFrom(byMember[d.people[b.person].member], b.at)
		usual := own[b.person]
		if usual.n < least && byKinds[h.kinds] != nil {
			usual = byKinds[h.kinds]
		}
		if usual.n < least {
			usual = all
		}
		if usual.n >= least && float64(h.n) > usual.most() {
			found.note(busierHour, 1, fmt.Sprintf("%s of %s: %d requests (%s), an hour without a reconnect has %.1f on average, and %.1f at most",
				b.at.Format(time.DateTime), b.account, h.n, h.kinds, usual.sum/usual.n, usual.most()))
		}
	}
}
