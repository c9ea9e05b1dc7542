package apiserver_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/metrics"
	"github.com/gopassenger/passenger/status"
)

const (
	metricsDocument = "../docs/metrics.md"
	tableBegin      = "<!-- table of metrics: made by go test ./apiserver -run TestDocument -update -->\n"
	tableEnd        = "<!-- end of the table -->"
)

var labelName = regexp.MustCompile(`([a-z_]+)="`)

// labels are those of the samples, without that of buckets.
func (m *metric) labels() string {
	names := map[string]bool{}
	for sample := range m.samples {
		for _, name := range labelName.FindAllStringSubmatch(sample, -1) {
			names[name[1]] = true
		}
	}

	delete(names, "le")

	list := slices.Sorted(maps.Keys(names))
	for i := range list {
		list[i] = "`" + list[i] + "`"
	}

	return strings.Join(list, ", ")
}

func TestDocumentHasAllMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(cfg *apiserver.Config) {
			cfg.Started = time.Now()
			cfg.Backlogs = func() []apiserver.Backlog { return []apiserver.Backlog{{Listener: "http"}} }
			cfg.RequestFigures = func() []metrics.Requests {
				return []metrics.Requests{{AppName: "blog", Durations: durations(0), Queued: durations(0)}}
			}
			cfg.Companions = func() []status.Companion { return []status.Companion{{App: "blog", Name: "jobs"}} }
		})
		h.start(app("blog", "blog", bob))

		text := responseOf(t, h.server.Metrics(), "GET", "/").Body
		families, err := parseMetrics(text)
		require.NoError(t, err)

		var table strings.Builder
		table.WriteString("| name | type | labels | meaning |\n|---|---|---|---|\n")

		for line := range strings.SplitSeq(text, "\n") {
			if name, isHead := strings.CutPrefix(line, "# TYPE "); isHead {
				name, _, _ = strings.Cut(name, " ")
				f := families[name]
				fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, f.kind, f.labels(), f.help)
			}
		}

		document, err := os.ReadFile(metricsDocument)
		require.NoError(t, err)
		before, rest, found := strings.Cut(string(document), tableBegin)
		require.True(t, found)
		_, after, found := strings.Cut(rest, tableEnd)
		require.True(t, found)

		want := before + tableBegin + table.String() + tableEnd + after
		if *update {
			require.NoError(t, os.WriteFile(metricsDocument, []byte(want), 0o600))
			return
		}

		require.Equal(t, want, string(document), "write it by -update")
	})
}
