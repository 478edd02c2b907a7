package schema_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/testdb"
)

// zones have every kind of clock change: at 1:00 UTC, at midnight, by half an hour, with odd
// offsets, back over midnight, and a day that was left out.
var zones = []string{
	"Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "Asia/Beirut", "Africa/Cairo",
	"America/St_Johns", "Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC", "America/Sao_Paulo", "Africa/Casablanca",
}

// someInstant is a time between 2010 and 2035, often within a day of a clock change.
func someInstant(r *rapid.T, zone *time.Location, name string) time.Time {
	at := time.Unix(rapid.Int64Range(1262304000, 2051222400).Draw(r, name), 0).In(zone)
	if _, end := at.ZoneBounds(); rapid.Bool().Draw(r, name+" near a change") && !end.IsZero() && end.Year() < 2035 {
		at = end.Add(time.Duration(rapid.IntRange(-36*3600, 36*3600).Draw(r, name+" from the change")) * time.Second)
	}
	return at
}

var _ = testdb.RandomCases(20)

// A window is never open at a local time outside of it, and always open inside unless a clock
// change is near. It opens and closes when it says.
func TestWindowsFollowTheRulesOfTheZone(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	type state struct {
		IsOpen bool
		Opens  *time.Time
		Closes *time.Time
	}
	rapid.Check(t, func(r *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(r, "zone"))
		require.NoError(t, err)
		at := someInstant(r, zone, "at")
		opens, closes := rapid.IntRange(0, 47).Draw(r, "opens")*30, rapid.IntRange(0, 47).Draw(r, "closes")*30
		if opens == closes {
			return
		}
		weekdays := rapid.SliceOfNDistinct(rapid.IntRange(1, 7), 1, 7, rapid.ID).Draw(r, "weekdays")
		clock := func(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }
		look := func(at time.Time) (s state) {
			if err := db.Pool.QueryRow(t.Context(), "SELECT * FROM thaw.window_at($1, $2::integer[]::smallint[], $3::time, $4::time, $5)",
				zone.String(), weekdays, clock(opens), clock(closes), at).Scan(&s.IsOpen, &s.Opens, &s.Closes); err != nil {
				r.Fatal(err)
			}
			return s
		}
		inside := func(at time.Time) bool {
			weekday := func(at time.Time) bool { return slices.Contains(weekdays, (int(at.Weekday())+6)%7+1) }
			local := at.In(zone)
			minute := local.Hour()*60 + local.Minute()
			if opens < closes {
				return opens <= minute && minute < closes && weekday(local)
			}
			// The calendar day before: time.Date normalizes.
			yesterday := time.Date(local.Year(), local.Month(), local.Day()-1, 12, 0, 0, 0, time.UTC)
			return minute >= opens && weekday(local) || minute < closes && weekday(yesterday)
		}
		_, before := at.Add(-50 * time.Hour).Zone()
		start, end := at.ZoneBounds()
		_, offset := at.Zone()
		steady := offset == before && (start.IsZero() || at.Sub(start) > 50*time.Hour) && (end.IsZero() || end.Sub(at) > 50*time.Hour)
		now := look(at)
		if now.IsOpen && !inside(at) || steady && now.IsOpen != inside(at) {
			r.Fatalf("%s: open is %v", at, now.IsOpen)
		}
		if now.IsOpen != (now.Closes != nil) {
			r.Fatalf("%s: open is %v, closes at %v", at, now.IsOpen, now.Closes)
		}
		if now.Opens != nil {
			if !now.Opens.After(at) || !look(*now.Opens).IsOpen {
				r.Fatalf("%s: it is not open at %s", at, now.Opens)
			}
			if then := look(now.Opens.Add(-time.Second)); then.IsOpen && then.Closes.After(*now.Opens) {
				r.Fatalf("%s: it is open before %s", at, now.Opens)
			}
		}
		if now.Closes != nil {
			if !look(now.Closes.Add(-time.Second)).IsOpen {
				r.Fatalf("%s: it closes before %s", at, now.Closes)
			}
			if then := look(*now.Closes); then.IsOpen && inside(*now.Closes) == false {
				r.Fatalf("%s: it is open after %s", at, now.Closes)
			}
		}
	})
}

