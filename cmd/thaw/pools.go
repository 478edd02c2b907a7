package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/process"
)

// poolSizes is how many connections each pool of a process opens at most. A size of 0 means that the process has no such pool.
// The queue opens one more, which listens for notifications.
type poolSizes struct{ webhooks, passes, queue, reads int32 }

const (
	// webhookConnections is how many deliveries are recorded at the same time. Each waits for one flush of the WAL, and commits
	// that wait together are flushed together.
	webhookConnections = 12
	// queueConnections is for River's client: one fetch per queue at a time, its completer, its elector and its maintenance.
	queueConnections = 8
	// readConnections is for pages, the API, metrics, readiness checks, and the watchdog.
	readConnections = 6
)

// passConnections is for the workers: one connection per job of a signal and per job of a tick that runs, and a few for
// sweeps, heals and deliveries.
func passConnections(concurrency int) int32 { return int32(concurrency + (concurrency+1)/2 + 4) }

// sizes returns the sizes for a process with these parts.
func sizes(work *workFlag, web *httpFlag) poolSizes {
	s := poolSizes{queue: queueConnections, reads: readConnections}
	if work != nil {
		s.passes = passConnections(work.Concurrency)
	}
	if web != nil {
		s.webhooks = webhookConnections
	}
	return s
}

// openPools returns the pools of a process, each of which has reached the database. The caller calls closePools.
func (d database) openPools(ctx context.Context, s poolSizes) (pools process.Pools, err error) {
	defer func() {
		if err != nil {
			closePools(pools)
		}
	}()
	if pools.Reads, err = d.open(ctx, s.reads); err != nil {
		return pools, err
	}
	if pools.Queue, err = d.openForQueue(ctx, s.queue); err != nil {
		return pools, err
	}
	if s.passes > 0 {
		if pools.Passes, err = d.open(ctx, s.passes); err != nil {
			return pools, err
		}
	}
	if s.webhooks > 0 {
		if pools.Webhooks, err = d.open(ctx, s.webhooks); err != nil {
			return pools, err
		}
	}
	return pools, nil
}

// closePools closes the pools that were opened.
func closePools(p process.Pools) {
	for _, pool := range []*pgxpool.Pool{p.Webhooks, p.Passes, p.Queue, p.Reads} {
		if pool != nil {
			pool.Close()
		}
	}
}
