package chart_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const (
	helm   = "../../.bin/helm"
	folder = "../../deploy/helm/thaw"
)

// required are the values without a default.
var required = []string{"--set", "image.repository=registry.example.com/thaw,secret=thaw"}

// everyValue sets the values that add something to the objects.
var everyValue = []string{
	"--set", "settings.THAW_TICK=10m,settings.THAW_FLEET_CAP=500,ingress.enabled=true,ingress.host=thaw.example.com,ingress.tlsSecret=tls",
	"--set", "nodeSelector.disk=fast,podAnnotations.a=b,imagePullSecrets[0].name=pull,tolerations[0].key=x,ingress.className=nginx,ingress.annotations.c=d",
}

func runHelm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), helm, args...)
	cmd.Stderr = &problems
	printed, err := cmd.Output()
	return string(printed) + problems.String(), err
}

// rendered returns the objects of the chart by kind. Each is decoded strictly into its type: a
// field that Kubernetes does not know, or a value of another type, is an error.
func rendered(t *testing.T, args ...string) map[string]any {
	t.Helper()
	text, err := runHelm(t, append(append([]string{"template", "fleet", folder, "--kube-version", "1.31.0"}, required...), args...)...)
	require.NoError(t, err, text)
	objects := map[string]any{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var meta metav1.TypeMeta
		require.NoError(t, yaml.Unmarshal([]byte(document), &meta))
		var object any
		switch meta.APIVersion + " " + meta.Kind {
		case " ":
			continue
		case "apps/v1 Deployment":
			object = &appsv1.Deployment{}
		case "v1 Service":
			object = &corev1.Service{}
		case "policy/v1 PodDisruptionBudget":
			object = &policyv1.PodDisruptionBudget{}
		case "networking.k8s.io/v1 Ingress":
			object = &networkingv1.Ingress{}
		default:
			t.Fatalf("the chart renders a %s %s, which this test does not know", meta.APIVersion, meta.Kind)
		}
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), object), document)
		objects[meta.Kind] = object
	}
	return objects
}

func TestChartIsValid(t *testing.T) {
	t.Parallel()
	said, err := runHelm(t, append([]string{"lint", "--strict", folder}, required...)...)
	require.NoError(t, err, said)

	objects := rendered(t)
	require.Len(t, objects, 3)
	pod := objects["Deployment"].(*appsv1.Deployment).Spec.Template
	require.Equal(t, objects["Service"].(*corev1.Service).Spec.Selector, objects["Deployment"].(*appsv1.Deployment).Spec.Selector.MatchLabels)
	require.Subset(t, pod.Labels, objects["Service"].(*corev1.Service).Spec.Selector)
	require.True(t, *pod.Spec.SecurityContext.RunAsNonRoot)
	require.EqualValues(t, 35, *pod.Spec.TerminationGracePeriodSeconds, "the shutdown delay, and the time for jobs")
	container := pod.Spec.Containers[0]
	require.Equal(t, "registry.example.com/thaw:0.0.0", container.Image)
	require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
	require.False(t, *container.SecurityContext.AllowPrivilegeEscalation)
	require.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop)
	require.Equal(t, "thaw", container.EnvFrom[0].SecretRef.Name)

	objects = rendered(t, append(everyValue, "--set", "replicas=1")...)
	require.NotContains(t, objects, "PodDisruptionBudget", "one process may be evicted")
	container = objects["Deployment"].(*appsv1.Deployment).Spec.Template.Spec.Containers[0]
	require.Contains(t, container.Env, corev1.EnvVar{Name: "THAW_FLEET_CAP", Value: "500"})
	rule := objects["Ingress"].(*networkingv1.Ingress).Spec.Rules[0]
	require.Equal(t, "thaw.example.com", rule.Host)
	require.Len(t, rule.HTTP.Paths, 2, "the pages are not exposed")
}

// Mistakes in the values are found before anything is installed.
func TestChartRefusesBadValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ values, want string }{
		{"image.repository=", "/image/repository"},
		{"secret=", "/secret"},
		{"maxConnections=3", "/maxConnections"},
		{"replica=3", "replica"},
		{"settings.tick=10m", "'tick' does not match pattern"},
	} {
		said, err := runHelm(t, append(append([]string{"template", "fleet", folder, "--kube-version", "1.31.0"}, required...), "--set", tc.values)...)
		require.Error(t, err, tc.values)
		require.Contains(t, said, tc.want)
	}
}

func TestComposeFileIsValid(t *testing.T) {
	t.Parallel()
	load := func(environ ...string) (*cli.ProjectOptions, error) {
		return cli.NewProjectOptions([]string{"../../deploy/compose/compose.yaml"}, cli.WithName("thaw"), cli.WithEnv(environ))
	}
	options, err := load("POSTGRES_PASSWORD=secret", "THAW_ADMIN_PASSWORD=secret")
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	thaw, err := project.GetService("thaw")
	require.NoError(t, err)
	require.Equal(t, "thaw:0.0.0", thaw.Image)
	require.True(t, thaw.ReadOnly)

	options, err = load()
	require.NoError(t, err)
	_, err = options.LoadProject(t.Context())
	require.ErrorContains(t, err, "set POSTGRES_PASSWORD")
}

func TestMain(m *testing.M) {
	if _, err := os.Stat(helm); err != nil {
		println("no Helm in .bin: run .ci/tools release")
		os.Exit(1)
	}
	os.Exit(m.Run())
}
