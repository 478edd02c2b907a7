package metrics

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/store"
)

var (
	upDesc         = desc("up", "Whether the database answers this process (1) or not (0).")
	incompleteDesc = desc("scrape_incomplete_total",
		"Scrapes that left out a group of fleet metrics because reading it took too long or failed.", "group")
	ageDesc = desc("scrape_age_seconds", "Age of the reported values of a group of fleet metrics.", "group")

	oldestDesc = desc("oldest_resumable_age_seconds",
		"Age of the oldest resumable enrollment; 0 if there is none. The objective is 30 minutes.")
	pausedDesc    = desc("paused_enrollments", "Paused enrollments by reason.", "reason")
	resumableDesc = desc("resumable_enrollments", "Paused enrollments that are ready to resume.")
	resumedDesc   = desc("resumed_total",
		"Enrollments resumed by all processes since this process started, by lane.", "lane")
	quotaUsedDesc = desc("quota_used", "Enrollments resumed in the current tick, by lane.", "lane")
	quotaCapDesc  = desc("quota_cap", "Cap on enrollments resumed in the current tick, by lane.", "lane")

	tickDesc         = desc("tick_length_seconds", "Length of a tick.")
	sweepAgeDesc     = desc("last_sweep_age_seconds", "Age of the newest planned tick; +Inf if there is none.")
	sweepTookDesc    = desc("last_sweep_duration_seconds", "Duration of the newest finished sweep, from its plan to its last pass.")
	sweepPartialDesc = desc("last_sweep_partial",
		"Whether the newest sweep covered only part of the accounts because planning took too long (1) or not (0).")

	signalsDesc = desc("signals_total",
		"Signals received by all processes since this process started, by outcome.", "outcome")
	silenceDesc = desc("provider_silence_seconds",
		"Time since the last signal of a provider to a webhook.", "provider")
	silenceLimitDesc = desc("provider_silence_limit_seconds",
		"Silence of a provider that lasts longer than this is unusual; +Inf if not learned yet or disabled.", "provider")
	safetyDesc = desc("safety_mode", "Whether safety mode is on (1) or off (0).")

	snapshotDesc = desc("oldest_snapshot_age_seconds",
		"Age of the oldest transaction or snapshot in the database; 0 if there is none. An old one prevents the removal of dead rows.")
	snapshotTransactionsDesc = desc("oldest_snapshot_transactions",
		"Number of transactions since the oldest snapshot, including replication slots and sessions of unknown age.")
	snapshotsHiddenDesc = desc("snapshots_of_unknown_age",
		"Sessions whose snapshot age Thaw cannot see, because its database role lacks pg_read_all_stats.")

	starvedDesc = desc("starved_accounts",
		"Accounts through which no prospect has resumed for two ticks, although prospects were ready and quota remained.")
	healsDesc = desc("heals",
		"Heals that are not done, by state: running, or stopped because their job was cancelled or discarded.", "state")
	deliveriesDesc = desc("webhook_deliveries",
		"Deliveries to the platform that wait or have failed, by endpoint ID and state; values above 100,000 are reported as 100,000.", "endpoint", "state")
	deliveryAgeDesc = desc("webhook_oldest_waiting_age_seconds",
		"Age of the oldest message that waits for delivery, by endpoint ID; 0 if none waits.", "endpoint")
	endpointDesc = desc("webhook_endpoint_enabled", "Whether an endpoint is enabled (1) or was disabled because it answered 410 (0).", "endpoint")

	driftDesc = desc("drift_rows",
		"Rows of the platform's own tables that differed from Thaw's copy in the last comparison (thaw adopt check).")
	adoptErrorsDesc = desc("adopt_errors",
		"Changes of the platform's own tables that could not be applied: rows that are parked, rows that are retried, and statements whose rows are unknown; values above 100,000 are reported as 100,000.", "state")
	changesDesc = desc("adopt_changes_waiting",
		"Changes of Thaw that the platform has not taken yet; values above 100,000 are reported as 100,000.")
	changesAgeDesc = desc("adopt_oldest_change_age_seconds", "Age of the oldest change that the platform has not taken yet; 0 if none waits.")
	schemaDesc     = desc("adopt_schema_problems", "What no longer fits the mapping: tables, columns and their types, triggers, permissions.")
	heldDesc       = desc("adopt_held_accounts", "Accounts through which nothing is resumed, because the platform's tables no longer fit the mapping, until thaw adopt check succeeds.")
	shadowDesc     = desc("shadow_workspaces", "Workspaces in shadow mode.")

	actionsDesc = desc("actions", "Actions by state: reserved, started, or unknown; values above 100,000 are reported as 100,000.", "state")
	settledDesc = desc("actions_settled_total",
		"Actions that all processes and senders have settled since this process started, by state.", "state")
	refusedDesc = desc("actions_refused_total",
		"Actions settled as refused, limited, throttled, account_lost or restricted since this process started, by the error code of the provider; other if there is no valid one.", "code")
	gatesDesc  = desc("accounts_at_gate", "Accounts with something to send, by the gate that was closed at the last look.", "code")
	dueDesc    = desc("due_accounts", "Accounts that have something to send and had no closed gate at the last look, and those whose next look is more than 2 minutes late.")
	dueAgeDesc = desc("oldest_due_action_age_seconds",
		"How long the first account that may send has waited for a sender to claim or reserve its action, or for the job schedule; 0 if none waits.")
	scheduleAgeDesc = desc("last_schedule_age_seconds",
		"Age of the last finished job schedule; +Inf if there is none. Only while due actions are sent to the platform (--push-actions).")

	workersDesc = desc("workers_alive", "Worker processes that are alive. Processes with --poll-only count as one at most.")
	jobsDesc    = desc("jobs", "Jobs by queue and state, excluding completed jobs.", "queue", "state")
)

