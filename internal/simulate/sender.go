package simulate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// A claimed action, as thaw.claim_actions returns it.
type claimed struct {
	Reservation int64  `db:"reservation"`
	Kind        string `db:"kind"`
	Step        int    `db:"step"`
	Account     string `db:"account"`
	Campaign    string `db:"campaign"`
	Prospect    string `db:"prospect_url"`
}

// atOnce is how many actions a sender does concurrently. They are of different accounts.
const atOnce = 8

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
// number and a stage, it claims actions until there are none, does them, and answers with one line.
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
	s := &sender{pool: pool, url: providerURL, client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}}}
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

// round does all that can be done now and returns how many actions it claimed. A round in which the
// sender is to die does one action at a time, so that the same seed gives the same result.
func (s *sender) round(ctx context.Context, d death) (n int, err error) {
	done := 0
	for {
		rows, err := s.pool.Query(ctx, `SELECT reservation, kind, step, account, campaign, prospect_url FROM thaw.claim_actions(200, actor => 'simulation')`)
		if err != nil {
			return n, err
		}
		var all []claimed
		for rows.Next() {
			var c claimed
			if err := rows.Scan(&c.Reservation, &c.Kind, &c.Step, &c.Account, &c.Campaign, &c.Prospect); err != nil {
				return n, err
			}
			all = append(all, c)
		}
		if err := rows.Err(); err != nil {
			return n, err
		}
		if len(all) == 0 {
			return n, nil
		}
		n += len(all)
		if d.nth > 0 {
			for _, c := range all {
				done++
				if err := s.do(ctx, c, d.at(done)); err != nil {
					return n, err
				}
			}
			continue
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		for _, c := range all {
			group.Go(func() error { return s.do(ctx, c, "") })
		}
		if err := group.Wait(); err != nil {
			return n, err
		}
	}
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
	outcome, id, reason, err := s.call(ctx, action{c.Account, c.Kind, c.Prospect, c.Campaign, c.Step})
	if err != nil {
		return err
	}
	if err := die(dies, afterRequest); err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, "SELECT thaw.settle($1, $2, nullif($3, ''), nullif($4, ''), actor => 'simulation')",
		c.Reservation, outcome, id, reason); err != nil {
		return fmt.Errorf("settling %d as %s: %w", c.Reservation, outcome, err)
	}
	return nil
}

// call makes the request and translates the answer into an outcome (docs/sending.md).
func (s *sender) call(ctx context.Context, a action) (outcome, id, reason string, err error) {
	body, err := json.Marshal(a)
	if err != nil {
		return "", "", "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/api/v1/actions", bytes.NewReader(body))
	if err != nil {
		return "", "", "", err
	}
	// A POST with a body is not repeated by the client after its connection broke.
	response, err := s.client.Do(req)
	if err != nil {
		return "unknown", "", "no answer", nil //nolint:nilerr // this is the outcome
	}
	defer response.Body.Close()
	var got answer
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		return "unknown", "", "the answer is incomplete", nil //nolint:nilerr // this is the outcome
	}
	switch {
	case response.StatusCode == http.StatusCreated:
		return "sent", got.ID, "", nil
	case response.StatusCode == http.StatusUnauthorized:
		return "account_lost", "", got.Type, nil
	case response.StatusCode == http.StatusTooManyRequests:
		return "throttled", "", got.Type, nil
	case got.Type == "already_invited_recently":
		return "already", "", got.Type, nil
	case got.Type == "limit_exceeded":
		return "limited", "", got.Type, nil
	case response.StatusCode == http.StatusUnprocessableEntity:
		return "refused", "", got.Type, nil
	}
	return "unknown", "", got.Type, nil
}
