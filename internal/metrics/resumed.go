package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
)

// resumed counts resumed enrollments by lane, from the idempotency records in which the passes of
// all processes write their results. The plain sum of these records would fall when retention
// deletes some, and Prometheus takes a falling counter for a restarted one. So resumed sums the
// growth of the records since the last reading, and resets only with the process.
type resumed struct {
	total map[string]float64
	// since is the time of the last reading, by the clock of the database; zero before the first
	// one.
	since time.Time
	seen  map[record]int32
}

// A record is an idempotency record: a quota of a tick, or a heal.
type record struct {
	lane string
	id   int64
}

func newResumed() *resumed {
	r := &resumed{total: map[string]float64{}}
	for _, lane := range enum.Lanes {
		r.total[string(lane)] = 0
	}
	return r
}

// read adds the enrollments resumed since the last reading. The first reading only sets the start
// values. It returns the quotas it has read, including those of the current tick.
func (w *resumed) read(ctx context.Context, q *dbsqlc.Queries, now time.Time) ([]dbsqlc.MetricsQuotasRow, error) {
	since := w.since
	if since.IsZero() {
		since = now
	}
	quotas, err := q.MetricsQuotas(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("reading the quotas: %w", err)
	}
	heals, err := q.MetricsHeals(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("reading the heals: %w", err)
	}
	used := make(map[record]int32, len(quotas)+len(heals))
	for _, row := range quotas {
		used[record{row.Lane, row.TickAt.Unix()}] = row.Used
	}
	for _, row := range heals {
		used[record{"heal", row.ID}] = row.Resumed
	}
	w.add(used)
	w.since = now
	return quotas, nil
}

func (w *resumed) add(used map[record]int32) {
	for row, now := range used {
		// A crash of the server can revert the last batch of a heal.
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
