package agent

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/history"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// twoOfOneName is a site whose applications have the same name.
type twoOfOneName struct {
	site

	all []*handler.Handler
}

func (s twoOfOneName) handlers() []*handler.Handler { return s.all }

func TestApplicationsOfOneNameAreOneInTheHistory(t *testing.T) {
	script := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	pool, err := passenger.New(passenger.Config{MaxPoolSize: 2, Spawner: spawnertest.New(script)})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()

	roots := []string{"/one", "/two"}

	all := make([]*handler.Handler, 0, len(roots))
	for _, root := range roots {
		h, err := handler.New(pool, handler.Config{
			Options: passenger.Options{App: spawner.App{Root: root, GroupName: "a"}},
		})
		require.NoError(t, err)
		all = append(all, h)

		for _, path := range []string{"/", "/broken"} {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		}
	}

	s := &Server{pool: pool, site: twoOfOneName{all: all}}
	samples := s.sample()
	require.Len(t, samples, 1)
	require.Equal(t, "a", samples[0].App)
	require.Equal(t, []uint64{4, 2, 4}, []uint64{samples[0].Requests, samples[0].Errors, samples[0].Durations.Count})
	require.Equal(t, 2, samples[0].Processes)
	require.Zero(t, samples[0].Busy)
}

// Two entries of one directory and environment are one application, whose processes serve both.
func TestAnApplicationOfSeveralEntriesHasAllTheirAddresses(t *testing.T) {
	c := &Config{}
	for _, host := range []string{"a.example", "b.example"} {
		own := DefaultConfig()
		own.Dir, own.Environment = "/srv/a", "test"
		c.Apps = append(c.Apps, HostedApp{Hosts: []string{host}, Config: &own})
	}

	s := &Server{cfg: c}
	s.history.Record(time.Now(), []history.Sample{{App: "/srv/a (test)"}})

	figures := s.figures("", 1)
	require.Len(t, figures, 1)
	require.Equal(t, "a.example, b.example", figures[0].Address)
	require.Equal(t, []string{"/srv/a"}, c.instanceDir().AppRoots)
}
