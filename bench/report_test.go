package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"testing"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// results has three rounds: a baseline of 2, 4 and 6 seconds, and a variant of Thaw that takes 1.5
// times as long.
func results(t *testing.T) Result {
	t.Helper()
	about := About{Name: "sample", Work: "what <is> done", Metrics: []Metric{
		{Name: "time", Unit: Seconds, Ratio: 1.2}, {Name: "rate", Unit: PerSecond, MoreIsBetter: true, Ratio: 0.5},
		{Name: "wait", Unit: Millis, Limit: 100}, {Name: "size", Unit: Bytes},
	}}
	variants := []variant{{Name: "baseline", Role: Baseline}, {Name: "ours", Role: Thaw}, {Name: "other", Role: Peer}}
	return summarize(about, variants, [][]sample{
		{{"time": 2, "rate": 10}, {"time": 4, "rate": 20}, {"time": 6, "rate": 30}},
		{{"time": 3, "rate": 5, "wait": 99, "size": 7}, {"time": 6, "rate": 12, "wait": 101}, {"time": 9, "rate": 15, "wait": 10}},
		{{"time": 200}, nil, nil},
	}, []string{"other: timed out"})
}

func find(t *testing.T, r Result, variant, metric string) Line {
	t.Helper()
	for _, l := range r.Lines {
		if l.Variant == variant && l.Metric.Name == metric {
			return l
		}
	}
	require.Fail(t, "no such line", "%s, %s", variant, metric)
	return Line{}
}

func TestRatioUsesBaselineOfSameRound(t *testing.T) {
	t.Parallel()
	r := results(t)

	time := find(t, r, "ours", "time")
	require.Equal(t, []float64{3, 6, 9}, time.Samples)
	require.InDelta(t, 6, time.Median, 0)
	require.InDelta(t, 3, time.Min, 0)
	require.InDelta(t, 9, time.Max, 0)
	require.InDelta(t, 1.5, *time.Ratio, 1e-9)
	require.Nil(t, find(t, r, "baseline", "time").Ratio)
	require.InDelta(t, 100, *find(t, r, "other", "time").Ratio, 1e-9, "only the round that finished counts")
}

func TestTargets(t *testing.T) {
	t.Parallel()
	r := results(t)

	require.False(t, *find(t, r, "ours", "time").Met, "1.5 is more than 1.2")
	require.True(t, *find(t, r, "ours", "rate").Met, "the target is half of the baseline's rate")
	require.False(t, *find(t, r, "ours", "wait").Met, "a limit applies to the worst round")
	require.Nil(t, find(t, r, "ours", "size").Met, "no target")
	require.Nil(t, find(t, r, "other", "time").Met, "targets apply to Thaw only")
}

func TestTable(t *testing.T) {
	t.Parallel()
	var table bytes.Buffer
	results(t).WriteTable(&table)
	require.Regexp(t, `(?m)^sample +ours +time +6\.000 s +3\.000\.\.9\.000 +1\.50 x +<= 1\.2 x +MISSED$`, table.String())
	require.Regexp(t, `(?m)^sample +ours +wait +99\.00 ms +10\.00\.\.101\.00 +<= 100\.00 ms +MISSED$`, table.String())
	require.Regexp(t, `(?m)^sample +other: timed out$`, table.String())
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(Report{Environment: Environment{Postgres: "15.1"}, Scale: Small, Rounds: 3, Results: []Result{results(t)}})
	require.NoError(t, err)
	require.Contains(t, string(text), `"name":"sample"`)
	require.Contains(t, string(text), `{"variant":"ours","role":"thaw","metric":{"name":"wait","unit":"ms","target_limit":100},"samples":[99,101,10],"median":99,"min":10,"max":101,"met":false}`)
}

func TestChartIsWellFormed(t *testing.T) {
	t.Parallel()
	var picture bytes.Buffer
	require.NoError(t, results(t).WriteChart(&picture))

	decoder := xml.NewDecoder(&picture)
	bars := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if element, ok := token.(xml.StartElement); ok && element.Name.Local == "rect" {
			bars++
		}
	}
	require.Equal(t, 7, bars, "one per line of the result")
}

func TestMedianAndPercentile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 50).Draw(t, "numbers")
		p := rapid.Float64Range(0, 100).Draw(t, "p")

		got := percentile(numbers, p)
		notMore, less := 0, 0
		for _, n := range numbers {
			if n <= got {
				notMore++
			}
			if n < got {
				less++
			}
		}
		require.Contains(t, numbers, got)
		require.GreaterOrEqual(t, float64(notMore), p/100*float64(len(numbers))-1e-9)
		require.True(t, less == 0 || float64(less) < p/100*float64(len(numbers)), "a smaller number qualifies")
		if len(numbers)%2 == 1 {
			require.InDelta(t, percentile(numbers, 50), median(numbers), 0)
		}
	})
}

func TestUsedCores(t *testing.T) {
	t.Parallel()
	before := procfs.CPUStat{User: 10, System: 5, Idle: 100, Iowait: 3}
	for _, c := range []struct {
		after procfs.CPUStat
		used  float64
	}{
		{procfs.CPUStat{User: 10, System: 5, Idle: 102, Iowait: 3}, 0},
		{procfs.CPUStat{User: 10, System: 5, Idle: 101, Iowait: 4}, 0},
		{procfs.CPUStat{User: 10.5, System: 5.25, Steal: 0.25, Idle: 101, Iowait: 3}, 0.5},
		{procfs.CPUStat{User: 12, System: 5, Idle: 100, Iowait: 3}, 1},
		{before, -1},
	} {
		require.InDelta(t, c.used, used(before, c.after), 1e-9)
	}
	quiet := Environment{Postgres: "15.1", System: "linux/amd64", Cores: 2, Busy: 0.02}
	require.NotContains(t, quiet.String(), "busy")
	restless := Environment{Postgres: "15.1", System: "linux/amd64", Cores: 2, Busy: 0.4}
	require.Contains(t, restless.String(), "2 cores, 40 % busy with other work: results are unreliable")
}
