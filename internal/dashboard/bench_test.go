package dashboard_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/dashboard"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/gopassenger/passenger/status"
)

// lookedAtOnce lets a source be looked at by one event.
type lookedAtOnce struct{ *httptest.ResponseRecorder }

func (lookedAtOnce) Write(p []byte) (int, error) {
	if len(p) > 1000 {
		return 0, io.ErrClosedPipe
	}

	return len(p), nil
}

// BenchmarkLookAt200Apps is what the first event of a viewer costs, admin API included: more than that of a second.
func BenchmarkLookAt200Apps(b *testing.B) {
	const apps, processes = 200, 5

	pool, err := passenger.New(passenger.Config{
		MaxPoolSize: apps * processes,
		Spawner:     spawnertest.New(spawnertest.Script{}),
	})
	require.NoError(b, err)

	defer func() { require.NoError(b, pool.Close()) }()

	figures := make([]status.Figures, 0, apps)
	for i := range apps {
		name := fmt.Sprintf("/srv/app%03d (production)", i)
		figures = append(figures, status.Figures{App: name, Points: make([]status.Point, 720)})
		o := passenger.Options{App: spawner.App{Root: "/srv/app", GroupName: name}, MinProcesses: processes}
		s, err := pool.Get(b.Context(), &o)
		require.NoError(b, err)
		s.Close(passenger.KeepAlive)
	}

	newest := func(_ string, points int) []status.Figures {
		few := make([]status.Figures, len(figures))
		for i, f := range figures {
			few[i] = status.Figures{App: f.App, Points: f.Points[:points]}
		}

		return few
	}
	api, err := apiserver.New(apiserver.Config{
		Pool:    pool,
		Logger:  logr.Discard(),
		Figures: newest,
	})
	require.NoError(b, err)
	socket := filepath.Join(b.TempDir(), "api")
	l, err := net.Listen("unix", socket)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- apiserver.Serve(ctx, l, api, logr.Discard()) }()

	defer func() {
		cancel()
		require.NoError(b, <-ended)
	}()

	door, token := dashboard.NewToken(dashboard.Look, "example.com")
	page := dashboard.New(dashboard.Config{
		Source: dashboard.API{Client: &apiserver.Client{Socket: socket}},
		Door:   door,
		Logger: logr.Discard(),
	})
	first := httptest.NewRecorder()
	page.ServeHTTP(first, httptest.NewRequest(http.MethodGet, dashboard.Path+"?token="+token, nil))
	events := httptest.NewRequest(http.MethodGet, dashboard.Path+"/events", nil)
	events.AddCookie(first.Result().Cookies()[0])
	b.ReportAllocs()

	for b.Loop() {
		page.ServeHTTP(lookedAtOnce{httptest.NewRecorder()}, events)
	}
}
