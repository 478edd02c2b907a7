package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"
)

// Options of a simulation.
type Options struct {
	Days      int
	Accounts  int
	Prospects int
	Seed      uint64
	// Static leaves out everything that happens to accounts, processes and requests, and compares the
	// days that explanations name with those of the requests.
	Static bool
	// Program is the path of the thaw program, which is started as server and as sender.
	Program string
	// Progress is called once per simulated day. It may be nil.
	Progress func(day int, now time.Time)
	// Beside runs during the simulation, with the URL of its database, until its context ends. It may
	// be nil.
	Beside func(ctx context.Context, databaseURL string) error
}

// start is a Monday. The 30 days from it contain the change of the clocks in the United States (8
// March) and in the European Union (29 March).
var start = time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC)

var zones = []string{
	"America/New_York", "Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles", "Europe/London", "Asia/Tokyo", "Australia/Sydney",
}

// A window is when the accounts of a workspace send.
type window struct {
	weekdays      []time.Weekday
	opens, closes int // minutes of the local day; closes <= opens: on the next day
}

var (
	officeHours = window{[]time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}, 9 * 60, 17 * 60}
	// One workspace sends at night, so that windows cross midnight and the changes of the clocks.
	nightHours = window{[]time.Weekday{time.Sunday, time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday}, 22 * 60, 4 * 60}
)

// contains reports whether a local time is in the window.
func (w window) contains(local time.Time) bool {
	minute := local.Hour()*60 + local.Minute()
	if w.closes > w.opens {
		return slices.Contains(w.weekdays, local.Weekday()) && w.opens <= minute && minute < w.closes
	}
	if minute >= w.opens {
		return slices.Contains(w.weekdays, local.Weekday())
	}
	return minute < w.closes && slices.Contains(w.weekdays, local.AddDate(0, 0, -1).Weekday())
}

// A person owns accounts. All accounts of a person share one quota.
type person struct {
	member    string
	zone      string
	tier      string
	workspace int
	window    window
	// rampStarted is when the person's ramp began before the simulation. Zero: never sent.
	rampStarted time.Time
	accounts    []string // in the order in which they were connected
}

// An event is something that happens to an account at a time.
type event struct {
	at      time.Time
	kind    eventKind
	person  int
	account string
	// account2 is the new account of a reconnect as a new account.
	account2 string
}

type eventKind string

const (
	lost         eventKind = "lost"          // the account disconnects, with its signal
	lostSilently eventKind = "lost silently" // the same, but the signal is lost: the next request fails
	back         eventKind = "back"          // the account connects again, with its signal
	backSilently eventKind = "back silently" // the same, but the signal is lost
	backAsNew    eventKind = "back as new"   // the person connects again as a new account
	restricted   eventKind = "restricted"    // the provider restricts the account
	released     eventKind = "released"      // the restriction ends, and a person resumes the prospects
	capLowered   eventKind = "cap lowered"   // the operator lowers the invites of a workspace
	zoneChanged  eventKind = "zone changed"  // a person moves to another time zone
	serverDies   eventKind = "server dies"   // kill -9 of the thaw process
	senderDies   eventKind = "sender dies"   // kill -9 of a sender at work
	asked        eventKind = "asked"         // explanations of active prospects name the days of their actions
	check        eventKind = "check"         // a person settles unknown actions by the provider's list
	checkpoint   eventKind = "checkpoint"    // a request met a checkpoint, and the provider sends its signal
)

const (
	workspaces      = 10
	nightWorkspace  = 3
	cappedWorkspace = 1
	// loweredCap is the override of the capped workspace.
	loweredCap = 8
)

// A prospect is enrolled in a campaign.
type prospect struct {
	to      string // the ID at the provider, and the last part of its URL
	account string
	person  int
	due     time.Time // its first step
	// isShared is whether the prospect is enrolled a second time.
	isShared bool
}

// A second enrollment is that of a prospect whom an account of the same person has in another
// campaign. The person must not invite the prospect twice.
type second struct {
	url, account, campaign string
	due                    time.Time
}

const urlPrefix = "https://www.linkedin.com/in/"

// spellings write the URL of one profile in several ways: first as the first enrollment has it.
var spellings = []func(to string) string{
	func(to string) string { return urlPrefix + to },
	func(to string) string { return urlPrefix + to + "/" },
	func(to string) string { return "https://linkedin.com/in/" + to },
	func(to string) string { return urlPrefix + strings.ToUpper(to) + "?trk=search" },
	func(to string) string { return "http://de.linkedin.com/in/" + to + "/?locale=de_DE" },
}

// slugOf returns the recipient of a prospect's URL, as the sender passes it to the provider.
func slugOf(url string) string {
	address, _, _ := strings.Cut(url, "?")
	return path.Base(address)
}

// A campaignStep is a step of a campaign.
type campaignStep struct {
	kind  string
	delay time.Duration // after the step before
}

// campaignSteps are those of the two campaigns of each workspace in which every prospect is.
var campaignSteps = []campaignStep{{"view", 0}, {"invite", time.Hour}, {"message", 48 * time.Hour}}

// secondSteps are those of the campaigns of the second enrollments. But for the invite, their kinds
// are not in the first campaigns, so that the log says which enrollment a request is of.
var secondSteps = map[string][]campaignStep{
	"email":  {{"email", 0}, {"invite", time.Hour}},
	"inmail": {{"inmail", 0}, {"invite", time.Hour}},
}

type scenario struct {
	Options
	end       time.Time
	people    []person
	prospects []prospect
	seconds   []second
	events    []event
	random    *rand.Rand
}

