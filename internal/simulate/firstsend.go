package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/providersim"
)

// A wait is how long the first request after a reconnect took, counted in minutes in which every
// gate was open by the log and the scenario: a step was due, the window was open, the caps had
// something left, the gaps were over, and safety mode was off. Minutes before that, and between two
// windows, do not count.
type wait struct {
	reconnect

	took time.Duration
}

// silentAfter is how long the gates of a reconnected account may be open without a request.
const silentAfter = time.Hour

// firstSends returns the waits of all reconnects after which a gate opened, and notes those without
// a request.
func (d *driver) firstSends(log []providersim.Entry, found findings) []wait {
	byMember := d.byMember(log)
	of := map[string][]prospect{} // by account
	for _, p := range d.prospects {
		of[p.account] = append(of[p.account], p)
	}
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
		// In the days after a move to another zone, the day that a cap counts is not the local one.
		if zone, ok := d.zoneAt[b.person]; ok && !b.at.Before(zone.at) && b.at.Before(zone.at.Add(3*24*time.Hour)) {
			continue
		}
		prospects := of[b.account]
		if b.kind == backAsNew {
			prospects = of[d.people[b.person].accounts[0]]
		}
		open, isSilent := d.openMinutes(d.histories()[d.people[b.person].member], prospects, entries, b.at, end)
		switch {
		case first >= 0:
			waits = append(waits, wait{b, open})
		case isSilent:
			found.note(silent, 1, fmt.Sprintf("%s of %s at %s", b.kind, b.account, b.at.Format(time.DateTime)))
		}
	}
	slices.SortStableFunc(waits, func(a, b wait) int { return int(a.took - b.took) })
	return waits
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
func (d *driver) openMinutes(h *history, prospects []prospect, entries []providersim.Entry, from, end time.Time) (open time.Duration, isSilent bool) {
	next := 0
	for ; next < len(entries) && entries[next].At.Before(from); next++ {
		d.add(h, entries[next])
	}
	due, held := d.dueOf(h, prospects)
	for at := from; at.Before(end); at = at.Add(time.Minute) {
		for ; next < len(entries) && entries[next].At.Before(at); next++ {
			d.add(h, entries[next]) // of another account of the person
		}
		d.moveTo(h, at)
		if !h.window.contains(at.In(h.location)) || d.isInSafety(at) || at.Sub(h.last) < 3*time.Minute {
			continue
		}
		if slices.ContainsFunc(campaignSteps, func(s campaignStep) bool {
			return !due[s.kind].IsZero() && !due[s.kind].After(at) && !held[s.kind].After(at) && d.remaining(h, s.kind, at) > 0 &&
				(s.kind != "invite" || at.Sub(h.lastOfKind[s.kind]) >= 8*time.Minute)
		}) {
			open += time.Minute
		}
	}
	return open, open >= silentAfter
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
		if kind, at := d.nextStep(p, of[p.to]); kind != "" && (due[kind].IsZero() || at.Before(due[kind])) {
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
		switch d.effectOf(e) {
		case sent, already:
			advance(e.At)
		case refused:
			return "", due
		case throttled:
			due = e.At.Add(5 * time.Minute)
		case unknown:
			if v := d.settled(e); v.isSent {
				advance(v.at)
			} else {
				due = v.at
			}
		default: // the step stays as it is
		}
	}
	// The second enrollment may have invited the prospect.
	if step >= len(campaignSteps) || p.isShared && step > 0 {
		return "", due
	}
	return campaignSteps[step].kind, due
}
