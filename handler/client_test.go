package handler_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
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

// Whatever version a client speaks, and whether it leaves with its connection or only resets a stream.
func TestClientThatLeavesInItsUploadIsNoMalformedRequest(t *testing.T) {
	closes := func(_ func(), conn net.Conn) { _ = conn.Close() }

	for name, client := range map[string]struct {
		version int
		leaves  func(cancel func(), conn net.Conn)
	}{
		"HTTP/1.1, closes": {1, closes},
		"HTTP/2, closes":   {2, closes},
		"HTTP/2, resets":   {2, func(cancel func(), _ net.Conn) { cancel() }},
	} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", streamed: ", streamed), func(t *testing.T) {
				var out bytes.Buffer

				app := spawnertest.Script{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
				})}
				cfg := handler.Config{
					AccessLog:      logr.FromSlogHandler(slog.NewJSONHandler(&out, nil)),
					StreamRequests: streamed,
				}

				serveConfig(t, app, cfg, func(s *site) {
					s.leaveUpload(client.version, client.leaves)

					var line map[string]any
					require.NoError(s, json.Unmarshal(out.Bytes(), &line), out.String())
					require.Contains(s, line["error"], "the client has gone")
					require.InDelta(s, 0, line["status"], 0, "there was no response")
					require.Zero(s, s.sessions())
				})
			})
		}
	}
}

// leaveUpload sends a part of a body, and leaves.
func (s *site) leaveUpload(version int, leaves func(cancel func(), conn net.Conn)) {
	s.Helper()

	var conn net.Conn

	tr := &http.Transport{Protocols: new(http.Protocols)}
	defer tr.CloseIdleConnections()
	tr.Protocols.SetHTTP1(version == 1)
	tr.Protocols.SetUnencryptedHTTP2(version == 2)
	tr.DialContext = func(ctx context.Context, _, _ string) (_ net.Conn, err error) {
		conn, err = dial(ctx, s.listener)
		return conn, err
	}

	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()

	body, sender := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://example.com/", body)
	require.NoError(s, err)

	r.ContentLength = 100_000
	ended := make(chan error, 1)

	go func() {
		resp, err := tr.RoundTrip(r)
		if err == nil {
			_ = resp.Body.Close()
		}

		ended <- err
	}()

	_, err = sender.Write(make([]byte, 10_000))
	require.NoError(s, err)
	synctest.Wait()

	leaves(cancel, conn)
	synctest.Wait()
	require.NoError(s, sender.Close())
	require.Error(s, <-ended)
	synctest.Wait()
}
