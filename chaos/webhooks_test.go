package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/signing"
	"github.com/thawline/thaw/internal/webhook"
)

const (
	v1Secret = "chaos-v1-0123456789"
	v2Secret = "chaos-v2-0123456789"
)

// Sixteen clients send the deliveries of all three routes to three processes: up to three times, in
// any order, and late. Other clients send requests that must be rejected. At the end each account
// has the status of its newest signal, and its prospects are paused or active accordingly.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	m := newMail(s, s.disconnectedFleet(scale(30, 300), 20), scale(600, 20_000))
	before := value[int](s, "SELECT count(*) FROM thaw.account_signals")
	var processes []*process
	for range 3 {
		// Caps are covered by other scenarios.
		processes = append(processes, s.serve("--unipile-v1-secret="+v1Secret, "--unipile-v2-secret="+v2Secret,
			"--account-cap=1000000", "--signal-cap=1000000", "--fleet-cap=1000000"))
	}

	var group errgroup.Group
	enemies := s.hostility(processes)
	group.Go(enemies.run)
	group.Go(func() error { return m.deliver(processes, m.letters) })
	require.NoError(s, group.Wait())
	// A v1 delivery has no time: the last one received is the newest.
	require.NoError(s, m.deliver(processes, m.last))

	s.checker(func() string {
		if rows := value[int](s, "SELECT count(*) FROM thaw.account_signals") - before; rows != len(m.letters)+len(m.last) {
			return fmt.Sprintf("%d deliveries were accepted, but %d are recorded", len(m.letters)+len(m.last), rows)
		}
		duplicates := value[int](s, `
			SELECT count(*) FROM thaw.account_signals AS again JOIN thaw.account_signals AS first ON first.id = again.duplicate_of
			WHERE again.outcome = 'duplicate' AND first.delivery_key IS NOT NULL
				AND again.raw_status = first.raw_status AND again.account_id = first.account_id`)
		if duplicates != m.copies {
			return fmt.Sprintf("%d copies were sent, but %d are recorded as duplicates", m.copies, duplicates)
		}
		return m.unheard()
	})
	enemies.checker()
	s.figure("16 clients, 3 processes")
	for _, p := range processes {
		p.stop()
	}
}

// A letter is one delivery.
type letter struct {
	route, id, account, word string
	at                       time.Time
}

// words are the status names of each route. v2 has none for needs_verification.
var words = map[string]map[string][]string{
	"unipile/v1": {
		"connected": {"OK", "SYNC_SUCCESS"}, "disconnected": {"CREDENTIALS"}, "removed": {"DELETED"},
		"needs_verification": {"PERMISSIONS"}, "error": {"ERROR", "STOPPED"}, "connecting": {"CONNECTING"},
	},
	"unipile/v2": {
		"connected": {"account.status.running"}, "disconnected": {"account.status.disconnected"},
		"removed": {"account.remove"}, "error": {"account.status.errored", "account.status.paused"}, "connecting": {"account.add"},
	},
	"standard": {
		"connected": {"connected"}, "disconnected": {"disconnected"}, "removed": {"removed"},
		"needs_verification": {"needs_verification"}, "error": {"error"}, "connecting": {"connecting"},
	},
}

// mail is everything that is sent, and the expected result.
type mail struct {
	*scenario
	letters []letter         // in sending order
	last    []letter         // sent after letters, one per account
	copies  int              // number of duplicates in letters
	final   map[int64]string // the status of each account's newest signal
}

// newMail creates n letters. Each account uses one route. Its history covers the last hour and ends
// with a status that determines whether its prospects are paused. Transient errors occur only
// earlier, because their effect depends on the known history.
func newMail(s *scenario, accounts []int64, n int) *mail {
	s.Helper()
	m := &mail{scenario: s, final: map[int64]string{}}
	routes := []string{"unipile/v1", "unipile/v2", "standard"}
	certain := []string{"connected", "connected", "disconnected", "removed", "needs_verification"}
	every := append([]string{"error", "connecting"}, certain...)
	start := s.now()
	for i, id := range accounts {
		route := routes[i%len(routes)]
		write := func(statuses []string, at time.Time) (letter, string) {
			for {
				status := statuses[s.rand.IntN(len(statuses))]
				if of := words[route][status]; of != nil {
					return letter{route, fmt.Sprintf("evt_%016x", s.rand.Uint64()), account(id), of[s.rand.IntN(len(of))], at}, status
				}
			}
		}
		newest, status := write(certain, start)
		m.final[id] = status
		left := (n + len(accounts) - 1) / len(accounts)
		if route == "unipile/v1" {
			m.last = append(m.last, newest)
		} else {
			m.letters = append(m.letters, newest, newest)
			m.copies++
			left -= 2
		}
		for left > 0 {
			earlier, _ := write(every, start.Add(-2*time.Second-time.Duration(s.rand.Int64N(int64(time.Hour)))))
			times := min(left, 1+s.rand.IntN(6)/4+s.rand.IntN(6)/5)
			for range times {
				m.letters = append(m.letters, earlier)
			}
			left -= times
			if route != "unipile/v1" { // v1 copies cannot be recognized
				m.copies += times - 1
			}
		}
	}
	s.rand.Shuffle(len(m.letters), func(i, j int) { m.letters[i], m.letters[j] = m.letters[j], m.letters[i] })
	s.faultN("deliveries", len(m.letters)+len(m.last))
	s.faultN("copies of deliveries", m.copies)
	return m
}

