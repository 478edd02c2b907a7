package deploy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"
)

// firing evaluates an alert once a minute over series of one sample per minute, and returns the
// minutes at which it fires.
func firing(t *testing.T, alert string, minutes int, series ...string) (at []int) {
	t.Helper()
	stored := load(t, series)
	engine := promql.NewEngine(promql.EngineOpts{
		Timeout: time.Minute, MaxSamples: 1_000_000, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, Parser: promQL,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
	})
	defer engine.Close()
	for _, rule := range alerts(t) {
		if rule.Alert != alert {
			continue
		}
		active := map[string]int{} // the minute since which each series of the result has existed
		for minute := range minutes + 1 {
			query, err := engine.NewInstantQuery(t.Context(), stored, nil, rule.Expr, time.Unix(0, 0).Add(time.Duration(minute)*time.Minute))
			require.NoError(t, err)
			result, err := query.Exec(t.Context()).Vector()
			require.NoError(t, err)
			since := map[string]int{}
			isFiring := false
			for _, sample := range result {
				name := sample.Metric.String()
				since[name] = minute
				if before, was := active[name]; was {
					since[name] = before
				}
				isFiring = isFiring || time.Duration(minute-since[name])*time.Minute >= time.Duration(rule.For)
			}
			query.Close()
			active = since
			if isFiring {
				at = append(at, minute)
			}
		}
		return at
	}
	t.Fatalf("there is no alert %s", alert)
	return nil
}

// load returns a storage with the given series.
func load(t *testing.T, series []string) storage.Queryable {
	t.Helper()
	var all []storage.Series
	for _, text := range series {
		name, values, err := promQL.ParseSeriesDesc(text)
		require.NoError(t, err, text)
		var samples []chunks.Sample
		for minute, value := range values {
			samples = append(samples, sample{at: int64(minute) * time.Minute.Milliseconds(), value: value.Value})
		}
		all = append(all, storage.NewListSeries(name, samples))
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			found := &seriesSet{}
			for _, one := range all {
				if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.Labels().Get(m.Name)) }) {
					found.series = append(found.series, one)
				}
			}
			return found
		},
	}}
}

// A seriesSet iterates over series.
type seriesSet struct {
	series []storage.Series
	next   int
}

func (s *seriesSet) Next() bool                      { s.next++; return s.next <= len(s.series) }
func (s *seriesSet) At() storage.Series              { return s.series[s.next-1] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// A sample is a value of a series.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                    { return s.at }
func (sample) ST() int64                     { return 0 } // unknown
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }

// series returns a series of a process of the scrape job.
func series(metric, values string) string {
	name, rest, found := strings.Cut(metric, "{")
	if !found {
		return fmt.Sprintf(`%s{job="thaw", instance="thaw-1"} %s`, name, values)
	}
	return fmt.Sprintf(`%s{job="thaw", instance="thaw-1", %s %s`, name, rest, values)
}

// After an incident a backlog drains for hours, and its oldest prospect grows older all the time.
// That is no alert, because every tick resumes as many as the quotas allow.
func TestHealthyDrainFiresNoAlert(t *testing.T) {
	t.Parallel()
	drain := []string{
		series("thaw_oldest_resumable_age_seconds", "0+60x600"),
		series("thaw_resumable_enrollments", "42000-70x600"),
		series("thaw_starved_accounts", "0x600"),
		series("thaw_workers_alive", "1x600"),
		series("thaw_last_sweep_age_seconds", "300x600"),
		series("thaw_tick_length_seconds", "900x600"),
		series("thaw_safety_mode", "0x600"),
		series(`thaw_heals{state="stopped"}`, "0x600"),
		series("up", "1x600"),
		series("thaw_up", "1x600"),
	}
	for _, rule := range alerts(t) {
		require.Empty(t, firing(t, rule.Alert, 600, drain...), rule.Alert)
	}
}

// An account that gets nothing although quota remains is an alert, unless a tick serves it soon.
func TestStarvedAccountsFire(t *testing.T) {
	t.Parallel()
	require.Empty(t, firing(t, "ThawAccountStarved", 60, series("thaw_starved_accounts", "0x9 3x15 0x40")), "served by the next tick")
	fires := firing(t, "ThawAccountStarved", 60, series("thaw_starved_accounts", "0x9 3x50"))
	require.Equal(t, 30, fires[0], "10 minutes of 0, then 20 minutes")
}

func TestNoWorkerFires(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{7, 8, 9, 10}, firing(t, "ThawNoWorker", 14, series("thaw_workers_alive", "2x4 0x5 1x5")))
}

func TestSafetyModeFires(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{6, 7}, firing(t, "ThawSafetyMode", 12, series("thaw_safety_mode", "0x4 1x2 0x5")))
}

func TestStoppedHealFires(t *testing.T) {
	t.Parallel()
	fires := firing(t, "ThawHealStopped", 20, series(`thaw_heals{state="running"}`, "1x20"), series(`thaw_heals{state="stopped"}`, "0x4 1x15"))
	require.Equal(t, 10, fires[0])
	require.Empty(t, firing(t, "ThawHealStopped", 20, series(`thaw_heals{state="running"}`, "4x20"), series(`thaw_heals{state="stopped"}`, "0x20")))
}

