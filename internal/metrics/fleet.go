package metrics

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

var (
	upDesc         = desc("up", "Whether the database answers this process.")
	incompleteDesc = desc("scrape_incomplete_total",
		"Scrapes that went without a group of what is read from the database, because it was not there in time or failed.", "group")
	ageDesc = desc("scrape_age_seconds", "How long ago a group of what is shown here was read from the database.", "group")

	oldestDesc = desc("oldest_resumable_age_seconds",
		"How long the prospect has waited who has been resumable for longest; 0: nobody waits. The objective is 30 minutes.")
	pausedDesc    = desc("paused_enrollments", "Paused enrollments by reason.", "reason")
	resumableDesc = desc("resumable_enrollments", "Paused enrollments that a sweep can resume now.")
	resumedDesc   = desc("resumed_total",
		"Enrollments resumed since this process started, by whichever process, by lane.", "lane")
	budgetUsedDesc = desc("budget_used", "Enrollments that the current tick has resumed, by lane.", "lane")
	budgetCapDesc  = desc("budget_cap", "Enrollments that the current tick may resume, by lane.", "lane")

	tickDesc         = desc("tick_length_seconds", "Length of a tick.")
	sweepAgeDesc     = desc("last_sweep_age_seconds", "Age of the newest tick that has a plan; +Inf: there was none yet.")
	sweepTookDesc    = desc("last_sweep_duration_seconds", "From the plan to the last pass of the newest tick that is finished.")
	sweepPartialDesc = desc("last_sweep_partial",
		"Whether the newest tick was planned for a part of the accounts only, because planning took too long.")

	signalsDesc = desc("signals_total",
		"Account-status messages since this process started, received by whichever process, by outcome.", "outcome")
	silenceDesc = desc("provider_silence_seconds",
		"For how long a provider has sent no signal to a webhook, by provider.", "provider")
	silenceLimitDesc = desc("provider_silence_limit_seconds",
		"From when on the silence of a provider is unusual; +Inf: not learned yet, or switched off.", "provider")
	safetyDesc = desc("safety_mode", "Whether safety mode is on.")

	snapshotDesc = desc("oldest_snapshot_age_seconds",
		"Age of the oldest transaction or snapshot in the database, which keeps it from removing dead rows; 0: there is none.")
	snapshotTransactionsDesc = desc("oldest_snapshot_transactions",
		"How many transactions ago the oldest snapshot was taken, replication slots and sessions of unknown age included.")
	snapshotsHiddenDesc = desc("snapshots_of_unknown_age",
		"Sessions with a snapshot of which this role may not see the age: it lacks pg_read_all_stats.")

	leaderDesc = desc("leader_elected", "Whether any worker process is alive: the queue has a leader.")
	jobsDesc   = desc("jobs", "Jobs of the queue by queue and state, but for those that are completed.", "queue", "state")
)

// A fleet collects what the database knows, in groups.
type fleet struct {
	ctx    context.Context //nolint:containedctx // A scrape brings none.
	store  *store.Store
	maxAge time.Duration
	wait   time.Duration
	logger *slog.Logger

	// One scrape at a time: those who scrape meanwhile get the same.
	mu     sync.Mutex
	groups []*group
	tokens chan struct{}
}

func newFleet(ctx context.Context, c Config) *fleet {
	f := &fleet{ctx: ctx, store: c.Store, maxAge: c.MaxAge, wait: c.Patience, logger: c.Logger, tokens: make(chan struct{}, readingsAtOnce)}
	resumed, signals := newResumed(), newSignals()
	// In this order, the cheap ones first.
	f.groups = []*group{
		{name: "ticks", read: func(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
			return readTicks(ctx, q, resumed)
		}},
		{name: "leader", read: func(ctx context.Context, _ *dbsqlc.Queries) ([]prometheus.Metric, error) {
			elected, err := c.Store.HasLeader(ctx, c.RiverSchema)
			return []prometheus.Metric{gauge(leaderDesc, toggle(elected))}, err
		}},
		{name: "signals", read: func(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
			err := signals.read(ctx, q)
			return signals.metrics(), err
		}},
		{name: "snapshots", read: readSnapshots},
		{name: "jobs", read: readJobs},
		{name: "oldest", read: readOldest},
		{name: "backlog", read: readBacklog},
	}
	return f
}

// Describe implements [prometheus.Collector].
func (f *fleet) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		upDesc, incompleteDesc, ageDesc, oldestDesc, pausedDesc, resumableDesc, resumedDesc, budgetUsedDesc, budgetCapDesc, tickDesc, sweepAgeDesc,
		sweepTookDesc, sweepPartialDesc, signalsDesc, silenceDesc, silenceLimitDesc, safetyDesc, snapshotDesc, snapshotTransactionsDesc, snapshotsHiddenDesc, leaderDesc, jobsDesc,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector]. What is not there in time is left out, and counted. The scrape itself succeeds even