// The days that are easy to get wrong.
func TestWindowsOnDaysOfAClockChange(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, one := range []struct{ zone, opens, closes, day, want string }{
		{"Europe/Berlin", "09:00", "17:00", "2026-03-29", "09:00 17:00"},
		{"Europe/Berlin", "02:30", "17:00", "2026-03-29", "03:30 17:00"}, // begins in the missing hour
		{"Europe/Berlin", "22:00", "02:30", "2026-03-28", "22:00 01:30"}, // ends in the missing hour
		{"Europe/Berlin", "02:30", "17:00", "2026-10-25", "02:30 17:00"},
		{"Europe/Berlin", "22:00", "02:30", "2026-10-24", "22:00 02:30"},
		{"Australia/Lord_Howe", "02:15", "09:00", "2026-10-04", "02:45 09:00"},
		{"America/Havana", "00:30", "09:00", "2026-03-08", "01:30 09:00"}, // midnight is missing
		{"Asia/Kathmandu", "09:00", "17:00", "2028-02-29", "09:00 17:00"},
		{"Pacific/Apia", "09:00", "17:00", "2011-12-29", "09:00 17:00"},
		{"Pacific/Apia", "22:00", "06:00", "2011-12-29", "22:00 06:00"}, // the next day is left out
	} {
		require.Equal(t, one.want, testdb.Value[string](t, db, `
			WITH opening AS (
				SELECT (thaw.window_at($1, '{1,2,3,4,5,6,7}', $2::time, $3::time, thaw.day_start($1, $4::date) - interval '1 second')).opens_at AS at
			), first AS (
				SELECT CASE WHEN (at AT TIME ZONE $1)::date < $4::date THEN (thaw.window_at($1, '{1,2,3,4,5,6,7}', $2::time, $3::time, at)).opens_at ELSE at END AS at FROM opening
			)
			SELECT to_char(first.at AT TIME ZONE $1, 'HH24:MI ') || to_char((thaw.window_at($1, '{1,2,3,4,5,6,7}', $2::time, $3::time, first.at)).closes_at AT TIME ZONE $1, 'HH24:MI')
			FROM first`, one.zone, one.opens, one.closes, one.day), one)
	}
	// Clocks that went back at 0:01 showed the date before once more. The day goes on.
	require.Equal(t, "2010-11-07 02:30 03:30", testdb.Value[string](t, db, `
		SELECT concat_ws(' ', d.day, to_char(d.began_at AT TIME ZONE 'UTC', 'HH24:MI'), to_char(d.ends_at AT TIME ZONE 'UTC', 'HH24:MI'))
		FROM thaw.local_day(NULL, NULL, NULL, 'America/St_Johns', '2010-11-07 03:00:00+00') AS d`))
	// The length of the day on which something was done.
	for day, hours := range map[string]int{"2026-03-29": 23, "2026-10-25": 25, "2026-07-01": 24} {
		require.Equal(t, time.Duration(hours)*time.Hour, testdb.Value[time.Duration](t, db,
			"SELECT d.ends_at - d.began_at FROM thaw.local_day(NULL, NULL, NULL, 'Europe/Berlin', ($1::date + time '12:00') AT TIME ZONE 'Europe/Berlin') AS d", day))
	}
}