// Webhooks that wait, that were given up, and an endpoint that is disabled are alerts; a receiver
// that is slow for some minutes is not, and neither are failures of the past.
func TestWebhooksFire(t *testing.T) {
	t.Parallel()
	const age = `thaw_webhook_oldest_waiting_age_seconds{endpoint="1"}`
	require.Empty(t, firing(t, "ThawWebhooksDelayed", 60, series(age, "0+60x14 0x40")))
	require.NotEmpty(t, firing(t, "ThawWebhooksDelayed", 60, series(age, "0+60x60")))
	const failed = `thaw_webhook_deliveries{endpoint="1", state="failed"}`
	const enabled = `thaw_webhook_endpoint_enabled{endpoint="1"}`
	require.Empty(t, firing(t, "ThawWebhooksFailed", 240, series(failed, "12x240"), series(enabled, "1x240")), "no new failures")
	require.Empty(t, firing(t, "ThawWebhooksFailed", 240, series(failed, "12x120 0x120"), series(enabled, "1x240")), "sent again")
	fires := firing(t, "ThawWebhooksFailed", 240, series(failed, "0x119 5x120"), series(enabled, "1x240"))
	require.Equal(t, 120, fires[0])
	require.Len(t, fires, 60, "for an hour")
	require.Equal(t, []int{3, 4, 5}, firing(t, "ThawWebhooksFailed", 5, series(failed, "0x5"), series(enabled, "1x2 0x2")))
}

// Actions that no sender takes, a schedule that does not run, and actions whose outcome stays
// unknown are alerts. A sender that takes them within minutes is none.
func TestIdleSendersFire(t *testing.T) {
	t.Parallel()
	require.Equal(t, 16, firing(t, "ThawActionsNotTaken", 60, series("thaw_oldest_due_action_age_seconds", "0+60x60"))[0])
	require.Empty(t, firing(t, "ThawActionsNotTaken", 60, series("thaw_oldest_due_action_age_seconds", "300x60")))
	require.Equal(t, 6, firing(t, "ThawScheduleLate", 60, series("thaw_last_schedule_age_seconds", "0+60x60"))[0])
	require.Empty(t, firing(t, "ThawScheduleLate", 60, series("thaw_last_schedule_age_seconds", "60x60")))
	expired, sent := `thaw_actions_settled_total{state="expired"}`, `thaw_actions_settled_total{state="sent"}`
	// A dead receiver: ten actions per lease, and nothing is sent.
	require.NotEmpty(t, firing(t, "ThawActionsExpire", 60, series(expired, "0x9 10x9 20x9 30x30"), series(sent, "500x60")))
	// A small fleet, with one action per try.
	require.NotEmpty(t, firing(t, "ThawActionsExpire", 90, series(expired, "0x9 1x11 2x11 3x11 4x11 5x30"), series(sent, "500x90")))
	// A sender that restarts loses a few of many.
	require.Empty(t, firing(t, "ThawActionsExpire", 60, series(expired, "0x9 10x50"), series(sent, "0+10x60")))
	require.Equal(t, 25, firing(t, "ThawActionsUnknown", 60, series(`thaw_actions{state="unknown"}`, "0x9 3x50"))[0])
	require.Empty(t, firing(t, "ThawActionsUnknown", 60, series(`thaw_actions{state="started"}`, "5x60")))
}

// A copy that differs from the platform's tables, or a platform that does not take changes, is an
// alert. A change that waits for a lock for a moment is none.
func TestBrokenAdoptionFires(t *testing.T) {
	t.Parallel()
	require.Equal(t, 15, firing(t, "ThawCopyDiffers", 60, series("thaw_drift_rows", "0x9 1x50"))[0])
	require.Equal(t, 15, firing(t, "ThawCopyDiffers", 60, series(`thaw_adopt_errors{state="statement"}`, "0x9 1x50"))[0])
	require.Equal(t, 12, firing(t, "ThawMappingDoesNotFit", 60, series("thaw_adopt_schema_problems", "0x9 1x50"))[0])
	require.Equal(t, 12, firing(t, "ThawMappingDoesNotFit", 60, series("thaw_adopt_held_accounts", "0x9 40x50"))[0])
	require.Equal(t, 20, firing(t, "ThawChangesNotCopied", 60, series(`thaw_adopt_errors{state="parked"}`, "0x9 1x50"))[0])
	require.Empty(t, firing(t, "ThawChangesNotCopied", 60, series(`thaw_adopt_errors{state="deferred"}`, "0x9 5x5 0x50")))
	require.Equal(t, 8, firing(t, "ThawChangesWait", 60, series("thaw_adopt_oldest_change_age_seconds", "0+60x60"))[0])
	require.Empty(t, firing(t, "ThawChangesWait", 60, series("thaw_adopt_oldest_change_age_seconds", "20x60")))
}
