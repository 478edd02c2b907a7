package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// resumed counts who is resumed by lane, from the rows in which every pass, of whichever process, writes what it did. Their sum
// would fall when retention removes some, and Prometheus takes a counter that falls for one that started anew. So it adds up
// what the rows have grown by since the last reading, from zero on: it starts anew with the process, and only then.
type resumed struct {
	total map[string]float64
	// since is when the last reading was, by the clock of the database; zero: there was none.
	since time.Time
	seen  map[record]int32
}

// An idempotency record is a budget of a tick, or a heal.
type record struct {
	lane string
	id   int64
}

func newResumed() *resumed {
	return &resumed{total: map[string]float64{"sweep": 0, "signal": 0, "heal": 0}}
}

// read adds what was resumed since the last reading; the first only looks where the rows stand. It returns the budgets that it
// found, among them those of the current tick.
func (w *resumed) read(ctx context.Context, q *dbsqlc.Queries, now time.Time) ([]dbsqlc.MetricsBudgetsRow, error) {
	since := w.since
	if since.IsZero() {
		since = now
	}
	budgets, err := q.MetricsBudgets(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("reading the budgets: %w", err)
	}
	heals, err := q.MetricsHeals(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("reading the heals: %w", err)
	}
	used := make(map[record]int32, len(budgets)+len(heals))
	for _, row := range budgets {
		used[record{row.Lane, row.TickAt.Unix()}] = row.Used
	}
	for _, row := range heals {
		used[record{"heal", row.ID}] = row.Resumed
	}
	w.add(used)
	w.since = now
	return budgets, nil
}

func (w *resumed) add(used map[record]int32) {
	for row, now := range used {
		// A crash of the server can take back the last of a heal.
		if before := w.seen[row]; !w.since.IsZero() && now > before {
			w.total[row.lane] += float64(now - before)
		}
	}
	w.seen = used
}

func (w *resumed) metrics() (metrics []prometheus.Metric) {
	for lane, total := range w.total {
		metrics = append(metrics, counter(resumedDesc, total, lane))
	}
	return metrics
}
