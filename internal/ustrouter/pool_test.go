package ustrouter_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/ustrouter"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// TestPool has a request go through a pool, and finds it and its process in the
// file.
func TestPool(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	dir := socketDir(t)
	c := ustrouter.Config{Socket: filepath.Join(dir, "s"), File: filepath.Join(dir, "f")}
	sinks, err := ustrouter.Open(c, logr.Discard())
	require.NoError(t, err)
	l, err := net.Listen("unix", c.Socket)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- ustrouter.NewRouter(c, sinks, logr.Discard()).Serve(ctx, l) }()
	o, err := ustrouter.NewObserver(c, logr.Discard())
	require.NoError(t, err)

	got := make(chan http.Header, 1)
	respond := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		w.WriteHeader(http.StatusOK)
	})
	pool, err := passenger.New(passenger.Config{
		Spawner:  spawnertest.New(spawnertest.Script{Handler: respond}),
		Observer: o,
	})
	require.NoError(t, err)
	app := passenger.Options{App: spawner.App{Root: t.TempDir(), GroupName: "shop"}}
	h, err := handler.New(pool, handler.Config{
		Options:        app,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/a?token=hidden", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Traceparent", parent)
	r.Header.Set("Tracestate", "vendor=1")
	client := server.Client()
	client.Timeout = patience
	resp, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	server.Close()
	require.NoError(t, pool.Close())
	require.NoError(t, o.Close(t.Context()))
	stop()
	require.NoError(t, <-served)
	require.NoError(t, sinks.Close(t.Context()))

	byKind := map[ustrouter.Kind]ustrouter.Transaction{}
	for _, one := range read(t, c.File) {
		byKind[one.Kind] = one
	}

	require.Len(t, byKind, 4)
	request, spawn := byKind[ustrouter.KindRequest], byKind[ustrouter.KindSpawn]
	require.Equal(t, "b7ad6b7169203331", request.ParentSpan)
	require.Contains(t, request.Traceparent, "00-0af7651916cd43dd8448eb211c80319c-")
	require.Equal(t, [3]string{"127.0.0.1", "http", "Go-http-client/1.1"},
		[3]string{request.Client, request.Scheme, request.UserAgent})

	received := <-got
	require.Equal(t, request.Traceparent, received.Get("Traceparent"))
	require.Equal(t, "vendor=1", received.Get("Tracestate"))
	require.Equal(t, [4]string{"shop", "GET", "/a", ""}, [4]string{
		request.App, request.Method, request.Path,
		request.Query,
	})
	require.Equal(t, http.StatusOK, request.Status)
	require.Positive(t, request.Total)
	require.Positive(t, request.Checkout)
	require.NotEmpty(t, request.ID)
	require.Equal(t, spawn.PID, request.PID)
	require.Equal(t, spawn.PID, byKind[ustrouter.KindAttach].PID)
	require.Equal(t, uint64(1), byKind[ustrouter.KindDetach].Processed)
}
