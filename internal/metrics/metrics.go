// Package metrics serves what a process knows about the fleet and about itself in the format of Prometheus.
//
// There are two kinds. What the database knows, the backlog, the ticks, the queue, is read from it at a scrape: every process
// shows the same, whoever did the work, so that rules take the max of it and never the sum. What only a process knows, its
// pools and the jobs that it ran, is counted in it, and is added up over processes. docs/metrics.md lists both.
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

// Config of the metrics of a process.
type Config struct {
	// Store is required.
	Store *store.Store
	// RiverSchema is the Postgres schema of River's tables. Required.
	RiverSchema string
	// Pools are those whose connections are shown, by name. The same pool may have two names.
	Pools map[string]*pgxpool.Pool
	// MaxAge is how old a reading of the database may be to be shown again: several who scrape, or one who does it often,
	// do not make the database count anew. Default 15 s; negative: every scrape reads.
	MaxAge time.Duration
	// Patience is how long a scrape waits for the database before it leaves out what is not there yet. Default 200 ms.
	Patience time.Duration
	// Logger is required.
	Logger *slog.Logger
}

// Metrics of one process, in a registry of their own.
type Metrics struct {
	registry *prometheus.Registry
	jobs     *jobs
}

// New returns the metrics of a process. What counts up counts from now on, or, if the database does not answer, from when it
// first does. The readings end with ctx.
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
		c.Logger.WarnContext(ctx, "the metrics of the fleet cannot be read yet")
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

// firstPatience is how long the start of a process waits for the readings from which the counters count.
const firstPatience = 2 * time.Second

// Handler serves the metrics. It has no authentication of its own.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Plugin makes a client of the queue count the jobs that it works.
func (m *Metrics) Plugin() rivertype.Plugin { return m.jobs }

// Registry gathers the metrics, for tests.
func (m *Metrics) Registry() prometheus.Gatherer { return m.registry }

// desc describes a metric of this program.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("thaw_"+name, help, labels, nil)
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func counter(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}

// toggle is how a metric says yes or no.
func toggle(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
