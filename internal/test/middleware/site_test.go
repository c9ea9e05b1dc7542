package middleware_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/middleware/app"
	"github.com/gopassenger/passenger/internal/test/middleware/cases"
)

// patience is for a case that hangs.
const patience = 20 * time.Second

// played returns a handler whose process is played, and checked at the end of the test.
func played(t *testing.T, cfg handler.Config) *handler.Handler {
	t.Helper()
	factory := spawnertest.New(spawnertest.Script{
		Handler:     app.New(),
		Concurrency: spawnertest.Unlimited,
		UnixDir:     t.TempDir(),
	})
	pool := spawnertest.NewPool(t, passenger.Config{Spawner: factory, Logger: passenger.Silent()})

	return handlerOf(t, pool, cfg, spawner.App{Root: "/srv/app"})
}

func handlerOf(t *testing.T, pool *passenger.Pool, cfg handler.Config, a spawner.App) *handler.Handler {
	t.Helper()
	cfg.Options.App, cfg.Logger = a, passenger.Silent()
	h, err := handler.New(pool, cfg)
	require.NoError(t, err)

	return h
}

// serve serves h by HTTP/1.1 and HTTP/2 until the test ends, and returns its URL.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)

	return server.URL
}

// setting adds a cookie to the response before next has it.
func setting(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", name+"=1; Path=/; HttpOnly")
		next.ServeHTTP(w, r)
	})
}

// serveRow serves app with the row's middleware, and a cookie of each side of it.
func serveRow(t *testing.T, r *row, h http.Handler) *cases.Site {
	t.Helper()

	return &cases.Site{
		URL:     serve(t, setting("outer", r.around(setting("inner", h)))) + r.below,
		Cookies: []string{"outer", "inner"},
	}
}

// serveProxied has a reverse proxy in front, which is a server of its own.
func serveProxied(t *testing.T, h http.Handler) *cases.Site {
	t.Helper()
	behind, err := url.Parse(serve(t, setting("inner", h)))
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)

	return &cases.Site{
		URL: serve(t, setting("outer", &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(behind)
				r.SetXForwarded()
			},
			Transport: transport,
			ErrorLog:  log.New(io.Discard, "", 0),
		})),
		Cookies: []string{"outer", "inner"},
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)

	return ctx
}
