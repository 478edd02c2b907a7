package sendforecast

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var monday = time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)

// office returns the local days and the windows, from 9:00 to 17:00 on weekdays, of some weeks.
func office(now time.Time, days int) (all []Day, windows []Window) {
	day := now.Truncate(24 * time.Hour)
	for range days {
		all = append(all, Day{day.Format(time.DateOnly), day.AddDate(0, 0, 1)})
		if w := day.Weekday(); w != time.Saturday && w != time.Sunday {
			windows = append(windows, Window{day.Add(9 * time.Hour), day.Add(17 * time.Hour)})
		}
		day = day.AddDate(0, 0, 1)
	}
	return all, windows
}

func same(n int) (caps [6]int) {
	for i := range caps {
		caps[i] = n
	}
	return caps
}

func one(prospects ...Prospect) Sender {
	days, windows := office(monday, 60)
	return Sender{
		Now: monday, Days: days, RampStartedAt: monday.AddDate(0, 0, -100), GapFrom: time.Minute, GapTo: 3 * time.Minute,
		Accounts: []Account{{
			ID: 1, Windows: windows, Prospects: prospects,
			Kinds: map[string]Kind{
				"invite": {PerDay: same(10), PerWeek: same(45), GapFrom: 3 * time.Minute, GapTo: 8 * time.Minute, Remaining: 500},
				"view":   {PerDay: same(40), PerWeek: same(-1), Remaining: -1},
			},
		}},
		Steps: map[int64][]Step{7: {{"view", 0}, {"invite", time.Hour}}, 8: {{"view", 0}, {"invite", time.Hour}}},
	}
}

// expect returns what is expected, with a budget that suffices.
func expect(t *testing.T, s Sender, ids ...int64) map[int64]Expected {
	t.Helper()
	expected, err := s.Expect(t.Context(), &Budget{Steps: 1e9}, ids...)
	require.NoError(t, err)
	return expected
}

func invites(n int) (all []Prospect) {
	for i := range n {
		all = append(all, Prospect{ID: int64(i + 1), Campaign: 9, Step: 0, Kind: "invite", DueAt: monday.Add(time.Duration(i) * time.Second)})
	}
	return all
}

// Ten a day, 45 in a week: the days of one campaign are certain.
func TestCapsOfDayAndWeek(t *testing.T) {
	t.Parallel()
	s := one(invites(60)...)
	got := expect(t, s, 1, 10, 11, 45, 46, 60)
	for id, day := range map[int64]string{1: "2026-03-02", 10: "2026-03-02", 11: "2026-03-03", 45: "2026-03-06", 46: "2026-03-09", 60: "2026-03-10"} {
		require.Equal(t, day, got[id].From, id)
		require.Equal(t, day, got[id].To, id)
	}
	require.Equal(t, monday.Add(time.Hour), got[1].At, "the window opens")
}

func TestWhatIsUsedCounts(t *testing.T) {
	t.Parallel()
	s := one(invites(3)...)
	for i := range 9 {
		s.Used = append(s.Used, Use{"invite", monday.Add(-time.Duration(i) * time.Minute), true})
	}
	got := expect(t, s, 1, 2)
	require.Equal(t, "2026-03-02", got[1].To)
	require.Equal(t, "2026-03-03", got[2].From)
}

func TestHoldsDueTimesAndCeiling(t *testing.T) {
	t.Parallel()
	s := one(invites(3)...)
	s.Accounts[0].Prospects[2].DueAt = monday.AddDate(0, 0, 5) // a Saturday
	kind := s.Accounts[0].Kinds["invite"]
	kind.NextAt, kind.Remaining = monday.AddDate(0, 0, 1), 2
	s.Accounts[0].Kinds["invite"] = kind
	got := expect(t, s, 1, 2, 3)
	require.Equal(t, "2026-03-03", got[1].From)
	require.NotContains(t, got, int64(3), "only two more invites may be open")
	kind.Remaining = -1
	s.Accounts[0].Kinds["invite"] = kind
	require.Equal(t, "2026-03-09", expect(t, s, 3)[3].From)
}

