package handler_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestClientLeavesTheQueue(t *testing.T) {
	serveConfig(t, spawnertest.Script{
		SpawnDelay: time.Minute,
		Handler:    http.HandlerFunc(echo),
	}, handler.Config{}, func(s *site) {
		c := s.dial()
		go func() { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
		synctest.Wait()
		require.Equal(s, 1, s.pool.Inspect().Groups[0].QueueLength)
		require.NoError(s, c.Close())
		synctest.Wait()
		require.Zero(s, s.pool.Inspect().Groups[0].QueueLength)
	})
}

func TestClientLeavesWhileTheAppWorks(t *testing.T) {
	for name, request := range map[string]string{
		"waiting":   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"uploading": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf",
		"chunks":    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var ended error
			app := scripted(func(r *http.Request, c net.Conn) bool {
				_, ended = io.Copy(io.Discard, r.Body)
				if ended == nil {
					_, ended = c.Read(make([]byte, 1))
				}

				return true
			})
			var log string
			logger := funcr.New(func(_, line string) { log += line + "\n" }, funcr.Options{Verbosity: 1})
			serveConfig(t, app, handler.Config{StreamRequests: true, Logger: logger}, func(s *site) {
				c := s.dial()
				go func() { _, _ = io.WriteString(c, request) }()
				synctest.Wait()
				require.Equal(s, 1, s.sessions())
				require.NoError(s, c.Close())
				synctest.Wait()
				require.Error(s, ended, "the application sees it")
				require.Zero(s, s.sessions())
				require.Contains(s, log, "request cut")
				require.NotContains(s, log, "the application closed", "it did not")
			})
		})
	}
}

func TestClientLeavesAnEventStream(t *testing.T) {
	app := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")

		for i := 0; ; i++ {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()

			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
	})}
	serve(t, app, func(s *site) {
		c := s.client()
		r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://example.com/", nil)
		require.NoError(s, err)
		resp, err := c.Do(r)
		require.NoError(s, err)

		began, events := time.Now(), bufio.NewScanner(resp.Body)
		for i := range 5 {
			require.True(s, events.Scan())
			require.Equal(s, fmt.Sprintf("data: %d", i), events.Text())
			require.Equal(s, time.Duration(i)*time.Second, time.Since(began), "event by event")
			require.True(s, events.Scan())
		}

		require.Equal(s, 1, s.sessions())
		require.NoError(s, resp.Body.Close())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Zero(s, s.sessions())
	})
}
