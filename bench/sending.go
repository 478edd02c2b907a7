package bench

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

var (
	//go:embed sql/send_at_any_time.sql
	sendAtAnyTime string
	//go:embed sql/bare_reserve.sql
	bareReserve string
	//go:embed sql/bare_start.sql
	bareStart string
	//go:embed sql/bare_settle.sql
	bareSettle string
)

// A gate is the statements with which a sender asks for an action and reports it. The first takes
// the ID of an enrollment, each other one what the one before returned.
type gate struct {
	reserve, start, settle string
	// polls says that start is repeated while it returns null: another worker was faster.
	polls bool
	// sent counts what was sent through the accounts from $1 to $2.
	sent string
}

const sentActions = "SELECT count(*) FROM thaw.actions AS a WHERE a.state = 'sent' AND a.account_id BETWEEN $1 AND $2"

var (
	bareRows = gate{bareReserve, bareStart, bareSettle, false, sentActions}
	thawGate = gate{
		"SELECT id FROM thaw.reserve($1)", "SELECT id FROM thaw.start($1)", "SELECT thaw.settle($1, 'sent', 'ref')", false, sentActions,
	}
)

// sending reserves, starts and settles actions. The baseline writes the same rows without any gate.
type sending struct{ accounts, each, clients int }

func newSending(s Scale) benchmark {
	return &sending{accounts: s.pick(100, 1000), each: s.pick(5, 10), clients: 16}
}

func (s *sending) about() About {
	return About{
		Name: "sending",
		Work: fmt.Sprintf("%d clients reserve, start and settle %d actions of each of %d accounts, in three transactions each",
			s.clients, s.each, s.accounts),
		Baseline: "the bare inserts and updates of the same rows, in as many transactions; " +
			"a token bucket counts, queues and sends as many, without most of the gates (see breaches)",
		Metrics:   []Metric{{Name: "actions", Unit: PerSecond, MoreIsBetter: true, Ratio: 0.7}},
		withPeers: true,
	}
}

// sendingWarmUp is the number of accounts, in addition to those of the work, with which the clients
// plan their statements.
const sendingWarmUp = 32

// load creates the accounts of each variant, those of its warm-up first.
func (s *sending) load(ctx context.Context, r *rig, db *database) error {
	for range s.variants(r) {
		if err := db.add(ctx, fleet{accounts: sendingWarmUp + s.accounts, rows: s.each, status: "connected"}); err != nil {
			return err
		}
	}
	if err := db.script(ctx, sendAtAnyTime); err != nil {
		return err
	}
	return db.addBuckets(ctx)
}

func (s *sending) variants(r *rig) []variant {
	list := []variant{
		{"bare rows", Baseline, func(ctx context.Context, db *database, place int) (sample, error) {
			return s.send(ctx, db, place, bareRows)
		}},
		{"thaw", Thaw, func(ctx context.Context, db *database, place int) (sample, error) {
			return s.send(ctx, db, place, thawGate)
		}},
	}
	if !r.options.Peers {
		return list
	}
	list = append(list, variant{"token bucket", Peer, func(ctx context.Context, db *database, place int) (sample, error) {
		return s.send(ctx, db, place, bucketGate)
	}})
	if r.peers.missing != "" {
		return list
	}
	q := queue{"graphile-worker tuned", "graphile-sender.mjs", map[string]any{
		"concurrentJobs": s.clients, "maxPoolSize": s.clients + 4, "localQueue": map[string]any{"size": 100}, "completeJobBatchDelay": 5,
	}}
	return append(list, variant{q.name, Peer, func(ctx context.Context, db *database, place int) (sample, error) {
		return r.duringPeer(ctx, db, q, func(p *peer) (sample, error) { return s.queue(ctx, db, p, place) })
	}})
}

// shares returns the accounts of a variant's warm-up and of its work.
func (s *sending) shares(place int) (warmUp, work share) {
	first := int64(place*(sendingWarmUp+s.accounts) + 1)
	return share{first, sendingWarmUp}, share{first + sendingWarmUp, s.accounts}
}

func (s *sending) send(ctx context.Context, db *database, place int, g gate) (sample, error) {
	pool, err := db.platform(ctx, s.clients)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	warmUp, work := s.shares(place)
	if _, err := s.sendAll(ctx, pool, warmUp, g); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	took, err := s.sendAll(ctx, pool, work, g)
	if err != nil {
		return nil, err
	}
	return s.result(ctx, db, work, g, took)
}

// queue measures another job queue, from the request that plans all actions until the last is sent.
func (s *sending) queue(ctx context.Context, db *database, p *peer, place int) (sample, error) {
	warmUp, work := s.shares(place)
	if _, err := p.ask(ctx, map[string]any{"first": warmUp.first, "last": warmUp.last()}); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	if err := db.settle(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	ended, err := p.ask(ctx, map[string]any{"first": work.first, "last": work.last()})
	if err != nil {
		return nil, err
	}
	return s.result(ctx, db, work, bucketGate, ended.Sub(began))
}

func (s *sending) result(ctx context.Context, db *database, work share, g gate, took time.Duration) (sample, error) {
	return sample{"actions": float64(s.accounts*s.each) / took.Seconds()}, db.expect(ctx, s.accounts*s.each, "sent actions", g.sent, work.first, work.last())
}

// platform returns connections as the platform's sender has them, without the settings of Thaw's
// own sessions.
func (db *database) platform(ctx context.Context, connections int) (*pgxpool.Pool, error) {
	config := db.Config()
	config.MaxConns = int32(connections)
	delete(config.ConnConfig.RuntimeParams, countsByStatement)
	return pgxpool.NewWithConfig(ctx, config)
}

// prospectsOf returns the IDs of the enrollments of each account of a share.
func (db *database) prospectsOf(ctx context.Context, s share) ([][]int64, error) {
	rows, err := db.Query(ctx, `
		SELECT array_agg(e.id ORDER BY e.id) FROM thaw.enrollments AS e
		WHERE e.account_id BETWEEN $1 AND $2 GROUP BY e.account_id ORDER BY e.account_id`, s.first, s.last())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]int64])
}

// sendAll sends all actions of a share and returns how long it took. Each client has accounts of
// its own, and does one action after the other.
func (s *sending) sendAll(ctx context.Context, pool *pgxpool.Pool, of share, g gate) (time.Duration, error) {
	prospects, err := (&database{Pool: pool}).prospectsOf(ctx, of)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	clients, ctx := errgroup.WithContext(ctx)
	for client := range s.clients {
		clients.Go(func() error {
			for account := client; account < len(prospects); account += s.clients {
				for _, prospect := range prospects[account] {
					if err := g.send(ctx, pool, prospect); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	err = clients.Wait()
	return time.Since(began), err
}

// send does one action. A refusal is an error.
func (g gate) send(ctx context.Context, pool *pgxpool.Pool, prospect int64) error {
	var reservation, started *int64
	var state string
	if err := pool.QueryRow(ctx, g.reserve, prospect).Scan(&reservation); err != nil {
		return fmt.Errorf("reserving: %w", err)
	}
	for started == nil {
		if err := pool.QueryRow(ctx, g.start, reservation).Scan(&started); err != nil {
			return fmt.Errorf("starting: %w", err)
		} else if started == nil && !g.polls {
			return fmt.Errorf("action %v of prospect %d was refused", reservation, prospect)
		}
	}
	if err := pool.QueryRow(ctx, g.settle, started).Scan(&state); err != nil {
		return fmt.Errorf("settling: %w", err)
	}
	return nil
}
