package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The fields of Kubernetes' objects that ours have: a field that is not here is an
// error, so that a misspelt one, which a server would drop, is found.
type (
	object struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   struct {
			Name   string
			Labels map[string]string
		}
	}
	selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	deployment struct {
		object `yaml:",inline"`
		Spec   struct {
			RevisionHistoryLimit    int `yaml:"revisionHistoryLimit"`
			ProgressDeadlineSeconds int `yaml:"progressDeadlineSeconds"`
			Strategy                struct {
				Type          string
				RollingUpdate struct {
					MaxSurge       int `yaml:"maxSurge"`
					MaxUnavailable int `yaml:"maxUnavailable"`
				} `yaml:"rollingUpdate"`
			}
			Selector selector
			Template struct {
				Metadata struct{ Labels map[string]string }
				Spec     podSpec
			}
		}
	}
	podSpec struct {
		EnableServiceLinks            bool `yaml:"enableServiceLinks"`
		AutomountServiceAccountToken  bool `yaml:"automountServiceAccountToken"`
		TerminationGracePeriodSeconds int  `yaml:"terminationGracePeriodSeconds"`
		SecurityContext               struct {
			RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
			RunAsUser      int                   `yaml:"runAsUser"`
			RunAsGroup     int                   `yaml:"runAsGroup"`
			FSGroup        int                   `yaml:"fsGroup"`
			SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		TopologySpreadConstraints []struct {
			MaxSkew           int      `yaml:"maxSkew"`
			TopologyKey       string   `yaml:"topologyKey"`
			WhenUnsatisfiable string   `yaml:"whenUnsatisfiable"`
			LabelSelector     selector `yaml:"labelSelector"`
		} `yaml:"topologySpreadConstraints"`
		Containers []containerSpec
		Volumes    []struct {
			Name     string
			EmptyDir struct {
				Medium    string
				SizeLimit string `yaml:"sizeLimit"`
			} `yaml:"emptyDir"`
		}
	}
	containerSpec struct {
		Name, Image string
		Args        []string
		Env         []struct{ Name, Value string }
		Ports       []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		StartupProbe   probe `yaml:"startupProbe"`
		ReadinessProbe probe `yaml:"readinessProbe"`
		LivenessProbe  probe `yaml:"livenessProbe"`
		Lifecycle      struct {
			PreStop struct {
				Exec struct{ Command []string }
			} `yaml:"preStop"`
		}
		Resources struct {
			Requests, Limits map[string]string
		}
		SecurityContext struct {
			AllowPrivilegeEscalation bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	probe struct {
		HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
		PeriodSeconds    int                         `yaml:"periodSeconds"`
		TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
		FailureThreshold int                         `yaml:"failureThreshold"`
	}
	service struct {
		object `yaml:",inline"`
		Spec   struct {
			Selector map[string]string
			Ports    []struct {
				Name       string
				Port       int
				TargetPort string `yaml:"targetPort"`
			}
		}
	}
	disruptionBudget struct {
		object `yaml:",inline"`
		Spec   struct {
			MaxUnavailable             int    `yaml:"maxUnavailable"`
			UnhealthyPodEvictionPolicy string `yaml:"unhealthyPodEvictionPolicy"`
			Selector                   selector
		}
	}
	autoscaler struct {
		object `yaml:",inline"`
		Spec   struct {
			ScaleTargetRef struct {
				APIVersion string `yaml:"apiVersion"`
				Kind, Name string
			} `yaml:"scaleTargetRef"`
			MinReplicas int `yaml:"minReplicas"`
			MaxReplicas int `yaml:"maxReplicas"`
			Metrics     []struct {
				Type     string
				Resource struct {
					Name   string
					Target struct {
						Type               string
						AverageUtilization int `yaml:"averageUtilization"`
					}
				}
			}
			Behavior struct {
				ScaleDown struct {
					StabilizationWindowSeconds int `yaml:"stabilizationWindowSeconds"`
				} `yaml:"scaleDown"`
			}
		}
	}
	networkPolicy struct {
		object `yaml:",inline"`
		Spec   struct {
			PodSelector selector `yaml:"podSelector"`
			PolicyTypes []string `yaml:"policyTypes"`
			Ingress     []struct {
				From []struct {
					NamespaceSelector selector `yaml:"namespaceSelector"`
				}
				Ports []struct{ Port string }
			}
		}
	}
)

var packaging = filepath.Join("..", "..", "..", "packaging")

// readObject reads a file of packaging/kubernetes.
func readObject[T any](t testing.TB, name string) *T {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(readFile(t, filepath.Join(packaging, "kubernetes", name))))
	decoder.KnownFields(true)
	o := new(T)
	require.NoError(t, decoder.Decode(o), name)

	return o
}

func (c *containerSpec) env(t testing.TB, name string) string {
	t.Helper()

	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}

	require.Fail(t, "the container has no "+name)

	return ""
}

func (c *containerSpec) number(t testing.TB, name string) int {
	t.Helper()
	n, err := strconv.Atoi(c.env(t, name))
	require.NoError(t, err)

	return n
}

func (c *containerSpec) port(t testing.TB, name string) string {
	t.Helper()

	for _, p := range c.Ports {
		if p.Name == name {
			return strconv.Itoa(p.ContainerPort)
		}
	}

	require.Fail(t, "the container has no port "+name)

	return ""
}

// The time that requests may take when a server ends, and what is left then.
const drainSeconds, restSeconds = 60, 5

