package simulate

import (
	"fmt"
	"slices"
	"time"
)

// A cap is what one kind of action of a person may be used for.
type limit struct{ perDay, perWeek int }

const noCap = 1 << 30

// ramp has the caps of the weeks 1 to 5, full those of the later ones, by tier.
var (
	ramp = map[string][5]limit{
		"invite":  {{5, 25}, {10, 45}, {15, 65}, {20, 80}, {25, 90}},
		"message": {{10, noCap}, {20, noCap}, {30, noCap}, {40, noCap}, {50, noCap}},
		"view":    {{20, noCap}, {35, noCap}, {50, noCap}, {60, noCap}, {70, noCap}},
	}
	full = map[string]map[string]limit{
		"free":            {"invite": {30, 100}, "message": {60, noCap}, "view": {80, noCap}},
		"premium":         {"invite": {30, 150}, "message": {70, noCap}, "view": {80, noCap}},
		"sales_navigator": {"invite": {30, 180}, "message": {80, noCap}, "view": {80, noCap}},
		"recruiter":       {"invite": {30, 180}, "message": {80, noCap}, "view": {80, noCap}},
	}
)

const week = 7 * 24 * time.Hour

// rampWeek returns the ramp week, 1 to 6, at a time.
func rampWeek(started, at time.Time) int {
	if started.IsZero() {
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

// findings are what must be zero, with the first example of each.
type findings struct {
	duplicates, dailyCap, weeklyCap, outside, notConnected, inSafety, busierHours, busyGaps int
	examples                                                                                map[string]string
}

func (f *findings) note(count *int, name string, r request, detail string) {
	*count++
	if f.examples == nil {
		f.examples = map[string]string{}
	}
	if f.examples[name] == "" {
		f.examples[name] = fmt.Sprintf("%s: %s of %s to %s %s", r.At.Format(time.DateTime), r.Kind, r.Account, r.Prospect, detail)
	}
}

// A history is what the checker knows of a person while it reads the log.
type history struct {
	started    time.Time // of the ramp
	restricted time.Time // a restriction that the ramp has not seen yet
	delivered  map[string][]time.Time
	last       time.Time
	lastOfKind map[string]time.Time
}

// check reads the provider's log and counts what must not happen.
func (d *driver) check() findings {
	var f findings
	people := map[string]int{}
	all := make([]history, len(d.people))
	for i, p := range d.people {
		people[p.member] = i
		all[i] = history{started: p.rampStarted, restricted: d.restrictions[i], delivered: map[string][]time.Time{}, lastOfKind: map[string]time.Time{}}
	}
	locations := map[string]*time.Location{}
	for _, zone := range zones {
		locations[zone], _ = time.LoadLocation(zone) // the database knows them
	}
	done := map[string]bool{}
	for _, r := range d.provider.log {
		i := people[r.Member]
		p, h := d.people[i], &all[i]
		zone := p.zone
		if change, ok := d.zoneAt[i]; ok && !r.At.Before(change.at) {
			zone = change.zone
		}
		local := r.At.In(locations[zone])
		if !p.window.contains(local) {
			f.note(&f.outside, "outside", r, "at "+local.Format("Mon 15:04"))
		}
		if slices.ContainsFunc(d.down[r.Account], func(s span) bool { return s.contains(r.At) }) {
			f.note(&f.notConnected, "not connected", r, "")
		}
		if slices.ContainsFunc(d.safety, func(s span) bool { return s.contains(r.At) }) {
			f.note(&f.inSafety, "safety mode", r, "")
		}
		if !h.last.IsZero() && r.At.Sub(h.last) < time.Minute || r.Kind == "invite" && !h.lastOfKind[r.Kind].IsZero() && r.At.Sub(h.lastOfKind[r.Kind]) < 3*time.Minute {
			f.note(&f.busyGaps, "gap", r, "after "+r.At.Sub(h.last).String())
		}
		h.last, h.lastOfKind[r.Kind] = r.At, r.At
		key := fmt.Sprint(r.Kind, " ", r.Step, " ", r.Prospect, " ", r.Campaign)
		if done[key] {
			f.note(&f.duplicates, "duplicate", r, "")
		}
		if !r.Delivered {
			continue
		}
		done[key] = true
		if !h.restricted.IsZero() && !r.At.Before(h.restricted) && !h.started.IsZero() {
			h.started = r.At.Add(-time.Duration(max(rampWeek(h.started, r.At)/2, 1)-1) * week)
			h.restricted = time.Time{}
		}
		caps := limitAt(p.tier, r.Kind, rampWeek(h.started, r.At))
		if r.Kind == "invite" && p.workspace == cappedWorkspace && !d.capAt.IsZero() && !r.At.Before(d.capAt) {
			caps.perDay = min(caps.perDay, loweredCap)
		}
		today, inWeek := 1, 1
		for _, before := range h.delivered[r.Kind] {
			if r.At.Sub(before) < week {
				inWeek++
			}
			if y, m, day := before.In(locations[zone]).Date(); y == local.Year() && m == local.Month() && day == local.Day() {
				today++
			}
		}
		if today > caps.perDay {
			f.note(&f.dailyCap, "daily cap", r, fmt.Sprintf("%d of %d", today, caps.perDay))
		}
		if inWeek > caps.perWeek {
			f.note(&f.weeklyCap, "weekly cap", r, fmt.Sprintf("%d of %d", inWeek, caps.perWeek))
		}
		h.delivered[r.Kind] = append(h.delivered[r.Kind], r.At)
		if h.started.IsZero() {
			h.started = r.At
		}
	}
	d.checkHours(&f)
	return f
}

// hoursAfter is the time after a reconnect that is compared with other hours.
const hoursAfter = time.Hour

// checkHours compares the first hour after each reconnect with the busiest other hour of the fleet.
func (d *driver) checkHours(f *findings) {
	byMember := map[string][]time.Time{}
	for _, r := range d.provider.log {
		byMember[r.Member] = append(byMember[r.Member], r.At)
	}
	isAfter := func(person int, at time.Time) bool {
		return slices.ContainsFunc(d.backs, func(b reconnect) bool {
			return b.person == person && !at.Before(b.at) && at.Before(b.at.Add(2*hoursAfter))
		})
	}
	busiest := 0
	for i, p := range d.people {
		times := byMember[p.member]
		for first, next := 0, 0; first < len(times); first++ {
			for next < len(times) && times[next].Sub(times[first]) < hoursAfter {
				next++
			}
			if !isAfter(i, times[first]) {
				busiest = max(busiest, next-first)
			}
		}
	}
	for _, b := range d.backs {
		n := 0
		for _, at := range byMember[d.people[b.person].member] {
			if !at.Before(b.at) && at.Before(b.at.Add(hoursAfter)) {
				n++
			}
		}
		if n > busiest {
			f.note(&f.busierHours, "busier hour", request{At: b.at, Member: d.people[b.person].member}, fmt.Sprintf("%d actions, the busiest other hour has %d", n, busiest))
		}
	}
}

// firstSends returns, for each reconnect with something to send, how long the first request took:
// from the reconnect, or from the opening of the window if it was closed then.
func (d *driver) firstSends() []time.Duration {
	byMember := map[string][]time.Time{}
	for _, r := range d.provider.log {
		byMember[r.Member] = append(byMember[r.Member], r.At)
	}
	var waits []time.Duration
	for _, b := range d.backs {
		p := d.people[b.person]
		zone := p.zone
		if change, ok := d.zoneAt[b.person]; ok && !b.at.Before(change.at) {
			zone = change.zone
		}
		location, err := time.LoadLocation(zone)
		if err != nil {
			continue
		}
		open := b.at
		for !p.window.contains(open.In(location)) {
			open = open.Add(time.Minute)
		}
		// Safety mode holds everything: the wait begins with its end.
		for _, s := range d.safety {
			if s.contains(open) {
				open = s.to
			}
		}
		times := byMember[p.member]
		i, _ := slices.BinarySearchFunc(times, b.at, time.Time.Compare)
		if i < len(times) && times[i].Sub(open) < 6*time.Hour {
			waits = append(waits, max(times[i].Sub(open), 0))
		}
	}
	slices.Sort(waits)
	return waits
}
