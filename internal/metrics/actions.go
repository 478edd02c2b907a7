package metrics

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
)

// readActions reads what is under way, what is due, what holds it, and what was settled.
func readActions(ctx context.Context, q *dbsqlc.Queries, settled *settled) ([]prometheus.Metric, error) {
	now, err := q.MetricsActions(ctx)
	if err != nil {
		return nil, err
	}
	gates, err := q.MetricsGates(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting accounts by gate: %w", err)
	}
	if err := settled.read(ctx, q); err != nil {
		return nil, err
	}
	metrics := []prometheus.Metric{
		gauge(actionsDesc, float64(now.Reserved), string(enum.StateReserved)), gauge(actionsDesc, float64(now.Started), string(enum.StateStarted)),
		gauge(actionsDesc, float64(now.Unknown), string(enum.StateUnknown)), gauge(dueDesc, float64(now.DueAccounts)), gauge(dueAgeDesc, now.Oldest),
	}
	if now.IsPushing {
		metrics = append(metrics, gauge(scheduleAgeDesc, now.ScheduleAge))
	}
	for _, gate := range gates {
		metrics = append(metrics, gauge(gatesDesc, float64(gate.Accounts), gate.Code))
	}
	return append(metrics, settled.metrics()...), nil
}

const (
	// settledOverlap is how far back each reading looks again: a row has the time at which its
	// transaction began, and may be committed later.
	settledOverlap = 2 * time.Minute
	// maxCodes is how many codes of the provider have a series of their own. Further ones count as
	// otherCode: they are texts of senders.
	maxCodes  = 50
	otherCode = "other"
)

// settled counts settled actions, by the growth of their numbers per minute since the last reading.
// So the totals never fall, whatever retention removes, and include those of all senders.
type settled struct {
	states, codes map[string]float64
	since         time.Time
	seen          map[settledIn]int64
}

// A settledIn is a minute with a state and a code.
type settledIn struct {
	minute      int64
	state, code string
}

func newSettled() *settled {
	s := &settled{states: map[string]float64{}, codes: map[string]float64{otherCode: 0}}
	for _, state := range []enum.ActionState{
		enum.StateSent, enum.StateAlready, enum.StateRefused, enum.StateReleased, enum.StateExpired, enum.StateUnknown,
	} {
		s.states[string(state)] = 0
	}
	return s
}

// read adds what was settled since the last reading. The first reading only sets the start values.
func (s *settled) read(ctx context.Context, q *dbsqlc.Queries) error {
	clock, err := q.TickClock(ctx)
	if err != nil {
		return fmt.Errorf("reading the clock of the database: %w", err)
	}
	isFirst := s.since.IsZero()
	if isFirst {
		s.since = clock.Now
	}
	from := s.since.Add(-settledOverlap).Truncate(time.Minute)
	rows, err := q.MetricsSettled(ctx, from)
	if err != nil {
		return fmt.Errorf("counting settled actions: %w", err)
	}
	maps.DeleteFunc(s.seen, func(in settledIn, _ int64) bool { return in.minute < from.Unix() })
	if isFirst {
		s.seen = map[settledIn]int64{}
	}
	for _, row := range rows {
		in := settledIn{row.Minute.Unix(), row.State, row.Code}
		if grown := row.Actions - s.seen[in]; grown > 0 && !isFirst {
			s.add(row.State, row.Code, float64(grown))
		}
		s.seen[in] = row.Actions
	}
	s.since = clock.Now
	return nil
}

func (s *settled) add(state, code string, grown float64) {
	s.states[state] += grown
	if code == "" {
		return
	}
	if _, known := s.codes[code]; !known && len(s.codes) >= maxCodes {
		code = otherCode
	}
	s.codes[code] += grown
}

func (s *settled) metrics() (metrics []prometheus.Metric) {
	for state, total := range s.states {
		metrics = append(metrics, counter(settledDesc, total, state))
	}
	for code, total := range s.codes {
		metrics = append(metrics, counter(refusedDesc, total, code))
	}
	return metrics
}