// The ramp grows within the forecast: five a day in the first week, ten in the second.
func TestRampGrows(t *testing.T) {
	t.Parallel()
	s := one(invites(40)...)
	s.RampStartedAt = time.Time{}
	kind := s.Accounts[0].Kinds["invite"]
	kind.PerDay, kind.PerWeek = [6]int{5, 10, 10, 10, 10, 10}, same(-1)
	s.Accounts[0].Kinds["invite"] = kind
	got := expect(t, s, 25, 26, 35, 36)
	require.Equal(t, "2026-03-06", got[25].To)
	require.Equal(t, "2026-03-09", got[26].From)
	require.Equal(t, "2026-03-09", got[35].To)
	require.Equal(t, "2026-03-10", got[36].From)
}

// A full cap opens when the next week of the ramp begins, also in the middle of a day.
func TestRampGrowsWithinADay(t *testing.T) {
	t.Parallel()
	for name, caps := range map[string]struct{ perDay, perWeek [lastRampWeek]int }{
		"per day":  {[lastRampWeek]int{5, 10, 10, 10, 10, 10}, same(-1)},
		"per week": {same(100), [lastRampWeek]int{5, 10, 10, 10, 10, 10}},
	} {
		s := one(invites(11)...)
		s.RampStartedAt = monday.AddDate(0, 0, -7).Add(3 * time.Hour)
		kind := s.Accounts[0].Kinds["invite"]
		kind.PerDay, kind.PerWeek = caps.perDay, caps.perWeek
		s.Accounts[0].Kinds["invite"] = kind
		got := expect(t, s, 5, 6, 10)
		require.Less(t, got[5].At, monday.Add(3*time.Hour), name)
		require.Equal(t, Expected{monday.Add(3 * time.Hour), "2026-03-02", "2026-03-02"}, got[6], name)
		require.Equal(t, "2026-03-02", got[10].To, name)
		kind.PerDay[0], kind.PerWeek[0] = 0, -1
		s.Accounts[0].Kinds["invite"] = kind
		require.Equal(t, Expected{monday.Add(3 * time.Hour), "2026-03-02", "2026-03-02"}, expect(t, s, 1)[1], name)
		kind.PerDay[0], kind.PerWeek[0] = 100, 0
		s.Accounts[0].Kinds["invite"] = kind
		require.Equal(t, Expected{monday.Add(3 * time.Hour), "2026-03-02", "2026-03-02"}, expect(t, s, 1)[1], name)
	}
}

// What then happens, with other gaps, is on the day that was named, or within the range.
func TestDaysAreRight(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(5, 5))
	asked, certain := 0, 0
	var wrong []string
	for range 60 {
		var prospects []Prospect
		var ids []int64
		for i := range 20 + source.IntN(80) {
			prospects = append(prospects, Prospect{
				ID: int64(i + 1), Campaign: 7 + int64(i%2), Kind: "view", DueAt: monday.Add(time.Duration(max(i-30, 0)) * 3 * time.Hour),
			})
			ids = append(ids, int64(i+1))
		}
		s := one(prospects...)
		s.Now = monday.Add(time.Duration(source.IntN(5*24)) * time.Hour)
		// The next action of half of the prospects is the invite.
		for i := range s.Accounts[0].Prospects {
			if p := &s.Accounts[0].Prospects[i]; p.DueAt.Before(s.Now) && i%4 < 2 {
				p.Step, p.Kind = 1, "invite"
			}
		}
		expected := expect(t, s, ids...)
		happened, err := newRun(s).again(func(from, to time.Duration) time.Duration {
			return (from + time.Duration(source.Float64()*float64(to-from)) + time.Minute - 1).Truncate(time.Minute)
		}, &Budget{Steps: 1e9}).until(t.Context(), ids)
		require.NoError(t, err)
		for _, id := range ids {
			x, day := expected[id], s.day(happened[id].at)
			asked++
			if x.From == x.To {
				certain++
			}
			if day < x.From || day > x.To {
				wrong = append(wrong, fmt.Sprintln(id, x, day))
			}
		}
	}
	t.Logf("%d asked, %d with one day", asked, certain)
	require.Empty(t, wrong)
	require.Greater(t, certain*10, asked*5)
}

