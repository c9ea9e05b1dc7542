package apiserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/test/pipenet"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// virtual is a house in virtual time, where anyone is allowed everything.
type virtual struct {
	*house
	listener *pipenet.Listener
	stop     context.CancelFunc
	result   chan error
}

func inVirtualTime(t *testing.T, test func(v *virtual)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *apiserver.Config) { c.Accounts, c.AllowAnyone = nil, true })
		v := &virtual{
			house:    h,
			listener: pipenet.NewListener(&net.UnixAddr{Name: "api", Net: "unix"}),
			result:   make(chan error, 1),
		}
		var ctx context.Context
		ctx, v.stop = context.WithCancel(context.Background())
		go func() { v.result <- apiserver.Serve(ctx, v.listener, h.server, h.log.Logger()) }()
		defer func() {
			v.stop()
			require.NoError(t, <-v.result)
		}()
		test(v)
	})
}

func (v *virtual) connect() net.Conn {
	v.Helper()
	ours, theirs := net.Pipe()
	require.NoError(v, v.listener.Connect(v.Context(), theirs))

	return ours
}

// requireEnd reads until the server closes the connection.
func (v *virtual) requireEnd(conn net.Conn, after time.Duration) string {
	v.Helper()
	began := time.Now()
	text, err := io.ReadAll(conn)
	require.NoError(v, err)
	require.NoError(v, conn.Close())
	require.Equal(v, after, time.Since(began))

	return string(text)
}

func TestSlowClients(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		silent := v.connect()
		v.requireEnd(silent, 10*time.Second)

		half := v.connect()
		_, err := io.WriteString(half, "GET /pool.txt HTTP/1.1\r\nHost:")
		require.NoError(v, err)
		v.requireEnd(half, 10*time.Second)

		idle := v.connect()
		_, err = io.WriteString(idle, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(v, err)
		require.True(v, strings.HasPrefix(v.requireEnd(idle, time.Minute), "HTTP/1.1 200 OK"))

		// Whether or not the handler reads the body.
		for path, status := range map[string]string{"/pool/restart_app_group.json": "400 ", "/none": "404 "} {
			body := v.connect()
			_, err = io.WriteString(body, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
			require.NoError(v, err)
			require.Contains(v, v.requireEnd(body, 30*time.Second), "HTTP/1.1 "+status)
		}

		reader := v.connect()
		_, err = io.WriteString(reader, "GET /backtraces.txt HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(v, err)
		time.Sleep(time.Minute)
		synctest.Wait()
		text := v.requireEnd(reader, 0)
		require.Less(v, len(text), 100, "the rest was given up")
	})
}

func TestServeEnds(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		v.start(app("shop", "shop", alice))
		v.factory.Change(func(s *spawnertest.Script) { s.SpawnDelay = time.Hour })

		waiting := v.connect()
		const body = `{"name":"shop","wait":true}`
		_, err := fmt.Fprintf(waiting, "POST /pool/restart_app_group.json HTTP/1.1\r\nHost: x\r\nContent-Length: "+
			"%d\r\n\r\n%s", len(body), body)
		require.NoError(v, err)
		time.Sleep(10 * time.Minute) // it waits, longer than any limit of the server
		synctest.Wait()

		v.stop()
		resp, err := http.ReadResponse(bufio.NewReader(waiting), nil)
		require.NoError(v, err)
		require.Equal(v, http.StatusServiceUnavailable, resp.StatusCode)
		got, err := io.ReadAll(resp.Body)
		require.NoError(v, err)
		require.Contains(v, string(got), "RESTART_INTERRUPTED")
		require.NoError(v, waiting.Close())
		require.NoError(v, <-v.result)

		ours, theirs := net.Pipe()
		require.ErrorIs(v, v.listener.Connect(v.Context(), theirs), net.ErrClosed)
		require.NoError(v, errors.Join(ours.Close(), theirs.Close()))
		v.result <- nil
	})
}

// Whoever has connected is served, although it asks when the server is to end.
func TestServeEndsWithoutLosingCalls(t *testing.T) {
	for name, end := range map[string]func(v *virtual){
		"context":  func(v *virtual) { v.stop() },
		"listener": func(v *virtual) { require.NoError(v, v.listener.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(v *virtual) {
				calls := []net.Conn{v.connect(), v.connect()}
				_, err := io.WriteString(calls[1], "GET /livez HTTP/1.1\r\n")
				require.NoError(v, err)
				synctest.Wait()
				end(v)
				time.Sleep(time.Second)
				_, err = io.WriteString(calls[0], "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
				require.NoError(v, err)
				_, err = io.WriteString(calls[1], "Host: x\r\n\r\n")
				require.NoError(v, err)

				for _, call := range calls {
					require.True(v, strings.HasPrefix(v.requireEnd(call, 0), "HTTP/1.1 200 OK"))
				}

				require.NoError(v, <-v.result)
				v.result <- nil
			})
		})
	}
}

