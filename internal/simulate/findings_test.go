package simulate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/providersim"
)

// request returns a request of ann's first account that was delivered. Another answer: a fault.
func request(at time.Time, kind, to, fault string) providersim.Entry {
	return providersim.Entry{At: at, Account: "old", Kind: kind, To: to, Fault: fault, Delivered: fault == "", AccountStatus: providersim.StatusOK}
}

// enrolled returns a driver whose run of a week is over. Ann has one prospect, who was due at the
// start.
func enrolled() *driver {
	d := checked()
	d.end = start.Add(week)
	d.prospects = []prospect{{to: "p1", account: "old", due: start}}
	return d
}

// A step that was done, refused, or is unknown is not requested again, whatever its kind.
func TestRepeatedSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, fault string
		verified    *verdict // after an hour
		isShared    bool     // the prospect is in a second campaign
		want        int
	}{
		"delivered":              {kind: "view", want: 1},
		"delivered invite":       {kind: "invite", want: 1},
		"sent, not delivered":    {kind: "view", fault: "no_id", want: 1},
		"unknown":                {kind: "message", fault: "reset", want: 1},
		"verified as sent later": {kind: "message", fault: "reset", verified: &verdict{isSent: true, at: start.Add(14 * time.Hour)}, want: 1},
		"verified as absent":     {kind: "message", fault: "reset", verified: &verdict{at: start.Add(11 * time.Hour)}},
		"refused":                {kind: "view", fault: "invalid_recipient", want: 1},
		"refused invite":         {kind: "invite", fault: "user_unreachable", want: 1},
		"refused first invite":   {kind: "invite", fault: "user_unreachable", isShared: true},
		"limited":                {kind: "message", fault: "limit_as_500"},
		"throttled":              {kind: "view", fault: "too_many_requests"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := enrolled(), findings{}
			if c.verified != nil {
				d.verifiedAt[deed{c.kind, "p1"}] = []verdict{*c.verified}
			}
			if c.isShared {
				d.seconds = []second{{url: spellings[3]("p1"), account: "new", campaign: "email", due: start}}
			}
			first := request(start.Add(10*time.Hour), c.kind, "p1", c.fault)
			d.check([]providersim.Entry{first, request(first.At.Add(2*time.Hour), c.kind, "p1", "")}, found)
			require.Equal(t, c.want, found[repeated].N, found[repeated].Example)
		})
	}
}

// A step comes after the step before it, and after its delay.
func TestOrderOfSteps(t *testing.T) {
	t.Parallel()
	at := start.Add(10 * time.Hour)
	invited := at.Add(time.Hour)
	for name, c := range map[string]struct {
		log      []providersim.Entry
		due      time.Time // the first step, if not at the start
		verified *verdict  // of the invite
		isShared bool
		want     int
	}{
		"in order": {log: []providersim.Entry{
			request(at, "view", "p1", ""), request(invited, "invite", "p1", ""), request(invited.Add(48*time.Hour), "message", "p1", ""),
		}},
		"before the first is due":       {log: []providersim.Entry{request(at, "view", "p1", "")}, due: at.Add(time.Minute), want: 1},
		"without the step before":       {log: []providersim.Entry{request(at, "view", "p1", ""), request(invited, "message", "p1", "")}, want: 1},
		"before the delay":              {log: []providersim.Entry{request(at, "view", "p1", ""), request(invited.Add(-time.Minute), "invite", "p1", "")}, want: 1},
		"after a refusal":               {log: []providersim.Entry{request(at, "view", "p1", "invalid_recipient"), request(invited, "invite", "p1", "")}, want: 1},
		"after a limit":                 {log: []providersim.Entry{request(at, "view", "p1", "limit_exceeded"), request(invited, "invite", "p1", "")}, want: 1},
		"not enrolled":                  {log: []providersim.Entry{request(at, "view", "p2", "")}, want: 1},
		"a kind of no campaign of them": {log: []providersim.Entry{request(at, "email", "p1", "")}, want: 1},
		"the second campaign":           {log: []providersim.Entry{request(at, "email", "P1", ""), request(invited, "invite", "P1", "")}, isShared: true},
		"message after an unknown invite": {
			log: []providersim.Entry{
				request(at, "view", "p1", ""), request(invited, "invite", "p1", "reset"), request(invited.Add(48*time.Hour), "message", "p1", ""),
			},
			verified: &verdict{invited.Add(time.Hour), true}, want: 1, // 48 hours after it was verified
		},
		"message after a verified invite": {
			log: []providersim.Entry{
				request(at, "view", "p1", ""), request(invited, "invite", "p1", "reset"), request(invited.Add(49*time.Hour), "message", "p1", ""),
			},
			verified: &verdict{invited.Add(time.Hour), true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := enrolled(), findings{}
			if !c.due.IsZero() {
				d.prospects[0].due = c.due
			}
			if c.verified != nil {
				d.verifiedAt[deed{"invite", "p1"}] = []verdict{*c.verified}
			}
			if c.isShared {
				d.seconds = []second{{url: spellings[3]("p1"), account: "new", campaign: "email", due: start}}
			}
			d.check(c.log, found)
			require.Equal(t, c.want, found[outOfOrder].N, found[outOfOrder].Example)
		})
	}
}

