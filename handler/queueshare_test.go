package handler_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// logLines is a log.
type logLines struct {
	mu   sync.Mutex
	said []string
}

func (l *logLines) add(_, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, args)
}

// of returns the lines with this text.
func (l *logLines) of(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()

	for _, line := range l.said {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}

	return found
}

// connection returns a client of one connection of HTTP/2 from a port.
func (s *site) connection(port int) *http.Client {
	return s.clientOf(func(server net.Conn) net.Conn { return fromPort{server, port} })
}

// clientOf returns a client of one connection of HTTP/2, of which the server sees what wrap makes of it.
func (s *site) clientOf(wrap func(server net.Conn) net.Conn) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)

	return &http.Client{Transport: &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			client, server := net.Pipe()
			return client, s.listener.Connect(ctx, wrap(server))
		},
	}}
}

// fromPort is a connection from a port of its own.
type fromPort struct {
	net.Conn
	port int
}

func (c fromPort) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: c.port}
}

// unixClient returns a client of one connection of HTTP/2 to a Unix socket, on which clients have no address.
func (s *site) unixClient() *http.Client {
	return s.clientOf(func(server net.Conn) net.Conn {
		return fromUnix{server, &net.UnixAddr{Name: "/run/web.sock", Net: "unix"}}
	})
}

// fromUnix is a connection of a Unix socket.
type fromUnix struct {
	net.Conn
	local *net.UnixAddr
}

func (c fromUnix) LocalAddr() net.Addr { return c.local }
func (fromUnix) RemoteAddr() net.Addr  { return &net.UnixAddr{Net: "unix"} }

// slow is an application whose requests take a minute, one at a time.
func slow() spawnertest.Script {
	return spawnertest.Script{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Minute):
		case <-r.Context().Done():
		}
	})}
}

func TestOneConnectionMayNotFillTheQueue(t *testing.T) {
	t.Run("TCP", func(t *testing.T) {
		testQueueShare(t, func(s *site) (first, second *http.Client) { return s.connection(4711), s.connection(4712) })
	})
	t.Run("Unix", func(t *testing.T) {
		testQueueShare(t, func(s *site) (first, second *http.Client) { return s.unixClient(), s.unixClient() })
	})
}

// testQueueShare lets one connection ask for more than its share, and then another one.
func testQueueShare(t *testing.T, connections func(s *site) (first, second *http.Client)) {
	t.Helper()
	cfg := handler.Config{}
	cfg.Options.MaxRequestQueueSize, cfg.Options.MaxProcesses = 20, 1
	serveConfig(t, slow(), cfg, func(s *site) {
		first, second := connections(s)
		defer first.CloseIdleConnections()
		defer second.CloseIdleConnections()
		ctx, cancel := context.WithCancel(s.Context())
		var asking sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}

		ask := func(c *http.Client) {
			asking.Go(func() {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", http.NoBody)
				if err != nil {
					return
				}

				resp, err := c.Do(r)
				mu.Lock()
				defer mu.Unlock()

				switch {
				case errors.Is(err, context.Canceled):
					statuses[0]++
				case err == nil:
					statuses[resp.StatusCode]++
					_ = resp.Body.Close()
				}
			})
		}
		ask(first)
		synctest.Wait() // it has the process

		for range 39 {
			ask(first)
		}

		synctest.Wait()
		require.Equal(s, map[int]int{http.StatusServiceUnavailable: 29}, statuses, "one has the process, ten wait")
		require.Equal(s, 10, s.pool.Inspect().Groups[0].QueueLength)

		for range 5 {
			ask(second)
		}

		synctest.Wait()
		require.Equal(s, 15, s.pool.Inspect().Groups[0].QueueLength)
		cancel()
		asking.Wait()
		synctest.Wait()
		require.Equal(s, 16, statuses[0])
	})
}

func TestRefusalsOfAFullQueueAreOneLine(t *testing.T) {
	var log logLines
	cfg := handler.Config{Logger: funcr.New(log.add, funcr.Options{})}
	cfg.Options.MaxRequestQueueSize, cfg.Options.MaxProcesses = 1, 1
	serveConfig(t, slow(), cfg, func(s *site) {
		var asking sync.WaitGroup
		for i := range 100 {
			asking.Go(func() { s.do(http.MethodGet, fmt.Sprintf("/search?secret=%d", i), "") })
		}

		synctest.Wait()
		require.Len(s, log.of("queue full"), 1)

		asking.Wait()
		require.Greater(s, time.Minute, ratelog.Interval)
		require.Len(s, log.of("queue full"), 1)
		require.Contains(s, log.of("queue was full")[0], `"requests"=97`)
		require.Empty(s, log.of("secret"), "queries may have secrets")
		require.Len(s, log.of("/search"), 1)
	})
}
