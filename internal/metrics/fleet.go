package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// deadline ends a reading. Prometheus gives a scrape 10 s; a process whose database hangs must still say so in time.
const deadline = 5 * time.Second

// snapshot begins the transaction of a reading. The server ends a statement too, because it does not always notice that
// nobody waits for it any more. The planner would compile for longer than these statements run.
var snapshot = pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off; SET LOCAL statement_timeout = " +
	strconv.FormatInt(deadline.Milliseconds(), 10)}

var (
	upDesc = desc("up", "Whether the database answered in time; 0: all that is read from it is missing.")

	oldestDesc = desc("oldest_resumable_age_seconds",
		"How long the prospect has waited who has been resumable for longest; 0: nobody waits. The objective is 30 minutes.")
	pausedDesc = desc("paused_enrollments",
		"Paused enrollments by reason; resumable: a sweep may wake them now.", "reason", "resumable")
	wokenDesc = desc("resumed_total",
		"Enrollments woken since this process started, by whichever process, by lane.", "lane")
	budgetUsedDesc = desc("budget_used", "Enrollments that the current tick has woken, by lane.", "lane")
	budgetCapDesc  = desc("budget_cap", "Enrollments that the current tick may wake, by lane.", "lane")

	tickDesc      = desc("tick_length_seconds", "Length of a tick.")
	sweepAgeDesc  = desc("last_sweep_age_seconds", "Age of the newest tick that has a plan; +Inf: there was none yet.")
	sweepTookDesc = desc("last_sweep_duration_seconds", "From the plan to the last pass of the newest tick that is finished.")

	signalsDesc = desc("signals_total",
		"Account-status messages since this process started, received by whichever process, by outcome.", "outcome")
	safetyDesc = desc("safety_mode", "Whether safety mode is on.")

	leaderDesc = desc("leader_elected", "Whether any worker process is alive: the queue has a leader.")
	jobsDesc   = desc("jobs", "Jobs of the queue by queue and state, but for those that are completed.", "queue", "state")
)

// A fleet collects what the database knows.
type fleet struct {
	ctx         context.Context //nolint:containedctx // A scrape brings none.
	store       *store.Store
	riverSchema string
	maxAge      time.Duration
	logger      *slog.Logger

	// One reading at a time: who scrapes meanwhile gets the same.
	mu      sync.Mutex
	last    []prometheus.Metric
	readAt  time.Time
	woken   *woken
	signals *signals
}

// Describe implements [prometheus.Collector].
func (f *fleet) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		upDesc, oldestDesc, pausedDesc, wokenDesc, budgetUsedDesc, budgetCapDesc, tickDesc, sweepAgeDesc, sweepTookDesc,
		signalsDesc, safetyDesc, leaderDesc, jobsDesc,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector]. Without an answer of the database it says just that: the scrape succeeds, with
// what the process knows by itself.
func (f *fleet) Collect(to chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readAt.IsZero() || time.Since(f.readAt) > f.maxAge {
		var err error
		if f.last, err = f.read(); err != nil {
			f.logger.WarnContext(f.ctx, "the metrics of the fleet could not be read", "error", err)
		}
		f.last = append(f.last, gauge(upDesc, toggle(err == nil)))
		f.readAt = time.Now()
	}
	for _, metric := range f.last {
		to <- metric
	}
}

// read reads the database: all in one snapshot, but for the leader, who is asked for in the queue's own schema.
func (f *fleet) read() (metrics []prometheus.Metric, err error) {
	ctx, cancel := context.WithTimeout(f.ctx, deadline)
	defer cancel()
	elected, err := f.store.HasLeader(ctx, f.riverSchema)
	if err != nil {
		return nil, err
	}
	err = pgx.BeginTxFunc(ctx, f.store.Pool(), snapshot, func(tx pgx.Tx) error {
		metrics, err = f.readSnapshot(ctx, f.store.WithTx(tx))
		return err
	})
	if err != nil {
		return nil, err
	}
	return append(metrics, gauge(leaderDesc, toggle(elected))), nil
}

func (f *fleet) readSnapshot(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	stand, err := q.MetricsStand(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	backlog, err := q.MetricsBacklog(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the backlog: %w", err)
	}
	counts, err := q.MetricsJobs(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting jobs: %w", err)
	}
	budgets, err := f.woken.read(ctx, q, stand.Now)
	if err != nil {
		return nil, err
	}
	if err := f.signals.read(ctx, q); err != nil {
		return nil, err
	}

	metrics := []prometheus.Metric{
		gauge(tickDesc, stand.Tick.Seconds()), gauge(sweepAgeDesc, stand.SweepAge), gauge(sweepTookDesc, stand.SweepTook),
		gauge(safetyDesc, toggle(stand.SafetyMode)),
	}
	oldest := 0.0
	for _, line := range backlog {
		oldest = max(oldest, line.Oldest)
		metrics = append(metrics,
			gauge(pausedDesc, float64(line.Resumable), line.Reason, "true"), gauge(pausedDesc, float64(line.Held), line.Reason, "false"))
	}
	metrics = append(metrics, gauge(oldestDesc, oldest))
	for _, count := range counts {
		metrics = append(metrics, gauge(jobsDesc, float64(count.Jobs), count.Queue, count.State))
	}
	metrics = append(metrics, budgetsOf(stand, budgets)...)
	metrics = append(metrics, f.woken.metrics()...)
	return append(metrics, f.signals.metrics()...), nil
}

// budgetsOf shows the budgets of the current tick. One that nobody has drawn from yet has no row; its cap will be what the
// settings say.
func budgetsOf(stand dbsqlc.MetricsStandRow, rows []dbsqlc.MetricsBudgetsRow) (metrics []prometheus.Metric) {
	for lane, limit := range map[string]int32{"sweep": stand.FleetCap, "signal": stand.SignalCap} {
		used := int32(0)
		for _, row := range rows {
			if row.Lane == lane && row.TickAt.Equal(stand.TickAt) {
				used, limit = row.Used, row.Cap
			}
		}
		metrics = append(metrics, gauge(budgetUsedDesc, float64(used), lane), gauge(budgetCapDesc, float64(limit), lane))
	}
	return metrics
}
