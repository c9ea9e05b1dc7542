package headguard_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/headguard"
	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/test/pipenet"
)

// pipedSite serves one connection, in a bubble.
func pipedSite(
	t *testing.T, guard *headguard.Guard, handler http.HandlerFunc,
) (client net.Conn, responses *bufio.Reader) {
	t.Helper()

	client, conn := net.Pipe()

	return pipedTo(t, guard, handler, client, conn), bufio.NewReader(client)
}

// pipedTo serves conn, whose other end is client's, until the end of the test.
func pipedTo(t *testing.T, guard *headguard.Guard, handler http.HandlerFunc, client, conn net.Conn) net.Conn {
	t.Helper()

	l := pipenet.NewListener(&net.TCPAddr{})
	server := &http.Server{
		Handler:     guard.Handler(handler),
		ConnState:   guard.ConnState,
		ConnContext: guard.ConnContext,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(guard.Listener(l, nil)) }()

	require.NoError(t, l.Connect(t.Context(), conn))
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})

	return client
}

// While a handler decides about another protocol, net/http reads a byte to see whether the client is still there. It is
// the first one of the next head if the handler declines, which is checked with it.
func TestByteThatIsReadWhileAnUpgradeIsDeclinedBelongsToTheNextHead(t *testing.T) {
	for next, status := range map[string]int{last: http.StatusOK, bad: http.StatusBadRequest} {
		synctest.Test(t, func(t *testing.T) {
			decide := make(chan struct{})
			guard := &headguard.Guard{Limits: httphead.Limits{Head: 8 << 10}}
			client, responses := pipedSite(t, guard, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stay" {
					<-decide
				}

				echo(w, r)
			})

			for _, piece := range []string{asks, next[:1]} {
				_, err := io.WriteString(client, piece) // until it is read
				require.NoError(t, err)
			}

			close(decide)
			resp, err := http.ReadResponse(responses, nil)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)

			go func() { _, _ = io.WriteString(client, next[1:]) }()
			resp, err = http.ReadResponse(responses, nil)
			require.NoError(t, err)
			require.Equal(t, status, resp.StatusCode)
		})
	}
}

// Without a limit, the head of a kept connection has any time.
func TestHeadOfAKeptConnectionHasAnyTimeWithoutALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := &headguard.Guard{Limits: httphead.Limits{Head: 8 << 10}}
		client, responses := pipedSite(t, guard, echo)

		for _, pieces := range [][]string{{good}, {last[:1], last[1:2], last[2:]}} {
			for _, piece := range pieces {
				time.Sleep(time.Hour)
				_, err := io.WriteString(client, piece)
				require.NoError(t, err)
			}

			resp, err := http.ReadResponse(responses, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
		}
	})
}
