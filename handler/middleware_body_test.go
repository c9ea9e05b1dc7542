package handler_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// bothWays runs a test with requests that are buffered, and with ones that are streamed.
func bothWays(t *testing.T, test func(t *testing.T, cfg handler.Config)) {
	t.Helper()

	for name, streams := range map[string]bool{"buffered": false, "streamed": true} {
		t.Run(name, func(t *testing.T) { test(t, handler.Config{StreamRequests: streams}) })
	}
}

// wholeBodies is an application that tells how many bytes a request has, and counts
// those that it got to their end.
func wholeBodies(whole *int) spawnertest.Script {
	return spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}

		*whole++
		fmt.Fprint(w, n)
	})}
}

func TestBodyAboveTheLimitOfMaxBytesHandlerIs413(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg handler.Config) {
		limited := func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 100<<10) }
		whole := 0
		serveBehind(t, wholeBodies(&whole), cfg, limited, func(s *site) {
			for _, size := range []int{100<<10 + 1, 200 << 10} {
				for _, chunked := range []bool{false, true} {
					resp := s.post(size, chunked)
					require.Equal(s, http.StatusRequestEntityTooLarge, resp.StatusCode, "%d bytes, in chunks %v", size,
						chunked)
				}
			}

			require.Zero(s, whole)

			for _, size := range []int{0, 1, 100 << 10} {
				require.Equal(s, http.StatusOK, s.post(size, false).StatusCode)
				require.Equal(s, http.StatusOK, s.post(size, true).StatusCode)
			}
		})
	})
	small := func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 10) }
	whole := 0
	serveBehind(t, wholeBodies(&whole), handler.Config{}, small, func(s *site) {
		require.Equal(s, http.StatusOK, s.post(10, false).StatusCode)
		require.Equal(s, http.StatusRequestEntityTooLarge, s.post(11, false).StatusCode)
		require.Equal(s, 1, whole)
	})
}

// post sends a body of that size.
func (s *site) post(size int, chunked bool) *http.Response {
	s.Helper()
	c := s.client()
	defer c.CloseIdleConnections()
	var body io.Reader = strings.NewReader(strings.Repeat("x", size))
	if chunked {
		body = io.MultiReader(body)
	}

	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://example.com/", body)
	require.NoError(s, err)
	resp, err := c.Do(r)
	require.NoError(s, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(s, err)
	require.NoError(s, resp.Body.Close())

	return resp
}

func TestReadDeadlineOfTheProgramIs408(t *testing.T) {
	bothWays(t, func(t *testing.T, cfg handler.Config) {
		impatient := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(3 * time.Second))
				next.ServeHTTP(w, r)
			})
		}
		whole := 0
		serveBehind(t, wholeBodies(&whole), cfg, impatient, func(s *site) {
			for name, request := range map[string]string{
				"short":     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe",
				"long":      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhe",
				"in chunks": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
			} {
				began := time.Now()
				require.Contains(s, s.raw(request), "HTTP/1.1 408 ", name)
				require.GreaterOrEqual(s, time.Since(began), 3*time.Second, name)
				require.Less(s, time.Since(began), 5*time.Second, "it is not ours that counts")
			}

			require.Zero(s, whole)
			require.Contains(s, s.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: "+
				"close\r\n\r\nhello"), " 200 OK")
		})
	})
}

// The pace that clients have to keep is a limit beside the program's, not instead of it.
func TestPaceOfClientsLeavesDeadlinesOfTheProgram(t *testing.T) {
	cfg := handler.Config{ClientGrace: 2 * time.Second}
	patient := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Now().Add(time.Hour))
			_ = rc.SetWriteDeadline(time.Now().Add(10 * time.Second))
			next.ServeHTTP(w, r)
		})
	}
	large := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)

		for range 100 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<10))
		}
	})}
	serveBehind(t, large, cfg, patient, func(s *site) {
		began := time.Now()
		require.Contains(s, s.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"), "HTTP/1.1 408 ")
		require.Equal(s, 2*time.Second, time.Since(began).Truncate(time.Second), "the client was too slow")

		// Each piece is taken in time, and all of them are not.
		c := s.dial()
		defer c.Close()
		go func() { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
		began = time.Now()

		got, buf := 0, make([]byte, 1<<10)
		for {
			n, err := c.Read(buf)
			if got += n; err != nil {
				break
			}

			<-time.After(time.Second)
		}

		require.Less(s, got, 100<<10, "the response is cut")
		require.GreaterOrEqual(s, time.Since(began), 10*time.Second)
		synctest.Wait()
		require.Zero(s, s.sessions())
	})
}

func TestBodyOfAnotherLengthThanContentLengthFails(t *testing.T) {
	for name, test := range map[string]struct {
		length int64
		body   string
	}{
		"longer":                        {5, "hello, world"},
		"longer by one":                 {5, "hello!"},
		"shorter":                       {5, "hell"},
		"empty":                         {5, ""},
		"something instead of nothing":  {0, "hello"},
		"large and longer":              {40 << 10, strings.Repeat("x", 40<<10+1)},
		"large and shorter":             {40 << 10, strings.Repeat("x", 40<<10-1)},
		"larger than memory and longer": {200 << 10, strings.Repeat("x", 300<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, cfg handler.Config) {
				whole := 0
				serveBehind(t, wholeBodies(&whole), cfg, replacing(test.length, test.body), func(s *site) {
					for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
						resp := s.postBy(version)
						require.Equal(s, version, resp.Proto)
						require.Equal(s, http.StatusInternalServerError, resp.StatusCode, version)
					}

					require.Zero(s, whole, "the application has not got what looks whole")
				})
			})
		})
	}
}

