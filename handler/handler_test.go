package handler_test

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/pipenet"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// site is an application behind a Handler in a real HTTP server, without a
// network.
type site struct {
	*testing.T
	factory  *spawnertest.Factory
	pool     *passenger.Pool
	listener *pipenet.Listener
	cfg      handler.Config
	handler  *handler.Handler
	// env is that of each request.
	env handler.Env
	// front is what a request goes to, if that is not the handler.
	front http.Handler
}

// serve runs a test against an application that plays script.
func serve(t *testing.T, script spawnertest.Script, test func(s *site)) {
	t.Helper()
	serveConfig(t, script, handler.Config{}, test)
}

func serveConfig(t *testing.T, script spawnertest.Script, cfg handler.Config, test func(s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{T: t, factory: spawnertest.New(script), listener: newListener()}
		pool, err := passenger.New(passenger.Config{MaxPoolSize: 2, Spawner: s.factory, SelfChecks: true})
		require.NoError(t, err)
		s.pool = pool
		cfg.Options.App.Root, cfg.Options.App.GroupName = cmp.Or(cfg.Options.App.Root, "/app"), "app"
		s.cfg = cfg
		s.handler, err = handler.New(pool, cfg)
		require.NoError(t, err)
		server := &http.Server{Handler: http.HandlerFunc(s.ServeHTTP), Protocols: new(http.Protocols)}
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
		served := make(chan error, 1)
		go func() { served <- server.Serve(s.listener) }()
		defer func() {
			require.NoError(t, server.Close())
			require.ErrorIs(t, <-served, http.ErrServerClosed)
			time.Sleep(time.Second) // for connections that net/http closes in its own time
			require.NoError(t, pool.Close())
			require.Empty(t, s.factory.LiveProcesses())
		}()
		test(s)
		synctest.Wait()

		for _, g := range pool.Inspect().Groups {
			require.Zero(t, g.QueueLength)
		}
	})
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.env != nil {
		r = r.WithContext(handler.WithEnv(r.Context(), s.env))
	}

	if s.front != nil {
		s.front.ServeHTTP(w, r)
		return
	}

	s.handler.ServeHTTP(w, r)
}

// dial connects to the server as a client.
func (s *site) dial() net.Conn {
	s.Helper()
	c, err := dial(s.Context(), s.listener)
	require.NoError(s, err)

	return c
}

func (s *site) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, s.listener)
	}}
}

func (s *site) client() *http.Client {
	return &http.Client{
		Transport:     s.transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// do sends a request on a connection of its own and reads the whole response.
func (s *site) do(method, target, body string, header ...string) (*http.Response, string) {
	s.Helper()
	c := s.client()
	defer c.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.Context(), method, "http://example.com"+target, strings.NewReader(body))
	require.NoError(s, err)

	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}

	resp, err := c.Do(r)
	require.NoError(s, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s, err)

	return resp, string(b)
}

// raw sends bytes and returns everything that comes back until the server
// closes the connection.
func (s *site) raw(request string) string {
	s.Helper()
	c := s.dial()
	defer c.Close()
	go func() { _, _ = io.WriteString(c, request) }()
	b, _ := io.ReadAll(c)

	return string(b)
}

// sessions counts the open sessions of the pool.
func (s *site) sessions() (n int) {
	for _, g := range s.pool.Inspect().Groups {
		for _, p := range g.Processes {
			n += p.Sessions
		}
	}

	return n
}

// scripted is an application that responds to each request on a connection by respond; closing says to close
// afterwards.
func scripted(respond func(r *http.Request, c net.Conn) (closing bool)) spawnertest.Script {
	return spawnertest.Script{ServeConn: func(_ *spawnertest.Process, c net.Conn) {
		br := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}

			if respond(r, c) {
				return
			}

			_, _ = io.Copy(io.Discard, r.Body)
		}
	}}
}

// replying responds to every request with the same bytes and closes.
func replying(raw string) spawnertest.Script {
	return scripted(func(r *http.Request, c net.Conn) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, raw)
		return true
	})
}

// sessionApp speaks the session protocol.
func sessionApp(keepAlive bool, respond func(h sessionproto.Header, body io.Reader,
	c net.Conn) (closing bool),
) spawnertest.Script {
	return spawnertest.Script{
		Protocol: loaderproto.Session, SessionKeepAlive: keepAlive,
		ServeConn: func(p *spawnertest.Process, c net.Conn) {
			br := bufio.NewReader(c)
			for {
				h, err := sessionproto.ReadHeader(br)
				if err != nil || h.CheckPassword(p.Info().ConnectPassword) != nil {
					return
				}

				if respond(h, br, c) {
					return
				}
			}
		},
	}
}

func newListener() *pipenet.Listener {
	return pipenet.NewListener(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80})
}

func dial(ctx context.Context, l *pipenet.Listener) (net.Conn, error) {
	client, server := net.Pipe()
	return client, l.Connect(ctx, tcpLike{server})
}

// tcpLike gives a pipe the addresses of a TCP connection.
type tcpLike struct{ net.Conn }

func (tcpLike) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }
func (tcpLike) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
