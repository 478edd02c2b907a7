package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// signals measures how many connect signals per second the webhook accepts. The baseline is pgbench
// with the function that the webhook calls. Neither calls NOTIFY: a NOTIFY in the transaction would
// prevent group commit for both and hide the difference.
type signals struct{ accounts, each int }

func newSignals(s Scale) benchmark { return &signals{accounts: 100, each: s.pick(2, 15)} }

// signalClients is the number of connections: from pgbench to the server, and from the webhook
// sender to thaw. Each uses its own accounts, so none waits for another's lock.
const signalClients = 16

func (s *signals) total() int { return signalClients * s.accounts * s.each }

func (s *signals) about() About {
	return About{
		Name:     "signals",
		Work:     fmt.Sprintf("%d signed webhooks over %d connections, each answered with 2xx after the commit", s.total(), signalClients),
		Baseline: fmt.Sprintf("pgbench with %d clients, each transaction the function that the webhook calls", signalClients),
		Metrics: []Metric{
			{Name: "accepted", Unit: PerSecond, MoreIsBetter: true, Ratio: 0.85}, memory,
		},
	}
}

// load creates accounts with one enrollment each. No worker runs the inserted jobs.
func (s *signals) load(ctx context.Context, r *rig, db *database) error {
	return db.add(ctx, fleet{accounts: len(s.variants(r)) * signalClients * s.accounts, rows: 1, status: "connected"})
}

func (s *signals) variants(r *rig) []variant {
	return []variant{
		{"pgbench", Baseline, func(ctx context.Context, db *database, place int) (sample, error) {
			return s.pgbench(ctx, r, db, place)
		}},
		{"thaw web", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return s.web(ctx, r, db, place)
		}},
	}
}

func (s *signals) share(place int) share {
	size := signalClients * s.accounts
	return share{int64(place*size + 1), size}
}

func (s *signals) pgbench(ctx context.Context, r *rig, db *database, place int) (sample, error) {
	accounts := s.share(place)
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	before, err := db.number(ctx, newestSignal)
	if err != nil {
		return nil, err
	}
	took, err := r.tools.pgbench(ctx, db, signalClients, s.total(), signalClients, fmt.Sprintf(`\set account %d + :client_id * %d + random(0, %d)
SELECT thaw.receive_signal('linkedin', 'account-' || :account, 'connected', 'connected', clock_timestamp(), NULL,
    'standard:' || gen_random_uuid(), false, jsonb_build_object('type', 'account.status', 'timestamp', clock_timestamp(),
    'data', jsonb_build_object('provider', 'linkedin', 'account_id', 'account-' || :account, 'status', 'connected')));
`, accounts.first, s.accounts, s.accounts-1))
	if err != nil {
		return nil, err
	}
	return s.rate(took), s.check(ctx, db, before, s.total()+signalClients)
}

func (s *signals) rate(took time.Duration) sample {
	return sample{"accepted": float64(s.total()) / took.Seconds()}
}

// web sends requests that were signed in advance, so that the sender uses as little CPU time as
// pgbench.
func (s *signals) web(ctx context.Context, r *rig, db *database, place int) (sample, error) {
	accounts := s.share(place)
	sender := newSender()
	return r.during(ctx, db, sender.env(), []string{"web", "--addr", "127.0.0.1:0"}, func(p *program) (sample, error) {
		sender.url = p.url
		for i := range signalClients {
			if err := sender.send(ctx, accountName(accounts.first+int64(i*s.accounts)), "connected"); err != nil {
				return nil, fmt.Errorf("warming up: %w", err)
			}
		}
		requests := make([][][]byte, signalClients)
		for client := range requests {
			for i := range s.accounts * s.each {
				wire, err := sender.wire(ctx, accountName(accounts.first+int64(client*s.accounts+i%s.accounts)), "connected")
				if err != nil {
					return nil, err
				}
				requests[client] = append(requests[client], wire)
			}
		}
		if err := db.settle(ctx); err != nil {
			return nil, err
		}
		before, err := db.number(ctx, newestSignal)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		group, sending := errgroup.WithContext(ctx)
		for _, own := range requests {
			group.Go(func() error { return post(sending, p.url, own) })
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		took := time.Since(began)
		return s.rate(took), s.check(ctx, db, before, s.total())
	})
}

// post sends requests over one connection, each after the response to the previous one.
func post(ctx context.Context, to string, requests [][]byte) error {
	address, err := url.Parse(to)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	answers := bufio.NewReader(conn)
	for _, request := range requests {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := accepted(answers); err != nil {
			return err
		}
	}
	return nil
}

// accepted reads one response, which must be 200. The net/http client would use as much CPU time as
// thaw's response.
func accepted(answers *bufio.Reader) error {
	status, length := "", 0
	for first := true; ; first = false {
		line, err := answers.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading a response: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			status = string(line)
			continue
		}
		if len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("reading a response: %w", err)
			}
		}
	}
	if strings.HasPrefix(status, "HTTP/1.1 200 ") {
		_, err := answers.Discard(length)
		return err
	}
	body, _ := io.ReadAll(io.LimitReader(answers, int64(length)))
	return fmt.Errorf("webhook returned %s: %s", status, body)
}

const newestSignal = "SELECT coalesce(max(id), 0) FROM thaw.account_signals"

func (s *signals) check(ctx context.Context, db *database, before int64, total int) error {
	return db.expect(ctx, total, "applied signals, each with its job", `
		SELECT count(*) FROM thaw.account_signals AS s
		JOIN thaw.river_job AS job ON job.kind = 'resume_account' AND (job.args ->> 'signal_id')::bigint = s.id
		WHERE s.outcome = 'applied' AND s.id > $1`, before)
}
