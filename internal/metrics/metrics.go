// Package metrics serves the metrics of the fleet and of a process in the Prometheus format.
//
// Fleet metrics (backlog, ticks, queue) are read from the database when a scrape asks for them.
// Every process reports the same values, whichever process did the work, so rules must use max and
// never sum. Process metrics (pools, jobs) are counted in the process and are summed over
// processes. docs/metrics.md lists both.
package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/riverqueue/river/rivertype"

	"github.com/thawline/thaw/internal/store"
)

// Config configures the metrics of a process.
type Config struct {
	// Store is required.
	Store *store.Store
	// Pools whose connections are reported, by name. A pool may appear under two names.
	Pools map[string]*pgxpool.Pool
	// MaxAge is how long a reading of the database is reused, so that frequent or concurrent
	// scrapes do not load the database. Default 15 s. If negative, every scrape reads.
	MaxAge time.Duration
	// Patience is how long a scrape waits for the database. Later readings are left out. Default
	// 200 ms.
	Patience time.Duration
	// Logger is required.
	Logger *slog.Logger
}

// Metrics has the metrics of one process in its own registry.
type Metrics struct {
	registry *prometheus.Registry
	jobs     *jobs
}

// New returns the metrics of a process. Fleet counters start now, or when the database first
// answers. Reading stops when ctx ends.
func New(ctx context.Context, c Config) (*Metrics, error) {
	if c.MaxAge == 0 {
		c.MaxAge = 15 * time.Second
	}
	m := &Metrics{registry: prometheus.NewRegistry(), jobs: newJobs()}
	if c.Patience == 0 {
		c.Patience = patience
	}
	fleet := newFleet(ctx, c)
	if !fleet.read(firstPatience) {
		c.Logger.WarnContext(ctx, "reading the fleet metrics failed; the next scrape tries again")
	}
	fleet.outdate()
	for _, collector := range []prometheus.Collector{
		fleet, pools(c.Pools), m.jobs,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	} {
		if err := m.registry.Register(collector); err != nil {
			return nil, fmt.Errorf("setting up the metrics: %w", err)
		}
	}
	return m, nil
}

// firstPatience is how long the start of a process waits for the first readings, where the fleet
// counters start.
const firstPatience = 2 * time.Second

// Handler serves the metrics without authentication.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Plugin returns the River plugin that counts the jobs of a client.
func (m *Metrics) Plugin() rivertype.Plugin { return m.jobs }

// Registry returns the registry, for tests.
func (m *Metrics) Registry() prometheus.Gatherer { return m.registry }

// desc returns the description of a metric, with the prefix of this program.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("thaw_"+name, help, labels, nil)
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func counter(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}

// toggle converts a bool to a gauge value.
func toggle(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
