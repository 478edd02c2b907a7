package simulate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/providersim"
)

// checked returns a driver whose run is over, with the accounts of two people: ann, with an old and
// a new account, and bob.
func checked() *driver {
	return &driver{
		scenario: &scenario{end: start.AddDate(0, 0, 60), people: []person{
			{member: "ann", zone: "Europe/London", tier: "premium", window: officeHours, accounts: []string{"old", "new"}},
			{member: "bob", zone: "Europe/London", tier: "premium", window: officeHours, accounts: []string{"bob"}},
		}},
		provider:   &provider{members: map[string]string{"old": "ann", "new": "ann", "bob": "bob"}},
		verifiedAt: map[deed][]verdict{},
	}
}

// A second invite of a person to a prospect is found from the log, through any account and in any
// spelling.
func TestSecondInvites(t *testing.T) {
	t.Parallel()
	at := start.Add(10 * time.Hour)
	withdrawn := at.Add(time.Hour)
	delivered := providersim.Entry{At: at, Account: "old", Kind: "invite", To: "p1", Delivered: true, AccountStatus: providersim.StatusOK}
	with := func(change func(e *providersim.Entry)) providersim.Entry {
		e := delivered
		change(&e)
		return e
	}
	reset := with(func(e *providersim.Entry) { e.Fault, e.Delivered = "reset", false })
	for name, c := range map[string]struct {
		first, second providersim.Entry
		after         time.Duration
		absentAfter   time.Duration // the first one is settled as not sent
		want          int
	}{
		"same account":      {first: delivered, second: delivered, want: 1},
		"new account":       {first: delivered, second: with(func(e *providersim.Entry) { e.Account = "new" }), want: 1},
		"refused":           {first: delivered, second: with(func(e *providersim.Entry) { e.Delivered, e.Code = false, "already_invited_recently" }), want: 1},
		"other spelling":    {first: delivered, second: with(func(e *providersim.Entry) { e.To = "P1" }), want: 1},
		"other person":      {first: delivered, second: with(func(e *providersim.Entry) { e.Account = "bob" })},
		"other prospect":    {first: delivered, second: with(func(e *providersim.Entry) { e.To = "p2" })},
		"unknown":           {first: reset, second: delivered, want: 1},
		"settled as absent": {first: reset, second: delivered, absentAfter: 30 * time.Minute},
		"settled later":     {first: reset, second: delivered, absentAfter: 3 * time.Hour, want: 1},
		"already":           {first: with(func(e *providersim.Entry) { e.Fault, e.Delivered = "already_connected", false }), second: delivered, want: 1},
		"limited":           {first: with(func(e *providersim.Entry) { e.Fault, e.Delivered = "limit_exceeded", false }), second: delivered},
		"withdrawn":         {first: with(func(e *providersim.Entry) { e.WithdrawnAt = &withdrawn }), second: delivered, after: time.Hour + blocksFor - time.Minute, want: 1},
		"withdrawn before":  {first: with(func(e *providersim.Entry) { e.WithdrawnAt = &withdrawn }), second: delivered, after: time.Hour + blocksFor},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := checked(), findings{}
			if c.absentAfter > 0 {
				d.verifiedAt[deed{"invite", "p1"}] = []verdict{{at: at.Add(c.absentAfter)}}
			}
			if c.after == 0 {
				c.after = 2 * time.Hour
			}
			c.second.At = at.Add(c.after)
			d.checkInvites([]providersim.Entry{c.first, c.second}, found)
			require.Equal(t, c.want, found[invitedAgain].N, found[invitedAgain].Example)
		})
	}
}

// The first hour after a reconnect is compared with full hours of the same person, not with the
// busiest one of the fleet.
func TestFirstHours(t *testing.T) {
	t.Parallel()
	day := start.Add(9 * time.Hour)
	hourOf := func(account string, at time.Time, gaps ...time.Duration) (log []providersim.Entry) {
		for end := at.Add(time.Hour); at.Before(end); at = at.Add(gaps[len(log)%len(gaps)]) {
			log = append(log, providersim.Entry{At: at, Account: account, Kind: "view", AccountStatus: providersim.StatusOK})
		}
		return log
	}
	for name, c := range map[string]struct {
		gaps []time.Duration // after the reconnect
		want int
	}{
		"as usual":       {gaps: []time.Duration{2 * time.Minute, 3 * time.Minute}},
		"with idle time": {gaps: []time.Duration{2 * time.Minute, 9 * time.Minute}},
		// Every gap is allowed, and so many short ones are not drawn by chance.
		"catching up": {gaps: []time.Duration{time.Minute, 2 * time.Minute}, want: 1},
		"a burst":     {gaps: []time.Duration{time.Second}, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := checked(), findings{}
			var log []providersim.Entry
			for n := range 6 {
				log = append(log, hourOf("old", day.AddDate(0, 0, n), 2*time.Minute, 3*time.Minute)...)
				log = append(log, hourOf("bob", day.AddDate(0, 0, n), time.Minute)...) // a busy one
			}
			back := day.AddDate(0, 0, 7)
			d.backs = []reconnect{{at: back, person: 0, account: "new"}}
			log = append(log, hourOf("new", back, c.gaps...)...)
			d.checkHours(log, found)
			require.Equal(t, c.want, found[busierHour].N, found[busierHour].Example)
		})
	}
}

// A restriction sets the ramp back with the first action that was started after it, also if that
// was not delivered or not even requested.
func TestRampAfterARestriction(t *testing.T) {
	t.Parallel()
	restricted := start.Add(3*week + time.Hour) // in week 4
	first := restricted.Add(2 * 24 * time.Hour)
	request := func(at time.Time, delivered bool) providersim.Entry {
		return providersim.Entry{At: at, Account: "old", Kind: "invite", To: "p1", Delivered: delivered, AccountStatus: providersim.StatusOK, Fault: map[bool]string{false: "invalid_recipient"}[delivered]}
	}
	for name, c := range map[string]struct {
		log         []providersim.Entry
		unrequested []use
	}{
		"delivered":     {log: []providersim.Entry{request(first, true)}},
		"refused":       {log: []providersim.Entry{request(first, false), request(first.Add(5*time.Hour), true)}},
		"not requested": {log: []providersim.Entry{request(first.Add(5*time.Hour), true)}, unrequested: []use{{at: first}}},
	} {
		d := checked()
		d.restrictions = map[int]time.Time{0: restricted}
		d.unrequested = map[string]map[string][]use{"ann": {"message": c.unrequested}}
		h := d.histories()["ann"]
		h.started = start
		for _, e := range c.log {
			d.add(h, e)
		}
		require.Equal(t, first.Add(-week), h.started, name)
	}
}
