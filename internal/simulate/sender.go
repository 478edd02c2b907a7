package simulate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// A claimed action, as thaw.claim_actions returns it.
type claimed struct {
	Reservation int64  `db:"reservation"`
	Kind        string `db:"kind"`
	Account     string `db:"account"`
	Prospect    string `db:"prospect_url"`
}

// atOnce is how many actions a sender does concurrently. They are of different accounts.
const atOnce = 4

// A death is where a sender kills itself, as kill -9 does: at its nth action of a round, after a
// stage of it. The zero value: it lives.
type death struct {
	nth   int
	stage stage
}

type stage string

const (
	afterClaim   stage = "claim"   // nothing is started: the lease ends, and the action is reserved again
	afterStart   stage = "start"   // started, and no request was made
	afterRequest stage = "request" // the request was made, and nothing is settled
)

// Send is the main loop of a sender process. For each line that it reads, "go", or "die" with a
// number and a stage, it claims the actions that are due, does them, and answers with their number.
// It ends with its input.
func Send(ctx context.Context, in io.Reader, out io.Writer, databaseURL, providerURL string) error {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return err
	}
	config.MaxConns = atOnce
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := &sender{pool: pool, url: providerURL, client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}}}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var d death
		if _, err := fmt.Sscanf(lines.Text(), "die %d %s", &d.nth, &d.stage); err != nil {
			d = death{}
		}
		n, err := s.round(ctx, d)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
	}
	return lines.Err()
}

type sender struct {
	pool   *pgxpool.Pool
	client *http.Client
	url    string
}

// round claims once, does what it got, and returns how many actions that were. A round in which the
// sender is to die does one action at a time, so that the same seed gives the same result.
func (s *sender) round(ctx context.Context, d death) (n int, err error) {
	rows, err := s.pool.Query(ctx, `SELECT reservation, kind, account, prospect_url FROM thaw.claim_actions(1000, actor => 'simulation')`)
	if err != nil {
		return 0, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[claimed])
	if err != nil {
		return 0, fmt.Errorf("claiming: %w", err)
	}
	if d.nth > 0 {
		for i, c := range all {
			if err := s.do(ctx, c, d.at(i+1)); err != nil {
				return 0, err
			}
		}
		return len(all), nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, c := range all {
		group.Go(func() error { return s.do(ctx, c, "") })
	}
	return len(all), group.Wait()
}

// at returns the stage of an action after which the sender dies. Empty: it survives the action.
func (d death) at(n int) stage {
	if n == d.nth {
		return d.stage
	}
	return ""
}

// die kills the process if this is the stage.
func die(at, now stage) error {
	if at != now {
		return nil
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return err
	}
	select {} // until the signal arrives
}

// do starts an action, calls the provider, and settles it. The process dies after a stage.
func (s *sender) do(ctx context.Context, c claimed, dies stage) error {
	if err := die(dies, afterClaim); err != nil {
		return err
	}
	var code *string
	if err := s.pool.QueryRow(ctx, "SELECT code FROM thaw.start($1)", c.Reservation).Scan(&code); err != nil {
		return fmt.Errorf("starting %d: %w", c.Reservation, err)
	}
	if code != nil {
		return nil // a gate has closed
	}
	if err := die(dies, afterStart); err != nil {
		return err
	}
	result, err := s.call(ctx, c)
	if err != nil {
		return err
	}
	if err := die(dies, afterRequest); err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, "SELECT thaw.settle($1, $2, nullif($3, ''), nullif($4, ''), actor => 'simulation')",
		c.Reservation, result.outcome, result.id, result.code); err != nil {
		return fmt.Errorf("settling %d as %s: %w", c.Reservation, result.outcome, err)
	}
	return nil
}

// call makes the request and translates the answer into an outcome (docs/sending.md).
func (s *sender) call(ctx context.Context, c claimed) (result settlement, err error) {
	to := slugOf(c.Prospect)
	method, route := http.MethodPost, "/api/v1/users/invite"
	body := map[string]any{"account_id": c.Account, "provider_id": to}
	switch c.Kind {
	case "message", "inmail":
		route, body = "/api/v1/chats", map[string]any{
			"account_id": c.Account, "attendees_ids": []string{to}, "text": "Hello!", "inmail": c.Kind == "inmail",
		}
	case "email":
		route, body = "/api/v1/emails", map[string]any{"account_id": c.Account, "to": to, "subject": "Hello", "body": "Hello!"}
	case "view":
		method, route, body = http.MethodGet, "/api/v1/users/"+to+"?account_id="+url.QueryEscape(c.Account), nil
	}
	var content []byte
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return result, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+route, nil)
	if err != nil {
		return result, err
	}
	// A body that cannot be read twice: the client repeats a GET without one after its connection
	// broke, although the provider may have carried it out.
	req.Body = io.NopCloser(bytes.NewReader(content))
	req.ContentLength = int64(len(content))
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(req)
	if err != nil {
		return settlement{outcome: "unknown", code: "no_answer"}, nil //nolint:nilerr // this is the outcome
	}
	defer response.Body.Close()
	var answer struct {
		Type       string `json:"type"`
		Invitation string `json:"invitation_id"`
		Message    string `json:"message_id"`
		Email      string `json:"tracking_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return settlement{outcome: "unknown", code: "incomplete_answer"}, nil //nolint:nilerr // this is the outcome
	}
	return settlementOf(response.StatusCode, strings.TrimPrefix(answer.Type, "errors/"), answer.Invitation+answer.Message+answer.Email), nil
}

// A settlement is what a sender reports about an action.
type settlement struct{ outcome, id, code string }

// outcomes of codes. They count more than the HTTP status: a limit comes as 422, 429 or 500.
var outcomes = map[string]string{
	"already_invited_recently": "already", "already_connected": "already", "account_restricted": "restricted",
	"limit_exceeded": "limited", "cannot_resend_yet": "limited", "insufficient_credits": "limited",
	"disconnected_account": "account_lost", "expired_credentials": "account_lost", "invalid_credentials": "account_lost",
	"checkpoint_error": "account_lost",
}

// settlementOf translates an answer: its HTTP status, its error code and the ID of the delivery.
func settlementOf(status int, code, id string) settlement {
	result := settlement{outcomes[code], id, code}
	switch {
	case status < 300: // without an ID, Thaw counts it as unknown if the kind has one
		result.outcome = "sent"
	case result.outcome != "":
	case status == http.StatusUnauthorized, status == http.StatusTooManyRequests: // 401: of the API key
		result.outcome = "throttled"
	case status < 500:
		result.outcome = "refused"
	default:
		result.outcome = "unknown"
	}
	return result
}
