package queries_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/metrics"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/gopassenger/passenger/status"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// values are those of each label of a series.
type values map[string][]string

// series are what a scraper of /metrics stores, by name.
type series map[string]values

func (s series) add(name string, labels values) {
	if s[name] == nil {
		s[name] = values{}
	}

	for label, all := range labels {
		s[name][label] = append(s[name][label], all...)
	}
}

// hostile is a name that a directory may have.
const hostile = "a\"b\\c\xff{}\n# HELP"

// metricsOf is what a server shows that has all there is to show.
func metricsOf(t *testing.T) string {
	t.Helper()
	pool := spawnertest.NewPool(t, passenger.Config{
		Spawner: spawnertest.New(spawnertest.Script{Handler: http.NotFoundHandler()}),
		Logger:  passenger.Silent(),
	})
	shop, err := handler.New(pool, handler.Config{
		Options: passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}},
		Logger:  passenger.Silent(),
	})
	require.NoError(t, err)
	shop.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))

	server, err := apiserver.New(apiserver.Config{
		Pool:    pool,
		Started: time.Now(),
		Logger:  passenger.Silent(),
		RequestFigures: func() []metrics.Requests {
			f := shop.Figures()

			return []metrics.Requests{
				{AppName: "shop", Responses: f.Responses, Durations: f.Durations, Queued: f.Queued},
				{AppName: hostile, Durations: f.Durations},
			}
		},
		Backlogs: func() []apiserver.Backlog { return []apiserver.Backlog{{Listener: "http"}} },
		Companions: func() []status.Companion {
			return []status.Companion{{App: "shop", Name: "jobs", State: "running"}}
		},
	})
	require.NoError(t, err)

	w := httptest.NewRecorder()
	server.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))

	return w.Body.String()
}

// scraped is what is stored of it.
func scraped(t *testing.T) series {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(metricsOf(t)))
	require.NoError(t, err)

	all := series{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			labels := values{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = []string{l.GetValue()}
			}

			if m.GetHistogram() == nil {
				all.add(name, labels)
				continue
			}

			all.add(name+"_sum", labels)
			all.add(name+"_count", labels)
			labels["le"] = nil
			all.add(name+"_bucket", labels)
		}
	}

	require.Greater(t, len(all), 35)

	return all
}

// free are labels that the scraper adds, and those whose values users choose.
var free = []string{"app", "name", "instance", "job", "le", "listener", "version", "goversion"}

func (s series) has(name, label string) bool {
	_, has := s[name][label]
	return has || slices.Contains([]string{"instance", "job"}, label)
}
