package readmodel

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A slowCount counts in a time that the test sets, on a clock that only the test moves.
type slowCount struct {
	counter *pausedCounter
	clock   time.Time
	takes   time.Duration
	counted int64
	err     error
}

func newSlowCount(takes time.Duration) *slowCount {
	s := &slowCount{clock: time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC), takes: takes}
	s.counter = &pausedCounter{now: func() time.Time { return s.clock }, count: func(context.Context, *dbsqlc.Queries) (PausedCount, error) {
		s.clock = s.clock.Add(s.takes)
		s.counted++
		return PausedCount{Total: s.counted}, s.err
	}}
	return s
}

// read returns which count is served, and its age.
func (s *slowCount) read(t *testing.T) (int64, time.Duration) {
	t.Helper()
	count, age, err := s.counter.read(t.Context(), nil)
	require.NoError(t, err)
	return count.Total, age
}

// A count is kept for a multiple of the time that it took, but not for long.
func TestPausedCountIsKeptForItsCost(t *testing.T) {
	t.Parallel()
	for takes, keeps := range map[time.Duration]time.Duration{
		time.Millisecond:      0, // a small fleet always gets a new count
		40 * time.Millisecond: 800 * time.Millisecond,
		time.Second:           countedFor,
	} {
		s := newSlowCount(takes)
		first, _ := s.read(t)
		require.EqualValues(t, 1, first)
		if keeps > 0 {
			s.clock = s.clock.Add(keeps - time.Nanosecond)
			again, age := s.read(t)
			require.EqualValues(t, 1, again, "%s after one of %s", keeps, takes)
			require.Equal(t, takes+keeps-time.Nanosecond, age, "since counting began")
			s.clock = s.clock.Add(time.Nanosecond)
		}
		next, _ := s.read(t)
		require.EqualValues(t, 2, next, "%s after one of %s", keeps, takes)
	}
}

// After a change by this process, no count is served that began before it.
func TestPausedCountIsForgotten(t *testing.T) {
	t.Parallel()
	s := newSlowCount(100 * time.Millisecond)
	s.read(t)
	s.counter.forget()
	next, _ := s.read(t)
	require.EqualValues(t, 2, next)

	// A change while another caller is counting.
	count := s.counter.count
	s.counter.count = func(ctx context.Context, q *dbsqlc.Queries) (PausedCount, error) {
		got, err := count(ctx, q)
		s.counter.forget()
		return got, err
	}
	s.counter.forget()
	s.read(t)
	s.counter.count = count
	after, _ := s.read(t)
	require.EqualValues(t, 4, after)
}

// A failure is not kept.
func TestFailedPausedCountIsNotKept(t *testing.T) {
	t.Parallel()
	s := newSlowCount(100 * time.Millisecond)
	s.err = errors.New("the connection was lost")
	_, _, err := s.counter.read(t.Context(), nil)
	require.Error(t, err)
	s.err = nil
	next, _ := s.read(t)
	require.EqualValues(t, 2, next)
}
