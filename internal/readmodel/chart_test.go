package readmodel

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A step of the chart has the last numbers of its ticks and the sums of what they resumed, and no
// tick is lost or counted twice in any range.
func TestChart(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, planned, resumed, remaining)
		SELECT thaw.tick() - n * interval '15 minutes', 200, 2000, 10, 10, n FROM generate_series(0, 2999) AS n;
		INSERT INTO thaw.fleet_quotas (tick_at, lane, cap, used)
		SELECT s.tick_at, lane.name, 2000, 3 FROM thaw.sweeps AS s, (VALUES ('sweep'::thaw.lane), ('signal')) AS lane (name);
		INSERT INTO thaw.backlog_samples (tick_at, paused, waiting, took) SELECT s.tick_at, 100 + s.remaining, 1, '1 ms' FROM thaw.sweeps AS s WHERE s.remaining % 2 = 1;
		INSERT INTO thaw.heals (workspace_id, target, cap, resumed, actor, requested_at)
		SELECT w.id, 'workspace ' || n, 10, 7, 'ann', thaw.now() - n * interval '1 day' FROM thaw.workspaces AS w, generate_series(0, 40) AS n`)
	for name, c := range map[string]struct {
		in           ChartRange
		steps, heals int
	}{"day": {ChartDay, 96, 1}, "week": {ChartWeek, 7 * 24, 7}, "month": {ChartMonth, 30 * 6, 30}} {
		points, err := Chart(t.Context(), f.store, c.in)
		require.NoError(t, err, name)
		require.InDelta(t, c.steps, len(points), 1, name)
		ticks := testdb.Value[int64](t, f.DB, "SELECT count(*) FROM thaw.sweeps WHERE tick_at > thaw.now() - $1::interval", c.in.Since)
		var sweep, signal, heal int64
		for i, p := range points {
			sweep, signal, heal = sweep+p.BySweep, signal+p.BySignal, heal+p.ByHeal
			if i > 0 {
				require.True(t, p.At.After(points[i-1].At), name)
			}
		}
		require.Equal(t, ticks*10, sweep, name)
		require.Equal(t, ticks*3, signal, name)
		require.Equal(t, int64(c.heals*7), heal, name)
		last := points[len(points)-1]
		require.Equal(t, 0, last.Resumable, name)
		if c.in.step > 15*time.Minute && last.Paused != nil {
			require.Equal(t, int64(101), *last.Paused, "the newest count of the step")
		}
	}
}
