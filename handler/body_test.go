package handler_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// bodySizes are around what is read with the head, kept in memory and in a file.
var bodySizes = []int{0, 1, 32 << 10, 32<<10 + 1, 128 << 10, 128<<10 + 1, 300 << 10}

// Faults: P7, R-22.
func TestBodyArrivesBeforeCheckout(t *testing.T) {
	bothProtocols(t, func(t *testing.T, script spawnertest.Script) {
		dir := t.TempDir()
		serveConfig(t, script, handler.Config{DataBufferDir: dir}, func(s *site) {
			for _, size := range bodySizes {
				for _, chunked := range []bool{false, true} {
					c := s.dial()
					body := strings.Repeat("x", size)
					head, tail := "Content-Length: "+fmt.Sprint(size), ""
					if chunked {
						head, tail = "Transfer-Encoding: chunked", "\r\n0\r\n\r\n"
						if size > 0 {
							body = fmt.Sprintf("%x\r\n%s", size, body)
						} else {
							tail = "0\r\n\r\n"
						}
					}

					all := "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + "\r\n\r\n" + body + tail
					got := make(chan string, 1)
					go func() {
						b, _ := io.ReadAll(c)
						got <- string(b)
					}()
					_, err := io.WriteString(c, all[:len(all)-1])
					require.NoError(s, err)
					synctest.Wait()
					if size > 0 || chunked {
						require.Zero(s, s.sessions(), "size %d", size)
					}

					_, err = io.WriteString(c, all[len(all)-1:])
					require.NoError(s, err)
					response := <-got
					require.Contains(s, response, fmt.Sprintf("X-Length: %d\r\n", size),
						"chunked bodies have a length for the application")
					require.True(s, size == 0 || strings.HasSuffix(response, strings.Repeat("x", size)) ||
						strings.Contains(response, "Transfer-Encoding"))
					require.NoError(s, c.Close())
				}
			}

			requireEmptyDir(s, dir)
		})
	})
}

// A body that is streamed reaches the process as it comes, whatever its length.
func TestStreamedBodiesBeginAtOnce(t *testing.T) {
	for _, size := range []int{2, 32 << 10, 32<<10 + 1} {
		first := make(chan string, 1)
		look := func(body io.Reader) {
			b := make([]byte, 1)
			_, _ = io.ReadFull(body, b)
			first <- string(b)
		}

		session := func(h sessionproto.Header, body io.Reader, c net.Conn) bool {
			look(body)
			_, _ = io.CopyN(io.Discard, body, int64(size-1))
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Length: %s\r\nContent-Length: 0\r\n\r\n", h["CONTENT_LENGTH"])

			return false
		}
		for name, script := range map[string]spawnertest.Script{
			"http_session": {Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				look(r.Body)
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
			})},
			"session":           sessionApp(false, session),
			"session kept open": sessionApp(true, session),
		} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				serveConfig(t, script, handler.Config{StreamRequests: true}, func(s *site) {
					c := s.dial()
					defer c.Close()
					_, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\na", size)
					require.NoError(s, err)
					require.Equal(s, "a", <-first)

					_, err = io.WriteString(c, strings.Repeat("x", size-1))
					require.NoError(s, err)
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					require.NoError(s, err)
					require.Equal(s, strconv.Itoa(size), resp.Header.Get("X-Length"))
					require.False(s, resp.Close, "all of the body was read")
					require.NoError(s, resp.Body.Close())
				})
			})
		}
	}
}