// Days in a row, while the zone changes at random: their names increase, none begins before the
// last one ended, and without a change of the zone they are the days of the calendar. A day that
// follows a change begins 24 hours after the last one or later.
func TestDaysNeverOverlap(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	rapid.Check(t, func(r *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(r, "zone")
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		at := someInstant(r, location, "at")
		var day, began *time.Time
		var dayZone *string
		isMixed := false
		for range rapid.IntRange(2, 12).Draw(r, "looks") {
			var nextDay, nextBegan, ends time.Time
			if err := db.Pool.QueryRow(t.Context(), "SELECT d.day, d.began_at, d.ends_at FROM thaw.local_day($1, $2, $3, $4, $5) AS d", day, began, dayZone, zone, at).
				Scan(&nextDay, &nextBegan, &ends); err != nil {
				r.Fatal(err)
			}
			if at.Before(nextBegan) || !at.Before(ends) {
				r.Fatalf("%s is not between %s and %s", at, nextBegan, ends)
			}
			switch {
			case day == nil || nextDay.Equal(*day):
				if day != nil && !nextBegan.Equal(*began) {
					r.Fatalf("the day %s began at %s and at %s", nextDay, began, nextBegan)
				}
			default:
				if nextDay.Before(*day) || zone != *dayZone && nextBegan.Sub(*began) < 24*time.Hour {
					r.Fatalf("%s began at %s, and %s at %s", day, began, nextDay, nextBegan)
				}
				if nextBegan.Sub(*began) < 22*time.Hour {
					r.Fatalf("%s began at %s, and %s at %s", day, began, nextDay, nextBegan)
				}
			}
			if !isMixed {
				local := at.In(location)
				date := func(local time.Time) time.Time {
					return time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
				}
				want := date(local)
				if changed, _ := local.ZoneBounds(); !changed.IsZero() {
					// After a change over midnight, the old date is shown once more.
					if before := date(changed.Add(-time.Second).In(location)); before.After(want) {
						want = before
					}
				}
				if !nextDay.Equal(want) {
					r.Fatalf("%s counts into %s", local, nextDay)
				}
			}
			if day == nil || !nextDay.Equal(*day) {
				used := zone
				day, began, dayZone = &nextDay, &nextBegan, &used
			}
			at = at.Add(time.Duration(rapid.IntRange(1, 40*3600).Draw(r, "seconds")) * time.Second)
			if rapid.IntRange(0, 2).Draw(r, "moves") == 0 {
				if next := rapid.SampledFrom(zones).Draw(r, "next zone"); next != zone {
					zone, isMixed = next, true
				}
			}
		}
	})
}

// The ramp against a plain model: a week more in each week, at most six, one week back after an
// idle month, and half of the week of a restriction.
func TestRampFollowsItsModel(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	now := time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
	rapid.Check(t, func(r *rapid.T) {
		before := func(name string, least int) time.Time {
			return now.Add(-time.Duration(rapid.IntRange(least, 120*24).Draw(r, name)) * time.Hour)
		}
		started := before("started", 0)
		sent, restricted := before("sent", 0), before("restricted", 0)
		if sent.Before(started) {
			sent = started
		}
		isRestricted := rapid.Bool().Draw(r, "is restricted")
		weekAt := func(from, at time.Time) int { return min(int(max(at.Sub(from), 0)/(7*24*time.Hour))+1, 6) }
		want := weekAt(started, now)
		isIdle := now.Sub(sent) > 30*24*time.Hour
		if isIdle {
			want = max(weekAt(started, sent)-1, 1)
		}
		var restrictedAt *time.Time
		if isRestricted {
			restrictedAt = &restricted
			if !isIdle {
				want = weekAt(started, restricted)
			}
			want = max(want/2, 1)
		}
		var week int
		var from time.Time
		if err := db.Pool.QueryRow(t.Context(), "SELECT week, started_at FROM thaw.ramp_at($1, $2, $3, NULL, $4)", started, sent, restrictedAt, now).Scan(&week, &from); err != nil {
			r.Fatal(err)
		}
		if week != want {
			r.Fatalf("week %d, not %d", week, want)
		}
		// What it returns is stable: looking again with it is the same week.
		var again int
		if err := db.Pool.QueryRow(t.Context(), "SELECT week FROM thaw.ramp_at($1, $2, $3, $3, $4)", from, sent, restrictedAt, now).Scan(&again); err != nil {
			r.Fatal(err)
		}
		if again != week {
			r.Fatalf("week %d, then %d", week, again)
		}
	})
}