// A fleet collects the fleet metrics, in groups.
type fleet struct {
	ctx    context.Context //nolint:containedctx // Collect gets no context.
	store  *store.Store
	maxAge time.Duration
	wait   time.Duration
	logger *slog.Logger

	// One scrape runs at a time. Concurrent scrapes reuse its readings.
	mu     sync.Mutex
	groups []*group
	tokens chan struct{}
}

func newFleet(ctx context.Context, c Config) *fleet {
	f := &fleet{ctx: ctx, store: c.Store, maxAge: c.MaxAge, wait: c.Patience, logger: c.Logger, tokens: make(chan struct{}, readingsAtOnce)}
	resumed, signals, settled := newResumed(), newSignals(), newSettled()
	// In reading order, the cheap ones first.
	f.groups = []*group{
		{name: "ticks", read: func(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
			return readTicks(ctx, q, resumed)
		}},
		{name: "workers", read: readWorkers},
		{name: "signals", read: func(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
			err := signals.read(ctx, q)
			return signals.metrics(), err
		}},
		{name: "snapshots", read: readSnapshots},
		{name: "webhooks", read: readWebhooks},
		{name: "heals", read: readHeals},
		{name: "adoption", read: readAdoption},
		{name: "actions", read: func(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
			return readActions(ctx, q, settled)
		}},
		{name: "jobs", read: readJobs},
		{name: "oldest", read: readOldest},
		{name: "backlog", read: readBacklog},
		{name: "starved", read: readStarved},
	}
	return f
}

// Describe implements [prometheus.Collector].
func (f *fleet) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		upDesc, incompleteDesc, ageDesc, oldestDesc, pausedDesc, resumableDesc, resumedDesc, quotaUsedDesc, quotaCapDesc, tickDesc, sweepAgeDesc,
		sweepTookDesc, sweepPartialDesc, signalsDesc, silenceDesc, silenceLimitDesc, safetyDesc, snapshotDesc, snapshotTransactionsDesc, snapshotsHiddenDesc, starvedDesc, healsDesc, deliveriesDesc, deliveryAgeDesc, endpointDesc, driftDesc, adoptErrorsDesc, changesDesc, changesAgeDesc, shadowDesc, actionsDesc, settledDesc, refusedDesc, gatesDesc, dueDesc, dueAgeDesc, scheduleAgeDesc, workersDesc, jobsDesc,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector]. Late groups are left out and counted. The scrape
