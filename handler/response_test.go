package handler_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestResponsesThatAreRefused(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"

	for name, response := range map[string]string{
		"nothing":                   "",
		"half a head":               ok + "Content-Le",
		"no empty line":             ok + "Content-Length: 0\r\n",
		"not HTTP":                  "hello\r\n\r\n",
		"pong":                      "pong",
		"HTTP/0.9":                  "<html>\r\n\r\n",
		"HTTP/2.0":                  "HTTP/2.0 200 OK\r\n\r\n",
		"status 099":                "HTTP/1.1 099 X\r\n\r\n",
		"status 1000":               "HTTP/1.1 1000 X\r\n\r\n",
		"status 20":                 "HTTP/1.1 20 X\r\n\r\n",
		"status in words":           "HTTP/1.1 OK\r\n\r\n",
		"no status":                 "HTTP/1.1\r\n\r\n",
		"NUL in the reason":         "HTTP/1.1 200 O\x00K\r\n\r\n",
		"both lengths":              ok + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":               ok + "Content-Length: 0\r\nContent-Length: 1\r\n\r\nx",
		"equal lengths":             ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"length -1":                 ok + "Content-Length: -1\r\n\r\n",
		"length +2":                 ok + "Content-Length: +2\r\n\r\nxx",
		"empty length":              ok + "Content-Length:\r\n\r\n",
		"length 2^64":               ok + "Content-Length: 18446744073709551616\r\n\r\n",
		"coding with a Kelvin sign": ok + "Transfer-Encoding: chun\u212aed\r\n\r\n0\r\n\r\n",
		"coding gzip, chunked":      ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"coding identity":           ok + "Transfer-Encoding: identity\r\n\r\n",
		"two codings": ok +
			"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked by HTTP/1.0":    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"CR in a value":          ok + "X: a\rb\r\nContent-Length: 0\r\n\r\n",
		"bare LF":                ok + "X: a\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
		"only bare LF":           "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"NUL in a value":         ok + "X: a\x00b\r\nContent-Length: 0\r\n\r\n",
		"folded":                 ok + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
		"space before the colon": ok + "X : a\r\nContent-Length: 0\r\n\r\n",
		"no colon":               ok + "X\r\nContent-Length: 0\r\n\r\n",
		"empty name":             ok + ": x\r\nContent-Length: 0\r\n\r\n",
		"101 fields":             ok + strings.Repeat("X: y\r\n", 101) + "\r\n",
		"a head over the limit":  ok + "X: " + strings.Repeat("x", 64<<10) + "\r\nContent-Length: 0\r\n\r\n",
		"an endless head":        ok + "X: " + strings.Repeat("x", 1<<20),
		"a protocol that was not asked for": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: " +
			"websocket\r\n\r\n",
		"17 interim responses and the final one": strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 17) + ok + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, replying(response), func(s *site) {
				resp, body := s.do(http.MethodGet, "/", "")
				require.Equal(s, http.StatusBadGateway, resp.StatusCode)
				require.Contains(s, body, "502 Bad Gateway")
				require.Zero(s, s.sessions())
			})
		})
	}
}

func TestResponsesAtTheLimits(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
	for name, response := range map[string]string{
		"100 fields":           ok + strings.Repeat("X: y\r\n", 99) + "\r\n",
		"64 KiB of head":       ok + "X: " + strings.Repeat("x", 64<<10-len(ok)-len("X: \r\n\r\n")) + "\r\n\r\n",
		"16 interim responses": strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 16) + ok + "\r\n",
		"no reason":            "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		"high bytes":           ok + "X: \xff\xe9\r\n\r\n",
		"empty value":          ok + "X:\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, replying(response), func(s *site) {
				resp, body := s.do(http.MethodGet, "/", "")
				require.Equal(s, http.StatusOK, resp.StatusCode)
				require.Empty(s, body)
			})
		})
	}

	serve(t, replying("HTTP/1.1 604 Odd\r\nContent-Length: 0\r\n\r\n"), func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, 604, resp.StatusCode)
	})
}

func TestResponsesThatEndWithTheirConnection(t *testing.T) {
	serve(t, replying("HTTP/1.1 200 OK\r\n\r\nall of it"), func(s *site) {
		resp, body := s.do(http.MethodGet, "/", "")
		require.Equal(s, "all of it", body)
		require.True(s, resp.ContentLength == int64(len(body)) ||
			slices.Equal(resp.TransferEncoding, []string{"chunked"}), "it has an end")
		require.NotContains(s, s.raw("GET / HTTP/1.0\r\n\r\n"), "chunked")
	})
}

