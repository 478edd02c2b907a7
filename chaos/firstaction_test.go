package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// Accounts with due actions and open gates reconnect, while others flap, large ones are healed, and
// processes are killed. Measures the time from the answer to the connect signal until a first
// action is given out: by the job schedule, in the outbox.
func TestFirstActionIsPushed(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	receiver := s.platform()
	measureFirstActions(s, s.pushed, append(receiver.options(), "--push-actions"))
}

// The same for senders that poll: an action can be claimed.
func TestFirstActionCanBeClaimed(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	measureFirstActions(s, s.claimed, nil)
}

// withinAMinute is what is promised for the slowest hundredth of all signals.
const withinAMinute = time.Minute

// measureFirstActions runs a scenario. served returns which of these accounts were served since the
// last round.
func measureFirstActions(s *scenario, served func(since int64) ([]int64, error), options []string) {
	s.Helper()
	work := s.load()
	work.healed = s.fleet(1, scale(2000, 20_000))
	work.signaled = s.disconnectedFleet(scale(4, 20), scale(30, 60))
	measured := s.sendingAccounts(scale(10, 100))
	c := s.replicas(3, append(options, "--tick=2s")...)
	work.replicas = c
	stop := work.begin()

	var took []time.Duration
	for range scale(2, 6) {
		took = append(took, work.reconnectAll(measured, served)...)
	}
	slices.Sort(took)
	p := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(time.Second / 10)
	}
	s.figure("from the signal to the first action of %d reconnects: p50 %s, p99 %s, max %s", len(took), p(0.5), p(0.99), p(1))
	require.Less(s, p(0.99), withinAMinute)
	stop()
	work.resumeAll()
	s.checker(work.lost)
}

// sendingAccounts inserts connected accounts that may send at any hour, each with due prospects.
func (s *scenario) sendingAccounts(n int) (ids []int64) {
	s.Helper()
	s.exec("INSERT INTO thaw.workspaces (key) VALUES ('sending')")
	s.exec(`SELECT thaw.set_sending_windows('sending', '[{"weekdays": [1, 2, 3, 4, 5, 6, 7], "opens": "00:00", "closes": "24:00"}]', reason => 'the scenario')`)
	return column[int64](s, `
		WITH fresh AS MATERIALIZED (
			SELECT nextval(pg_get_serial_sequence('thaw.accounts', 'id')) AS id FROM generate_series(1, $1::integer)
		), account AS (
			INSERT INTO thaw.accounts (id, workspace_id, provider_account_id, status, connected_at, timezone, tier)
			OVERRIDING SYSTEM VALUE
			SELECT fresh.id, w.id, 'acc_' || fresh.id, 'connected', thaw.now(), 'Europe/Berlin', 'premium'
			FROM fresh CROSS JOIN thaw.workspaces AS w WHERE w.key = 'sending'
			RETURNING id, workspace_id
		), campaign AS (
			INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT w.id, 'spring', 'running' FROM thaw.workspaces AS w WHERE w.key = 'sending'
			RETURNING id
		), prospect AS (
			INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_kind, next_action_at)
			SELECT account.workspace_id, campaign.id, account.id, format('https://www.linkedin.com/in/sending-%s-%s', account.id, i), 'active', 'message', thaw.now()
			FROM account CROSS JOIN campaign CROSS JOIN generate_series(1, 3) AS i
		)
		SELECT account.id FROM account ORDER BY account.id`, n)
}

// reconnectAll disconnects accounts and then connects them one after another, while processes are
// killed. It returns how long each then took until it was served.
func (l *load) reconnectAll(ids []int64, served func(since int64) ([]int64, error)) []time.Duration {
	l.Helper()
	each := func(status string, answered func(id int64)) error {
		group := &errgroup.Group{}
		group.SetLimit(4)
		for _, id := range ids {
			group.Go(func() error {
				defer answered(id)
				return l.send(id, status)
			})
		}
		return group.Wait()
	}
	require.NoError(l, each("disconnected", func(int64) {}))
	l.until(2*time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE account_id = ANY ($1) AND status = 'active')", ids)
	l.advance(11 * time.Minute) // longer than any gap and lease
	since := value[int64](l.scenario, "SELECT coalesce(max(id), 0) FROM thaw.actions")

	var mu sync.Mutex
	connected, took := map[int64]time.Time{}, map[int64]time.Duration{}
	group := &errgroup.Group{}
	group.Go(func() error {
		return each("connected", func(id int64) {
			mu.Lock()
			connected[id] = time.Now()
			mu.Unlock()
			l.pause(time.Duration(l.rand.IntN(200)) * time.Millisecond)
		})
	})
	group.Go(func() error {
		for deadline := time.Now().Add(5 * time.Minute); len(took) < len(ids); l.pause(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				return fmt.Errorf("%d of %d accounts were served within five minutes", len(took), len(ids))
			}
			now, err := served(since)
			if err != nil {
				return err
			}
			at := time.Now()
			mu.Lock()
			for _, id := range now {
				if _, known := took[id]; !known {
					// The answer may still be under way then: it took no time.
					took[id] = 0
					if began, answered := connected[id]; answered {
						took[id] = at.Sub(began)
					}
				}
			}
			mu.Unlock()
		}
		return nil
	})
	done := make(chan error, 1)
	go func() { done <- group.Wait() }()
	for {
		select {
		case err := <-done:
			require.NoError(l, err)
			return slices.Collect(maps.Values(took))
		case <-time.After(time.Duration(500+l.rand.IntN(1500)) * time.Millisecond):
			l.replicas.killAtRandom()
			l.fault("kills at random")
		}
	}
}

// pushed returns the accounts with an action.due in the outbox since this action.
func (s *scenario) pushed(since int64) ([]int64, error) {
	rows, err := s.pool.Query(s.Context(), `
		SELECT DISTINCT o.account_id FROM thaw.outbox AS o WHERE o.type = 'action.due' AND (o.data ->> 'reservation')::bigint > $1`, since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// claimed claims what is due, and returns the accounts that were served since this action.
func (s *scenario) claimed(since int64) ([]int64, error) {
	if _, err := s.pool.Exec(s.Context(), "SELECT thaw.claim_actions()"); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(s.Context(), "SELECT DISTINCT a.account_id FROM thaw.actions AS a WHERE a.id > $1", since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
