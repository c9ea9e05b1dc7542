package scgi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/webservers"
)

// Events arrive as they are sent, and the application learns that the client has
// gone, also one that waits without saying anything.
func TestWebServersStreams(t *testing.T) {
	t.Parallel()

	for _, k := range webservers.Kinds() {
		t.Run(k.File, func(t *testing.T) {
			t.Parallel()
			testStreams(t, k)
		})
	}
}

func testStreams(t *testing.T, k webservers.Kind) {
	t.Helper()
	running, next, gone := make(chan string, 1), make(chan string), make(chan string, 1)
	s := splitStand(t, func(w http.ResponseWriter, r *http.Request) {
		running <- r.URL.Path
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			rc := http.NewResponseController(w)

			_ = rc.Flush()
			for {
				select {
				case s := <-next:
					fmt.Fprintf(w, "data: %s\n\n", s)
					_ = rc.Flush()
					continue
				case <-r.Context().Done():
				}

				break
			}
		} else {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}

		gone <- r.URL.Path
	})
	w := startWebServer(t, k, s.path)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp := w.do(http.MethodGet, "/events", nil, func(r *http.Request) { *r = *r.WithContext(ctx) })
	require.Equal(t, "/events", receive(t, running))
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))

	for i := range 3 {
		want := fmt.Sprintf("data: %d\n\n", i)
		next <- fmt.Sprint(i)
		got := make([]byte, len(want))
		_, err := io.ReadFull(resp.Body, got)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}

	cancel()
	if w.Apache {
		// Apache finds out when it has something to write.
		for open := true; open; {
			select {
			case next <- "more":
			case <-gone:
				open = false
			}
		}
	} else {
		require.Equal(t, "/events", receive(t, gone))
	}

	if w.Apache {
		return // and so never if there is nothing
	}

	c := w.dial()
	_, err := io.WriteString(c, "POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody")
	require.NoError(t, err)
	require.Equal(t, "/wait", receive(t, running))
	require.NoError(t, c.Close())
	require.Equal(t, "/wait", receive(t, gone))
}

// WebSockets go by HTTP, also beside SCGI.
func TestWebServersWebSockets(t *testing.T) {
	forEachKind(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}

		defer func() { _ = c.CloseNow() }()

		for {
			kind, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind,
				append(message, r.Header.Get("X-Passenger-App-Root")...)) != nil {
				return
			}
		}
	}, func(t *testing.T, w *webServer) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, _, err := websocket.Dial(ctx, "ws://"+w.Addr+"/cable", nil)
		require.NoError(t, err)

		for _, s := range []string{"one ", strings.Repeat("x", 30_000)} {
			require.NoError(t, c.Write(ctx, websocket.MessageText, []byte(s)))
			_, got, err := c.Read(ctx)
			require.NoError(t, err)
			require.Equal(t, s+"/srv/test", string(got))
		}

		require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	})
}
