package plan

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const quarter = 15 * time.Minute

// usual are the rules of a fleet with the default caps.
func usual() Rules {
	return Rules{First: tick(1), FirstQuota: 2000, Tick: quarter, FleetCap: 2000, Horizon: 10_000}
}

// requireTick checks the tick of one position.
func requireTick(t *testing.T, f *Forecast, account int64, position int, want time.Time) {
	t.Helper()
	at, ok := f.TickOf(account, position)
	require.True(t, ok, "position %d of account %d", position, account)
	require.Equal(t, want, at, "position %d of account %d", position, account)
}

func TestForecastOfOneLargeBacklog(t *testing.T) {
	t.Parallel()
	f := NewForecast([]Candidate{{AccountID: 11, WorkspaceID: 1, Backlog: 102_000, Quota: 200, Cap: 200}}, usual())

	requireTick(t, f, 11, 1, tick(1))
	requireTick(t, f, 11, 200, tick(1))
	requireTick(t, f, 11, 201, tick(2))
	requireTick(t, f, 11, 102_000, tick(510))
	drained, ok := f.Drained(11)
	require.True(t, ok)
	require.Equal(t, tick(510), drained)
}

func TestForecastOfTheLargestBacklogOnTenAccounts(t *testing.T) {
	t.Parallel()
	var candidates []Candidate
	for id := range int64(10) {
		candidates = append(candidates, Candidate{AccountID: id, WorkspaceID: 1, Backlog: 10_200, Quota: 200, Cap: 200})
	}
	f := NewForecast(candidates, usual())
	for id := range int64(10) {
		drained, ok := f.Drained(id)
		require.True(t, ok)
		require.Equal(t, tick(51), drained)
	}
}

func TestForecastStartsWithRemainingQuota(t *testing.T) {
	t.Parallel()
	rules := usual()
	rules.FirstQuota = 30
	f := NewForecast([]Candidate{
		{AccountID: 11, WorkspaceID: 1, Backlog: 300, Quota: 20, Cap: 200},
		{AccountID: 21, WorkspaceID: 2, Backlog: 300, Quota: 0, Cap: 200},
	}, rules)

	requireTick(t, f, 11, 20, tick(1))
	requireTick(t, f, 11, 21, tick(2))
	requireTick(t, f, 21, 1, tick(2))
	requireTick(t, f, 11, 220, tick(2))
	requireTick(t, f, 11, 300, tick(3))
	requireTick(t, f, 21, 300, tick(3))
}

func TestForecastOfMoreAccountsThanQuotaTakesTurns(t *testing.T) {
	t.Parallel()
	rules := usual()
	rules.FirstQuota, rules.FleetCap = 2, 2
	f := NewForecast([]Candidate{
		{AccountID: 11, WorkspaceID: 1, Backlog: 2, Quota: 200, Cap: 200},
		{AccountID: 21, WorkspaceID: 2, Backlog: 2, Quota: 200, Cap: 200},
		{AccountID: 31, WorkspaceID: 3, Backlog: 2, Quota: 200, Cap: 200},
	}, rules)

	requireTick(t, f, 11, 1, tick(1))
	requireTick(t, f, 21, 1, tick(1))
	requireTick(t, f, 31, 1, tick(2))
	requireTick(t, f, 11, 2, tick(2))
	requireTick(t, f, 21, 2, tick(3))
	requireTick(t, f, 31, 2, tick(3))
}

func TestForecastDoesNotGuess(t *testing.T) {
	t.Parallel()
	waiting := []Candidate{{AccountID: 11, WorkspaceID: 1, Backlog: 1000, Quota: 200, Cap: 200}}
	nothing := []Candidate{{AccountID: 11, WorkspaceID: 1, Backlog: 0, Quota: 200, Cap: 200}}

	tests := []struct {
		name       string
		candidates []Candidate
		change     func(*Rules)
		known      int // number of positions with a tick
	}{
		{"beyond the backlog", waiting, func(*Rules) {}, 1000},
		{"beyond the horizon", waiting, func(r *Rules) { r.Horizon = 3 }, 600},
		{"no horizon", waiting, func(r *Rules) { r.Horizon = 0 }, 0},
		{"no backlog", nothing, func(*Rules) {}, 0},
		{"no later tick", waiting, func(r *Rules) { r.Tick = 0 }, 200},
		{"no later quota", waiting, func(r *Rules) { r.FleetCap, r.Horizon = 0, math.MaxInt }, 200},
		{"no later quota of the account", []Candidate{{AccountID: 11, WorkspaceID: 1, Backlog: 1000, Quota: 200}}, func(*Rules) {}, 200},
		{"an unknown account", nil, func(*Rules) {}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules := usual()
			tt.change(&rules)
			f := NewForecast(tt.candidates, rules)
			for _, position := range []int{-1, 0, 1, 200, 201, 600, 601, 1000, 1001} {
				_, ok := f.TickOf(11, position)
				require.Equal(t, 1 <= position && position <= tt.known, ok, "position %d", position)
			}
			_, drained := f.Drained(11)
			require.Equal(t, tt.known == 1000, drained)
		})
	}
}

