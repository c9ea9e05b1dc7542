package handler_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// firstIs plays an application whose first process does with each connection what first
// does; the others respond.
func firstIs(first func(p *spawnertest.Process, c net.Conn)) spawnertest.Script {
	return spawnertest.Script{ServeConn: func(p *spawnertest.Process, c net.Conn) {
		if p.Info().PID == 1000 {
			first(p, c)
			return
		}

		for br := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}

			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}}
}

// patiently is middleware that gives up a request after a second.
func patiently(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func TestProcessThatDoesNotRespondIsReplaced(t *testing.T) {
	for name, test := range map[string]struct {
		process func(p *spawnertest.Process, c net.Conn)
		status  int
	}{
		"closes at once": {func(*spawnertest.Process, net.Conn) {}, http.StatusBadGateway},
		"closes after the request": {
			func(_ *spawnertest.Process, c net.Conn) { _, _ = c.Read(make([]byte, 4<<10)) },
			http.StatusBadGateway,
		},
		"hangs": {
			func(p *spawnertest.Process, _ net.Conn) { <-p.Exited() },
			http.StatusGatewayTimeout,
		},
	} {
		t.Run(name, func(t *testing.T) {
			serveBehind(t, firstIs(test.process), handler.Config{}, patiently, func(s *site) {
				for range passenger.DefaultMaxUnanswered {
					require.Equal(s, test.status, s.get().StatusCode)
				}

				require.Equal(s, http.StatusOK, s.get().StatusCode)
				require.NotEqual(s, 1000, s.pool.Inspect().Groups[0].Processes[0].PID)
			})
		})
	}
}

func (s *site) get() *http.Response {
	s.Helper()
	resp, _ := s.do(http.MethodGet, "/", "")
	return resp
}

func TestProcessThatRespondsSometimesStays(t *testing.T) {
	requests := 0
	for name, process := range map[string]func(*spawnertest.Process, net.Conn){
		"500": func(_ *spawnertest.Process, c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		},
		"not well-formed": func(_ *spawnertest.Process, c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, "nonsense\r\n\r\n")
		},
		"a cut response": func(_ *spawnertest.Process, c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-")
		},
		"now and then": func(_ *spawnertest.Process, c net.Conn) {
			if requests++; requests%passenger.DefaultMaxUnanswered == 0 {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, firstIs(process), func(s *site) {
				for range 4 * passenger.DefaultMaxUnanswered {
					_ = s.get()
				}

				require.Equal(s, 1000, s.pool.Inspect().Groups[0].Processes[0].PID)
			})
		})
	}
}

// What a client does is not held against the process.
func TestClientsCannotHaveAProcessReplaced(t *testing.T) {
	hangs := func(p *spawnertest.Process, c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		<-p.Exited()
	}
	for name, request := range map[string]string{
		"leave":             "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"leave an upload":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx",
		"send a bad upload": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			cfg := handler.Config{StreamRequests: true}
			cfg.Options.MaxUnanswered = 1
			serveConfig(t, firstIs(hangs), cfg, func(s *site) {
				for range 3 {
					c := s.dial()
					_, err := io.WriteString(c, request)
					require.NoError(s, err)
					time.Sleep(time.Second) // virtual: it has reached the application
					require.NoError(s, c.Close())
					time.Sleep(time.Second)
				}

				require.Equal(s, 1000, s.pool.Inspect().Groups[0].Processes[0].PID)
			})
		})
	}
}

func TestUnansweredRequestsAreNotCountedWithoutALimit(t *testing.T) {
	var cfg handler.Config
	cfg.Options.MaxUnanswered = passenger.Unlimited
	serveConfig(t, firstIs(func(*spawnertest.Process, net.Conn) {}), cfg, func(s *site) {
		for range 50 {
			require.Equal(s, http.StatusBadGateway, s.get().StatusCode)
		}
	})
}
