package schema_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A clockChange is a change of the offset of a zone.
type clockChange struct {
	zone *time.Location
	at   time.Time
	// by is positive if the clock goes forward.
	by time.Duration
}

// clockChanges returns the changes in all zones of the server, of which Go knows the same rules.
// Zones with the same rules are listed once.
func clockChanges(t *testing.T, db *testdb.DB, from, to time.Time) []clockChange {
	t.Helper()
	var all []clockChange
	seen := map[string]bool{}
	names, other := testdb.Column[string](t, db, "SELECT name FROM thaw.zones ORDER BY name"), 0
	for _, name := range names {
		zone, err := time.LoadLocation(name)
		if err != nil {
			other++
			continue
		}
		var found []clockChange
		var rules []any
		for at := from.In(zone); ; {
			_, end := at.ZoneBounds()
			if end.IsZero() || end.After(to) {
				break
			}
			_, before := at.Zone()
			_, after := end.Zone()
			at = end
			if after != before {
				found = append(found, clockChange{zone, end, time.Duration(after-before) * time.Second})
				rules = append(rules, end.Unix(), before, after)
			}
		}
		if len(found) == 0 || seen[fmt.Sprint(rules)] {
			continue
		}
		seen[fmt.Sprint(rules)] = true
		times, offsets := make([]time.Time, 0, 2*len(found)), make([]int, 0, 2*len(found))
		for _, c := range found {
			for _, at := range []time.Time{c.at.Add(-time.Second), c.at} {
				_, offset := at.Zone()
				times, offsets = append(times, at), append(offsets, offset)
			}
		}
		if !testdb.Value[bool](t, db, `SELECT bool_and(extract(epoch FROM thaw.utc_offset($1, x.at)) = x.seconds)
			FROM unnest($2::timestamptz[], $3::integer[]) AS x (at, seconds)`, name, times, offsets) {
			other++
			continue
		}
		all = append(all, found...)
	}
	require.Greater(t, len(names), 400)
	require.Less(t, other, len(names)/10, "zones of which Go has no or other rules")
	require.NotEmpty(t, all)
	return all
}

// allChanges has the changes of some years, and those that left out or repeated a whole day.
func allChanges(t *testing.T, db *testdb.DB) []clockChange {
	t.Helper()
	year := func(n int) time.Time { return time.Date(n, 1, 1, 0, 0, 0, 0, time.UTC) }
	all := clockChanges(t, db, year(2025), year(2025+testdb.Size(3, 12)))
	return append(all, clockChanges(t, db, year(2011).AddDate(0, 11, 15), year(2012))...)
}

// firstInstant returns the first time at which the local time in the zone is local (in UTC) or
// later.
func firstInstant(zone *time.Location, local time.Time) time.Time {
	for at := local.Add(-50 * time.Hour).In(zone); ; {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		first := local.Add(-time.Duration(offset) * time.Second)
		if first.Before(at) {
			first = at
		}
		if end.IsZero() || first.Before(end) {
			return first.In(zone)
		}
		at = end
	}
}

// Every day begins when the local date is reached for the first time, in all zones of the server:
// also if its midnight is missing or occurs twice. A day that is left out has no length.
func TestDaysBeginAtTheirFirstMidnight(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var names []string
	var days, want []time.Time
	leftOut := 0
	for _, c := range allChanges(t, db) {
		local := c.at.In(c.zone)
		for n := -3; n <= 3; n++ {
			day := time.Date(local.Year(), local.Month(), local.Day()+n, 0, 0, 0, 0, time.UTC)
			names, days, want = append(names, c.zone.String()), append(days, day), append(want, firstInstant(c.zone, day))
			if firstInstant(c.zone, day).Equal(firstInstant(c.zone, day.AddDate(0, 0, 1))) {
				leftOut++
			}
		}
	}
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT format('%s: %s begins at %s, not at %s', x.zone, x.day, x.want AT TIME ZONE 'UTC', thaw.day_start(x.zone, x.day) AT TIME ZONE 'UTC')
		FROM unnest($1::text[], $2::date[], $3::timestamptz[]) AS x (zone, day, want)
		WHERE thaw.day_start(x.zone, x.day) <> x.want`, names, days, want))
	// An action at any time near a change counts into the local date, until the next one begins.
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT format('%s: %s counts into %s from %s to %s', x.zone, x.want + hour, d.day, d.began_at, d.ends_at)
		FROM unnest($1::text[], $2::timestamptz[]) AS x (zone, want)
		CROSS JOIN unnest('{-1 second,0,5 hours}'::interval[]) AS hour
		CROSS JOIN LATERAL thaw.local_day(NULL, NULL, NULL, x.zone, x.want + hour) AS d
		WHERE d.day <> ((x.want + hour) AT TIME ZONE x.zone)::date OR x.want + hour < d.began_at OR x.want + hour >= d.ends_at`, names, want))
	require.Positive(t, leftOut, "Samoa had no 30 December 2011")
}

