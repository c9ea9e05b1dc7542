package handler_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// pattern is a text in which every place is unlike the others near it.
func pattern(size int) string { return longPattern()[:size] }

var longPattern = sync.OnceValue(func() string {
	var b strings.Builder
	for i := 0; b.Len() < 4<<20; i++ {
		b.WriteString(strconv.Itoa(i) + " ")
	}

	return b.String()
})

// sized responds with as many bytes as its query says, with a length, in chunks,
// or up to the end of the connection, and counts what was taken from it.
func sized(taken *atomic.Int64) spawnertest.Script {
	return scripted(func(r *http.Request, c net.Conn) bool {
		var size int
		_, _ = fmt.Sscan(r.URL.RawQuery, &size)
		body := pattern(size)
		head := "HTTP/1.1 200 OK\r\n" + r.Header.Get("X-Want")

		write := func(s string) {
			for len(s) > 0 { // a pipe waits for a reader even of nothing
				n, err := io.WriteString(c, s[:min(len(s), 4<<10)])
				taken.Add(int64(n))
				if err != nil {
					return
				}

				s = s[n:]
			}
		}
		switch r.URL.Path {
		case "/length":
			write(fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, size))
			write(body)
			return false
		case "/chunked":
			write(head + "Transfer-Encoding: chunked\r\n\r\n")

			for len(body) > 0 {
				n := min(len(body), 10000)
				write(fmt.Sprintf("%x\r\n%s\r\n", n, body[:n]))
				body = body[n:]
			}

			write("0\r\n\r\n")

			return false
		}

		write(head + "\r\n" + body)

		return true
	})
}

var framings = []string{"/length", "/chunked", "/end"}

func TestResponsesOfEverySize(t *testing.T) {
	var taken atomic.Int64
	for _, limit := range []int64{0, -1, 64 << 10} {
		serveConfig(t, sized(&taken), handler.Config{MaxResponseBuffer: limit}, func(s *site) {
			for _, path := range framings {
				for _, size := range []int{
					0, 1, 4 << 10, 16 << 10, 32<<10 + 1, 64 << 10, 128 << 10, 128<<10 + 1,
					1 << 20,
				} {
					_, body := s.do(http.MethodGet, fmt.Sprintf("%s?%d", path, size), "")
					requireSame(s, pattern(size), body)
				}
			}

			require.Zero(s, s.sessions())
		})
	}
}

// slowReader sends a request and reads the head of the response.
func (s *site) slowReader(target string) (net.Conn, *http.Response) {
	s.Helper()
	c := s.dial()
	_, err := io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(s, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(s, err)

	return c, resp
}

// Faults: D3.
func TestSlowReadersHoldNoProcess(t *testing.T) {
	const size = 1 << 20

	var taken atomic.Int64
	for _, path := range framings {
		t.Run(path, func(t *testing.T) {
			dir := t.TempDir()
			serveConfig(t, sized(&taken), handler.Config{DataBufferDir: dir}, func(s *site) {
				conns, responses := make([]net.Conn, 0, 10), make([]*http.Response, 0, 10)
				for range 10 {
					c, resp := s.slowReader(fmt.Sprintf("%s?%d", path, size))
					synctest.Wait()
					require.Zero(s, s.sessions(), "the process has given its response")
					conns, responses = append(conns, c), append(responses, resp)
				}

				require.True(s, s.handler.Inspect().Requests[0].AppDone)
				require.Len(s, s.handler.Inspect().Requests, 10)

				for i, resp := range responses {
					body, err := io.ReadAll(resp.Body)
					require.NoError(s, err)
					requireSame(s, pattern(size), string(body))
					require.NoError(s, conns[i].Close())
				}

				requireEmptyDir(s, dir)
			})
		})
	}
}

// Faults: C16.
func TestResponseOverTheWatermarkWaitsForItsReader(t *testing.T) {
	const size = 4 << 20
	for name, c := range map[string]struct {
		cfg   handler.Config
		limit int64
	}{
		"a file of 1 MiB":         {handler.Config{MaxResponseBuffer: 1 << 20}, 1 << 20},
		"no directory for a file": {handler.Config{DataBufferDir: "/nonexistent"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var taken atomic.Int64
			serveConfig(t, sized(&taken), c.cfg, func(s *site) {
				conn, resp := s.slowReader(fmt.Sprintf("/length?%d", size))
				synctest.Wait()
				require.Equal(s, 1, s.sessions(), "the process waits for the client")
				const memory = 128<<10 + 4*32<<10 // what is in pieces on their way
				require.LessOrEqual(s, taken.Load(), c.limit+memory)
				require.GreaterOrEqual(s, taken.Load(), c.limit)

				for range 3 {
					_, err := io.CopyN(io.Discard, resp.Body, size/10)
					require.NoError(s, err)
					synctest.Wait()
				}

				rest, err := io.ReadAll(resp.Body)
				require.NoError(s, err)
				requireSame(s, pattern(size)[3*(size/10):], string(rest))
				require.NoError(s, conn.Close())
				synctest.Wait()
				require.Zero(s, s.sessions())
			})
		})
	}
}

// Faults: C17.
func TestEndlessResponseEndsWithItsClient(t *testing.T) {
	for _, path := range []string{"/", "/chunked"} {
		ended := false
		app := scripted(func(*http.Request, net.Conn) bool { return true })
		app.ServeConn = func(_ *spawnertest.Process, c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				return
			}

			head, piece := "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 1<<10)
			if path == "/chunked" {
				head, piece = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
					fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece)
			}

			_, err := io.WriteString(c, head)
			for err == nil {
				_, err = io.WriteString(c, piece)
			}

			ended = true
		}
		serveConfig(t, app, handler.Config{MaxResponseBuffer: 1 << 20}, func(s *site) {
			c, resp := s.slowReader(path)
			_, err := io.CopyN(io.Discard, resp.Body, 3<<20)
			require.NoError(s, err)
			require.NoError(s, c.Close())
			synctest.Wait()
			require.True(s, ended, "the application sees it")
			require.Zero(s, s.sessions())
		})
	}
}