func TestARestartRespondsWhenItBegins(t *testing.T) {
	inVirtualTime(t, func(v *virtual) {
		v.start(app("shop", "shop", alice))
		v.factory.Change(func(s *spawnertest.Script) { s.SpawnDelay = time.Hour })

		for wait, took := range map[bool]time.Duration{false: 0, true: time.Hour} {
			w := httptest.NewRecorder()
			began := time.Now()
			v.server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/pool/restart_app_group.json",
				strings.NewReader(fmt.Sprintf(`{"name":"shop","wait":%t}`, wait))))
			require.JSONEq(v, `{"restarted":true}`, w.Body.String())
			require.Equal(v, took, time.Since(began))
			require.NotZero(v, v.group("shop").Generation)
			require.NoError(v, v.pool.Restart(v.Context(), "shop", passenger.RestartOptions{}))
		}
	})
}

// brokenListener fails at once.
type brokenListener struct{ *pipenet.Listener }

var errBroken = errors.New("the listener is broken")

func (brokenListener) Accept() (net.Conn, error) { return nil, errBroken }

func TestServeFails(t *testing.T) {
	l := brokenListener{pipenet.NewListener(&net.UnixAddr{Name: "api", Net: "unix"})}
	require.ErrorIs(t, apiserver.Serve(t.Context(), l, http.NotFoundHandler(), logr.Discard()), errBroken)
	ours, theirs := net.Pipe()
	require.ErrorIs(t, l.Connect(t.Context(), theirs), net.ErrClosed)
	require.NoError(t, errors.Join(ours.Close(), theirs.Close()))
}

// TestConnectionLimitOnTCP: all are one user there.
func TestConnectionLimitOnTCP(t *testing.T) {
	h := newHouse(t)
	tcp := h.onTCP()
	conns, a := openMany(&request{
		Network: "tcp",
		Address: tcp,
		Flood:   520,
		Survive: 512,
	})
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	require.Empty(t, a.Err)

	// Those that end make room.
	for _, c := range conns {
		require.NoError(t, c.Close())
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	q := request{
		Network: "tcp",
		Address: tcp,
		Method:  "GET",
		Path:    "/livez",
	}
	for perform(ctx, &q).Status != http.StatusOK {
		require.NoError(t, ctx.Err(), "it is still full")
	}
}

func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)

		ask := func(from, password string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, "/ping.json", http.NoBody)
			r.RemoteAddr = from + ":1"
			r.SetBasicAuth("admin", password)
			w := httptest.NewRecorder()
			h.server.ServeHTTP(w, r)

			return w
		}
		for i := range 1000 {
			require.Equal(t, http.StatusUnauthorized, ask("192.0.2.1", fmt.Sprintf("guess-%d", i)).Code)
		}

		w := ask("192.0.2.1", fullPassword)
		require.Equal(t, http.StatusUnauthorized, w.Code, "it was not looked at")
		require.Equal(t, "10", w.Header().Get("Retry-After"))
		require.Equal(t, http.StatusOK, ask("192.0.2.2", fullPassword).Code, "others are not to suffer")
		require.Equal(t, 1, strings.Count(h.log.String(), "wrong password"))
		time.Sleep(10 * time.Second)
		require.Equal(t, http.StatusOK, ask("192.0.2.1", fullPassword).Code)
		require.Empty(t, ask("192.0.2.1", "guess").Header().Get("Retry-After"))
		require.Equal(t, 2, strings.Count(h.log.String(), "wrong password"))
		require.Contains(t, h.log.String(), `"wrongBefore"=1000`)
		require.NotContains(t, h.log.String(), "guess")

		for i := range 5000 { // more callers than there is room for
			ask(fmt.Sprintf("198.51.%d.%d", i/250, i%250), "guess")
		}

		require.Equal(t, http.StatusUnauthorized, ask("203.0.113.1", fullPassword).Code,
			"it shares the account of others")
		require.Equal(t, http.StatusOK, ask("192.0.2.1", fullPassword).Code)
	})
}

func TestPanicIsLogged(t *testing.T) {
	h := newHouse(t, func(c *apiserver.Config) { c.Requests = func() any { panic("a bug of the embedder") } }).onUnix()
	a := perform(t.Context(), &request{
		Network: "unix",
		Address: h.socket,
		Method:  "GET",
		Path:    "/server.json",
	})
	require.NotEmpty(t, a.Err)
	require.Equal(t, http.StatusOK, h.ask("GET", "/ping.json", "").Status)
	require.Contains(t, h.log.String(), "a bug of the embedder")
}
