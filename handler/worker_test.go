package handler_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// singleWorker is a process of the original's kind for the session protocol: its
// one thread serves one connection until that is closed, and does not accept
// another one meanwhile. A body without a length is nothing to it, and what
// follows a request is taken for the next one; that kills it if it is none.
func singleWorker(t *testing.T) spawnertest.Script {
	t.Helper()
	threads := map[*spawnertest.Process]chan struct{}{}
	turn := make(chan struct{}, 1)
	thread := func(p *spawnertest.Process) chan struct{} {
		turn <- struct{}{}
		defer func() { <-turn }()
		if threads[p] == nil {
			threads[p] = make(chan struct{}, 1)
		}

		return threads[p]
	}

	return spawnertest.Script{
		Protocol: loaderproto.Session, Concurrency: 1,
		ServeConn: func(p *spawnertest.Process, c net.Conn) {
			free := thread(p)
			select {
			case free <- struct{}{}:
				defer func() { <-free }()
			case <-p.Exited():
				return
			}

			br := bufio.NewReader(c)
			for {
				h, err := sessionproto.ReadHeader(br)
				switch {
				case errors.Is(err, io.EOF):
					return
				case err != nil:
					p.Die(fmt.Sprintf("NoMethodError: %v", err))
					return
				case h.IsOOBW():
					_, _ = io.WriteString(c, sessionproto.OOBWReply)
					return
				}

				_, closing := h["HTTP_X_EARLY"]
				if !closing {
					echoSession(h, br, c)
					continue
				}

				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")

				return
			}
		},
	}
}

// TestBlockedSingleWorker: a connection that was kept open does not keep the
// process from serving the next request, nor from its out-of-band work.
func TestBlockedSingleWorker(t *testing.T) {
	cfg := handler.Config{}
	cfg.Options.MaxProcesses = 1
	serveConfig(t, singleWorker(t), cfg, func(s *site) {
		began := time.Now()

		for range 3 {
			for _, request := range [][2]string{
				{http.MethodGet, ""},
				{http.MethodPost, "body"},
				{http.MethodGet, ""},
				{http.MethodHead, ""},
				{http.MethodPut, "x"},
			} {
				resp, body := s.do(request[0], "/", request[1])
				require.Equal(s, http.StatusOK, resp.StatusCode)
				require.Equal(s, request[1], body)
			}

			session, err := s.pool.Get(s.Context(), &passenger.Options{App: s.cfg.Options.App, MaxProcesses: 1})
			require.NoError(s, err)
			ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
			require.NoError(s, handler.OutOfBandWork(ctx, session))
			cancel()
			session.Close(passenger.Discard)
		}

		require.Less(s, time.Since(began), time.Second, "nothing waited for anything")
		require.Len(s, s.pool.Inspect().Groups[0].Processes, 1)
	})
}

// TestUnframedBody: a process never gets more or less of a body than the length
// that it gets, and never anything that is not a request after it.
func TestUnframedBody(t *testing.T) {
	cfg := handler.Config{}
	cfg.Options.MaxProcesses = 1
	serveConfig(t, singleWorker(t), cfg, func(s *site) {
		pid := func() int {
			synctest.Wait()
			processes := s.pool.Inspect().Groups[0].Processes
			require.Len(s, processes, 1)

			return processes[0].PID
		}
		_, body := s.do(http.MethodPost, "/", "known")
		require.Equal(s, "known", body)

		first := pid()
		for _, chunked := range []string{
			"5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n",
			"1;ext=x\r\na\r\n2\r\nbc\r\n0\r\nTrailer: x\r\n\r\n",
		} {
			response := s.raw("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
				chunked)
			require.Contains(s, response, "200 OK")
			require.Equal(s, first, pid(), "the process survived")
		}

		// It responds and hangs up without reading the body.
		for _, size := range []int{1, 100, 1 << 20} {
			resp, body := s.do(http.MethodPost, "/", strings.Repeat("x", size), "X-Early", "yes")
			require.Equal(s, http.StatusOK, resp.StatusCode)
			require.Equal(s, "early", body)
		}

		// The client breaks off in the middle of its body.
		c := s.dial()
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		require.NoError(s, c.Close())
		_, body = s.do(http.MethodPost, "/", "after it")
		require.Equal(s, "after it", body)
		require.Equal(s, first, pid())
	})
}
