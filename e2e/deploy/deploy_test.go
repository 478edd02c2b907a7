// Package deploy tests the alert rules and the dashboard with the metrics of a running process.
package deploy_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	alertsFile    = "../../deploy/prometheus/alerts.yml"
	dashboardFile = "../../deploy/grafana/thaw.json"
	playbooks     = "docs/operations.md"
)

var promQL = parser.NewParser(parser.Options{})

// The alert rules are valid and use only existing metrics and labels.
func TestAlertsUseExistingMetrics(t *testing.T) {
	t.Parallel()
	all := scrape(t)
	for _, rule := range alerts(t) {
		requireKnown(t, all, rule.Alert, rule.Expr)
	}
}

// Each alert links to a playbook that names it.
func TestAlertsHavePlaybooks(t *testing.T) {
	t.Parallel()
	sections := sectionsOf(t, "../../"+playbooks)
	for _, rule := range alerts(t) {
		require.Contains(t, []string{"critical", "warning"}, rule.Labels["severity"], rule.Alert)
		require.Regexp(t, `\S\.$`, rule.Annotations["summary"], "%s: the summary must be a sentence", rule.Alert)
		file, anchor, found := strings.Cut(rule.Annotations["runbook"], "#")
		require.True(t, found, "%s: no runbook", rule.Alert)
		require.Equal(t, playbooks, file, rule.Alert)
		require.NotEmpty(t, sections[anchor], "%s: %s has no heading %s", rule.Alert, playbooks, anchor)
		require.Contains(t, sections[anchor], "`"+rule.Alert+"`", "the playbook does not name the alert")
	}
	for anchor, text := range sections {
		for _, named := range regexp.MustCompile("`Thaw[A-Z][A-Za-z]+`").FindAllString(text, -1) {
			require.True(t, slices.ContainsFunc(alerts(t), func(rule rulefmt.Rule) bool { return "`"+rule.Alert+"`" == named }),
				"%s names %s, which is not an alert", anchor, named)
		}
	}
}

func TestDashboardUsesExistingMetrics(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(content, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	all := scrape(t)
	asked := map[string]bool{}
	for _, panel := range dashboard.Panels {
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			// Grafana replaces this variable with a duration.
			for _, name := range requireKnown(t, all, panel.Title, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")) {
				asked[name] = true
			}
		}
	}
	// Every metric of Thaw has a panel, except these.
	withoutPanel := []string{
		"thaw_last_sweep_partial", "thaw_oldest_snapshot_transactions", "thaw_snapshots_of_unknown_age", "thaw_scrape_age_seconds",
		"thaw_pool_acquires_total", "thaw_pool_cancelled_acquires_total", "thaw_pool_opened_connections_total", "thaw_pool_waits_total",
	}
	for name := range all {
		if strings.HasPrefix(name, "thaw_") {
			require.NotEqual(t, slices.Contains(withoutPanel, name), asked[name], "whether the dashboard shows %s", name)
		}
	}
}

// requireKnown parses an expression, requires that its metrics and labels exist, and returns the
// metrics.
func requireKnown(t *testing.T, all map[string]*dto.MetricFamily, where, expression string) (names []string) {
	t.Helper()
	parsed, err := promQL.ParseExpr(expression)
	require.NoError(t, err, where)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			if node.Name == "up" { // added by Prometheus
				return nil
			}
			name := node.Name
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				if base := strings.TrimSuffix(node.Name, suffix); all[base].GetType() == dto.MetricType_HISTOGRAM {
					name = base
				}
			}
			if assert.NotNil(t, all[name], "%s: metric %s does not exist", where, name) {
				requireLabels(t, all[name], where, node.LabelMatchers)
				names = append(names, name)
			}
		case *parser.AggregateExpr:
			known := []string{"job", "instance", "le"}
			for _, family := range all {
				if strings.HasPrefix(family.GetName(), "thaw_") {
					known = append(known, labelsOf(family)...)
				}
			}
			assert.Subset(t, known, node.Grouping, where)
		}
		return nil
	})
	return names
}

// requireLabels requires that the labels of a selector exist. For labels whose values are always
// present it also requires that one of them matches.
func requireLabels(t *testing.T, family *dto.MetricFamily, where string, matchers []*labels.Matcher) {
	t.Helper()
	for _, matcher := range matchers {
		if slices.Contains([]string{model.MetricNameLabel, "job", "instance", "le"}, matcher.Name) {
			continue
		}
		assert.Contains(t, labelsOf(family), matcher.Name, "%s: %s has no such label", where, family.GetName())
		if !slices.Contains([]string{"outcome", "lane", "pool"}, matcher.Name) {
			continue
		}
		assert.True(t, slices.ContainsFunc(family.GetMetric(), func(metric *dto.Metric) bool {
			return slices.ContainsFunc(metric.GetLabel(), func(label *dto.LabelPair) bool {
				return label.GetName() == matcher.Name && matcher.Matches(label.GetValue())
			})
		}), "%s: no series of %s matches %s", where, family.GetName(), matcher)
	}
}

func alerts(t *testing.T) (rules []rulefmt.Rule) {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, promQL, slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	for _, group := range groups.Groups {
		rules = append(rules, group.Rules...)
	}
	require.NotEmpty(t, rules)
	return rules
}

// sectionsOf returns the text below each heading of a page, by the GitHub anchor of the heading.
func sectionsOf(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	titles := heading.FindAllStringSubmatch(string(content), -1)
	sections := map[string]string{}
	for i, text := range heading.Split(string(content), -1)[1:] {
		anchor := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(titles[i][1]), "")
		sections[strings.ReplaceAll(anchor, " ", "-")] = text
	}
	return sections
}