func newScenario(o Options) *scenario {
	s := &scenario{Options: o, end: start.AddDate(0, 0, o.Days), random: rand.New(rand.NewPCG(o.Seed, 14))} //nolint:gosec // reproducible on purpose
	tiers := []string{"free", "premium", "sales_navigator", "recruiter"}
	for i := range o.Accounts {
		p := person{
			member: fmt.Sprintf("member-%d", i), zone: zones[s.random.IntN(len(zones))], tier: tiers[s.random.IntN(len(tiers))],
			workspace: i % workspaces, window: officeHours, accounts: []string{fmt.Sprintf("account-%d", i)},
		}
		if p.workspace == nightWorkspace {
			p.window = nightHours
		}
		if s.random.IntN(100) < 60 {
			p.rampStarted = start.AddDate(0, 0, -s.random.IntN(60))
		}
		// Every twentieth person has a second account in another workspace, with the same hours.
		if i%20 == 19 && p.workspace != nightWorkspace {
			p.accounts = append(p.accounts, fmt.Sprintf("account-%d-second", i))
		}
		s.people = append(s.people, p)
	}
	s.enroll()
	if !o.Static {
		s.enrollAgain()
		s.plan()
	} else {
		for at := start.Add(time.Hour); at.Before(s.end); at = at.Add(askedEvery) {
			s.add(at, asked, 0, "", "")
		}
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return a.at.Compare(b.at) })
	return s
}

// enroll gives each account its prospects. A third of them is due at once, the others until nine
// tenths of the run have passed: both changes of the clocks need accounts at work.
func (s *scenario) enroll() {
	accounts := 0
	for _, p := range s.people {
		accounts += len(p.accounts)
	}
	number := 0
	for i, p := range s.people {
		for _, account := range p.accounts {
			each := s.Prospects / accounts
			if number++; number <= s.Prospects%accounts {
				each++
			}
			for n := range each {
				late := time.Duration(0.9 * float64(s.end.Sub(start)) * float64(max(n-each/3, 0)) / float64(each-each/3))
				s.prospects = append(s.prospects, prospect{
					to: fmt.Sprintf("%s-prospect-%d", account, n), account: account, person: i, due: start.Add(late.Truncate(time.Second)),
				})
			}
		}
	}
}

// sharedEvery is how many prospects there are for one with a second enrollment.
const sharedEvery = 40

// enrollAgain gives a part of the prospects a second enrollment, through the same account or
// another one of the person, around the time of the first. Half of them have another spelling of
// the URL.
func (s *scenario) enrollAgain() {
	for i := range s.prospects {
		p := &s.prospects[i]
		if i%sharedEvery != sharedEvery/2 {
			continue
		}
		p.isShared = true
		person := s.people[p.person]
		again := second{url: spellings[0](p.to), account: person.accounts[s.random.IntN(len(person.accounts))], campaign: "email"}
		if s.random.IntN(2) == 0 {
			again.url = spellings[1+s.random.IntN(len(spellings)-1)](p.to)
		}
		if person.tier != "free" && s.random.IntN(2) == 0 {
			again.campaign = "inmail"
		}
		again.due = p.due.Add(time.Duration(s.random.IntN(96)-48) * time.Hour)
		if again.due.Before(start) {
			again.due = start
		}
		s.seconds = append(s.seconds, again)
	}
}

// somewhere returns a time between two shares of the run, on a full minute.
func (s *scenario) somewhere(from, to float64) time.Time {
	length := float64(s.end.Sub(start))
	return start.Add(time.Duration(length * (from + (to-from)*s.random.Float64()))).Truncate(time.Minute)
}

func (s *scenario) add(at time.Time, kind eventKind, person int, account, account2 string) {
	if at.Before(s.end) {
		s.events = append(s.events, event{at, kind, person, account, account2})
	}
}

// plan draws what happens. The incident takes two fifths of the accounts at once, at 40% of the
// run. Accounts that it takes have no other outage around it.
func (s *scenario) plan() {
	incident := start.Add(s.end.Sub(start) * 2 / 5).Truncate(24 * time.Hour).Add(10 * time.Hour)
	for i := range s.people {
		account := s.people[i].accounts[0]
		draw := s.random.IntN(100)
		switch {
		case draw < 40:
			at := incident.Add(time.Duration(s.random.IntN(5)) * time.Minute)
			s.add(at, lost, i, account, "")
			s.add(at.Add(time.Duration(90+s.random.IntN(300))*time.Minute), back, i, account, "")
		case draw < 43:
			at := s.somewhere(0.1, 0.5)
			s.add(at, restricted, i, account, "")
			s.add(at.Add(time.Duration(48+s.random.IntN(72))*time.Hour), released, i, account, "")
		case draw < 85:
			at := s.somewhere(0.02, 0.9)
			again := at.Add(time.Duration(20+s.random.IntN(60*48)) * time.Minute)
			s.add(at, []eventKind{lost, lost, lost, lostSilently}[s.random.IntN(4)], i, account, "")
			switch outcome := s.random.IntN(10); {
			case outcome < 6:
				s.add(again, back, i, account, "")
			case outcome < 8:
				s.add(again, backSilently, i, account, "")
			default:
				s.add(again, backAsNew, i, account, account+"-new")
			}
		}
		if s.random.IntN(50) == 0 {
			s.add(s.somewhere(0.3, 0.8), zoneChanged, i, account, "")
		}
	}
	s.add(s.somewhere(0.3, 0.35), capLowered, 0, "", "")
	for range min(max(2, s.Days/4), len(s.events)) { // at the work that another event makes
		s.add(s.events[s.random.IntN(len(s.events))].at, serverDies, 0, "", "")
	}
	for range max(4, s.Days/2) {
		s.add(s.somewhere(0.05, 0.95), senderDies, 0, "", "")
	}
	for day := range s.Days {
		s.add(start.AddDate(0, 0, day).Add(12*time.Hour), check, 0, "", "")
	}
}