// TestKubernetesObjectsFitTogether: numbers that follow from each other do, and names
// lead to what is there.
func TestKubernetesObjectsFitTogether(t *testing.T) {
	t.Parallel()
	d := readObject[deployment](t, "deployment.yaml")
	pod := &d.Spec.Template.Spec
	require.Len(t, pod.Containers, 1)
	c := &pod.Containers[0]

	// The end.
	require.Equal(t, "sleep", c.Lifecycle.PreStop.Exec.Command[0])
	preStop, err := strconv.Atoi(c.Lifecycle.PreStop.Exec.Command[1])
	require.NoError(t, err)
	drainDelay := c.number(t, "PASSENGER_DRAIN_DELAY")
	require.Equal(t, preStop+drainDelay+drainSeconds+restSeconds, pod.TerminationGracePeriodSeconds)
	readiness := &c.ReadinessProbe
	require.Less(t, readiness.PeriodSeconds*readiness.FailureThreshold+readiness.TimeoutSeconds, drainDelay)

	// The start.
	startup := &c.StartupProbe
	require.Greater(t, startup.PeriodSeconds*startup.FailureThreshold, c.number(t, "PASSENGER_START_TIMEOUT"))
	require.Greater(t, d.Spec.ProgressDeadlineSeconds, startup.PeriodSeconds*startup.FailureThreshold)
	require.Zero(t, d.Spec.Strategy.RollingUpdate.MaxUnavailable)
	liveness := &c.LivenessProbe
	require.Greater(t,
		liveness.PeriodSeconds*liveness.FailureThreshold, c.number(t, "PASSENGER_CORE_HEARTBEAT_TIMEOUT"))
	require.Equal(t, []string{"/readyz", "/readyz", "/livez"},
		[]string{startup.HTTPGet.Path, readiness.HTTPGet.Path, liveness.HTTPGet.Path})

	for _, p := range []*probe{startup, readiness, liveness} {
		require.Equal(t, "0.0.0.0:"+c.port(t, p.HTTPGet.Port), c.env(t, "PASSENGER_METRICS_ADDRESS"))
	}

	// Memory: all processes and the server have room.
	mebibytes := func(s string) int {
		n, err := strconv.Atoi(strings.TrimSuffix(s, "Gi"))
		require.NoError(t, err)
		return n << 10
	}
	ofProcesses := c.number(t, "PASSENGER_MEMORY_LIMIT") * c.number(t, "PASSENGER_MAX_POOL_SIZE")
	require.Less(t, ofProcesses+200, mebibytes(c.Resources.Limits["memory"]))
	require.Equal(t, c.Resources.Requests["memory"], c.Resources.Limits["memory"])
	require.NotEmpty(t, c.Resources.Requests["cpu"], "the autoscaler's figure is a part of it")

	// Rights, and what can be written to.
	require.True(t, pod.SecurityContext.RunAsNonRoot)
	require.False(t, pod.EnableServiceLinks)
	require.False(t, c.SecurityContext.AllowPrivilegeEscalation)
	require.True(t, c.SecurityContext.ReadOnlyRootFilesystem)
	dockerfile := string(readFile(t, filepath.Join(packaging, "Dockerfile")))
	require.Contains(t, dockerfile, "USER "+strconv.Itoa(pod.SecurityContext.RunAsUser)+":")

	mounts := map[string]string{}
	for _, m := range c.VolumeMounts {
		mounts[m.MountPath] = m.Name
	}

	require.Equal(t, "Memory", pod.medium(mounts[c.env(t, "PASSENGER_INSTANCE_REGISTRY_DIR")]))
	require.Contains(t, mounts, c.env(t, "PASSENGER_DATA_BUFFER_DIR"))
	require.Contains(t, mounts, "/tmp")

	// Names.
	labels := d.Spec.Template.Metadata.Labels
	require.Equal(t, labels, d.Spec.Selector.MatchLabels)
	s := readObject[service](t, "service.yaml")
	require.Equal(t, labels, s.Spec.Selector)
	require.NotEmpty(t, c.port(t, s.Spec.Ports[0].TargetPort))
	require.NotEqual(t, "passenger", s.Metadata.Name)
	budget := readObject[disruptionBudget](t, "poddisruptionbudget.yaml")
	require.Equal(t, labels, budget.Spec.Selector.MatchLabels)
	scaler := readObject[autoscaler](t, "horizontalpodautoscaler.yaml")
	target := &scaler.Spec.ScaleTargetRef
	require.Equal(t, []string{d.APIVersion, d.Kind, d.Metadata.Name},
		[]string{target.APIVersion, target.Kind, target.Name})
	require.Greater(t, scaler.Spec.MinReplicas, budget.Spec.MaxUnavailable)
	policy := readObject[networkPolicy](t, "networkpolicy.yaml")
	require.Equal(t, labels, policy.Spec.PodSelector.MatchLabels)

	for _, rule := range policy.Spec.Ingress {
		require.Len(t, rule.Ports, 1)
		require.NotEmpty(t, c.port(t, rule.Ports[0].Port))
		require.Equal(t, rule.Ports[0].Port != "http", len(rule.From) > 0, "the port %s", rule.Ports[0].Port)
	}
}

func (p *podSpec) medium(volume string) string {
	for _, v := range p.Volumes {
		if v.Name == volume {
			return v.EmptyDir.Medium
		}
	}

	return "no such volume"
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)

	return content
}
