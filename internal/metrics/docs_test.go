package metrics_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the table of metrics in docs/metrics.md")

const (
	page       = "../../docs/metrics.md"
	tableBegin = "<!-- metrics: begin -->\n"
	tableEnd   = "<!-- metrics: end -->\n"
)

// gatherAll returns every metric of this program, from a worker process that has jobs and signals
// to count.
func gatherAll(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	s := setup(t)
	s.insertFleet(t)
	s.work(t)
	s.Exec(t, "SELECT thaw.enqueue('pause_account', 'resume', 1::smallint, '{\"account_id\": 1}', '1 hour')")
	s.Exec(t, "INSERT INTO thaw.signal_sources (provider, last_signal_at) VALUES ('linkedin', thaw.now())")
	s.Exec(t, "INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com')")
	s.Exec(t, "SELECT thaw.start_adoption('a test')")
	s.Exec(t, "UPDATE thaw.settings SET push_actions = true")
	s.Exec(t, "SELECT thaw.ensure_senders(ARRAY[1])")
	s.Exec(t, "UPDATE thaw.sending_accounts SET code = 'daily_cap'")
	families, err := s.Registry().Gather()
	require.NoError(t, err)
	all := map[string]*dto.MetricFamily{}
	for _, family := range families {
		all[family.GetName()] = family
	}
	return all
}

// TestTableOfMetrics compares the table in docs/metrics.md with the metrics in the code.
func TestTableOfMetrics(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(content), tableBegin)
	require.True(t, found, "%s has no line %s", page, tableBegin)
	table, after, found := strings.Cut(rest, tableEnd)
	require.True(t, found, "%s has no line %s", page, tableEnd)

	want := tableOf(gatherAll(t))
	if *update && table != want {
		require.NoError(t, os.WriteFile(page, []byte(before+tableBegin+want+tableEnd+after), 0o644))
		return
	}
	require.Equal(t, want, table, "the table in docs/metrics.md is outdated: run go test ./internal/metrics -run Table -update")
}

func tableOf(all map[string]*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, "thaw_") {
			continue
		}
		family := all[name]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(family.GetType().String()),
			strings.Join(labelsOf(family), ", "), family.GetHelp())
	}
	return b.String()
}

// labelsOf returns the label names of a metric.
func labelsOf(family *dto.MetricFamily) (names []string) {
	for _, label := range family.GetMetric()[0].GetLabel() {
		names = append(names, label.GetName())
	}
	return names
}
