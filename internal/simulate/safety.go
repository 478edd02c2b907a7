package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/providersim"
)

// Safety mode has to be on from the loss of 10 accounts, and of 20% of those that were connected,
// within 10 minutes until 30 minutes have passed without that. These are the defaults of the
// settings. Slow losses, over 6 hours, start it too, in small fleets: of these it is not derived.
const (
	incidentAccounts = 10
	incidentPercent  = 20
	incidentWindow   = 10 * time.Minute
	incidentCalm     = 30 * time.Minute
)

// told returns when Thaw knew that each account is not connected: by a signal, or by the answer to
// a request.
func (d *driver) told(log []providersim.Entry) map[string][]span {
	told := map[string][]span{}
	for account, spans := range d.down {
		told[account] = slices.Clone(spans)
	}
	for _, e := range log {
		if e.AccountStatus == providersim.StatusOK || d.unreported[e.N] {
			continue
		}
		s := span{from: e.At.Add(time.Second)} // the request itself was made before
		for _, b := range d.backs {
			if b.account == e.Account && b.at.After(e.At) && (s.to.IsZero() || b.at.Before(s.to)) {
				s.to = b.at
			}
		}
		told[e.Account] = append(told[e.Account], s)
	}
	return told
}

// checkSafety derives the incidents from what Thaw was told, and notes those in which safety mode
// was never on.
func (d *driver) checkSafety(told map[string][]span, found findings) {
	connectedAt := map[string]time.Time{} // for the first time
	for _, p := range d.people {
		for _, account := range p.accounts {
			connectedAt[account] = start
		}
	}
	for _, b := range d.backs {
		if b.kind == backAsNew {
			connectedAt[b.account] = b.at
		}
	}
	var losses []time.Time
	for _, spans := range told {
		for _, s := range spans {
			losses = append(losses, s.from)
		}
	}
	slices.SortFunc(losses, time.Time.Compare)
	for _, at := range losses {
		var lost, connected int
		for account, first := range connectedAt {
			isLost := slices.ContainsFunc(told[account], func(s span) bool { return s.from.After(at.Add(-incidentWindow)) && !s.from.After(at) })
			if isLost {
				lost++
			}
			if isLost || !first.After(at) && !contain(told[account], at) {
				connected++
			}
		}
		if lost < incidentAccounts || lost*100 < connected*incidentPercent {
			continue
		}
		if n := len(d.incidents); n > 0 && !at.After(d.incidents[n-1].to) {
			d.incidents[n-1].to = at.Add(incidentCalm)
		} else {
			d.incidents = append(d.incidents, span{at, at.Add(incidentCalm)})
		}
	}
	for _, s := range d.incidents {
		if !slices.ContainsFunc(d.safety, func(on span) bool { return on.from.Before(s.to) && (on.to.IsZero() || on.to.After(s.from)) }) {
			found.note(noSafety, 1, fmt.Sprintf("from %s to %s", s.from.Format(time.DateTime), s.to.Format(time.DateTime)))
		}
	}
}

// isInSafety reports whether nothing may be sent: safety mode was on, or had to be.
func (d *driver) isInSafety(at time.Time) bool {
	return contain(d.safety, at) || contain(d.incidents, at)
}

// mayBeInSafety reports whether safety mode may be on for a reason: the calm time begins when the
// last losses leave the window. After slow losses, Thaw is believed for as long.
func (d *driver) mayBeInSafety(at time.Time) bool {
	return slices.ContainsFunc(d.incidents, func(s span) bool {
		return !at.Before(s.from) && !at.After(s.to.Add(incidentWindow+time.Minute))
	}) || slices.ContainsFunc(d.safety, func(s span) bool {
		return s.contains(at) && !at.After(s.from.Add(incidentWindow+incidentCalm+time.Minute))
	})
}