// succeeds even if the database does not answer, with the process metrics only.
func (f *fleet) Collect(to chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	began := time.Now()
	up := f.read(f.wait)
	for _, g := range f.groups {
		// If the database is down, older readings are not shown: they would look current.
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

// read starts to read all outdated groups, waits for them at most wait, and reports whether the
// database is up. The database is up if a group was read, or if it answers a ping: a slow database
// is not down.
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

// outdate makes the next scrape read again. The reading at the start of the process only sets the
// start of the counters.
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
	f.logger.WarnContext(f.ctx, "reading a group of fleet metrics failed", "group", name, "error", err)
}

// readTicks reads the single-valued metrics, the quotas, and the resumed counts.
func readTicks(ctx context.Context, q *dbsqlc.Queries, resumed *resumed) ([]prometheus.Metric, error) {
	stand, err := q.MetricsStand(ctx)
	if err != nil {
		return nil, err
	}
	quotas, err := resumed.read(ctx, q, stand.Now)
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
	metrics = append(metrics, quotasOf(stand, quotas)...)
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
	paused, err := q.FleetPausedByReason(ctx)
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

func readStarved(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	accounts, err := q.MetricsStarved(ctx)
	return []prometheus.Metric{gauge(starvedDesc, float64(accounts))}, err
}

func readHeals(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	counts, err := q.MetricsOpenHeals(ctx)
	if err != nil {
		return nil, err
	}
	var metrics []prometheus.Metric
	for _, count := range counts {
		metrics = append(metrics, gauge(healsDesc, float64(count.Heals), count.State))
	}
	return metrics, nil
}

// readAdoption returns nothing while the platform's tables are not adopted.
func readAdoption(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	s, err := q.AdoptSummary(ctx)
	if err != nil || !s.IsAdopted {
		return nil, err
	}
	return []prometheus.Metric{
		gauge(driftDesc, float64(s.DriftRows)), gauge(changesDesc, float64(s.Changes)), gauge(changesAgeDesc, s.OldestChangeAge),
		gauge(adoptErrorsDesc, float64(s.Parked), "parked"), gauge(adoptErrorsDesc, float64(s.Deferred), "deferred"),
		gauge(adoptErrorsDesc, float64(s.FailedStatements), "statement"), gauge(schemaDesc, float64(len(s.Problems))),
		gauge(heldDesc, float64(s.HeldAccounts)), gauge(shadowDesc, float64(s.ShadowWorkspaces)),
	}, nil
}

func readWebhooks(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	endpoints, err := q.MetricsWebhooks(ctx)
	if err != nil {
		return nil, err
	}
	var metrics []prometheus.Metric
	for _, e := range endpoints {
		id := strconv.FormatInt(e.ID, 10)
		metrics = append(metrics, gauge(endpointDesc, toggle(e.IsEnabled), id), gauge(deliveryAgeDesc, e.Oldest, id),
			gauge(deliveriesDesc, float64(e.Waiting), id, "waiting"), gauge(deliveriesDesc, float64(e.Failed), id, "failed"))
	}
	return metrics, nil
}

func readWorkers(ctx context.Context, q *dbsqlc.Queries) ([]prometheus.Metric, error) {
	alive, err := q.WorkersAlive(ctx)
	return []prometheus.Metric{gauge(workersDesc, float64(alive))}, err
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

// quotasOf returns the quotas of the current tick. An unused quota has no row; its cap comes
// from the settings.
func quotasOf(stand dbsqlc.MetricsStandRow, rows []dbsqlc.MetricsQuotasRow) (metrics []prometheus.Metric) {
	for lane, limit := range map[enum.Lane]int32{enum.LaneSweep: stand.FleetCap, enum.LaneSignal: stand.SignalCap} {
		used := int32(0)
		for _, row := range rows {
			if row.Lane == string(lane) && row.TickAt.Equal(stand.TickAt) {
				used, limit = row.Used, row.Cap
			}
		}
		metrics = append(metrics, gauge(quotaUsedDesc, float64(used), string(lane)), gauge(quotaCapDesc, float64(limit), string(lane)))
	}
	return metrics
}
