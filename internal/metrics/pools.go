package metrics

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

var (
	connectionsDesc = desc("pool_connections", "Database connections by pool and state.", "pool", "state")
	poolSizeDesc    = desc("pool_max_connections", "Maximum number of connections of a pool.", "pool")
	acquiresDesc    = desc("pool_acquires_total", "Connections acquired from a pool.", "pool")
	waitedDesc      = desc("pool_waits_total", "Acquires that had to wait because the pool had no free connection.", "pool")
	waitTimeDesc    = desc("pool_wait_seconds_total", "Total time that acquires waited for a free connection.", "pool")
	cancelledDesc   = desc("pool_cancelled_acquires_total", "Acquires cancelled while waiting for a connection.", "pool")
	openedDesc      = desc("pool_opened_connections_total", "Connections opened by a pool.", "pool")
)

// pools collects the statistics of connection pools, by name.
type pools map[string]*pgxpool.Pool

// Describe implements [prometheus.Collector].
func (p pools) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connectionsDesc, poolSizeDesc, acquiresDesc, waitedDesc, waitTimeDesc, cancelledDesc, openedDesc} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (p pools) Collect(to chan<- prometheus.Metric) {
	for name, pool := range p {
		stat := pool.Stat()
		to <- gauge(connectionsDesc, float64(stat.AcquiredConns()), name, "acquired")
		to <- gauge(connectionsDesc, float64(stat.IdleConns()), name, "idle")
		to <- gauge(connectionsDesc, float64(stat.ConstructingConns()), name, "opening")
		to <- gauge(poolSizeDesc, float64(stat.MaxConns()), name)
		to <- counter(acquiresDesc, float64(stat.AcquireCount()), name)
		to <- counter(waitedDesc, float64(stat.EmptyAcquireCount()), name)
		to <- counter(waitTimeDesc, stat.EmptyAcquireWaitTime().Seconds(), name)
		to <- counter(cancelledDesc, float64(stat.CanceledAcquireCount()), name)
		to <- counter(openedDesc, float64(stat.NewConnsCount()), name)
	}
}
