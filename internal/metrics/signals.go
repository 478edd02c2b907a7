package metrics

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// signals counts deliveries by outcome, those that the platform sends in SQL too. There may be millions, so each reading looks
// at those that came since the last one, and once more at those so young that one before them may still be uncommitted.
type signals struct {
	total map[string]float64
	// after is the id up to which all are counted; none: there was no reading yet.
	after *int64
	// seen is how many with a higher id are counted already.
	seen map[string]int64
}

func newSignals() *signals {
	return &signals{total: map[string]float64{"applied": 0, "duplicate": 0, "stale": 0, "unknown_account": 0, "ignored": 0}}
}

// read adds what came since the last reading; the first only looks where the table ends.
func (s *signals) read(ctx context.Context, q *dbsqlc.Queries) error {
	if s.after == nil {
		newest, err := q.MetricsNewestSignal(ctx)
		if err != nil {
			return fmt.Errorf("finding the newest signal: %w", err)
		}
		s.after = &newest
		return nil
	}
	rows, err := q.MetricsSignals(ctx, *s.after)
	if err != nil {
		return fmt.Errorf("counting signals: %w", err)
	}
	s.add(rows)
	return nil
}

func (s *signals) add(rows []dbsqlc.MetricsSignalsRow) {
	seen := make(map[string]int64, len(rows))
	for _, row := range rows {
		s.total[row.Outcome] += float64(max(0, row.Signals-s.seen[row.Outcome]))
		seen[row.Outcome] = row.Unsettled
		s.after = &row.SettledID
	}
	s.seen = seen
}

func (s *signals) metrics() (metrics []prometheus.Metric) {
	for outcome, total := range s.total {
		metrics = append(metrics, counter(signalsDesc, total, outcome))
	}
	return metrics
}