// TestForecastEqualsReplay compares the forecast with a replay of Allocations, for every position
// of every account.
func TestForecastEqualsReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawCandidates(t)
		more := 1 + upTo7().Draw(t, "times the backlog")
		for i := range candidates {
			candidates[i].Backlog *= more
		}
		before := slices.Clone(candidates)
		rules := Rules{
			First:      tick(3 + upTo3().Draw(t, "first")), // 3 is the newest tick that served a candidate
			FirstQuota: upTo15().Draw(t, "first quota") - 1,
			Tick:       quarter,
			Horizon:    rapid.SampledFrom([]int{0, 1, 2, 20, 200}).Draw(t, "horizon"),
		}
		for rules.FleetCap = range 12 {
			want := replay(candidates, rules)
			f := NewForecast(candidates, rules)
			for _, c := range candidates {
				var got []time.Time
				for at, ok := f.TickOf(c.AccountID, 1); ok; at, ok = f.TickOf(c.AccountID, len(got)+1) {
					got = append(got, at)
				}
				require.Equal(t, want[c.AccountID], got, "account %d, fleet cap %d", c.AccountID, rules.FleetCap)

				drained, ok := f.Drained(c.AccountID)
				require.Equal(t, c.Backlog > 0 && len(got) == c.Backlog, ok)
				if ok {
					require.Equal(t, got[len(got)-1], drained)
				}
			}
		}
		require.Equal(t, before, candidates, "the candidates do not change")
	})
}

// replay returns the tick of each position of each account.
func replay(candidates []Candidate, r Rules) map[int64][]time.Time {
	ticks := make(map[int64][]time.Time)
	quota := r.FirstQuota
	for n := range r.Horizon {
		at := r.First.Add(time.Duration(n) * r.Tick)
		allocations := Allocations(candidates, quota)
		for _, g := range allocations {
			ticks[g.AccountID] = append(ticks[g.AccountID], slices.Repeat([]time.Time{at}, g.Planned)...)
		}
		candidates, quota = afterTick(candidates, allocations, at), r.FleetCap
	}
	return ticks
}

// TestForecastIsCompact limits the memory of long drains: repeated allocations are stored once.
func TestForecastIsCompact(t *testing.T) {
	t.Parallel()
	var candidates []Candidate
	for id := range int64(100) {
		candidates = append(candidates, Candidate{AccountID: id, WorkspaceID: id, Backlog: 1000, Quota: 200, Cap: 200})
	}
	for _, fleetCap := range []int{20, 100, 2000} { // one every five ticks, one per tick, several per tick
		rules := usual()
		rules.FirstQuota, rules.FleetCap = fleetCap, fleetCap
		f := NewForecast(candidates, rules)
		require.Len(t, f.runs, len(candidates), "one for each account, fleet cap %d", fleetCap)
	}
}

// TestLimitedForecastIsConsistent compares a limited forecast with an unlimited one: the ticks
// that it has are equal, and for other positions NotBefore is not later.
func TestLimitedForecastIsConsistent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawCandidates(t)
		rules := Rules{
			First: tick(4), FirstQuota: upTo15().Draw(t, "first quota"), Tick: quarter,
			FleetCap: upTo15().Draw(t, "fleet cap"), Horizon: 500,
		}
		all := NewForecast(candidates, rules)
		rules.Allocations = 1 + upTo15().Draw(t, "allocations")
		rules.Horizon = 1 + upTo15().Draw(t, "horizon")
		bounded := NewForecast(candidates, rules)
		for _, c := range candidates {
			for position := 0; position <= max(0, c.Backlog)+1; position++ {
				want, isKnown := all.TickOf(c.AccountID, position)
				got, ok := bounded.TickOf(c.AccountID, position)
				bound, isBounded := bounded.NotBefore(c.AccountID, position)
				switch {
				case ok:
					require.Equal(t, want, got)
					require.False(t, isBounded)
				case isKnown:
					require.True(t, isBounded, "position %d of account %d", position, c.AccountID)
					require.False(t, want.Before(bound), "%s is before %s", want, bound)
				case isBounded:
					require.LessOrEqual(t, position, c.Backlog)
				}
			}
		}
	})
}

