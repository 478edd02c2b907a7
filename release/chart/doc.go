// Package chart only has tests of the Helm chart and the compose file in deploy. They are a package
// of their own, because they need Helm (.ci/tools release) and the types of Kubernetes, which take
// minutes to build.
package chart
