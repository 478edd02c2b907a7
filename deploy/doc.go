// Package deploy holds what watches Thaw: rules for Prometheus, and a dashboard for Grafana. Its tests keep both to the
// metrics that there are.
package deploy