func TestPackedForecastIsEqual(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := NewForecast(drawCandidates(t), usual())
		packed := f.Pack()
		again, ok := packed.Unpack()
		require.True(t, ok)
		require.Equal(t, f, again)
		// Inconsistent columns are rejected, and runs have no cycles.
		if len(packed.Runs) > 0 {
			packed.Runs[4] = 0
			_, ok = packed.Unpack()
			require.False(t, ok)
			packed.Runs = packed.Runs[1:]
			_, ok = packed.Unpack()
			require.False(t, ok)
		}
	})
}

func TestForecastLowerBound(t *testing.T) {
	t.Parallel()
	rules := usual()
	rules.Horizon = 4 * 7 * 24 * 4
	f := NewForecast([]Candidate{{AccountID: 11, WorkspaceID: 1, Backlog: 1_000_000, Quota: 200, Cap: 200}}, rules)
	_, ok := f.Drained(11)
	require.False(t, ok)
	// It is the only account, so the bound is exact: 5,000 ticks of 200.
	bound, ok := f.NotDrainedBefore(11)
	require.True(t, ok)
	require.Equal(t, tick(5000), bound)
	require.Equal(t, 1_000_000, f.Backlog(11))
}

// TestForecastMemoryIsBounded limits the memory for the largest fleet: 100,000 accounts
// with different backlogs, so that no allocations repeat.
func TestForecastMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var candidates []Candidate
	for id := range int64(100_000) {
		candidates = append(candidates, Candidate{AccountID: id, WorkspaceID: id * id % 997, Backlog: int(1 + id*7%100), Quota: 200, Cap: 200})
	}
	rules := usual()
	rules.Allocations = 500_000
	f := NewForecast(candidates, rules)
	require.LessOrEqual(t, len(f.runs), rules.Allocations+rules.FleetCap)
	require.GreaterOrEqual(t, f.ticks, 250, "days of ticks")
}

func TestForecastNextTicks(t *testing.T) {
	t.Parallel()
	rules := usual()
	rules.FirstQuota, rules.FleetCap = 300, 300
	f := NewForecast([]Candidate{
		{AccountID: 11, WorkspaceID: 1, Backlog: 450, Quota: 20, Cap: 200},
		{AccountID: 21, WorkspaceID: 2, Backlog: 160, Quota: 200, Cap: 200},
	}, rules)

	all := []Portion{{tick(1), 20}, {tick(2), 200}, {tick(3), 200}, {tick(4), 30}}
	for n := range len(all) + 1 {
		require.Equal(t, all[:n], append([]Portion{}, f.Next(11, n)...))
	}
	require.Equal(t, all, f.Next(11, 10))
	require.Empty(t, f.Next(31, 10))
}

// BenchmarkForecast drains all backlogs, except in the last case. With about 10,000 accounts, each
// tick serves a part of them in turn.
func BenchmarkForecast(b *testing.B) {
	for _, bb := range []struct {
		name             string
		workspaces, per  int
		backlog, horizon int
	}{
		{"one account with 102000", 1, 1, 102_000, 10_000},
		{"100 accounts with 10000", 10, 10, 10_000, 10_000},
		{"1500 accounts with 2000", 500, 3, 2_000, 10_000},
		{"10000 accounts with 1000", 10_000, 1, 1_000, 10_000},
		{"9989 accounts with 1000", 7, 1_427, 1_000, 10_000},
		{"10000 accounts with 1000, one week", 10_000, 1, 1_000, 672},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var candidates []Candidate
			for w := range bb.workspaces {
				for a := range bb.per {
					candidates = append(candidates, Candidate{
						AccountID: int64(w*bb.per + a), WorkspaceID: int64(w), Backlog: bb.backlog, Quota: 200,
					})
				}
			}
			rules := usual()
			rules.Horizon = bb.horizon
			b.ReportAllocs()
			runs := 0
			for b.Loop() {
				f := NewForecast(candidates, rules)
				runs = len(f.runs)
			}
			b.ReportMetric(float64(runs), "runs")
		})
	}
}

// The time at which all accounts are drained is the latest of their times.
func TestDrainedAll(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	rules := Rules{First: first, FirstQuota: 2000, Tick: 15 * time.Minute, FleetCap: 2000, Horizon: 3}
	account := func(id int64, backlog int) Candidate {
		return Candidate{AccountID: id, WorkspaceID: 1, Backlog: backlog, Quota: 200, Cap: 200}
	}

	drained, notBefore := NewForecast(nil, rules).DrainedAll()
	require.Zero(t, drained)
	require.Zero(t, notBefore)
	drained, notBefore = NewForecast([]Candidate{account(1, 10), account(2, 450)}, rules).DrainedAll()
	require.Equal(t, first.Add(30*time.Minute), drained)
	require.Zero(t, notBefore)
	drained, notBefore = NewForecast([]Candidate{account(1, 10), account(2, 5000)}, rules).DrainedAll()
	require.Equal(t, first, drained)
	require.True(t, notBefore.After(first.Add(30*time.Minute)), "beyond the horizon")
}
