// Package queries checks what is made for Prometheus and Grafana against the metrics that there are.
package queries_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	root      = "../../.."
	dashboard = root + "/packaging/grafana/passenger.json"
	alerts    = root + "/packaging/prometheus/alerts.yml"
)

// checked parses a query, and returns the labels that its series may have. Each name, label and value must be one
// that the metrics have.
func (s series) checked(t *testing.T, query string) (known []string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	require.NoError(t, err, query)

	var names, grouped []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			require.Contains(t, s, n.Name, query)
			names = append(names, n.Name)

			for _, m := range n.LabelMatchers {
				s.checkMatcher(t, n.Name, m)
			}
		case *parser.AggregateExpr:
			require.False(t, n.Without, "%s: what it leaves depends on the scraper", query)
			grouped = append(grouped, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil && n.VectorMatching.On {
				grouped = append(grouped, n.VectorMatching.MatchingLabels...)
			}
		}

		return nil
	})
	require.NotEmpty(t, names, query)

	known = []string{"instance", "job"}
	for _, name := range names {
		for label := range s[name] {
			known = append(known, label)
		}
	}

	for _, label := range grouped {
		require.Contains(t, known, label, query)
	}

	return known
}

func (s series) checkMatcher(t *testing.T, name string, m *labels.Matcher) {
	t.Helper()
	if m.Name == model.MetricNameLabel {
		return
	}

	require.True(t, s.has(name, m.Name), "%s has no label %s", name, m.Name)

	if slices.Contains(free, m.Name) {
		return
	}

	for value := range strings.SplitSeq(m.Value, "|") {
		require.Contains(t, s[name][m.Name], value, "%s of %s", m.Name, name)
	}
}

var (
	legendLabel  = regexp.MustCompile(`\{\{(\w+)\}\}`)
	summaryLabel = regexp.MustCompile(`\$labels\.(\w+)`)
	variable     = strings.NewReplacer("$__rate_interval", "5m", "$app", ".*", "$instance", ".*")
)

// panel is what is looked at of a panel of Grafana.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ Expr, LegendFormat string }
}

func panels(t *testing.T) (all []panel, text string) {
	t.Helper()
	data, err := os.ReadFile(dashboard)
	require.NoError(t, err)

	var d struct {
		Panels     []panel
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	require.NoError(t, json.Unmarshal(data, &d))
	require.NotEmpty(t, d.Panels)

	return d.Panels, string(data)
}

func TestEveryQueryOfTheDashboardFindsMetrics(t *testing.T) {
	s := scraped(t)
	all, text := panels(t)
	used := map[string]bool{}

	for _, p := range all {
		require.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)

		for _, target := range p.Targets {
			query := variable.Replace(target.Expr)
			require.NotContains(t, query, "$", "a variable that is none")
			known := s.checked(t, query)

			for _, label := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				require.Contains(t, known, label[1], p.Title)
			}

			for name := range s {
				if regexp.MustCompile(name + `\b`).MatchString(query) {
					used[name] = true
				}
			}
		}
	}

	// Of durations, the buckets say more.
	for name := range s {
		if !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			require.True(t, used[name], "no panel shows %s", name)
		}
	}

	definition := regexp.MustCompile(`"definition": "label_values\((.*), (\w+)\)"`)
	for _, values := range definition.FindAllStringSubmatch(text, -1) {
		require.Contains(t, s.checked(t, variable.Replace(strings.ReplaceAll(values[1], `\"`, `"`))), values[2])
	}
}

func TestPanelsOfTheDashboardDoNotOverlap(t *testing.T) {
	all, _ := panels(t)
	taken := map[[2]int]string{}
	ids := map[int]bool{}

	for _, p := range all {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)

		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, taken[at], "%s is over another one", p.Title)
				taken[at] = p.Title
			}
		}
	}
}

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	data, err := os.ReadFile(alerts)
	require.NoError(t, err)

	var file struct {
		Groups []struct{ Rules []rule }
	}
	require.NoError(t, yaml.Unmarshal(data, &file))

	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}

	require.NotEmpty(t, all)

	return all
}

func TestEveryAlertFindsMetrics(t *testing.T) {
	s := scraped(t)

	for _, r := range rules(t) {
		known := s.checked(t, r.Expr)
		require.Contains(t, []string{"critical", "warning"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)

		for _, label := range summaryLabel.FindAllStringSubmatch(r.Annotations["summary"], -1) {
			require.Contains(t, known, label[1], r.Alert)
		}
	}
}

func TestDocumentHasAReasonForEachAlert(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/alerts.md")
	require.NoError(t, err)

	headings := regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(string(text), -1)

	documented := make([]string, 0, len(headings))
	for _, heading := range headings {
		documented = append(documented, heading[1])
	}

	all := rules(t)

	want := make([]string, 0, len(all))
	for _, r := range all {
		want = append(want, r.Alert)
	}

	require.ElementsMatch(t, want, documented)
}

func TestPromtoolAcceptsTheMetrics(t *testing.T) {
	check := exec.CommandContext(t.Context(), interpreters.Find(t, "promtool", "promtool"), "check", "metrics")
	check.Stdin = strings.NewReader(metricsOf(t))
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestAlertsFireWhereTheyShould(t *testing.T) {
	promtool := interpreters.Find(t, "promtool", "promtool")
	path, err := filepath.Abs(alerts)
	require.NoError(t, err)
	cases, err := os.ReadFile("testdata/alerts.yml")
	require.NoError(t, err)

	file := filepath.Join(t.TempDir(), "alerts.yml")
	require.NoError(t, os.WriteFile(file, bytes.Replace(cases, []byte("RULES"), []byte(path), 1), 0o600))
	out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	promtool := interpreters.Find(t, "promtool", "promtool")
	path, err := filepath.Abs(alerts)
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
