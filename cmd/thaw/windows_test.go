package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseWindow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]int{
		"mon-fri 09:00-17:00":        {1, 2, 3, 4, 5},
		"Mon,wed,mon 09:00-17:00":    {1, 3},
		"sat-tue 22:00-06:00":        {6, 7, 1, 2},
		"sun 00:00-24:00 Asia/Tokyo": {7},
	} {
		window, err := parseWindow(text)
		require.NoError(t, err, text)
		require.Equal(t, want, window.Weekdays, text)
	}
	for _, text := range []string{"", "mon", "09:00-17:00", "mon 9", "mon-foo 09:00-17:00", "monday 09:00-17:00", "mon- 09:00-17:00", "mon 09:00-17:00 UTC x"} {
		_, err := parseWindow(text)
		require.ErrorContains(t, err, `use for example "mon-fri 09:00-17:00 Europe/Berlin"`, text)
	}
	require.Equal(t, "mon-fri", daysText([]int32{1, 2, 3, 4, 5}))
	require.Equal(t, "mon,wed", daysText([]int32{1, 3}))
	require.Equal(t, "sun", daysText([]int32{7}))
}