func TestBodyThatMiddlewareReplacesInOrderArrives(t *testing.T) {
	for name, test := range map[string]struct {
		length int64
		body   string
	}{
		"same":               {5, "hello"},
		"empty":              {0, ""},
		"of unknown length":  {-1, "hello, world"},
		"large":              {40 << 10, strings.Repeat("x", 40<<10)},
		"larger than memory": {200 << 10, strings.Repeat("x", 200<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, cfg handler.Config) {
				whole := 0
				serveBehind(t, wholeBodies(&whole), cfg, replacing(test.length, test.body), func(s *site) {
					for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
						require.Equal(s, http.StatusOK, s.postBy(version).StatusCode, version)
					}

					require.Equal(s, 2, whole)
				})
			})
		})
	}
}

// replacing puts another body into each request, as middleware does that unpacks it.
func replacing(length int64, body string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), length
			next.ServeHTTP(w, r)
		})
	}
}

// postBy posts five bytes by a version of HTTP.
func (s *site) postBy(version string) *http.Response {
	s.Helper()
	tr := s.transport()
	if version == "HTTP/2.0" {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}

	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://example.com/",
		strings.NewReader("12345"))
	require.NoError(s, err)
	resp, err := tr.RoundTrip(r)
	require.NoError(s, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(s, err)
	require.NoError(s, resp.Body.Close())

	return resp
}

// Where middleware's writer has no deadlines, only the client can end the reading of its body: the process must not
// wait for that.
func TestProcessThatHasRespondedDoesNotWaitForABodyThatCannotBeInterrupted(t *testing.T) {
	early := scripted(func(r *http.Request, c net.Conn) bool {
		_, _ = io.CopyN(io.Discard, r.Body, 4)
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, c)

		return true
	})
	serveBehind(t, early, handler.Config{StreamRequests: true}, oldFashioned, func(s *site) {
		c := s.dial()
		_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		require.NoError(s, err)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(s, s.sessions())
		require.NoError(s, c.Close())
	})
}

// emptyBody is a body of middleware's that returns nothing, for ever.
type emptyBody struct{ io.ReadCloser }

func (emptyBody) Read([]byte) (int, error) { return 0, nil }

func TestBodyThatReturnsNothingForEverIsRefused(t *testing.T) {
	empty := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = emptyBody{r.Body}
			next.ServeHTTP(w, r)
		})
	}
	bothWays(t, func(t *testing.T, cfg handler.Config) {
		whole := 0
		serveBehind(t, wholeBodies(&whole), cfg, empty, func(s *site) {
			for _, size := range []int{10, 100 << 10} {
				require.Equal(s, http.StatusBadRequest, s.post(size, false).StatusCode)
				require.Equal(s, http.StatusBadRequest, s.post(size, true).StatusCode)
			}

			require.Zero(s, whole)
		})
	})
}

// Middleware that closes a body, and puts no other in its place, leaves none to forward: that is a fault of the server,
// and no client that has gone.
func TestBodyThatMiddlewareHasClosedIs500(t *testing.T) {
	closing := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = r.Body.Close()
			next.ServeHTTP(w, r)
		})
	}

	bothWays(t, func(t *testing.T, cfg handler.Config) {
		whole := 0
		serveBehind(t, wholeBodies(&whole), cfg, closing, func(s *site) {
			for _, size := range []int{5, 200 << 10} {
				for _, chunked := range []bool{false, true} {
					require.Equal(s, http.StatusInternalServerError, s.post(size, chunked).StatusCode)
				}
			}

			require.Zero(s, whole)
			require.Zero(s, s.sessions())
			require.Equal(s, http.StatusOK, s.post(0, false).StatusCode)
		})
	})
}
