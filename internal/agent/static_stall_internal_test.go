package agent

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A client that asks for a static file and does not read holds it no longer than the limit between two writes.
func TestStaticFileIsNotHeldByAClientThatStopsReading(t *testing.T) {
	s := newStaticSite(t)
	s.stallTimeout = 200 * time.Millisecond
	s.write("current/public/large.bin", strings.Repeat("x", 32<<20))
	ended := make(chan struct{})
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			s.ServeHTTP(w, r)
		}),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	}()

	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.EqualValues(t, 32<<20, resp.ContentLength)

	select {
	case <-ended:
	case <-time.After(time.Minute):
		require.Fail(t, "the file is still being sent")
	}

	_, err = io.ReadAll(resp.Body)
	require.Error(t, err, "an incomplete response never looks complete")
	_ = resp.Body.Close()

	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // not Linux
	}

	for _, fd := range fds {
		name, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		require.False(t, strings.HasSuffix(name, "large.bin"), name)
	}
}
