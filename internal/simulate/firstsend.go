package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/providersim"
)

// A wait is how long the first request after a reconnect took, counted in minutes in which every
// gate was open by the log and the scenario: a step was due, the window was open, the caps had
// something left, the gaps were over, and no incident was under way. Minutes before that, and
// between two windows, do not count.
type wait struct {
	reconnect

	took time.Duration
}

// silentAfter is how long the gates of an account may be open without a request of its person.
const silentAfter = time.Hour

// firstSends returns the waits of all reconnects after which a gate opened, and notes those without
// a request while gates were open for too long.
func (d *driver) firstSends(log []providersim.Entry, found findings) []wait {
	byMember, prospects := d.byMember(log), d.byAccount()
	var waits []wait
	for _, b := range d.backs {
		entries := byMember[d.people[b.person].member]
		until := d.lostAgain(b)
		first := slices.IndexFunc(entries, func(e providersim.Entry) bool {
			return e.Account == b.account && !e.At.Before(b.at) && e.At.Before(until)
		})
		end := until
		if first >= 0 {
			end = entries[first].At
		}
		if d.hasMoved(b.person, b.at) {
			continue
		}
		open := d.openMinutes(d.histories()[d.people[b.person].member], prospects[b.account], entries, b.at, end)
		if open >= silentAfter {
			found.note(silent, 1, fmt.Sprintf("%s of %s at %s: %s", b.kind, b.account, b.at.Format(time.DateTime), open))
		}
		if first >= 0 {
			waits = append(waits, wait{b, open})
		}
	}
	slices.SortStableFunc(waits, func(a, b wait) int { return int(a.took - b.took) })
	return waits
}

// byAccount returns the prospects of each account. A new account of a person has those of the
// first.
func (d *driver) byAccount() map[string][]prospect {
	of := map[string][]prospect{}
	for _, p := range d.prospects {
		of[p.account] = append(of[p.account], p)
	}
	for _, b := range d.backs {
		if b.kind == backAsNew {
			of[b.account] = of[d.people[b.person].accounts[0]]
		}
	}
	return of
}

// hasMoved reports whether a person has moved to another zone in the days before: then the day that
// a cap counts is not the local one.
func (d *driver) hasMoved(person int, at time.Time) bool {
	zone, ok := d.zoneAt[person]
	return ok && !at.Before(zone.at) && at.Before(zone.at.Add(3*24*time.Hour))
}

// lostAgain returns when a reconnected account was lost again. Otherwise: the end of the run.
func (d *driver) lostAgain(b reconnect) time.Time {
	for _, e := range d.events {
		if e.account == b.account && e.at.After(b.at) && slices.Contains([]eventKind{lost, lostSilently, checkpoint, restricted}, e.kind) {
			return e.at
		}
	}
	return d.end
}

// openMinutes counts the minutes from a reconnect to its end in which the account could have sent.
func (d *driver) openMinutes(h *history, prospects []prospect, entries []providersim.Entry, from, end time.Time) (open time.Duration) {
	next := 0
	for ; next < len(entries) && entries[next].At.Before(from); next++ {
		d.add(h, entries[next])
	}
	due, held := d.dueOf(h, prospects)
	for at := from; at.Before(end); at = at.Add(time.Minute) {
		for ; next < len(entries) && entries[next].At.Before(at); next++ {
			d.add(h, entries[next]) // of another account of the person
		}
		if d.isOpen(h, due, held, at) {
			open += time.Minute
		}
	}
	return open
}

// isOpen reports whether every gate of a due step is open for a connected account of a person.
func (d *driver) isOpen(h *history, due, held map[string]time.Time, at time.Time) bool {
	d.moveTo(h, at)
	if !h.window.contains(at.In(h.location)) || d.mayBeInSafety(at) || at.Sub(h.last) < 3*time.Minute {
		return false
	}
	return slices.ContainsFunc(campaignSteps, func(s campaignStep) bool {
		return !due[s.kind].IsZero() && !due[s.kind].After(at) && !held[s.kind].After(at) && d.remaining(h, s.kind, at) > 0 &&
			(s.kind != "invite" || at.Sub(h.lastOfKind[s.kind]) >= 8*time.Minute)
	})
}