// Faults: D3, P5.
func TestReaderThatStopsIsCut(t *testing.T) {
	var taken atomic.Int64
	for _, path := range append(framings, "/length?100000&") {
		serveConfig(t, sized(&taken), handler.Config{
			ClientGrace:   10 * time.Second,
			MinClientRate: 1 << 20,
		}, func(s *site) {
			target := path
			if !strings.Contains(path, "?") {
				target = fmt.Sprintf("%s?%d", path, 1<<20)
			}

			c, resp := s.slowReader(target)
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Empty(s, s.handler.Inspect().Requests)
			_, err := io.ReadAll(resp.Body)
			require.Error(s, err, "an incomplete response never looks complete")
			require.NoError(s, c.Close())
		})
	}
}

// The time for a response is not one for the next on its connection.
func TestLargeResponseAndThenALongRequest(t *testing.T) {
	app := scripted(func(r *http.Request, c net.Conn) bool {
		if r.URL.Path == "/long" {
			time.Sleep(time.Hour)
		}

		body := strings.Repeat("x", 50<<10)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)

		return false
	})
	serveConfig(t, app, handler.Config{ClientGrace: time.Second}, func(s *site) {
		client := s.client()
		defer client.CloseIdleConnections()

		for _, path := range []string{"/", "/long", "/"} {
			r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://example.com"+path, nil)
			require.NoError(s, err)
			resp, err := client.Do(r)
			require.NoError(s, err)
			b, err := io.ReadAll(resp.Body)
			require.NoError(s, err)
			require.Len(s, b, 50<<10)
			require.NoError(s, resp.Body.Close())
		}
	})
}

func TestResponsesThatAreNeverHeld(t *testing.T) {
	for name, head := range map[string]string{
		"event stream":             "Content-Type: text/event-stream; charset=utf-8\r\n\r\n",
		"X-Accel-Buffering":        "X-Accel-Buffering: no\r\n\r\n",
		"X-Accel-Buffering, sized": "X-Accel-Buffering: no\r\nContent-Length: 3000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			app := scripted(func(_ *http.Request, c net.Conn) bool {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head)
				for i := range 3 {
					if i > 0 {
						time.Sleep(time.Minute)
					}

					fmt.Fprintf(c, "%999d\n", i)
				}

				return true
			})
			serve(t, app, func(s *site) {
				began := time.Now()

				c, resp := s.slowReader("/")
				for i := range 3 {
					b := make([]byte, 1000)
					_, err := io.ReadFull(resp.Body, b)
					require.NoError(s, err)
					require.Equal(s, fmt.Sprintf("%999d\n", i), string(b))
					require.Equal(s, time.Duration(i)*time.Minute, time.Since(began))
				}

				require.NoError(s, c.Close())
			})
		})
	}
}

// A body with a length that comes slowly is not held for long.
// Faults: C18.
func TestSlowResponseIsForwardedAsItComes(t *testing.T) {
	app := scripted(func(_ *http.Request, c net.Conn) bool {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
		for range 100 {
			time.Sleep(time.Second)
			_, _ = io.WriteString(c, "x")
		}

		return false
	})
	serve(t, app, func(s *site) {
		began := time.Now()
		c, resp := s.slowReader("/")
		require.Less(s, time.Since(began), time.Second, "the head does not wait for the body")
		b := make([]byte, 10)
		_, err := io.ReadFull(resp.Body, b)
		require.NoError(s, err)
		require.Equal(s, 10*time.Second, time.Since(began))
		rest, err := io.ReadAll(resp.Body)
		require.NoError(s, err)
		require.Len(s, rest, 90)
		require.NoError(s, c.Close())
		synctest.Wait()
		require.Zero(s, s.sessions())
	})
}
