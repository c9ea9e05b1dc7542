package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// kubernetesResources are those of the objects, by what a server says of them.
var kubernetesResources = map[string]map[string]string{
	"v1":                   {"services": "Service"},
	"apps/v1":              {"deployments": "Deployment"},
	"policy/v1":            {"poddisruptionbudgets": "PodDisruptionBudget"},
	"autoscaling/v2":       {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
	"networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
}

// newAPIServer plays a cluster's, which has nothing yet and knows the objects' kinds:
// without one, kubectl does nothing, not even dry.
func newAPIServer(t testing.TB) string {
	t.Helper()
	reply := func(w http.ResponseWriter, status int, body map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")

		resources, known := kubernetesResources[path]
		switch {
		case r.Method != http.MethodGet:
			t.Errorf("kubectl wants to %s %s", r.Method, r.URL)
		case r.URL.Path == "/api":
			reply(w, http.StatusOK, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
		case r.URL.Path == "/apis":
			var groups []any
			for version := range kubernetesResources {
				if group, v, ok := strings.Cut(version, "/"); ok {
					one := map[string]any{"groupVersion": version, "version": v}
					groups = append(groups, map[string]any{
						"name":             group,
						"versions":         []any{one},
						"preferredVersion": one,
					})
				}
			}

			reply(w, http.StatusOK, map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
		case known:
			list := make([]any, 0, len(resources))
			for name, kind := range resources {
				list = append(list, map[string]any{
					"name":       name,
					"kind":       kind,
					"namespaced": true,
					"verbs":      []string{"get", "create", "patch"},
				})
			}

			reply(w, http.StatusOK, map[string]any{
				"kind":         "APIResourceList",
				"apiVersion":   "v1",
				"groupVersion": path,
				"resources":    list,
			})
		default:
			reply(w, http.StatusNotFound, map[string]any{
				"kind":       "Status",
				"apiVersion": "v1",
				"status":     "Failure",
				"reason":     "NotFound",
				"code":       http.StatusNotFound,
			})
		}
	}))
	t.Cleanup(server.Close)

	return server.URL
}

// TestKubectlTakesTheObjects is a dry run by Debian's client, and what its own types
// make of those that it edits without a server: each field is known to them.
func TestKubectlTakesTheObjects(t *testing.T) {
	t.Parallel()
	path := interpreters.Find(t, "kubectl", "kubectl")
	box := newSandbox(t)
	kubectl := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env, cmd.Dir, cmd.WaitDelay = append(box.Env(), "KUBECONFIG=/dev/null"), box.Dir, time.Second
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		require.NoError(t, err, "kubectl %v: %s", args, &stderr)

		return out
	}
	dir, err := filepath.Abs(filepath.Join(packaging, "kubernetes"))
	require.NoError(t, err)
	out := kubectl("apply", "--dry-run=client", "--validate=false", "--server", newAPIServer(t), "-f", dir)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Equal(t, len(entries), strings.Count(string(out), "created (dry run)"), "%s", out)

	// Without a change, there is no output.
	for file, edit := range map[string][]string{
		"deployment.yaml": {"set", "image", "shop=changed"},
		"service.yaml":    {"set", "selector", "app.kubernetes.io/name=changed"},
	} {
		original := filepath.Join(dir, file)
		args := append([]string{edit[0], edit[1], "--local", "-o", "yaml", "-f", original}, edit[2:]...)
		text := string(readFile(t, original))
		if file == "service.yaml" {
			before, spec, _ := strings.Cut(text, "spec:")
			const label = "app.kubernetes.io/name: "
			text = before + "spec:" + strings.ReplaceAll(spec, label+"shop", label+"changed")
		}

		var written, known any
		text = strings.ReplaceAll(text, "registry.example.com/shop:1", "changed")
		require.NoError(t, yaml.Unmarshal([]byte(text), &written))
		require.NoError(t, yaml.Unmarshal(kubectl(args...), &known))
		requirePart(t, file, written, known)
	}
}

// requirePart checks that what is in part is in whole, too.
func requirePart(t testing.TB, path string, part, whole any) {
	t.Helper()

	switch part := part.(type) {
	case map[string]any:
		fields, ok := whole.(map[string]any)
		require.True(t, ok, path)

		for name, value := range part {
			require.Contains(t, fields, name, path)
			requirePart(t, path+"."+name, value, fields[name])
		}
	case []any:
		elements, ok := whole.([]any)
		require.True(t, ok, path)
		require.Len(t, elements, len(part), path)

		for i := range part {
			requirePart(t, path+"["+strconv.Itoa(i)+"]", part[i], elements[i])
		}
	default:
		require.Equal(t, part, whole, path)
	}
}
