package when_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/when"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"3d": 3 * day, "72h": 3 * day, "1w": 7 * day, "1w2d": 9 * day, "1w 2d": 9 * day, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute,
		"1.5h": 90 * time.Minute, "2 days": 2 * day, "1 week": 7 * day, "400D": 400 * day, " 15m ": 15 * time.Minute, "250ms": 250 * time.Millisecond,
		"0": 0, "0s": 0, "36500d": when.Longest, "9600h": 400 * day, "20 min": 20 * time.Minute,
	} {
		got, err := when.ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, says := range map[string]string{
		"":                           `"" is not a duration: use a number with a unit, such as 15m, 72h, 3d or 1w`,
		"soon":                       `"soon" is not a duration: use a number with a unit, such as 15m, 72h, 3d or 1w`,
		"3":                          `"3" has no unit: use a duration such as 3m, 3h or 3d`,
		"-3d":                        `"-3d" is negative: use a duration such as 15m, 72h, 3d or 1w`,
		"1y":                         `"1y" is not a duration: use a number with a unit, such as 15m, 72h, 3d or 1w`,
		"3d later":                   `"3d later" is not a duration: use a number with a unit, such as 15m, 72h, 3d or 1w`,
		"99999w":                     `"99999w" is too long: a duration is at most 36500d`,
		"9999999999999999999999999d": `"9999999999999999999999999d" is too long: a duration is at most 36500d`,
	} {
		_, err := when.ParseDuration(text)
		require.EqualError(t, err, says, text)
	}
}

// What is written can be read again.
func TestDurationRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(when.Longest/time.Second)).Draw(t, "seconds")) * time.Second
		again, err := when.ParseDuration(when.Duration(d))
		require.NoError(t, err)
		require.Equal(t, d, again, when.Duration(d))
	})
	for d, want := range map[time.Duration]string{
		15 * time.Minute: "15m", 2 * time.Hour: "2h", 9600 * time.Hour: "400d", 36 * time.Hour: "1d12h", 90 * time.Minute: "1h30m",
		1500 * time.Millisecond: "1.5s", 0: "0s", when.Longest: "36500d",
	} {
		require.Equal(t, want, when.Duration(d))
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	now := time.Date(2026, 11, 30, 9, 30, 0, 0, berlin) // a Monday
	for text, want := range map[string]string{
		"3d":                        "2026-12-03T09:30:00+01:00",
		"in 3 days":                 "2026-12-03T09:30:00+01:00",
		"+72h":                      "2026-12-03T09:30:00+01:00",
		"1w":                        "2026-12-07T09:30:00+01:00",
		"now":                       "2026-11-30T09:30:00+01:00",
		"tomorrow":                  "2026-12-01T00:00:00+01:00",
		"Tomorrow 14:00":            "2026-12-01T14:00:00+01:00",
		"tomorrow at 14:00":         "2026-12-01T14:00:00+01:00",
		"monday":                    "2026-12-07T00:00:00+01:00",
		"fri 08:15":                 "2026-12-04T08:15:00+01:00",
		"2026-12-02":                "2026-12-02T00:00:00+01:00",
		"2026-12-02 14:00":          "2026-12-02T14:00:00+01:00",
		"2026-12-02T14:00":          "2026-12-02T14:00:00+01:00",
		"2026-12-02 14:00:30":       "2026-12-02T14:00:30+01:00",
		"2026-12-02 14:00 UTC":      "2026-12-02T14:00:00Z",
		"2026-12-02T14:00:00Z":      "2026-12-02T14:00:00Z",
		"2026-12-02T14:00Z":         "2026-12-02T14:00:00Z",
		"2026-12-02T14:00:00+09:00": "2026-12-02T14:00:00+09:00",
		"2026-12-02t14:00:00z":      "2026-12-02T14:00:00Z",
	} {
		got, err := when.Parse(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want, got.Format(time.RFC3339), text)
	}
	for text, says := range map[string]string{
		"":                 `no time given: use ` + when.Examples,
		"soon":             `"soon" is not a time: use ` + when.Examples,
		"tomorrow noon":    `"tomorrow noon" is not a time: use ` + when.Examples,
		"02.12.2026":       `"02.12.2026" is not a time: use ` + when.Examples,
		"-3d":              `"-3d" is not a time: use ` + when.Examples,
		"0":                `"0" is not a time: use ` + when.Examples,
		"2026-13-01":       `"2026-13-01" does not exist: a month has at most 31 days, a day 24 hours; use for example 2026-12-02 or "2026-12-02 14:00"`,
		"2026-02-30 14:00": `"2026-02-30 14:00" does not exist: a month has at most 31 days, a day 24 hours; use for example 2026-12-02 or "2026-12-02 14:00"`,
	} {
		_, err := when.Parse(text, now)
		require.EqualError(t, err, says, text)
	}
}

func TestParsePast(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 9, 30, 0, 0, time.UTC) // a Monday
	for text, want := range map[string]string{
		"3d": "2026-11-27T09:30:00Z", "2 days ago": "2026-11-28T09:30:00Z", "yesterday": "2026-11-29T00:00:00Z", "today": "2026-11-30T00:00:00Z",
		"fri 08:00": "2026-11-27T08:00:00Z", "monday": "2026-11-23T00:00:00Z", "2026-11-01": "2026-11-01T00:00:00Z",
	} {
		got, err := when.ParsePast(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want, got.Format(time.RFC3339), text)
	}
	_, err := when.ParsePast("tomorrow", now)
	require.EqualError(t, err, `"tomorrow" is not a time: use `+when.PastExamples)
	_, err = when.Parse("2 days ago", now)
	require.EqualError(t, err, `"2 days ago" is not a time: use `+when.Examples)
}

func TestText(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	at := time.Date(2026, 12, 2, 13, 0, 0, 0, time.UTC)
	require.Equal(t, "2026-12-02 13:00 UTC", when.Text(at, time.UTC))
	require.Equal(t, "2026-12-02 14:00 CET (2026-12-02 13:00 UTC)", when.Text(at, berlin))
	require.Equal(t, "2026-12-02 13:00:05 UTC", when.Text(at.Add(5*time.Second), time.UTC))
}
