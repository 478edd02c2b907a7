package bench

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/providersim"
)

//go:embed sql/breaches/*.sql
var breachFiles embed.FS

// breachSQL returns a file of the scenario.
func breachSQL(name string) string {
	text, err := breachFiles.ReadFile("sql/breaches/" + name + ".sql")
	if err != nil {
		panic(err) // the files are part of the program
	}
	return string(text)
}

// breaches sends through the days for which limits exist, on a clock that the benchmark moves, and
// counts in the log of the provider what must not have happened. It measures no speed.
//
//   - Days of UTC begin while windows are open, and weeks of the calendar within 168 hours.
//   - Accounts are removed and connected again as new ones.
//   - A cap is lowered while actions wait to be sent.
//   - The sender dies after a call, before it reports it, and comes back after the end of a window.
type breaches struct {
	prospects int // per member
	days      int
}

func newBreaches(s Scale) benchmark { return &breaches{prospects: 60, days: s.pick(4, 9)} }

const (
	breachMembers = 12
	breachPerDay  = 5
	breachLowered = 2
	breachPerWeek = 25
	breachOpens   = 9
	breachCloses  = 17
	// breachStep is the time between two ticks of the scenario. In each, the sender sends what the
	// tick before has planned.
	breachStep = 10 * time.Minute
	// breachDown is how long the sender is gone after it died.
	breachDown = 150 * time.Minute

	breachAddAgain = 37*time.Hour + 5*time.Minute  // Friday afternoon in Berlin
	breachLower    = 48*time.Hour + 25*time.Minute // Saturday morning in Tokyo
)

// breachDeaths are the times after which the sender dies at its next call.
var breachDeaths = []time.Duration{72*time.Hour + 15*time.Minute, 120*time.Hour + 15*time.Minute}

// breachZones are in the order of sql/breaches/fleet.sql.
var breachZones = []string{"America/Los_Angeles", "America/New_York", "Europe/Berlin", "Asia/Tokyo"}

var (
	breachesFound = Metric{Name: "breaches"}
	overDay       = Metric{Name: "over daily cap"}
	overWeek      = Metric{Name: "over weekly cap"}
	outside       = Metric{Name: "outside window"}
	twice         = Metric{Name: "sent twice"}
)

func (b *breaches) about() About {
	return About{
		Name: "breaches",
		Work: fmt.Sprintf("%d simulated days of %d members in %d zones with %d messages per day and %d per week: a lowered cap, accounts that are added again, a sender that dies after a call",
			b.days, breachMembers, len(breachZones), breachPerDay, breachPerWeek),
		Metrics:   []Metric{breachesFound, overDay, overWeek, outside, twice, {Name: "prospects sent", MoreIsBetter: true}},
		maxRounds: 1,
	}
}

func (b *breaches) load(ctx context.Context, _ *rig, db *database) error {
	if err := db.add(ctx, fleet{accounts: breachMembers, rows: b.prospects, status: "connected"}); err != nil {
		return err
	}
	if err := db.script(ctx, sendAtAnyTime); err != nil {
		return err
	}
	if err := db.addBuckets(ctx); err != nil {
		return err
	}
	return db.script(ctx, breachSQL("fleet"))
}

func (b *breaches) variants(r *rig) []variant {
	return []variant{
		{"thaw", Thaw, r.own(func(ctx context.Context, db *database) (sample, error) {
			got, err := b.run(ctx, r, db, &thawSender{db: db}, "thaw")
			if err == nil && got[breachesFound.Name] > 0 {
				err = fmt.Errorf("wrong result: %v", got)
			}
			return got, err
		})},
		{"token bucket", Peer, r.own(func(ctx context.Context, db *database) (sample, error) {
			return b.run(ctx, r, db, &bucketSender{db}, "bucket")
		})},
	}
}

// A message is what a sender is to send: one message of an account to a prospect.
type message struct {
	id      int64
	account string
	to      string
}

// A courier is a sender's process: it plans, sends and reports.
type courier interface {
	// plan runs what happens regularly, and decides what may be sent.
	plan(ctx context.Context) error
	// next returns the next message to send now. Nil: there is none.
	next(ctx context.Context) (*message, error)
	report(ctx context.Context, m *message, ref string) error
	// die forgets what the process has in memory.
	die()
}

type thawSender struct {
	db      *database
	claimed []message
}

func (s *thawSender) plan(ctx context.Context) error {
	if err := s.db.run(ctx, "SELECT thaw.take_nudges(), thaw.expire_actions()"); err != nil {
		return err
	}
	rows, err := s.db.Query(ctx, "SELECT reservation, account, prospect_url FROM thaw.claim_actions(1000, lease => '30 minutes')")
	if err != nil {
		return err
	}
	claimed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m message, err error) {
		return m, row.Scan(&m.id, &m.account, &m.to)
	})
	s.claimed = append(s.claimed, claimed...)
	return err
}

func (s *thawSender) next(ctx context.Context) (*message, error) {
	for len(s.claimed) > 0 {
		m := s.claimed[0]
		s.claimed = s.claimed[1:]
		var code *string
		if err := s.db.QueryRow(ctx, "SELECT code FROM thaw.start($1)", m.id).Scan(&code); err != nil {
			return nil, err
		} else if code == nil {
			return &m, nil
		}
	}
	return nil, nil //nolint:nilnil // nothing to send is no error
}

func (s *thawSender) report(ctx context.Context, m *message, ref string) error {
	return s.db.run(ctx, "SELECT thaw.settle($1, 'sent', $2)", m.id, ref)
}

func (s *thawSender) die() { s.claimed = nil }

type bucketSender struct{ db *database }