// deliver sends letters from 16 clients, each to a random process. Each must be accepted.
func (m *mail) deliver(processes []*process, letters []letter) error {
	const clients = 16
	var group errgroup.Group
	for client := range clients {
		group.Go(func() error {
			for i := client; i < len(letters); i += clients {
				if m.rand.IntN(10) == 0 {
					m.pause(time.Duration(m.rand.IntN(30)) * time.Millisecond)
				}
				p := processes[m.rand.IntN(len(processes))]
				code, answer := m.send(p, letters[i].route, letters[i].header(time.Now()), letters[i].body())
				if code != http.StatusOK {
					return fmt.Errorf("%+v returned %d: %s", letters[i], code, answer)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (l letter) body() []byte {
	at := l.at.UTC().Format(time.RFC3339Nano)
	var body any
	switch l.route {
	case "unipile/v1":
		body = map[string]any{"AccountStatus": map[string]string{"account_id": l.account, "account_type": "LINKEDIN", "message": l.word}}
	case "unipile/v2":
		body = map[string]any{"id": l.id, "type": l.word, "account_id": l.account, "created_at": at, "payload": map[string]string{"timestamp": at}}
	default:
		body = map[string]any{"type": "account.status", "timestamp": at, "data": map[string]string{
			"provider": "linkedin", "account": l.account, "status": l.word}}
	}
	text, _ := json.Marshal(body)
	return text
}

// header returns the letter's headers, signed at the time of sending.
func (l letter) header(at time.Time) http.Header { return seal(l.route, l.id, at, l.body()) }

// seal returns the headers for any body.
func seal(route, id string, at time.Time, body []byte) http.Header {
	header := http.Header{}
	switch route {
	case "unipile/v1":
		header.Set("Unipile-Auth", v1Secret)
	case "unipile/v2":
		header.Set("Unipile-Signature", webhook.SignUnipileV2(v2Secret, at, body))
	default:
		header, _ = signing.Sign(standardSecret, id, at, body)
	}
	return header
}

// send makes one attempt. Code 0 means no response.
func (s *scenario) send(p *process, route string, header http.Header, body []byte) (code int, answer string) {
	return s.stream(p, route, header, bytes.NewReader(body))
}

// stream is send for a body of unknown length.
func (s *scenario) stream(p *process, route string, header http.Header, body io.Reader) (code int, answer string) {
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, p.base+"/webhooks/"+route, body)
	if err != nil {
		return 0, err.Error()
	}
	request.Header = header
	response, err := web.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// unheard returns accounts that differ from their newest signal.
func (m *mail) unheard() string {
	m.Helper()
	found := column[string](m.scenario, `
		SELECT concat_ws(' ', a.id, a.status, count(*) FILTER (WHERE e.status = 'active'), count(*) FILTER (WHERE e.status = 'paused'))
		FROM thaw.accounts AS a JOIN thaw.enrollments AS e ON e.account_id = a.id GROUP BY a.id`)
	var expected []string
	for id, status := range m.final {
		active, paused := 0, 20
		if status == "connected" {
			active, paused = paused, active
		}
		expected = append(expected, fmt.Sprint(id, " ", status, " ", active, " ", paused))
	}
	slices.Sort(found)
	slices.Sort(expected)
	var wrong []string
	for i := range expected {
		if i >= len(found) || found[i] != expected[i] {
			wrong = append(wrong, fmt.Sprintf("%q, want %q", found[i], expected[i]))
		}
	}
	return strings.Join(wrong, "; ")
}
