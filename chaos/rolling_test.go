package chaos_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/signing"
	"github.com/thawline/thaw/internal/testdb"
)

// Two processes behind a load balancer are replaced one after the other, again and again, while
// clients use pages, API, webhooks and SQL at a steady rate: from the last release to this tree and
// back, and from this tree to one with another migration, which is applied under load. No client
// sees an error, and every signal is recorded once.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	rollingRestart(t)
}

// With --poll-only a new leader is elected seconds after the old one has stopped.
func TestRollingRestartPollOnly(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	rollingRestart(t, "--poll-only")
}

func rollingRestart(t *testing.T, options ...string) {
	t.Helper()
	s := begin(t)
	release, next := "", buildNext(t)
	tag := lastRelease(t)
	if tag != "" {
		release = buildTag(t, tag)
	}
	db := testdb.NewEmpty(t)
	s.migrate(db, release)
	db.Exec(s, movableClock)
	s.use(db)
	u := s.users(scale(2, 4))

	var processes []*process
	start := func(program string) {
		p := s.start(launch{program: program, options: append([]string{"--tick=1m", "--jitter=1s", "--shutdown-delay=2s",
			"--account-cap=1000000", "--signal-cap=1000000", "--fleet-cap=1000000"}, options...)})
		u.balancer.add(p)
		processes = append(processes, p)
	}
	replace := func(program string) {
		for range 2 {
			start(program)
			processes[0].stop()
			processes = processes[1:]
			s.fault("processes replaced")
			s.pause(scale(200*time.Millisecond, 2*time.Second))
		}
	}
	start(release)
	start(release)
	stop := u.begin()
	for range scale(1, 5) {
		s.migrate(db, "")
		replace("")
		// An old program starts on the same schema only.
		if s.schemaOf(release) == s.schemaOf("") {
			replace(release)
		}
	}
	replace("")
	s.migrate(db, next)
	replace(next)
	stop()
	s.verifier = next

	for _, id := range u.accounts {
		require.Equal(s, http.StatusOK, s.signal(processes[0], account(id), "connected", delivery{}))
	}
	s.until(scale(time.Minute, 5*time.Minute), "SELECT NOT EXISTS (SELECT FROM thaw.enrollments AS e WHERE e.waits_for_account)")
	s.checker(u.lost)
	s.figure("%d pages, %d API requests, %d signals over HTTP and %d over SQL without an error, from %s", u.pages.Load(), u.requests.Load(),
		len(u.sent), u.statements.Load(), cmp.Or(tag, "this tree"))
}

// migrate applies the migrations of a program.
func (s *scenario) migrate(db *testdb.DB, program string) {
	s.Helper()
	output, err := s.command(launch{program: program, command: "migrate", options: []string{"up"}, url: db.Direct}).CombinedOutput()
	require.NoError(s, err, "%s", output)
}

// schemaOf returns the newest migration of a program.
func (s *scenario) schemaOf(program string) (newest int64) {
	s.Helper()
	output, err := s.command(launch{program: program, command: "version", options: []string{"--json"}}).Output()
	require.NoError(s, err)
	var build struct{ Schema int64 }
	require.NoError(s, json.Unmarshal(output, &build))
	require.Positive(s, build.Schema)
	return build.Schema
}

// buildNext builds the program of this tree with one more migration, and returns its path.
func buildNext(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	migration, overlay, path := filepath.Join(folder, "next.sql"), filepath.Join(folder, "overlay.json"), filepath.Join(folder, "thaw")
	require.NoError(t, os.WriteFile(migration, []byte("-- +goose Up\nALTER TABLE thaw.accounts ADD COLUMN of_the_next_release text;\n"), 0o600))
	added, err := filepath.Abs("../schema/migrations/99999_next_release.sql")
	require.NoError(t, err)
	content, err := json.Marshal(map[string]any{"Replace": map[string]string{added: migration}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, content, 0o600))
	output, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", path, "github.com/thawline/thaw/cmd/thaw").CombinedOutput()
	require.NoError(t, err, "%s", output)
	return path
}

// The users are clients of a load balancer, and of the database.
type users struct {
	*scenario
	balancer *balancer
	accounts []int64
	each     int // clients of each kind

	pages, requests, statements atomic.Int64

	mu     sync.Mutex
	before int      // signals before the clients began
	sent   []string // deliveries
	failed []error
}

// users creates a fleet and a load balancer. each is the number of clients of each kind.
func (s *scenario) users(each int) *users {
	s.Helper()
	u := &users{scenario: s, each: each, balancer: s.balancer(), accounts: s.disconnectedFleet(2*each, scale(20, 200))}
	u.before = value[int](s, "SELECT count(*) FROM thaw.account_signals")
	return u
}

