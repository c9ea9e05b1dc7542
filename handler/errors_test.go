package handler_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestStatusOfErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{&passenger.QueueFullError{}, http.StatusServiceUnavailable},
		{passenger.ErrClosed, http.StatusServiceUnavailable},
		{passenger.ErrAppDetached, http.StatusServiceUnavailable},
		{passenger.ErrQueueTimeout, http.StatusGatewayTimeout},
		{&spawner.SpawnError{}, http.StatusInternalServerError},
		{&spawner.SpawnError{Err: context.DeadlineExceeded}, http.StatusInternalServerError},
		{&passenger.ConnectError{Err: io.EOF}, http.StatusBadGateway},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), http.StatusGatewayTimeout},
		{errors.New("odd"), http.StatusInternalServerError},
	} {
		require.Equal(t, c.status, handler.StatusCode(c.err), "%v", c.err)
	}
}

func TestQueueFull(t *testing.T) {
	var cfg handler.Config
	cfg.Options.MaxRequestQueueSize = 5
	cfg.Options.MaxProcesses = 1
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo), SpawnDelay: time.Hour}, cfg, func(s *site) {
		statuses := make(chan string, 12)
		for range 12 {
			go func() {
				resp, _ := s.do(http.MethodGet, "/", "")
				statuses <- fmt.Sprint(resp.StatusCode, resp.Header["Retry-After"])
			}()
		}

		synctest.Wait()
		require.Len(s, statuses, 7, "five wait")

		count := map[string]int{}
		for range 12 {
			count[<-statuses]++
		}

		require.Equal(s, map[string]int{"200 []": 5, "503 [1]": 7}, count)
	})
}

func TestDeadlineOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, script := range map[string]spawnertest.Script{
			"in the queue": {SpawnDelay: time.Hour},
			"in the app":   {},
		} {
			factory := spawnertest.New(script)
			pool, err := passenger.New(passenger.Config{Spawner: factory, SelfChecks: true})
			require.NoError(t, err)
			var logged strings.Builder
			h, err := handler.New(pool, handler.Config{
				Options: passenger.Options{App: spawner.App{Root: "/app"}},
				Logger:  funcr.New(func(_, args string) { logged.WriteString(args) }, funcr.Options{}),
			})
			require.NoError(t, err)
			l := newListener()
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Second)
				defer cancel()
				h.ServeHTTP(w, r.WithContext(ctx))
			})}
			go func() { _ = server.Serve(l) }()
			c, err := dial(t.Context(), l)
			require.NoError(t, err)
			go func() { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)

			require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode, name)
			require.NotContains(t, logged.String(), "closed the connection", "that was us")
			if name == "in the app" {
				require.Contains(t, logged.String(), "did not respond before the request's deadline")
			}

			require.NoError(t, c.Close())
			require.NoError(t, server.Close())
			require.NoError(t, pool.Close())
		}
	})
}

// Faults: B4, P5.
func TestHangingRequestIsEndedAtItsTimeLimit(t *testing.T) {
	var cfg handler.Config
	cfg.Options.MaxRequestTime = time.Minute
	app := spawnertest.Script{StopDelay: time.Hour, ServeConn: func(p *spawnertest.Process, c net.Conn) {
		if p.Info().PID == 1000 {
			<-p.Exited()
			return
		}

		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}}
	serveConfig(t, app, cfg, func(s *site) {
		began := time.Now()
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusGatewayTimeout, resp.StatusCode)
		require.Equal(s, time.Minute, time.Since(began))
		resp, _ = s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusOK, resp.StatusCode)
	})
}

func TestShuttingDown(t *testing.T) {
	serve(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, func(s *site) {
		require.NoError(s, s.pool.Shutdown(s.Context()))
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusServiceUnavailable, resp.StatusCode)
	})
}

// A page of the operator's own is for those who take HTML and are shown no details.
func TestErrorPageOfTheOperator(t *testing.T) {
	const own = "<!doctype html><title>Back soon</title><script>1</script>"

	fails := func(context.Context, int, spawner.App) error { return broken() }
	for _, test := range []struct {
		environment, target, accept string
		own                         bool
	}{
		{"production", "/", "text/html", true},
		{"production", "/", "application/json", false},
		{"production", "/" + strings.Repeat("x", 33<<10), "text/html", false}, // 414, the client's fault
		{"development", "/", "text/html", false},
	} {
		cfg := handler.Config{ErrorPage: []byte(own)}
		cfg.Options.App.Environment = test.environment
		serveConfig(t, spawnertest.Script{BeforeSpawn: fails}, cfg, func(s *site) {
			resp, body := s.do(http.MethodGet, test.target, "", "Accept", test.accept)
			require.Equal(s, test.own, body == own, body)
			require.Equal(s, test.own, resp.Header.Get("Content-Security-Policy") == "", "ours has its own policy")
			require.Equal(s, resp.Header.Get("Content-Length"), strconv.Itoa(len(body)))
			require.Contains(s, resp.Header.Get("Cache-Control"), "no-store")
		})
	}
}