// Random senders at random times: whatever they do, no 168 hours and no local day of the ledger has
// more than the cap, in every state in which the request may have reached the prospect.
func TestNoRandomSenderExceedsACap(t *testing.T) {
	t.Parallel()
	template := testdb.New(t)
	moveTo(t, template, "2026-03-24 09:00:00+00") // The clocks change in this week.
	template.Exec(t, senders+noGaps+`
		UPDATE thaw.action_limits SET per_day = 3, per_week = 7;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, 1, 1, 'active', thaw.now(), 'https://www.linkedin.com/in/more-' || n FROM generate_series(1, 80) AS n`)
	rapid.Check(t, func(r *rapid.T) {
		db := template.Copy(t)
		r.Cleanup(func() { db.Drop(t) })
		open, started := []int64{}, []int64{}
		var days []time.Time // when the days of the sender began
		next := 30
		for range rapid.IntRange(30, 60).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"reserve", "reserve", "reserve", "start", "start", "settle", "wait", "wait", "zone"}).Draw(r, "step") {
			case "reserve":
				next++
				var id *int64
				if err := db.Pool.QueryRow(t.Context(), "SELECT r.id FROM thaw.reserve($1, lease => '1 day') AS r", next).Scan(&id); err != nil {
					r.Fatal(err)
				}
				if id != nil {
					open = append(open, *id)
				}
			case "start":
				if len(open) > 0 {
					var code string
					if err := db.Pool.QueryRow(t.Context(), "SELECT coalesce(r.code, 'go') FROM thaw.start($1) AS r", open[0]).Scan(&code); err != nil {
						r.Fatal(err)
					}
					if code == "go" {
						started = append(started, open[0])
					}
					open = open[1:]
				}
			case "settle":
				if len(started) > 0 {
					outcome := rapid.SampledFrom([]string{"sent", "unknown", "throttled"}).Draw(r, "outcome")
					if _, err := db.Pool.Exec(t.Context(), "SELECT thaw.settle($1::bigint, $2, 'ref') FROM thaw.actions WHERE id = $1 AND (state = 'started' OR outcome IS NULL)", started[0], outcome); err != nil {
						r.Fatal(err)
					}
					started = started[1:]
				}
			case "wait":
				wait := time.Duration(rapid.IntRange(1, 30*3600).Draw(r, "seconds")) * time.Second
				switch rapid.SampledFrom([]string{"hours", "minutes", "until midnight"}).Draw(r, "how long") {
				case "minutes":
					wait /= 200
				case "until midnight":
					wait = testdb.Value[time.Duration](t, db, `
						SELECT thaw.day_start(a.timezone, (thaw.now() AT TIME ZONE a.timezone)::date + 1) - thaw.now() FROM thaw.accounts AS a WHERE a.id = 1`)
					wait = max(wait-5*time.Minute, 0)
				}
				db.Advance(t, wait)
				db.Exec(t, "SELECT thaw.expire_actions()") // Workers do, each minute.
			case "zone":
				db.Exec(t, "UPDATE thaw.accounts SET timezone = $1 WHERE id = 1", rapid.SampledFrom(zones).Draw(r, "zone"))
			}
			days = append(days, testdb.Column[time.Time](t, db, "SELECT s.day_began_at FROM thaw.senders AS s WHERE s.id = 1 AND s.day IS NOT NULL")...)
		}
		if over := testdb.Column[string](t, db, `
			SELECT 'day ' || local_day FROM thaw.actions WHERE is_used GROUP BY local_day HAVING count(*) > 3
			UNION ALL
			SELECT 'week from ' || a.used_at FROM thaw.actions AS a
			WHERE a.is_used AND (SELECT count(*) FROM thaw.actions AS b WHERE b.is_used AND b.used_at >= a.used_at AND b.used_at < a.used_at + interval '168 hours') > 7
			UNION ALL
			-- Whatever day they have: those that may have been made in a day.
			SELECT 'day from ' || day.began_at
			FROM (SELECT began.at AS began_at, lead(began.at, 1, 'infinity') OVER (ORDER BY began.at) AS ends_at FROM (SELECT DISTINCT unnest($1::timestamptz[]) AS at) AS began) AS day
			JOIN thaw.actions AS a ON a.is_used AND a.used_at >= day.began_at AND a.used_at < day.ends_at
			GROUP BY day.began_at HAVING count(*) > 3`, days); len(over) > 0 {
			r.Fatal(over)
		}
	})
}
