package jobstest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/jobs"
)

// Arguments from other programs are decoded or rejected. Decoded arguments have only one encoding,
// because jobs are unique by the text of their arguments.
func FuzzArguments(f *testing.F) {
	for _, text := range []string{
		`{"tick_at":"2026-01-31T09:15:00Z"}`, `{"tick_at":"2026-01-31T10:15:00.999+01:00"}`, `{"account_id":7,"signal_id":3}`,
		`{"account_id":7,"tick_at":"2026-01-31T09:15:00Z"}`, `{"at":"2026-01-31T09:15:10Z"}`, `{"heal_id":1}`, `{"endpoint_id":1,"message_id":"msg_1"}`, `{}`, `null`, `[]`, `{"tick_at":null}`, `{"tick_at":""}`, `{"tick_at":1}`,
		`{"tick_at":"9999-12-31T23:59:59-23:59"}`, `{"tick_at":"0000-01-01T00:00:00+23:59"}`, `{"tick_at":"0001-01-01T00:00:00Z"}`, `{"account_id":1e99}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checkArguments(t, text, func(a jobs.SweepArgs) jobs.Tick { return a.TickAt })
		checkArguments(t, text, func(a jobs.ResumeAccountArgs) jobs.Tick { return a.TickAt })
		checkArguments(t, text, func(a jobs.PauseAccountArgs) jobs.Tick { return a.TickAt })
		checkArguments(t, text, func(a jobs.ScheduleArgs) jobs.Tick { return a.At })
		checkArguments(t, text, func(jobs.HealArgs) jobs.Tick { return jobs.Tick{} })
		checkArguments(t, text, func(jobs.DeliverArgs) jobs.Tick { return jobs.Tick{} })
	})
}

func checkArguments[T any](t *testing.T, text []byte, tick func(T) jobs.Tick) {
	t.Helper()
	var args T
	if json.Unmarshal(text, &args) != nil {
		return
	}
	written, err := json.Marshal(args)
	if err != nil {
		// Years that RFC 3339 cannot represent.
		year := tick(args).UTC().Year()
		require.True(t, year < 0 || year > 9999, "%s: %v", text, err)
		return
	}
	var back T
	require.NoError(t, json.Unmarshal(written, &back))
	require.True(t, tick(back).Equal(jobs.TickAt(tick(args).Time).Time), "%s was written as %s", text, written)
	require.Equal(t, time.Duration(0), time.Duration(tick(back).Nanosecond()), "whole seconds")
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(written), string(again))
}
