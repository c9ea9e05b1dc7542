package headguard_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/headguard"
	"github.com/gopassenger/passenger/internal/httphead"
)

// halfConn is one whose direction to the client can end. A pipe's cannot: its reader gets the end from a pipe between.
type halfConn struct {
	net.Conn

	out *io.PipeWriter
}

func (c halfConn) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c halfConn) CloseWrite() error           { return c.out.Close() }

func (c halfConn) Close() error {
	_ = c.out.Close()
	return c.Conn.Close()
}

// A client that is still sending when it gets its response must not meet a closed connection: a proxy makes a 502 of
// that, whatever the response says.
//
// Faults: C10, D17.
func TestClientThatStillSendsTakesTheResponse(t *testing.T) {
	const (
		length  = "Content-Length: 1000000\r\n"
		chunked = "Transfer-Encoding: chunked\r\n"
		ends    = "Connection: close\r\n"
		expects = "Expect: 100-continue\r\n"
		piece   = "1\r\nx\r\n"
	)

	// net/http reads chunks itself, without a limit.
	early := func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Millisecond))
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}
	asked := func(w http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		early(w, r)
	}
	whole := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

	for name, test := range map[string]struct {
		head    string
		handler http.HandlerFunc
		status  string // empty means that the response is cut
		waits   bool
	}{
		"it ends":              {"POST / HTTP/1.1\r\nHost: x\r\n" + ends + length, early, "413", true},
		"it ends, chunks":      {"POST / HTTP/1.1\r\nHost: x\r\n" + ends + chunked, early, "413", true},
		"HTTP/1.0":             {"POST / HTTP/1.0\r\n" + length, early, "413", true},
		"kept":                 {"POST / HTTP/1.1\r\nHost: x\r\n" + length, early, "413", true},
		"kept, chunks":         {"POST / HTTP/1.1\r\nHost: x\r\n" + chunked, early, "413", true},
		"100":                  {"POST / HTTP/1.1\r\nHost: x\r\n" + expects + length, asked, "413", true},
		"100, chunks":          {"POST / HTTP/1.1\r\nHost: x\r\n" + expects + chunked, asked, "413", true},
		"100, not asked for":   {"POST / HTTP/1.1\r\nHost: x\r\n" + expects + length, early, "413", true},
		"a path that is none":  {"POST /%zz HTTP/1.1\r\nHost: x\r\n" + length, early, "400", true},
		"an expectation":       {"POST / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n" + length, early, "417", true},
		"all of it has come":   {"POST / HTTP/1.1\r\nHost: x\r\n" + ends + "Content-Length: 6\r\n", whole, "200", false},
		"a bad head":           {"POST / HTTP/1.1\r\nHost: x y\r\n" + length, early, "400", true},
		"nothing is to come":   {"POST / HTTP/1.1\r\nHost: x\r\n" + ends + "Content-Length: 0\r\n", whole, "200", false},
		"the response is cut":  {"POST / HTTP/1.1\r\nHost: x\r\n" + ends + length, cut, "", false},
		"all, and it was kept": {"POST / HTTP/1.0\r\nContent-Length: 6\r\n", whole, "200", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guard := &headguard.Guard{Limits: httphead.Limits{Head: 8 << 10}}
				in, out := net.Pipe()
				response, toClient := io.Pipe()
				client := pipedTo(t, guard, test.handler, in, halfConn{out, toClient})

				got := make(chan string, 1)
				go func() {
					b, _ := io.ReadAll(bufio.NewReader(response))
					got <- string(b)
				}()

				_, err := io.WriteString(client, test.head+"\r\n")
				require.NoError(t, err)

				// The client sends on, without a look at what it gets.
				began, sent := time.Now(), 0
				for err == nil && sent < 200 {
					_, err = io.WriteString(client, piece)
					sent++
					time.Sleep(10 * time.Millisecond)
				}

				require.Error(t, err, "no client is waited for without an end")
				require.Contains(t, <-got+" ", " "+test.status)
				if test.waits {
					require.GreaterOrEqual(t, time.Since(began), 400*time.Millisecond)
					require.Greater(t, sent, 40, "what it sends is read")
				} else {
					require.Less(t, time.Since(began), 100*time.Millisecond)
				}
			})
		})
	}
}

// What net/http has refused, or a handler, is over at once where the client leaves.
func TestClientThatLeavesIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := &headguard.Guard{Limits: httphead.Limits{Head: 8 << 10}}
		closed := make(chan struct{})
		in, out := net.Pipe()
		response, toClient := io.Pipe()
		client := pipedTo(t, guard, func(w http.ResponseWriter, _ *http.Request) {}, in,
			closingConn{halfConn{out, toClient}, closed})

		_, err := io.WriteString(client, "POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\n")
		require.NoError(t, err)

		b, err := io.ReadAll(response)
		require.NoError(t, err, "the response's end is told before the wait")
		require.True(t, strings.HasPrefix(string(b), "HTTP/1.0 200 OK"), string(b))

		began := time.Now()
		require.NoError(t, client.Close())
		<-closed
		require.Zero(t, time.Since(began))
	})
}

type closingConn struct {
	halfConn

	closed chan struct{}
}

func (c closingConn) Close() error {
	err := c.halfConn.Close()
	close(c.closed)

	return err
}
