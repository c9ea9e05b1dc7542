package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The application sends events without end, so that those that arrive at all
// arrive before the last one is sent.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()

	for name, options := range map[string][]func(*http.Transport){"HTTP1": nil, "HTTP2": {http2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{dir: example(t, "sse"), args: append(nodeArgs(t, "sse"), "--http2-cleartext")})
			c := s.client(t, options...)
			require.Contains(t, c.get(t, "/events?count=2").body, "id: 2")
			before := s.fds(t)
			resp, err := c.Do(c.request(t, http.MethodGet, "/events", nil))
			require.NoError(t, err)
			require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))

			lines := bufio.NewScanner(resp.Body)
			for next := 1; next <= 3 && lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "id: ") {
					require.Equal(t, fmt.Sprintf("id: %d", next), lines.Text())
					next++
				}
			}

			require.NoError(t, lines.Err())
			require.NoError(t, resp.Body.Close())
			c.CloseIdleConnections()

			// The application's connection ends with the client's.
			s.requireNoMoreFDs(t, before)
		})
	}
}

// A stream that has no end does not hold a shutdown up.
func TestShutdownEndsEventStreams(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: example(t, "sse"), args: nodeArgs(t, "sse")})
	c := s.client(t)
	resp, err := c.Do(c.request(t, http.MethodGet, "/events", nil))
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	require.True(t, lines.Scan())
	began := time.Now()
	s.signal(t, syscall.SIGTERM)
	s.requireExit(t, 0)
	require.Less(t, time.Since(began), 20*time.Second, "far from the time that requests may take")

	for lines.Scan() {
		continue // what was on its way
	}

	require.Error(t, lines.Err(), "it must not look complete")
}
