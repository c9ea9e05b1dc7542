package dashboard_test

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/dashboard"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/gopassenger/passenger/status"
)

// serveAPI serves the admin API of a pool with an application that has one process.
func serveAPI(t *testing.T, change func(c *apiserver.Config)) (*passenger.Pool, dashboard.API) {
	t.Helper()
	script := spawnertest.Script{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	pool, err := passenger.New(passenger.Config{MaxPoolSize: 2, Spawner: spawnertest.New(script)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	h, err := handler.New(pool, handler.Config{
		Options: passenger.Options{App: spawner.App{Root: "/srv/shop", GroupName: "shop"}},
	})
	require.NoError(t, err)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))

	c := apiserver.Config{
		Pool:     pool,
		Logger:   logr.Discard(),
		Requests: func() any { return h.Inspect() },
		Figures: func(app string, points int) []status.Figures {
			return []status.Figures{{App: app, Points: make([]status.Point, points)}}
		},
	}
	if change != nil {
		change(&c)
	}

	api, err := apiserver.New(c)
	require.NoError(t, err)
	socket := filepath.Join(t.TempDir(), "api")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- apiserver.Serve(ctx, l, api, logr.Discard()) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})

	return pool, dashboard.API{Client: &apiserver.Client{Socket: socket}}
}

func TestSourceBehindTheAPI(t *testing.T) {
	pool, source := serveAPI(t, nil)
	ctx := t.Context()

	seen, err := source.Pool(ctx)
	require.NoError(t, err)
	require.Equal(t, passenger.Version, seen.Version)
	require.Len(t, seen.Groups, 1)
	g := &seen.Groups[0]
	s := pool.Inspect()
	require.Equal(t, []any{"shop", "/srv/shop", uint64(1)}, []any{g.Name, g.AppRoot, g.Counts.Spawns})
	require.True(t, s.Groups[0].ReleaseMade.Equal(g.ReleaseMade))
	require.Equal(t, s.Groups[0].Processes[0].PID, g.Processes[0].PID)
	require.Equal(t, uint64(1), g.Processes[0].Processed)

	figures, err := source.Figures(ctx, "shop & co", 3)
	require.NoError(t, err)
	require.Equal(t, "shop & co", figures[0].App)
	require.Len(t, figures[0].Points, 3)

	failures, err := source.Failures(ctx)
	require.NoError(t, err)
	require.Empty(t, failures)

	incidents, err := source.Incidents(ctx)
	require.NoError(t, err, "a core need not have them")
	require.Empty(t, incidents)
	_, err = source.Incident(ctx, "no/such?")
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, source.Restart(ctx, "shop"))
	require.ErrorIs(t, source.Restart(ctx, "no such"), fs.ErrNotExist)
	require.ErrorIs(t, source.Detach(ctx, 1<<30), fs.ErrNotExist)
}

func TestSourceDetachesAProcess(t *testing.T) {
	pool, source := serveAPI(t, nil)
	require.NoError(t, source.Detach(t.Context(), pool.Inspect().Groups[0].Processes[0].PID))
	// The process takes no requests from now on; it is listed as detached until it has ended.
	for _, process := range pool.Inspect().Groups[0].Processes {
		require.Equal(t, passenger.ProcessDetached, process.State)
	}
}

func TestRequestsOfOneApplicationOrOfMany(t *testing.T) {
	began := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	one := handler.Snapshot{AppName: "shop", Requests: []handler.RequestSnapshot{{
		ID:            "8f0c",
		State:         handler.StateCheckingOut,
		Began:         began,
		Method:        "GET",
		Host:          "shop.example",
		Path:          "/cart",
		RemoteAddr:    "203.0.113.9",
		PID:           42,
		ResponseBytes: 7,
		AppDone:       true,
	}}}
	want := dashboard.Request{
		App:           "shop",
		ID:            "8f0c",
		State:         "CHECKING_OUT_SESSION",
		Began:         began,
		Method:        "GET",
		Host:          "shop.example",
		Path:          "/cart",
		RemoteAddr:    "203.0.113.9",
		PID:           42,
		ResponseBytes: 7,
		AppDone:       true,
	}

	for name, c := range map[string]struct {
		shown any
		want  []dashboard.Request
	}{
		"one":  {one, []dashboard.Request{want}},
		"many": {[]handler.Snapshot{{AppName: "wiki"}, one, one}, []dashboard.Request{want, want}},
		"none": {[]handler.Snapshot{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, source := serveAPI(t, func(c2 *apiserver.Config) { c2.Requests = func() any { return c.shown } })
			requests, err := source.Requests(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.want, requests)
		})
	}
}

func TestWhatTheUserMayNotSeeIsLeftOut(t *testing.T) {
	_, source := serveAPI(t, nil)
	source.Client.Socket = serveStranger(t)
	ctx := t.Context()

	requests, err := source.Requests(ctx)
	require.NoError(t, err)
	require.Empty(t, requests)
	_, err = source.Pool(ctx)
	require.ErrorContains(t, err, "not authorized")
}

// serveStranger serves an API that takes its caller for none that may do anything.
func serveStranger(t *testing.T) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "api")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	require.NoError(t, server.Listener.Close())
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)

	return socket
}
