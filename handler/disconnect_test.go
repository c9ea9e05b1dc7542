package handler_test

import (
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

func TestDisconnect(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	endless := func(kind string) spawnertest.Script {
		return spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)

			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, strings.Repeat("x", 4<<10))
				_ = http.NewResponseController(w).Flush()
			}
		})}
	}

	waiting := scripted(func(r *http.Request, c net.Conn) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = c.Read(make([]byte, 1))
		return true
	})
	for name, test := range map[string]struct {
		app     spawnertest.Script
		cfg     handler.Config
		request string
		state   handler.RequestState
	}{
		"in the queue": {spawnertest.Script{
			SpawnDelay: time.Hour,
			Handler:    http.HandlerFunc(echo),
		}, handler.Config{}, get, handler.StateCheckingOut},
		"sending its body": {
			waiting,
			handler.Config{},
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
			handler.StateBuffering,
		},
		"streaming its body": {
			waiting,
			handler.Config{StreamRequests: true},
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf", handler.StateForwardingBody,
		},
		"waiting": {waiting, handler.Config{}, get, handler.StateWaiting},
		"not reading": {
			endless("text/plain"),
			handler.Config{MaxResponseBuffer: 64 << 10},
			get,
			handler.StateWaiting,
		},
		"not reading, without end": {endless("text/event-stream"), handler.Config{}, get, handler.StateWaiting},
		"in a tunnel": {
			upgradingApps()["http_session"],
			handler.Config{},
			upgradeRequest,
			handler.StateWaiting,
		},
	} {
		t.Run(name, func(t *testing.T) {
			serveConfig(t, test.app, test.cfg, func(s *site) {
				c := s.dial()
				defer c.Close()
				go func() { _, _ = io.WriteString(c, test.request) }()
				synctest.Wait()
				requests := s.handler.Inspect().Requests
				require.Len(s, requests, 1)
				require.Equal(s, test.state, requests[0].State)
				require.False(s, s.handler.Disconnect("another"))
				require.Len(s, s.handler.Inspect().Requests, 1)

				began := time.Now()
				require.True(s, s.handler.Disconnect(requests[0].ID))
				rest := make(chan struct{})
				go func() {
					defer close(rest)
					_, _ = io.Copy(io.Discard, c) // what was under way, up to the end
				}()
				<-rest
				synctest.Wait()
				require.Less(s, time.Since(began), time.Second)
				require.Empty(s, s.handler.Inspect().Requests)
				require.Zero(s, s.sessions())
				require.False(s, s.handler.Disconnect(requests[0].ID))
			})
		})
	}
}

// One of the streams of an HTTP/2 connection goes, and the others stay.
func TestDisconnectOneOfAConnection(t *testing.T) {
	app := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
			return
		}

		_, _ = io.WriteString(w, "well")
	})}
	serve(t, app, func(s *site) {
		transport := s.transport()
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
		c := &http.Client{Transport: transport}
		defer c.CloseIdleConnections()
		waited := make(chan error, 1)
		go func() {
			resp, err := c.Get("http://example.com/wait")
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}

			waited <- err
		}()
		synctest.Wait()
		requests := s.handler.Inspect().Requests
		require.Len(s, requests, 1)
		require.Equal(s, "HTTP/2.0", requests[0].Protocol)
		require.True(s, s.handler.Disconnect(requests[0].ID))
		require.Error(s, <-waited)
		resp, err := c.Get("http://example.com/")
		require.NoError(s, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(s, err)
		require.NoError(s, resp.Body.Close())
		require.Equal(s, "well", string(b))
	})
}