// begin runs the clients until they are stopped. No request may have failed then.
func (u *users) begin() (stop func()) {
	ctx, cancel := context.WithCancel(u.Context())
	var clients sync.WaitGroup
	every := func(once func(web *http.Client, base string, n int) error, i int) {
		clients.Go(func() {
			base := []string{u.balancer.requests, u.balancer.connections}[i%2]
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			web := &http.Client{Transport: unrepeated{transport}, Timeout: 20 * time.Second}
			ticks := time.NewTicker(time.Second / 20)
			defer ticks.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-ticks.C:
				}
				if err := once(web, base, n); err != nil {
					u.mu.Lock()
					u.failed = append(u.failed, fmt.Errorf("%s: %w", time.Now().Format(time.StampMilli), err))
					u.mu.Unlock()
				}
			}
		})
	}
	for i := range u.each {
		every(u.page, i)
		every(u.request, i)
		every(func(web *http.Client, base string, n int) error { return u.deliver(web, base, u.accounts[i], n) }, i)
		every(func(_ *http.Client, _ string, n int) error { return u.call(u.accounts[u.each+i], n) }, i)
	}
	return func() {
		u.Helper()
		cancel()
		clients.Wait()
		require.NoError(u, errors.Join(u.failed...), "%d errors that clients saw", len(u.failed))
		for kind, count := range map[string]int{"pages": int(u.pages.Load()), "API requests": int(u.requests.Load()), "deliveries": len(u.sent), "statements": int(u.statements.Load())} {
			require.Positive(u, count, kind)
		}
	}
}

func (u *users) page(web *http.Client, base string, n int) error {
	u.pages.Add(1)
	return u.get(web, base+[]string{"/", "/accounts", "/sweeps"}[n%3], "</html>")
}

func (u *users) request(web *http.Client, base string, n int) error {
	u.requests.Add(1)
	return u.get(web, base+[]string{"/api/v1/fleet", "/api/v1/accounts"}[n%2], "}")
}

// get requires a whole response.
func (u *users) get(web *http.Client, url, end string) error {
	request, err := http.NewRequestWithContext(context.WithoutCancel(u.Context()), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	body, err := answer(web, request)
	if err == nil && !strings.HasSuffix(strings.TrimSpace(body), end) {
		return fmt.Errorf("%s: the response ends with %q", url, body[max(0, len(body)-50):])
	}
	return err
}

// statuses are what an account reports, in turn.
var statuses = []string{"connected", "disconnected"}

// deliver delivers a signal of the provider.
func (u *users) deliver(web *http.Client, base string, id int64, n int) error {
	key := fmt.Sprintf("evt_%016x", u.rand.Uint64())
	body, err := json.Marshal(map[string]any{"type": "account.status", "timestamp": u.now().UTC().Format(time.RFC3339Nano),
		"data": map[string]string{"provider": "linkedin", "account": account(id), "status": statuses[n%2]}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(context.WithoutCancel(u.Context()), http.MethodPost, base+"/webhooks/standard", bytes.NewReader(body))
	if err != nil {
		return err
	}
	if request.Header, err = signing.Sign(standardSecret, key, time.Now(), body); err != nil {
		return err
	}
	u.mu.Lock()
	u.sent = append(u.sent, key)
	u.mu.Unlock()
	_, err = answer(web, request)
	return err
}

// call sends a signal as the platform does, in SQL.
func (u *users) call(id int64, n int) error {
	u.statements.Add(1)
	_, err := u.pool.Exec(context.WithoutCancel(u.Context()), "SELECT thaw.signal('linkedin', $1, $2)", account(id), statuses[n%2])
	return err
}

// answer sends a request and requires the answer 200.
func answer(web *http.Client, request *http.Request) (string, error) {
	response, err := web.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", request.Method, request.URL, response.Status, body)
	}
	return string(body), err
}

// lost returns the signals that are not recorded once.
func (u *users) lost() string {
	wrong := column[string](u.scenario, `
		SELECT sent.key FROM unnest($1::text[]) AS sent (key)
		WHERE (SELECT count(*) FROM thaw.account_signals AS s WHERE s.delivery_key = 'standard:' || sent.key AND s.outcome <> 'duplicate') <> 1`, u.sent)
	if len(wrong) > 0 {
		return fmt.Sprintf("%d deliveries, such as %s", len(wrong), wrong[0])
	}
	// The signals after the clients stopped are one per account.
	want := len(u.sent) + int(u.statements.Load()) + len(u.accounts)
	if rows := value[int](u.scenario, "SELECT count(*) FROM thaw.account_signals") - u.before; rows != want {
		return fmt.Sprintf("%d signals were sent, and %d are recorded", want, rows)
	}
	return ""
}