// When safety mode has to be on follows from the accounts that Thaw was told are lost, not from
// what it says.
func TestIncidents(t *testing.T) {
	t.Parallel()
	incident := start.Add(10 * time.Hour)
	for name, c := range map[string]struct {
		accounts, lost int
		within         time.Duration // the losses
		silently       bool          // Thaw learns it from the answers to requests
		safety         []span
		after          time.Duration // a request through another account
		want           findings
	}{
		"safety mode is on": {accounts: 40, lost: 10, within: 5 * time.Minute, safety: []span{{from: incident.Add(4 * time.Minute), to: incident.Add(44 * time.Minute)}}, after: 45 * time.Minute},
		"never on":          {accounts: 40, lost: 10, within: 5 * time.Minute, after: time.Hour, want: findings{noSafety: {N: 1}}},
		"never on, and requests": {
			accounts: 40, lost: 10, within: 5 * time.Minute, after: 20 * time.Minute, want: findings{noSafety: {N: 1}, inSafety: {N: 1}},
		},
		"off too early": {
			accounts: 40, lost: 10, within: 5 * time.Minute, safety: []span{{from: incident.Add(4 * time.Minute), to: incident.Add(15 * time.Minute)}},
			after: 20 * time.Minute, want: findings{inSafety: {N: 1}},
		},
		"on by itself":     {accounts: 40, lost: 0, safety: []span{{from: incident}}, after: time.Minute, want: findings{inSafety: {N: 1}}},
		"few accounts":     {accounts: 20, lost: 9, within: 5 * time.Minute, after: 20 * time.Minute},
		"a small share":    {accounts: 60, lost: 11, within: 5 * time.Minute, after: 20 * time.Minute},
		"slowly":           {accounts: 40, lost: 10, within: 12 * time.Minute, after: 20 * time.Minute},
		"without a signal": {accounts: 40, lost: 10, within: 5 * time.Minute, silently: true, after: time.Hour, want: findings{noSafety: {N: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := checked(), findings{}
			d.people, d.provider.members, d.down, d.safety = nil, map[string]string{}, map[string][]span{}, c.safety
			var log []providersim.Entry
			for i := range c.accounts {
				account := fmt.Sprintf("account-%d", i)
				d.people = append(d.people, person{member: account, zone: "Europe/London", tier: "premium", window: officeHours, accounts: []string{account}})
				d.provider.members[account] = account
				if i >= c.lost {
					continue
				}
				at := incident.Add(c.within * time.Duration(i) / time.Duration(c.lost))
				if c.silently {
					log = append(log, providersim.Entry{At: at, Account: account, Kind: "view", To: account, AccountStatus: providersim.StatusCredentials})
				} else {
					d.down[account] = []span{{from: at}}
				}
			}
			last := fmt.Sprintf("account-%d", c.accounts-1)
			log = append(log, providersim.Entry{At: incident.Add(c.after), Account: last, Kind: "view", To: last, Delivered: true, AccountStatus: providersim.StatusOK})
			d.check(log, found)
			for _, what := range []finding{noSafety, inSafety} {
				require.Equal(t, c.want[what].N, found[what].N, "%s: %s", what, found[what].Example)
			}
		})
	}
}

// Thaw knows that an account is lost after the first answer that says so, if a sender lived to
// report it.
func TestToldByAnAnswer(t *testing.T) {
	t.Parallel()
	at := start.Add(10 * time.Hour)
	for name, c := range map[string]struct {
		unreported map[int]bool
		backs      []reconnect
		want       int
	}{
		"reported":        {want: 1},
		"not reported":    {unreported: map[int]bool{1: true}},
		"connected again": {backs: []reconnect{{at: at.Add(2 * time.Minute), account: "old"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := enrolled(), findings{}
			d.unreported, d.backs = c.unreported, c.backs
			first := providersim.Entry{N: 1, At: at, Account: "old", Kind: "view", To: "p1", AccountStatus: providersim.StatusCredentials}
			second := first
			second.N, second.At = 2, at.Add(3*time.Minute)
			d.check([]providersim.Entry{first, second}, found)
			require.Equal(t, c.want, found[notConnected].N, found[notConnected].Example)
		})
	}
}

// A person with a connected account, due prospects, an open window and free caps makes requests,
// whatever the gates of Thaw say: from the start of the run, and not only after a reconnect.
func TestWaits(t *testing.T) {
	t.Parallel()
	opens := start.Add(9 * time.Hour)
	for name, c := range map[string]struct {
		log    []providersim.Entry
		change func(d *driver)
		want   int
	}{
		"no request at all": {want: 1},
		"within the hour":   {log: []providersim.Entry{request(opens.Add(59*time.Minute), "view", "p1", "invalid_recipient")}},
		"after an hour":     {log: []providersim.Entry{request(opens.Add(time.Hour), "view", "p1", "invalid_recipient")}, want: 1},
		"between two steps": {log: []providersim.Entry{request(opens, "view", "p1", "")}, want: 1}, // and no invite for a week
		"not due":           {change: func(d *driver) { d.prospects[0].due = d.end }},
		"not connected":     {change: func(d *driver) { d.events = []event{{at: start, kind: lostSilently, account: "old"}} }},
		"connected again": {
			change: func(d *driver) {
				d.events = []event{{at: start, kind: lost, account: "old"}, {at: opens.Add(time.Hour), kind: back, account: "old"}}
			},
			want: 1,
		},
		"as a new account": {
			change: func(d *driver) {
				d.events = []event{{at: start, kind: lost, account: "old"}, {at: opens.Add(time.Hour), kind: backAsNew, account: "old", account2: "new"}}
				d.backs = []reconnect{{at: opens.Add(time.Hour), kind: backAsNew, account: "new"}}
			},
			want: 1,
		},
		"no caps": {change: func(d *driver) { d.people[0].tier = "without limits" }},
		"unknown until later": {change: func(d *driver) {
			d.unrequested = map[string]map[string][]use{"ann": {"view": {{at: opens, until: d.end, to: "p1"}}}}
		}},
		"an incident": {change: func(d *driver) { d.incidents = []span{{start, d.end}} }},
		"only said to be in safety mode": {
			change: func(d *driver) { d.safety = []span{{from: start}} }, want: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := enrolled(), findings{}
			if c.change != nil {
				c.change(d)
			}
			d.checkWaits(c.log, found)
			require.Equal(t, c.want, found[waiting].N, found[waiting].Example)
		})
	}
}

// A first request after a reconnect that comes late is a finding, as one that never comes.
func TestFirstRequests(t *testing.T) {
	t.Parallel()
	back := start.Add(10 * time.Hour)
	for name, c := range map[string]struct {
		after time.Duration // zero: none
		want  int
	}{
		"soon":  {after: 4 * time.Minute},
		"late":  {after: time.Hour, want: 1},
		"never": {want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := enrolled(), findings{}
			d.backs = []reconnect{{at: back, kind: backSilently, account: "old"}}
			var log []providersim.Entry
			if c.after > 0 {
				log = append(log, request(back.Add(c.after), "view", "p1", ""))
			}
			waits := d.firstSends(log, found)
			require.Len(t, waits, len(log))
			require.Equal(t, c.want, found[silent].N, found[silent].Example)
		})
	}
}

