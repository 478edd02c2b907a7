package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// jobs counts the jobs of a River client.
type jobs struct {
	river.PluginDefaults
	took    *prometheus.HistogramVec
	waited  *prometheus.HistogramVec
	fetch   *prometheus.HistogramVec
	fetched *prometheus.CounterVec
}

var (
	_ rivertype.WorkerMiddleware = (*jobs)(nil)
	_ rivertype.HookMetricEmit   = (*jobs)(nil)
)

// From a pass of a single account (a few milliseconds) to the job timeout. In seconds.
var jobBuckets = []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}

// Long waits are for a tick, for earlier jobs, or for a worker process. In seconds.
var waitBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 5, 15, 60, 300, 900}

func newJobs() *jobs {
	return &jobs{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "thaw_job_duration_seconds", Buckets: jobBuckets,
			Help: "Duration of jobs in this process, by kind and result (completed, cancelled, snoozed, failed or panicked).",
		}, []string{"kind", "result"}),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "thaw_job_wait_seconds", Buckets: waitBuckets,
			Help: "Time from when a job was due until this process started it, by kind.",
		}, []string{"kind"}),
		fetch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "thaw_job_fetch_duration_seconds", Buckets: jobBuckets,
			Help: "Duration of job fetches of this process, by queue.",
		}, []string{"queue"}),
		fetched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "thaw_jobs_fetched_total",
			Help: "Jobs fetched by this process, by queue.",
		}, []string{"queue"}),
	}
}

// Describe implements [prometheus.Collector].
func (j *jobs) Describe(to chan<- *prometheus.Desc) {
	for _, c := range []prometheus.Collector{j.took, j.waited, j.fetch, j.fetched} {
		c.Describe(to)
	}
}

// Collect implements [prometheus.Collector].
func (j *jobs) Collect(to chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{j.took, j.waited, j.fetch, j.fetched} {
		c.Collect(to)
	}
}

// Work implements [rivertype.WorkerMiddleware].
func (j *jobs) Work(ctx context.Context, job *rivertype.JobRow, doInner func(context.Context) error) error {
	began := time.Now()
	// ScheduledAt is from another clock, which may be ahead.
	j.waited.WithLabelValues(job.Kind).Observe(max(0, began.Sub(job.ScheduledAt).Seconds()))
	result := "panicked"
	defer func() { j.took.WithLabelValues(job.Kind, result).Observe(time.Since(began).Seconds()) }()
	err := doInner(ctx)
	result = resultOf(err)
	return err
}

func resultOf(err error) string {
	var cancelled *river.JobCancelError
	var snoozed *river.JobSnoozeError
	switch {
	case err == nil:
		return "completed"
	case errors.As(err, &cancelled):
		return "cancelled"
	case errors.As(err, &snoozed):
		return "snoozed"
	default:
		return "failed"
	}
}

// MetricEmit implements [rivertype.HookMetricEmit].
func (j *jobs) MetricEmit(_ context.Context, params *rivertype.HookMetricEmitParams) {
	switch metric := params.Metric.(type) {
	case *rivertype.JobGetAvailableDurationMetric:
		j.fetch.WithLabelValues(metric.Queue).Observe(metric.Duration.Seconds())
	case *rivertype.JobGetAvailableCountMetric:
		j.fetched.WithLabelValues(metric.Queue).Add(float64(metric.Count))
	}
}