// checkWaits notes the people who make no request although gates of a connected account are open,
// from the start of the run to its end, whatever the gates of Thaw say.
func (d *driver) checkWaits(log []providersim.Entry, found findings) {
	byMember, people, prospects, outages := d.byMember(log), d.histories(), d.byAccount(), d.outages()
	for _, p := range d.people {
		h, since := people[p.member], start
		for _, e := range slices.Concat(byMember[p.member], []providersim.Entry{{At: d.end}}) {
			var open time.Duration
			if e.At.Sub(since) >= silentAfter {
				open = d.openFor(h, prospects, outages, since, e.At)
			}
			if open >= silentAfter {
				found.note(waiting, 1, fmt.Sprintf("%s from %s to %s: %s", p.accounts[0], since.Format(time.DateTime), e.At.Format(time.DateTime), open))
			}
			d.add(h, e)
			since = e.At
		}
	}
}

// openFor counts the minutes between two requests of a person in which an account could have sent.
func (d *driver) openFor(h *history, prospects map[string][]prospect, outages map[string][]span, from, to time.Time) (open time.Duration) {
	due, held := map[string]map[string]time.Time{}, map[string]time.Time{}
	for _, account := range h.accounts {
		due[account], held = d.dueOf(h, prospects[account])
	}
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		if !d.hasMoved(h.number, at) && slices.ContainsFunc(h.accounts, func(account string) bool {
			return !contain(outages[account], at) && d.isOpen(h, due[account], held, at)
		}) {
			open += time.Minute
		}
	}
	return open
}

// outages returns when each account could not send, also if Thaw was not told.
func (d *driver) outages() map[string][]span {
	of := map[string][]span{}
	for _, e := range d.events {
		switch e.kind {
		case lost, lostSilently, checkpoint, restricted:
			of[e.account] = append(of[e.account], span{from: e.at})
		case back, backSilently, released:
			for i, s := range of[e.account] {
				if s.to.IsZero() {
					of[e.account][i].to = e.at
				}
			}
		case backAsNew:
			of[e.account2] = append(of[e.account2], span{to: e.at})
		default: // of a process, or of the operator
		}
	}
	return of
}

// dueOf returns when the first step of each kind is due, and until when each kind is on hold, after
// what the history of a person says.
func (d *driver) dueOf(h *history, prospects []prospect) (due, held map[string]time.Time) {
	due, held = map[string]time.Time{}, map[string]time.Time{}
	of := map[string][]providersim.Entry{}
	refusals := map[string][]time.Time{}
	for _, e := range h.all {
		of[e.To] = append(of[e.To], e)
		tomorrow := midnight(e.At.In(h.location))
		switch d.effectOf(e) {
		case limited:
			held[e.Kind] = tomorrow
			if e.Code == "cannot_resend_yet" {
				held[e.Kind] = tomorrow.AddDate(0, 0, (8-int(tomorrow.Weekday()))%7) // Monday
			}
		case refused: // three within a day hold the kind
			refusals[e.Kind] = slices.DeleteFunc(append(refusals[e.Kind], e.At), func(t time.Time) bool { return e.At.Sub(t) >= 24*time.Hour })
			if len(refusals[e.Kind]) >= 3 {
				held[e.Kind] = tomorrow
			}
		default: // does not hold the kind
		}
	}
	for _, p := range prospects {
		kind, at := d.nextStep(p, of[p.to])
		for _, u := range h.unrequested[kind] {
			if u.to == p.to && u.until.After(at) {
				at = u.until
			}
		}
		if kind != "" && (due[kind].IsZero() || at.Before(due[kind])) {
			due[kind] = at
		}
	}
	return due, held
}

func midnight(local time.Time) time.Time {
	return time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, local.Location())
}

// nextStep returns the kind of the next step of a prospect, and when it is due. Empty: there is
// none.
func (d *driver) nextStep(p prospect, entries []providersim.Entry) (kind string, due time.Time) {
	step, due := 0, p.due
	advance := func(at time.Time) {
		if step++; step < len(campaignSteps) {
			due = at.Add(campaignSteps[step].delay)
		}
	}
	for _, e := range entries {
		if at, isDone := d.doneAt(e); isDone {
			advance(at)
			continue
		}
		switch d.effectOf(e) {
		case refused:
			return "", due
		case throttled:
			due = e.At.Add(5 * time.Minute)
		case unknown:
			due = d.settled(e).at
		default: // the step stays as it is
		}
	}
	// The second enrollment may have invited the prospect.
	if step >= len(campaignSteps) || p.isShared && step > 0 {
		return "", due
	}
	return campaignSteps[step].kind, due
}
