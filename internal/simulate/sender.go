package simulate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
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

	closedBy *string    // the code of the gate, if it did not start
	result   settlement // of the request
}

// atOnce is how many actions a sender does concurrently. They are of different accounts.
const atOnce = 4

// A stage of a round. A sender that is to die kills itself after one, as kill -9 does.
type stage string

const (
	afterClaim   stage = "claim"   // nothing is started: the leases end, and the actions are reserved again
	afterStart   stage = "start"   // all are started, and no request was made
	afterRequest stage = "request" // all requests were made, and nothing is settled
)

// Send is the main loop of a sender process. For each line that it reads, "go", or "die" with a
// stage, it claims the actions that are due, does them, and answers with their number. It ends with
// its input.
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
		_, dies, _ := strings.Cut(lines.Text(), "die ")
		n, err := s.round(ctx, stage(dies))
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

// round claims once, does what it got, and returns how many actions that were. It starts all of
// them before it makes a request, and makes all requests before it settles one: an outcome may stop
// other accounts, and chance would decide which of their actions start before it.
func (s *sender) round(ctx context.Context, dies stage) (n int, err error) {
	rows, err := s.pool.Query(ctx, `SELECT reservation, kind, account, prospect_url FROM thaw.claim_actions(1000, actor => 'simulation')`)
	if err != nil {
		return 0, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[claimed])
	if err != nil {
		return 0, fmt.Errorf("claiming: %w", err)
	}
	if err := die(dies, afterClaim, all); err != nil {
		return 0, err
	}
	started, err := s.start(ctx, all)
	if err != nil {
		return 0, err
	}
	if err := die(dies, afterStart, started); err != nil {
		return 0, err
	}
	if err := each(ctx, started, s.request); err != nil {
		return 0, err
	}
	if err := die(dies, afterRequest, started); err != nil {
		return 0, err
	}
	return len(all), s.settleAll(ctx, started)
}

// each does something with all actions.
func each(ctx context.Context, all []claimed, do func(ctx context.Context, c *claimed) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range all {
		group.Go(func() error { return do(ctx, &all[i]) })
	}
	return group.Wait()
}

// die kills the process if this is the stage, and actions have reached it.
func die(dies, now stage, reached []claimed) error {
	if dies != now || len(reached) == 0 {
		return nil
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return err
	}
	select {} // until the signal arrives
}

// start starts the actions and returns those whose gates are still open.
func (s *sender) start(ctx context.Context, all []claimed) (started []claimed, err error) {
	err = each(ctx, all, func(ctx context.Context, c *claimed) error {
		if err := s.pool.QueryRow(ctx, "SELECT code FROM thaw.start($1)", c.Reservation).Scan(&c.closedBy); err != nil {
			return fmt.Errorf("starting %d: %w", c.Reservation, err)
		}
		return nil
	})
	return slices.DeleteFunc(all, func(c claimed) bool { return c.closedBy != nil }), err
}

// settleAll settles first what concerns only a prospect. The order of the others decides what their
// prospects wait for, so they come one after the other.
func (s *sender) settleAll(ctx context.Context, started []claimed) error {
	var others []claimed
	started = slices.DeleteFunc(started, func(c claimed) bool {
		isOther := !slices.Contains([]string{"sent", "already", "refused", "unknown"}, c.result.outcome)
		if isOther {
			others = append(others, c)
		}
		return isOther
	})
	err := each(ctx, started, s.settle)
	for i := range others {
		err = errors.Join(err, s.settle(ctx, &others[i]))
	}
	return err
}

func (s *sender) settle(ctx context.Context, c *claimed) error {
	_, err := s.pool.Exec(ctx, "SELECT thaw.settle($1, $2, nullif($3, ''), nullif($4, ''), actor => 'simulation')",
		c.Reservation, c.result.outcome, c.result.id, c.result.code)
	if err != nil {
		return fmt.Errorf("settling %d as %s: %w", c.Reservation, c.result.outcome, err)
	}
	return nil
}

func (s *sender) request(ctx context.Context, c *claimed) (err error) {
	c.result, err = s.call(ctx, c)
	return err
}

// call makes the request and translates the answer into an outcome (docs/sending.md).
func (s *sender) call(ctx context.Context, c *claimed) (result settlement, err error) {
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
