package database

import "fmt"

// A Budget is how the connections of one process are shared out: each kind of work has its own, so that a burst of one cannot
// keep another from a connection. What has more to do than connections waits its turn.
type Budget struct {
	// Webhooks records the deliveries of providers. Commits that wait together are flushed together.
	Webhooks int
	// Passes is for the jobs.
	Passes int
	// Queue is for River: fetching, completing, the election of a leader.
	Queue int
	// Reads is for pages, the API, metrics, readiness, and the watchdog.
	Reads int
	// Listen is the one connection that waits for notifications and holds the lock of the process; 0 behind a pooler.
	Listen int
}

const (
	// DefaultConnections of a process: it fits with the platform's own into the 20 of the smallest managed servers.
	DefaultConnections = 12
	// MinConnections is the least with which every kind of work has one.
	MinConnections = 7
)

// Share shares out the connections of a process that serves HTTP, works, or both.
func Share(connections int, web, work, pollOnly bool) (Budget, error) {
	if connections < MinConnections {
		return Budget{}, fmt.Errorf("a process needs at least %d database connections, not %d: raise THAW_MAX_CONNECTIONS (or pool_max_conns in the database URL)", MinConnections, connections)
	}
	// An eighth each beyond the least that River and readers need; what is left does the work, in halves.
	b := Budget{Queue: 2 + connections/8, Reads: 1 + connections/8}
	if work && !pollOnly {
		b.Listen = 1
	}
	rest := connections - b.Queue - b.Reads - b.Listen
	switch {
	case web && work:
		b.Webhooks = rest / 2
		b.Passes = rest - b.Webhooks
	case work:
		b.Passes = rest
	case web:
		b.Webhooks = rest
	}
	return b, nil
}
