package database

import "fmt"

// A Budget divides the connections of a process. Each kind of work has its own connections, so that
// a burst of one kind cannot starve another. Work beyond its share waits.
type Budget struct {
	// Webhooks is for receiving signals. Concurrent commits share a flush.
	Webhooks int
	// Passes is for the jobs.
	Passes int
	// Queue is for River: fetching and completing jobs, and leader election.
	Queue int
	// Reads is for pages, the API, metrics, readiness, and the watchdog.
	Reads int
	// Listen is the connection that waits for notifications and holds the lock of the process: 1,
	// or 0 behind a pooler.
	Listen int
}

const (
	// DefaultConnections leaves enough connections for the platform on the smallest managed
	// servers, which have 20.
	DefaultConnections = 12
	// MinConnections is the minimum for one connection per kind of work.
	MinConnections = 7
)

// Share divides the connections of a process that serves HTTP, works, or both.
func Share(connections int, web, work, pollOnly bool) (Budget, error) {
	if connections < MinConnections {
		return Budget{}, fmt.Errorf("a process needs at least %d database connections, not %d: raise THAW_MAX_CONNECTIONS (or pool_max_conns in the database URL)", MinConnections, connections)
	}
	// River and readers get their minimum plus an eighth each. Webhooks and passes share the rest
	// equally.
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