func (s *bucketSender) plan(ctx context.Context) error {
	return s.db.run(ctx, breachSQL("bucket_plan"))
}

func (s *bucketSender) next(ctx context.Context) (*message, error) {
	var id *int64
	var account, to *string
	if err := s.db.QueryRow(ctx, "SELECT job, account, url FROM bucket.take()").Scan(&id, &account, &to); err != nil || id == nil {
		return nil, err
	}
	return &message{*id, *account, *to}, nil
}

func (s *bucketSender) report(ctx context.Context, m *message, ref string) error {
	return s.db.run(ctx, "SELECT bucket.done($1, $2)", m.id, ref)
}

func (*bucketSender) die() {}

// run sends through all days and counts the breaches.
func (b *breaches) run(ctx context.Context, r *rig, db *database, sender courier, files string) (_ sample, err error) {
	// The first Thursday: the week of a counter that begins on Monday is not the last 168 hours.
	start := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 7)
	for start.Weekday() != time.Thursday {
		start = start.AddDate(0, 0, 1)
	}
	now := start
	provider, err := r.serveProvider(func() time.Time { return now })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, provider.close()) }()

	events := []struct {
		at   time.Duration
		file string
	}{{breachAddAgain, "_add_again"}, {breachLower, "_lower_cap"}}
	deaths := breachDeaths
	for back := start; now.Before(start.AddDate(0, 0, b.days)); now = now.Add(breachStep) {
		if err := db.run(ctx, "UPDATE bench.clock SET at = $1", now); err != nil {
			return nil, err
		}
		for len(events) > 0 && now.Sub(start) >= events[0].at {
			if err := db.script(ctx, breachSQL(files+events[0].file)); err != nil {
				return nil, fmt.Errorf("%s: %w", events[0].file, err)
			}
			events = events[1:]
		}
		if now.Before(back) {
			continue
		}
		isDead, err := b.tick(ctx, sender, provider, len(deaths) > 0 && now.Sub(start) >= deaths[0])
		if err != nil {
			return nil, fmt.Errorf("at %s: %w", now.Format(time.DateTime), err)
		}
		if isDead {
			deaths = deaths[1:]
			sender.die()
			back = now.Add(breachDown)
		}
	}
	return b.count(start, provider.sim.Log(0))
}

// tick sends what was planned and plans. If the sender is to die, it does after its first call.
func (b *breaches) tick(ctx context.Context, sender courier, provider *provider, dies bool) (isDead bool, err error) {
	for {
		m, err := sender.next(ctx)
		if err != nil {
			return false, err
		} else if m == nil {
			return false, sender.plan(ctx)
		}
		ref, err := provider.send(ctx, m)
		if err != nil || dies {
			return dies, err
		}
		if err := sender.report(ctx, m, ref); err != nil {
			return false, err
		}
	}
}

// count reads the log of the provider, in the order of its requests.
func (b *breaches) count(start time.Time, log []providersim.Entry) (sample, error) {
	got := sample{overDay.Name: 0, overWeek.Name: 0, outside.Name: 0, twice.Name: 0}
	byMember := map[int][]time.Time{}
	sent := map[string]bool{}
	for _, e := range log {
		var member int
		if _, err := fmt.Sscanf(e.Account, "account-%d", &member); err != nil {
			return nil, fmt.Errorf("account %q: %w", e.Account, err)
		}
		zone, err := time.LoadLocation(breachZones[member%len(breachZones)])
		if err != nil {
			return nil, err
		}
		local := e.At.In(zone)
		if local.Hour() < breachOpens || local.Hour() >= breachCloses {
			got[outside.Name]++
		}
		if sent[e.To] {
			got[twice.Name]++
		}
		sent[e.To] = true
		perDay := breachPerDay
		if zone.String() == "Asia/Tokyo" && e.At.Sub(start) >= breachLower {
			perDay = breachLowered
		}
		today, inWeek := 1, 1
		for _, before := range byMember[member] {
			if before.In(zone).Format(time.DateOnly) == local.Format(time.DateOnly) {
				today++
			}
			if e.At.Sub(before) < 7*24*time.Hour {
				inWeek++
			}
		}
		if today > perDay {
			got[overDay.Name]++
		}
		if inWeek > breachPerWeek {
			got[overWeek.Name]++
		}
		byMember[member] = append(byMember[member], e.At)
	}
	got[breachesFound.Name] = got[overDay.Name] + got[overWeek.Name] + got[outside.Name] + got[twice.Name]
	got["prospects sent"] = float64(len(sent))
	return got, nil
}

// A provider is a simulated provider on loopback.
type provider struct {
	sim    *providersim.Server
	server *http.Server
	url    string
	ended  chan error
}

func (r *rig) serveProvider(now func() time.Time) (*provider, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		return nil, err
	}
	p := &provider{
		sim: providersim.New(providersim.Config{Now: now, Logger: r.options.Logger}),
		url: "http://" + listener.Addr().String(), ended: make(chan error, 1),
	}
	p.server = &http.Server{Handler: p.sim, ReadHeaderTimeout: patience}
	go func() { p.ended <- p.server.Serve(listener) }()
	return p, nil
}

// send makes the call and returns the provider's ID of the delivery.
func (p *provider) send(ctx context.Context, m *message) (ref string, err error) {
	body, err := json.Marshal(map[string]any{"account_id": m.account, "attendees_ids": []string{m.to}, "text": "Hello"})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/api/v1/chats", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		MessageID string `json:"message_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("the provider answered %s", response.Status)
	}
	return answer.MessageID, nil
}

func (p *provider) close() error {
	err := p.server.Close()
	if ended := <-p.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	p.sim.Close()
	return err
}
