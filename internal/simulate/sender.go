package simulate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

// Send is the main loop of a sender process. For each line that it reads, it claims actions until
// there are none, does them, and answers with one line. It ends with its input.
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
		n, err := s.round(ctx)
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

// round does all that can be done now and returns how many actions it claimed.
func (s *sender) round(ctx context.Context) (n int, err error) {
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
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		for _, c := range all {
			group.Go(func() error { return s.do(ctx, c) })
		}
		if err := group.Wait(); err != nil {
			return n, err
		}
	}
}

// do starts an action, calls the provider, and settles it.
func (s *sender) do(ctx context.Context, c claimed) error {
	var code *string
	if err := s.pool.QueryRow(ctx, "SELECT code FROM thaw.start($1)", c.Reservation).Scan(&code); err != nil {
		return fmt.Errorf("starting %d: %w", c.Reservation, err)
	}
	if code != nil {
		return nil // a gate has closed
	}
	outcome, id, reason, err := s.call(ctx, action{c.Account, c.Kind, c.Prospect, c.Campaign, c.Step})
	if err != nil {
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
