// Package when reads and writes the times and durations of people, in flags and in forms. Commands
// and pages use the same functions, so that both accept the same text and show the same time.
//
// A text without a zone is in the location of the caller: the zone of the terminal for a command,
// the zone of the browser for a form. A caller shows the result of [Parse] with [Text], because the
// text may have meant another time.
package when

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Longest is the maximum length of a duration: about 100 years.
const Longest = 36500 * day

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// units are the units of a duration. A month or a year has no fixed length, so neither is a unit.
var units = map[string]time.Duration{
	"w": week, "wk": week, "week": week, "weeks": week,
	"d": day, "day": day, "days": day,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"ms": time.Millisecond, "us": time.Microsecond, "µs": time.Microsecond, "ns": time.Nanosecond,
}

// part is one number of a duration with its unit.
var part = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]+)\s*`)

// ParseDuration reads a duration such as 3d, 72h, 1w, 1h30m or "2 days". A day is 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	rest := strings.ToLower(strings.TrimSpace(text))
	switch {
	case rest == "0":
		return 0, nil
	case strings.HasPrefix(rest, "-"):
		return 0, fmt.Errorf("%q is negative: use a duration such as 15m, 72h, 3d or 1w", text)
	case rest != "" && strings.Trim(rest, "0123456789.") == "":
		return 0, fmt.Errorf("%q has no unit: use a duration such as %sm, %sh or %sd", text, rest, rest, rest)
	case rest == "":
		return 0, notDuration(text)
	}
	var total float64 // in nanoseconds; exact up to 104 days, beyond that to the microsecond
	for rest != "" {
		found := part.FindStringSubmatch(rest)
		if found == nil {
			return 0, notDuration(text)
		}
		unit, known := units[found[2]]
		if !known {
			return 0, notDuration(text)
		}
		number, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			return 0, notDuration(text)
		}
		total += number * float64(unit)
		rest = rest[len(found[0]):]
	}
	if total > float64(Longest) {
		return 0, fmt.Errorf("%q is too long: a duration is at most %s", text, Duration(Longest))
	}
	return time.Duration(math.Round(total)), nil
}

func notDuration(text string) error {
	return fmt.Errorf("%q is not a duration: use a number with a unit, such as 15m, 72h, 3d or 1w", text)
}

// Duration writes a duration as [ParseDuration] reads it: 15m, 2h, 1h30m, 400d.
func Duration(d time.Duration) string {
	days := d / day
	rest := d % day
	text := rest.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	switch {
	case days == 0:
		return text
	case rest == 0:
		return fmt.Sprintf("%dd", days)
	default:
		return fmt.Sprintf("%dd%s", days, text)
	}
}

// Examples show in help and in errors what [Parse] and [ParsePast] read.
const (
	Examples     = `3d, 72h, 1w, tomorrow, 2026-12-02, "2026-12-02 14:00" or 2026-12-02T14:00:00Z`
	PastExamples = `3d, 72h, 1w, yesterday, 2026-12-02, "2026-12-02 14:00" or 2026-12-02T14:00:00Z`
)

// errNoTime is the cause of errors whose text looks like a time that does not exist.
var errNoTime = errors.New("no such time")

// Parse reads a time: a duration from now (3d, 72h, 1w, "in 2 days"), a day (tomorrow, monday,
// 2026-12-02), a day with a time (tomorrow 14:00, 2026-12-02 14:00), or RFC 3339. A day alone means
// its start. A text without a zone is in the location of now.
func Parse(text string, now time.Time) (time.Time, error) { return parse(text, now, 1, Examples) }

// ParsePast is [Parse] for the start of a period that ends now: a duration is before now (3d, "2
// days ago"), and the name of a day is the last such day.
func ParsePast(text string, now time.Time) (time.Time, error) {
	return parse(text, now, -1, PastExamples)
}

// parse reads a time. The direction is 1 for the future and -1 for the past.
func parse(text string, now time.Time, direction int, examples string) (time.Time, error) {
	given := strings.ToLower(strings.Join(strings.Fields(text), " "))
	if given == "" {
		return time.Time{}, fmt.Errorf("no time given: use %s", examples)
	}
	if given == "now" {
		return now, nil
	}
	relative := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(given, "in "), "+"), " ago")
	if d, err := ParseDuration(relative); err == nil && relative != "0" && (direction < 0 || !strings.HasSuffix(given, " ago")) {
		return now.Add(time.Duration(direction) * d), nil
	}
	first, clock, hasClock := strings.Cut(given, " ")
	if date, known := dayNamed(first, now, direction); known {
		if !hasClock {
			return date, nil
		}
		if at, err := time.Parse("15:04", strings.TrimPrefix(clock, "at ")); err == nil {
			return time.Date(date.Year(), date.Month(), date.Day(), at.Hour(), at.Minute(), 0, 0, now.Location()), nil
		}
		return time.Time{}, notTime(text, examples)
	}
	at, err := parseDate(given, now.Location())
	switch {
	case err == nil:
		return at, nil
	case errors.Is(err, errNoTime):
		return time.Time{}, fmt.Errorf("%q does not exist: a month has at most 31 days, a day 24 hours; use for example 2026-12-02 or \"2026-12-02 14:00\"", text)
	default:
		return time.Time{}, notTime(text, examples)
	}
}

func notTime(text, examples string) error {
	return fmt.Errorf("%q is not a time: use %s", text, examples)
}

// dayNamed returns the start of the nearest day with this name in the direction.
func dayNamed(name string, now time.Time, direction int) (time.Time, bool) {
	start := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	if name == map[int]string{1: "tomorrow", -1: "yesterday"}[direction] {
		return start.AddDate(0, 0, direction), true
	}
	if name == "today" && direction < 0 {
		return start, true
	}
	for distance := 1; distance <= 7; distance++ {
		next := start.AddDate(0, 0, direction*distance)
		if weekday := strings.ToLower(next.Weekday().String()); name == weekday || name == weekday[:3] {
			return next, true
		}
	}
	return time.Time{}, false
}

// layouts are the accepted spellings of a date with a time. Those with a zone come first.
var (
	zoned = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05 UTC", "2006-01-02T15:04 UTC"}
	local = []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05"}
)

// shape matches what is meant as a date, also if it does not exist.
var shape = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}($|[t ][0-9:.]+( ?(utc|z|[+-][0-9:]+))?$)`)

func parseDate(given string, location *time.Location) (time.Time, error) {
	written := strings.ToUpper(given)
	if len(written) > 10 && written[10] == ' ' {
		written = written[:10] + "T" + written[11:]
	}
	for _, layout := range zoned {
		if at, err := time.Parse(layout, written); err == nil {
			return at, nil
		}
	}
	for _, layout := range local {
		if at, err := time.ParseInLocation(layout, written, location); err == nil {
			return at, nil
		}
	}
	if shape.MatchString(given) {
		return time.Time{}, errNoTime
	}
	return time.Time{}, errors.New("not a date")
}

// Text writes a time for people: to the minute, in the given location, followed by UTC if that is
// another zone. Seconds are written if there are any.
func Text(t time.Time, location *time.Location) string {
	layout := "2006-01-02 15:04"
	if t.Second() != 0 {
		layout += ":05"
	}
	utc := t.UTC().Format(layout) + " UTC"
	if in := t.In(location); in.Format("-0700") != "+0000" {
		return in.Format(layout+" MST") + " (" + utc + ")"
	}
	return utc
}
