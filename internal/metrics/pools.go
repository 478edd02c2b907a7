package metrics

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

var (
	connectionsDesc = desc("pool_connections", "Connections to the database by pool and state.", "pool", "state")
	poolSizeDesc    = desc("pool_max_connections", "Connections that a pool may have.", "pool")
	acquiresDesc    = desc("pool_acquires_total", "Connections taken from a pool.", "pool")
	waitedDesc      = desc("pool_waits_total", "Connections taken from a pool that had none free: somebody waited for it.", "pool")
	waitTimeDesc    = desc("pool_wait_seconds_total", "Time waited for a pool that had no connection free.", "pool")
	cancelledDesc   = desc("pool_cancelled_acquires_total", "Those who gave up waiting for a connection.", "pool")
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