func TestResponsesThatAreCutShortNeverLookComplete(t *testing.T) {
	for name, response := range map[string]string{
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"no body":      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
		"in a chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf",
		"between":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"no last CRLF": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
		"in a trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX-Tr",
		"long trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n" +
			strings.Repeat("X-T: y\r\n", 4<<10) + "\r\n",
		"bad chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf",
		"giant chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhalf",
		"bad chunk end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfXX0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, replying(response), func(s *site) {
				for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
					c := s.dial()
					go func() { fmt.Fprintf(c, "GET / %s\r\nHost: x\r\n\r\n", version) }()
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						continue // cut before the head
					}

					if resp.StatusCode == http.StatusBadGateway {
						continue // the client had got nothing of it yet
					}

					require.Equal(s, http.StatusOK, resp.StatusCode)
					_, err = io.ReadAll(resp.Body)
					if version == "HTTP/1.1" {
						require.Error(s, err)
					}

					require.NoError(s, c.Close())
				}

				require.Zero(s, s.sessions())
			})
		})
	}
}

// A request that kills its process, on a connection that was used before, gets no
// second one to kill.
func TestRequestThatKills(t *testing.T) {
	app := spawnertest.Script{ServeConn: func(p *spawnertest.Process, c net.Conn) {
		br := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}

			if r.URL.Path == "/die" {
				p.Die("signal: segmentation fault")
				return
			}

			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}}
	serve(t, app, func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		resp, _ = s.do(http.MethodGet, "/die", "")
		require.Equal(s, http.StatusBadGateway, resp.StatusCode)
		require.Equal(s, 1, s.factory.Spawns())
	})
}

// A process that has died while idle costs no request.
func TestKilledWhileIdle(t *testing.T) {
	for name, app := range map[string]spawnertest.Script{
		"http_session": {Handler: http.HandlerFunc(echo)},
		"session":      sessionApp(true, echoSession),
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, app, func(s *site) {
				for range 5 {
					resp, _ := s.do(http.MethodGet, "/", "")
					require.Equal(s, http.StatusOK, resp.StatusCode)

					// No waiting: the pool may not have noticed yet.
					s.factory.LiveProcesses()[0].Die("signal: killed")
				}
			})
		})
	}
}

// The system closes the connection of a process that was killed, as the application does at the end of a response that
// has neither a length nor chunks.
//
// Faults: B3.
func TestResponseWithoutALengthOfAKilledProcessDoesNotLookWhole(t *testing.T) {
	for status, want := range map[string]error{"signal: killed": io.ErrUnexpectedEOF, "exit status 0": nil} {
		t.Run(status, func(t *testing.T) {
			app := spawnertest.Script{ServeConn: func(_ *spawnertest.Process, c net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhalf")
				_, _ = c.Read(make([]byte, 1))
			}}

			serveConfig(t, app, handler.Config{}, func(s *site) {
				r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://shop/", http.NoBody)
				require.NoError(s, err)
				resp, err := s.client().Do(r)
				require.NoError(s, err)
				defer resp.Body.Close()

				synctest.Wait()
				s.factory.Process(0).BeginEnd()
				synctest.Wait()
				s.factory.Process(0).Die(status)

				body, err := io.ReadAll(resp.Body)
				require.Equal(s, "half", string(body))
				require.ErrorIs(s, err, want)
			})
		})
	}
}

// The system closes the connections of a process that was killed some time before it is gone.
//
// Faults: B2, P2.
func TestRequestsBehindThatOfADyingProcessAreNotLost(t *testing.T) {
	app := spawnertest.Script{ServeConn: func(_ *spawnertest.Process, c net.Conn) {
		br := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}

			if r.URL.Path == "/die" {
				_, _ = c.Read(make([]byte, 1))
				return
			}

			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}}

	for name, first := range map[string]string{"in the queue": "/die", "on a kept connection": "/"} {
		t.Run(name, func(t *testing.T) {
			cfg := handler.Config{Options: passenger.Options{MaxProcesses: 1}}
			serveConfig(t, app, cfg, func(s *site) {
				firstStatus, nextStatus := make(chan int, 1), make(chan int, 1)
				post := func(target string, status chan int) {
					resp, _ := s.do(http.MethodPost, target, "")
					status <- resp.StatusCode
				}

				go post(first, firstStatus)
				synctest.Wait()

				if first == "/die" {
					go post("/", nextStatus)
					synctest.Wait()
					s.factory.Process(0).BeginEnd()
				} else {
					s.factory.Process(0).BeginEnd()
					go post("/", nextStatus)
				}

				synctest.Wait()
				require.Empty(s, nextStatus, "it waits for the end of the process")
				s.factory.Process(0).Die("signal: killed")
				require.Equal(s, http.StatusOK, <-nextStatus)

				if first == "/die" {
					require.Equal(s, http.StatusBadGateway, <-firstStatus)
				}
			})
		})
	}
}

func TestKilledInARequest(t *testing.T) {
	working := make(chan *spawnertest.Process, 1)
	app := spawnertest.Script{ServeConn: func(p *spawnertest.Process, c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}

		if r.URL.Path == "/die" {
			working <- p
			_, _ = c.Read(make([]byte, 1))
			return
		}

		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}}
	serve(t, app, func(s *site) {
		go func() { s.factory.Kill((<-working).Info().PID) }()
		resp, body := s.do(http.MethodGet, "/die", "")
		require.Equal(s, http.StatusBadGateway, resp.StatusCode)
		require.Contains(s, body, "502 Bad Gateway")
		resp, _ = s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusOK, resp.StatusCode, "a new process is there")
	})
}