// if the database does not answer, with what the process knows by itself.
func (f *fleet) Collect(to chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	began := time.Now()
	up := f.read(f.wait)
	for _, g := range f.groups {
		// What was read before the database went away is missing too: it would look as if it were there.
		metrics, age, ok := g.collect(began, f.maxAge, up)
		if ok {
			to <- gauge(ageDesc, age.Seconds(), g.name)
		}
		for _, metric := range metrics {
			to <- metric
		}
		to <- counter(incompleteDesc, g.incomplete, g.name)
	}
	to <- gauge(upDesc, toggle(up))
}

// read begins to read all groups that are too old, and returns when they are read, or after a while; and whether the database
// answers. It answers if a group was read, or else if it says so: to be slow is not to be away.
func (f *fleet) read(wait time.Duration) (up bool) {
	began := time.Now()
	waiting, cancel := context.WithTimeout(f.ctx, wait)
	defer cancel()
	for _, g := range f.groups {
		g.start(f.ctx, f.store, f.maxAge, f.tokens, f.failed)
	}
	for _, g := range f.groups {
		g.wait(waiting)
	}
	for _, g := range f.groups {
		if g.wasReadSince(began) {
			return true
		}
	}
	ctx, cancel := context.WithTimeout(f.ctx, answerWithin)
	defer cancel()
	if err := answers(ctx, f.store); err != nil {
		f.logger.WarnContext(f.ctx, "the database does not answer", "error", err)
		return false
	}
	return true
}

// outdate makes the next scrape read anew: what was read when the process began is where its counters count from.
func (f *fleet) outdate() {
	for _, g := range f.groups {
		g.mu.Lock()
		if !g.readAt.IsZero() {
			g.readAt = g.readAt.Add(-max(f.maxAge, 0) - time.Millisecond)
		}
		g.mu.Unlock()
	}
}

func (f *fleet) failed(name string, err error) {
	f.logger.WarnContext(f.ctx, "a part of the metrics of the fleet could not be read", "group", name, "error", err)
}

// readTicks reads the numbers of which there is one, the budgets, and what was resumed.
func readTicks(ctx context.Context, q *dbsqlc.Queries, resumed *resumed) ([]prometheus.Metric, error) {
	stand, err := q.MetricsStand(ctx)
	if err != nil {
		return nil, err
	}
	budgets, err := resumed.read(ctx, q, stand.Now)
	if err != nil {
		return nil, err
	}
	metrics := []prometheus.Metric{
		gauge(tickDesc, stand.Tick.Seconds()), gauge(sweepAgeDesc, stand.SweepAge), gauge(sweepTookDesc, stand.SweepTook), gauge(sweepPartialDesc, toggle(stand.SweepIsPartial)),
		gauge(safetyDesc, toggle(stand.SafetyMode)),
	}
	silences, err := q.ProviderSilences(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range silences {
		metrics = append(metrics, gauge(silenceDesc, s.SilentFor, s.Provider), gauge(silenceLimitDesc, s.SilenceLimit, s.Provider))
	}
	metrics = append(metrics, budgetsOf(stand, budgets)...)
	return append(metrics, resumed.metrics()...), nil
}

func readSnapshots(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	oldest, err := q.MetricsSnapshots(ctx)
	if err != nil {
		return nil, err
	}
	return []prometheus.Metric{
		gauge(snapshotDesc, oldest.Seconds), gauge(snapshotTransactionsDesc, float64(oldest.Transactions)),
		gauge(snapshotsHiddenDesc, float64(oldest.Hidden)),
	}, nil
}

func readBacklog(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	resumable, err := q.MetricsResumable(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := q.MetricsPaused(ctx)
	if err != nil {
		return nil, err
	}
	metrics := []prometheus.Metric{gauge(resumableDesc, float64(resumable))}
	for _, line := range paused {
		metrics = append(metrics, gauge(pausedDesc, float64(line.Paused), line.Reason))
	}
	return metrics, nil
}

func readOldest(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	seconds, err := q.MetricsOldest(ctx)
	return []prometheus.Metric{gauge(oldestDesc, seconds)}, err
}

func readJobs(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	counts, err := q.MetricsJobs(ctx)
	if err != nil {
		return nil, err
	}
	var metrics []prometheus.Metric
	for _, count := range counts {
		metrics = append(metrics, gauge(jobsDesc, float64(count.Jobs), count.Queue, count.State))
	}
	return metrics, nil
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