// A window of every zone near a change of its clock. It is never open at a local time outside of
// it. It is open inside, unless the change is nearer to its ends than its own length. And it always
// opens again.
func TestWindowsInAllZones(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	type window struct{ opens, closes int } // minutes of the day; an overnight one closes after 24:00
	windows := []window{{9 * 60, 17 * 60}, {22 * 60, 30 * 60}, {0, 60}, {23 * 60, 24 * 60}, {4 * 60, 25 * 60}, {0, 24 * 60}}
	clock := func(minutes int) string {
		if minutes == 24*60 {
			return "24:00"
		}
		return fmt.Sprintf("%02d:%02d", minutes/60%24, minutes%60)
	}
	examined := 0
	for _, w := range windows {
		inside := func(local time.Time) bool {
			minute := local.Hour()*60 + local.Minute()
			return w.opens <= minute && minute < w.closes || minute+24*60 < w.closes
		}
		wellInside := func(local time.Time, by int) bool {
			minute := local.Hour()*60 + local.Minute()
			return w.opens <= minute-by && minute+by < w.closes || w.opens <= minute+24*60-by && minute+24*60+by < w.closes
		}
		var names []string
		var times []time.Time
		var mustNot, must []bool
		for _, c := range allChanges(t, db) {
			step := time.Duration(testdb.Size(150, 30)) * time.Minute
			for at := c.at.Add(-30 * time.Hour); at.Before(c.at.Add(30 * time.Hour)); at = at.Add(step) {
				local := at.In(c.zone)
				wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, time.UTC)
				names, times = append(names, c.zone.String()), append(times, at)
				mustNot = append(mustNot, !inside(wall))
				must = append(must, c.by.Abs() < 3*time.Hour && wellInside(wall, int(c.by.Abs()/time.Minute)))
			}
		}
		for _, is := range must {
			if is {
				examined++
			}
		}
		require.Empty(t, testdb.Column[string](t, db, `
			SELECT format('%s at %s: open is %s, opens at %s, closes at %s', x.zone, x.at AT TIME ZONE x.zone, w.is_open, w.opens_at, w.closes_at)
			FROM unnest($1::text[], $2::timestamptz[], $3::boolean[], $4::boolean[]) AS x (zone, at, must_not, must)
			CROSS JOIN LATERAL thaw.window_at(x.zone, '{1,2,3,4,5,6,7}', $5::time, $6::time, x.at) AS w
			WHERE w.is_open AND x.must_not OR x.must AND NOT w.is_open OR w.opens_at IS NULL OR w.is_open <> (w.closes_at IS NOT NULL)
			LIMIT 20`, names, times, mustNot, must, clock(w.opens), clock(w.closes)), fmt.Sprint(w))
	}
	require.Greater(t, examined, 1000)
}

// A window of one weekday that a change leaves nothing of is skipped: it opens in the week after.
func TestWindowInsideOfAMissingTimeIsSkipped(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var names, opens, closes []string
	var weekdays []int
	var closed, next []time.Time
	for _, c := range allChanges(t, db) {
		if c.by <= 0 {
			continue
		}
		// The missing local times.
		_, offset := c.at.Add(-time.Second).In(c.zone).Zone()
		first := c.at.UTC().Add(time.Duration(offset) * time.Second)
		last := first.Add(min(c.by, 23*time.Hour))
		begins := firstInstant(c.zone, first.AddDate(0, 0, 7))
		_, then := begins.Zone()
		if offset+int(c.by/time.Second) != then {
			continue // another change follows within a week, as in Ramadan
		}
		names, opens, closes = append(names, c.zone.String()), append(opens, first.Format("15:04")), append(closes, last.Format("15:04"))
		weekdays = append(weekdays, (int(first.Weekday())+6)%7+1)
		closed, next = append(closed, firstInstant(c.zone, last.AddDate(0, 0, -7))), append(next, begins)
	}
	require.Contains(t, names, "Pacific/Apia")
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT format('%s: the window of weekday %s, %s to %s, opens after %s at %s, not at %s', x.zone, x.weekday, x.opens, x.closes, x.closed, w.opens_at, x.next)
		FROM unnest($1::text[], $2::smallint[], $3::time[], $4::time[], $5::timestamptz[], $6::timestamptz[]) AS x (zone, weekday, opens, closes, closed, next)
		CROSS JOIN LATERAL thaw.window_at(x.zone, ARRAY[x.weekday], x.opens, x.closes, x.closed) AS w
		WHERE w.is_open OR w.opens_at IS DISTINCT FROM x.next`, names, weekdays, opens, closes, closed, next))

	// The gate says when, and not that there is no zone.
	moveTo(t, db, "2026-03-22 09:00:00+00")
	db.Exec(t, senders+"UPDATE thaw.sending_windows SET weekdays = '{7}', opens = '02:00', closes = '03:00'")
	require.Equal(t, "window_closed Apr 05 02:00", testdb.Value[string](t, db, answer))
}
