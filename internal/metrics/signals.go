package metrics

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
)

// signals counts signals by outcome, including those that the platform sends in SQL. There may be
// millions of rows, so each reading covers only the rows since the last one, and again those of the
// last minute: below them a row may still be uncommitted.
type signals struct {
	total map[string]float64
	// after is the ID up to which all rows are counted; nil before the first reading.
	after *int64
	// seen is how many rows with a higher ID are already counted.
	seen map[string]int64
}

func newSignals() *signals {
	s := &signals{total: map[string]float64{}}
	for _, outcome := range enum.SignalOutcomes {
		s.total[string(outcome)] = 0
	}
	return s
}

// read adds the signals since the last reading. The first reading only finds the newest ID.
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