// many returns a sender with 600 due prospects of four kinds in some campaigns, with a year of
// windows before now, and the ID of one of the last prospects.
func many(campaigns int) (s Sender, id int64) {
	s = one()
	a := &s.Accounts[0]
	_, over := office(monday.AddDate(-1, 0, 0), 360)
	a.Windows = append(over, a.Windows...)
	kinds := []string{"invite", "message", "view", "inmail"}
	for _, kind := range kinds {
		a.Kinds[kind] = Kind{PerDay: same(10), PerWeek: same(-1), GapFrom: time.Minute, GapTo: 2 * time.Minute, Remaining: -1}
	}
	for i := range 600 {
		a.Prospects = append(a.Prospects, Prospect{
			ID: int64(i + 1), Campaign: 100 + int64(i/len(kinds)%campaigns), Kind: kinds[i%len(kinds)], DueAt: monday.Add(-time.Hour + time.Duration(i)*time.Second),
		})
	}
	return s, 590
}

// The gates of a kind are evaluated once per act, not for each campaign, and windows that are over
// are looked at once.
func TestCostDoesNotFollowCampaigns(t *testing.T) {
	t.Parallel()
	cost := func(campaigns int) (gates, steps int) {
		s, id := many(campaigns)
		budget := &Budget{Steps: 1e9}
		expected, err := s.Expect(t.Context(), budget, id)
		require.NoError(t, err)
		require.Contains(t, expected, id)
		return budget.gates, 1e9 - budget.Steps
	}
	gates, steps := cost(1)
	gatesOf20, stepsOf20 := cost(20)
	t.Logf("1 campaign: %d gates, %d steps; 20 campaigns: %d gates, %d steps", gates, steps, gatesOf20, stepsOf20)
	require.Less(t, gatesOf20, gates*13/10)
	require.Less(t, stepsOf20, steps*2)
	require.Less(t, steps, gates*30, "windows that are over are looked at once")
}

// Without the steps for all draws, no day is known.
func TestBudgetIsKept(t *testing.T) {
	t.Parallel()
	s, id := many(5)
	all := &Budget{Steps: 1e9}
	_, err := s.Expect(t.Context(), all, id)
	require.NoError(t, err)
	needed := 1e9 - all.Steps
	for _, steps := range []int{0, 1, 1000, needed / 2, needed - 1} {
		budget := &Budget{Steps: steps}
		expected, err := s.Expect(t.Context(), budget, id)
		require.NoError(t, err)
		require.Empty(t, expected, "%d of %d steps", steps, needed)
		require.Greater(t, budget.Steps, -2000, "it stops soon")
	}
	budget := &Budget{Steps: needed + 1}
	expected, err := s.Expect(t.Context(), budget, id)
	require.NoError(t, err)
	require.Contains(t, expected, id)
	require.Equal(t, 1, budget.Steps)
}

func TestForecastCanBeCanceled(t *testing.T) {
	t.Parallel()
	s, id := many(5)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	budget := &Budget{Steps: 1e9}
	expected, err := s.Expect(ctx, budget, id)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, expected)
	require.Less(t, 1e9-budget.Steps, 2000)
}

// Campaigns take turns in the order of their IDs, from the one that was served last, also if one of
// them was served longer ago. Of a campaign, the kind that is due first is next.
func TestCampaignsTakeTurnsInTheOrderOfTheirIDs(t *testing.T) {
	t.Parallel()
	s := one(
		Prospect{ID: 1, Campaign: 7, Kind: "invite", DueAt: monday.Add(-4 * time.Hour)},
		Prospect{ID: 2, Campaign: 8, Kind: "invite", DueAt: monday.Add(-3 * time.Hour)},
		Prospect{ID: 3, Campaign: 9, Kind: "view", DueAt: monday.Add(-time.Hour)},
		Prospect{ID: 4, Campaign: 9, Kind: "invite", DueAt: monday.Add(-2 * time.Hour)},
	)
	s.Steps = nil
	s.Accounts[0].ServedCampaign = 8
	r := newRun(s).again(func(from, _ time.Duration) time.Duration { return from }, &Budget{Steps: 1e9})
	var order []int64
	for len(order) < 4 {
		if p, ok := r.act(); ok {
			order = append(order, p.ID)
		} else {
			r.now = r.next()
		}
	}
	require.Equal(t, []int64{4, 3, 1, 2}, order, "the gap between invites leaves time for the view")
}
