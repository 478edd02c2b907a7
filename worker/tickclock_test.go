package worker

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/jobs"
)

// clockOf returns a tickClock with a reading of a database clock that is ahead of the process's by
// this much.
func clockOf(tick time.Duration, origin time.Time, ahead time.Duration) *tickClock {
	c := &tickClock{}
	c.now.Store(&reading{tick: tick, origin: origin, ahead: ahead})
	return c
}

var origin = time.Date(2026, 3, 1, 9, 15, 0, 0, time.UTC)

func TestNextSweepIsShortlyAfterTheTickBegins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ahead     time.Duration
		now, next time.Time
	}{
		"same clock":               {0, origin.Add(5 * time.Minute), origin.Add(15*time.Minute + afterTheEdge)},
		"at the edge":              {0, origin, origin.Add(afterTheEdge)},
		"just fired":               {0, origin.Add(afterTheEdge), origin.Add(15*time.Minute + afterTheEdge)},
		"database's clock is fast": {time.Hour + 2*time.Minute, origin.Add(5 * time.Minute), origin.Add(13*time.Minute + afterTheEdge)},
		"database's clock is slow": {-2 * time.Minute, origin.Add(5 * time.Minute), origin.Add(17*time.Minute + afterTheEdge)},
		"long before the reading":  {0, origin.Add(-5 * time.Hour), origin.Add(-5*time.Hour + afterTheEdge)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.next, clockOf(15*time.Minute, origin, c.ahead).Next(c.now))
		})
	}
}

func TestScheduleIsOffByAtMostOneTick(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		tick := time.Duration(rapid.IntRange(1, 24*60*60).Draw(r, "tick in seconds")) * time.Second
		ahead := time.Duration(rapid.Int64Range(-int64(48*time.Hour), int64(48*time.Hour)).Draw(r, "ahead"))
		ours := origin.Add(time.Duration(rapid.Int64Range(-int64(1000*time.Hour), int64(1000*time.Hour)).Draw(r, "since the reading")))
		// The error of the reading: at most half of its round trip.
		wrong := time.Duration(rapid.Int64Range(-int64(afterTheEdge), int64(afterTheEdge)).Draw(r, "error of the reading"))
		c := clockOf(tick, origin, ahead)
		r0 := c.now.Load()

		start := r0.start(ours)
		if at := ours.Add(ahead); start.After(at) || !start.Add(tick).After(at) {
			r.Fatalf("tick %s does not contain %s", start, at)
		}
		truth := (&reading{tick: tick, origin: origin, ahead: ahead + wrong}).start(ours)
		if off := start.Sub(truth); off.Abs() > tick {
			r.Fatalf("got tick %s, want %s", start, truth)
		}

		next := c.Next(ours)
		if !next.After(ours) {
			r.Fatalf("next after %s is %s", ours, next)
		}
		if next.Sub(ours) > tick {
			r.Fatalf("no sweep from %s to %s, in ticks of %s", ours, next, tick)
		}
		// When the schedule fires, on time or later, its sweep is for a tick that has begun by the
		// database's true clock.
		named := r0.start(next)
		if truly := next.Add(ahead + wrong); named.After(truly) {
			r.Fatalf("at %s the sweep is for tick %s, which has not begun", truly, named)
		}
		if again := r0.start(c.Next(next)); !again.Equal(named.Add(tick)) {
			r.Fatalf("after %s comes %s", named, again)
		}
	})
}

func TestScheduledJobUsesDatabaseTick(t *testing.T) {
	t.Parallel()
	// Far enough from both ends of a tick for the duration of this test.
	ahead := time.Until(origin.Add(24*time.Hour)) + 5*time.Minute
	args, opts := clockOf(15*time.Minute, origin, ahead).sweep()
	require.Equal(t, jobs.SweepArgs{TickAt: jobs.TickAt(origin.Add(24 * time.Hour))}, args)
	require.Nil(t, opts)
}

func TestFailuresAreWarningsOnceAMinute(t *testing.T) {
	t.Parallel()
	var y duty
	warnings := 0
	for second := range 180 {
		if y.level(origin.Add(time.Duration(second)*pickUpEvery)) == slog.LevelWarn {
			warnings++
		}
	}
	require.Equal(t, 3, warnings)
}