func requireEmptyDir(t require.TestingT, dir string) {
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Faults: D7.
func TestBodiesOverTheLimitAreRefused(t *testing.T) {
	const limit = 200 << 10
	for _, streamed := range []bool{false, true} {
		t.Run(fmt.Sprint("streamed ", streamed), func(t *testing.T) {
			cfg := handler.Config{MaxRequestBody: limit, StreamRequests: streamed}
			serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, cfg, func(s *site) {
				resp, _ := s.do(http.MethodPost, "/", strings.Repeat("x", limit))
				require.Equal(s, http.StatusOK, resp.StatusCode)

				// Not a byte of it is read.
				response := s.raw(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", limit+1))
				require.Contains(s, response, "HTTP/1.1 413 ")
				require.Contains(s, response, "Connection: close\r\n")
				c := s.dial()
				go func() {
					_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
					for piece := fmt.Sprintf("%x\r\n%s\r\n", 1<<10, strings.Repeat("y", 1<<10)); ; {
						if _, err := io.WriteString(c, piece); err != nil {
							return
						}
					}
				}()
				b, _ := io.ReadAll(c)
				if !streamed {
					require.Contains(s, string(b), "HTTP/1.1 413 ")
				} // else it may have got a response before the limit

				require.NotContains(s, string(b), "0\r\n\r\n")
				require.NoError(s, c.Close())
				synctest.Wait()
				require.Zero(s, s.sessions())
			})
		})
	}
}

// Faults: D2.
func TestSlowBodiesAreRefusedAndHoldNoProcess(t *testing.T) {
	cfg := handler.Config{ClientGrace: 10 * time.Second, MinClientRate: 100}
	for name, c := range map[string]struct {
		head, piece string
		every       time.Duration
		fails       bool
	}{
		"1 byte a second":        {"Content-Length: 100000", "x", time.Second, true},
		"1 chunk a second":       {"Transfer-Encoding: chunked", "1\r\nx\r\n", time.Second, true},
		"nothing":                {"Content-Length: 5", "", time.Second, true},
		"90 bytes a second":      {"Content-Length: 100000", strings.Repeat("x", 90), time.Second, true},
		"110 bytes a second":     {"Content-Length: 100000", strings.Repeat("x", 110), time.Second, false},
		"slowly, but it is tiny": {"Content-Length: 9", "x", time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, cfg, func(s *site) {
				conn := s.dial()
				go func() {
					_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+c.head+"\r\n\r\n")
					for {
						if _, err := io.WriteString(conn, c.piece); err != nil {
							return
						}

						time.Sleep(c.every)
					}
				}()
				began := time.Now()
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(s, err)
				if c.fails {
					require.Equal(s, http.StatusRequestTimeout, resp.StatusCode)
					require.True(s, resp.Close)
					require.GreaterOrEqual(s, time.Since(began), cfg.ClientGrace)
					require.Less(s, time.Since(began), 20*cfg.ClientGrace)
				} else {
					require.Equal(s, http.StatusOK, resp.StatusCode)
				}

				require.NoError(s, conn.Close())
				synctest.Wait()
				require.Zero(s, s.sessions())
			})
		})
	}
}

// A deadline for one request's body is not one for the next request.
func TestSlowBodyAndThenALongRequest(t *testing.T) {
	cfg := handler.Config{ClientGrace: 10 * time.Second}
	app := scripted(func(r *http.Request, c net.Conn) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(time.Hour)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

		return false
	})
	serveConfig(t, app, cfg, func(s *site) {
		for _, size := range bodySizes {
			resp, body := s.do(http.MethodPost, "/", strings.Repeat("x", size))
			require.Equal(s, http.StatusOK, resp.StatusCode)
			require.Equal(s, "ok", body)
		}
	})
}

func TestUnusableDirectoryForTemporaryFilesIsNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	t.Setenv("TMPDIR", dir)

	var log logged.Buffer
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, handler.Config{Logger: log.Logger()},
		func(s *site) {
			resp, _ := s.do(http.MethodPost, "/", strings.Repeat("x", 2<<20))
			require.Equal(s, http.StatusInsufficientStorage, resp.StatusCode)
			require.Contains(s, log.String(), `"directory"="`+dir+`"`)
		})
}

// Faults: F3.
func TestBufferDirectoryThatIsGoneFailsOnlyRequestsThatNeedIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "buffers")
	var log logged.Buffer
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)},
		handler.Config{DataBufferDir: dir, Logger: log.Logger()}, func(s *site) {
			large := strings.Repeat("x", 2<<20)
			resp, body := s.do(http.MethodPost, "/", large)
			require.Equal(s, http.StatusInsufficientStorage, resp.StatusCode)
			require.NotContains(s, body, dir, "clients learn nothing of our directories")
			require.Equal(s, 1, log.Count("a request or a response cannot be buffered"), log.String())
			require.Contains(s, log.String(), dir)
			resp, _ = s.do(http.MethodPost, "/", large[:1<<20])
			require.Equal(s, http.StatusOK, resp.StatusCode, "what fits into memory needs no directory")
			require.NoError(s, os.Mkdir(dir, 0o700))
			resp, body = s.do(http.MethodPost, "/", large)
			require.Equal(s, http.StatusOK, resp.StatusCode)
			requireSame(s, large, body)
			requireEmptyDir(s, dir)
		})
}

// A client that sends the rest of a short body after the response can do so: it would otherwise see a broken
// connection, and perhaps no response.
func TestRestOfABodyIsTakenAfterTheResponse(t *testing.T) {
	app := scripted(func(_ *http.Request, conn net.Conn) bool {
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nbig\n")
		return true
	})
	serveConfig(t, app, handler.Config{StreamRequests: true}, func(s *site) {
		const size = 200 << 10

		conn := s.dial()
		defer conn.Close()
		_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\nfirst", size)
		require.NoError(s, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(s, err)
		require.Equal(s, http.StatusRequestEntityTooLarge, resp.StatusCode)

		_, err = io.WriteString(conn, strings.Repeat("x", size-len("first")))
		require.NoError(s, err)
	})
}