// A prospect is where the requests have brought them, or is lost.
func TestPlaces(t *testing.T) {
	t.Parallel()
	at := start.Add(10 * time.Hour)
	view, invite := request(at, "view", "p1", ""), request(at.Add(2*time.Hour), "invite", "p1", "")
	refusal := request(at.Add(2*time.Hour), "invite", "p1", "user_unreachable")
	message := request(at.Add(50*time.Hour), "message", "p1", "")
	missing := place{step: -1}
	for name, c := range map[string]struct {
		log      []providersim.Entry
		isShared bool // the prospect is in a second campaign
		is       place
		want     int
	}{
		"not begun":               {is: place{0, goesOn}},
		"missing":                 {is: missing, want: 1},
		"between two steps":       {log: []providersim.Entry{view}, is: place{1, goesOn}},
		"a step too far":          {log: []providersim.Entry{view}, is: place{2, goesOn}, want: 1},
		"a step behind":           {log: []providersim.Entry{view}, is: place{0, goesOn}, want: 1},
		"completed":               {log: []providersim.Entry{view, invite, message}, is: place{3, completed}},
		"completed without all":   {log: []providersim.Entry{view, invite}, is: place{3, completed}, want: 1},
		"refused":                 {log: []providersim.Entry{view, refusal}, is: place{1, failed}},
		"failed without refusal":  {log: []providersim.Entry{view, invite}, is: place{1, failed}, want: 1},
		"refused, and goes on":    {log: []providersim.Entry{view, refusal}, is: place{1, goesOn}, want: 1},
		"invited by another one":  {log: []providersim.Entry{view, invite}, isShared: true, is: place{1, goesOn}},
		"invited by this one":     {log: []providersim.Entry{view, invite}, isShared: true, is: place{2, goesOn}},
		"not invited by any":      {log: []providersim.Entry{view}, isShared: true, is: place{2, goesOn}, want: 1},
		"not delivered: verified": {log: []providersim.Entry{request(at, "view", "p1", "reset")}, is: place{0, goesOn}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, found := enrolled(), findings{}
			is := map[key]place{{urlPrefix + "p1", "campaign"}: c.is}
			if c.is == missing {
				clear(is)
			}
			if c.isShared {
				d.seconds = []second{{url: spellings[3]("p1"), account: "new", campaign: "email", due: start}}
				is[key{d.seconds[0].url, "email"}] = place{0, goesOn}
			}
			d.checkPlaces(c.log, is, found)
			require.Equal(t, c.want, found[gone].N, found[gone].Example)
		})
	}
}
